"""Directions made better through the generator: along them what is wanted changes, the rest and the person stay.

A regression on latents knows nothing of pictures. Here a direction, begun at the regression's, is moved by the gradient
of what the FaceReader sees in the edited faces (as StyleCLIP's mapper is by CLIP, Patashnik et al. 2021, section 5);
it stays one vector for everybody. The reader looks at each face moved, recoloured and softened at random, before and
after alike: what it sees only in the finest detail of one picture is no attribute. The generator's discriminator asks
that edited faces look real: dark paint is a beard to the reader. None of it may turn green or blue, and lenses stay
clear. Colours of hair are tuned towards pictures of such hair as well (shades.py), and blond on the whole picture:
tuned in the hair alone, a direction learns to brighten all that it touches, and glows along the hair's border. The
judge takes no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.edits.attributes import Direction, way_of
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader
from facelab.regions import moved_locally
from facelab.template import TEMPLATE_LANDMARKS
from facelab.training.crowd import Crowd
from facelab.training.direction_list import GOES_WITH, WANTED, Wanted
from facelab.training.jitter import jitter
from facelab.training.lenses import lens_squares
from facelab.training.shades import Shades, changed_outside, hair_of
from facelab.training.sight import SKIN, class_means, is_binary, scores_of

STEPS = 240
BATCH = 8
HAVING = 1 / 4  # share of a batch that has the attribute and is to lose it
LEARNING_RATE = 0.01

CHANGE_WEIGHT = 12.0  # of what is missing of the class mean, squared, in distances between the classes
OTHERS_WEIGHT = 0.2  # of the others' changes, squared, in their deviations among people
HELD_WEIGHT = 0.8  # of those that a direction names as held
PERSON_WEIGHT = 2.0  # of the squared distance between the reader's vectors
COLOUR_WEIGHT = 20.0  # of the changes of a patch's mean colour, squared: cheeks, forehead, what is behind the head
COLD_WEIGHT = 2000.0  # of what an edit paints green or blue, squared: shadows of beards and lenses turn that way
REALISM_WEIGHT = 0.5  # of the discriminator's doubt
LENGTH_WEIGHT = 0.02
FARTHEST = 3.0  # class distances: where sliders end

PATCH_SIDE = 11 / 128  # of a patch of skin, of the picture's side
FOREHEAD_HEIGHT = 0.25  # of the way from the mouth to the eyes, above the brows
CORNER_ROWS, CORNER_COLUMNS = 1 / 4, 1 / 8  # of the side: behind almost every aligned head
COVERED_BY_HAIR = ("bangs", "hair_dark", "hair_blond", "hair_grey", "hair_wavy")  # some foreheads are


def tune(
    directions: Sequence[Direction],
    generator: StyleGAN2,
    reader: FaceReader,
    crowd: Crowd,
    *,
    discriminator: nn.Module | None = None,
    shades: Mapping[str, Shades] | None = None,
    steps: int = STEPS,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Direction]:
    """The directions with better normals; as it was that of skin tone, which the reader cannot see.

    crowd: portraits of the train split. discriminator: the generator's own; without it nothing asks for realism.
    shades: how hair looks, by direction, where it is a colour of hair.
    """
    wanted, tuned = {each.id: each for each in WANTED}, []
    for direction in directions:
        if wanted[direction.id].seen != SKIN:
            shade = (shades or {}).get(direction.id)
            direction = _tune(
                direction, wanted[direction.id], generator, discriminator, reader, crowd, shade, steps, seed
            )
        tuned.append(direction)
        progress(1)
    return tuned


def _tune(
    direction: Direction,
    wanted: Wanted,
    generator: StyleGAN2,
    discriminator: nn.Module | None,
    reader: FaceReader,
    crowd: Crowd,
    shade: Shades | None,
    steps: int,
    seed: int,
) -> Direction:
    rows, num_rows = slice(*direction.rows), crowd.latents.shape[1]
    begin = direction.strength * way_of(direction, method="linear", held=(), rows=rows, num_rows=num_rows)
    offset = begin.clone().requires_grad_()
    optimizer = torch.optim.Adam([offset], lr=LEARNING_RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    scores = crowd.scores[direction.id]
    without, with_it = class_means(scores, binary=is_binary(wanted))
    spread = {name: values.std() for name, values in crowd.scores.items()}
    weights = {
        name: HELD_WEIGHT * wanted.hold if name in wanted.held else OTHERS_WEIGHT
        for name in crowd.scores
        if name != direction.id and name not in GOES_WITH.get(direction.id, ())
    }
    patches = patch_weights(generator.resolution)
    if direction.id in COVERED_BY_HAIR:
        del patches["forehead"]
    if direction.id != "glasses":
        del patches["lenses"]
    steady = torch.stack(list(patches.values())).to(crowd.latents)
    likeness = PERSON_WEIGHT * wanted.person
    rest = wanted.rest if shade is not None else 0.0
    farthest = FARTHEST / direction.strength * begin.norm()
    draw = torch.Generator().manual_seed(seed)
    sides = [
        torch.nonzero(side)[:, 0] for side in (scores < (without + with_it) / 2, scores >= (without + with_it) / 2)
    ]

    def draw_faces(latents: Tensor, offsets: Tensor | None = None) -> Tensor:
        deltas = None
        if offsets is not None and direction.region and not rest:
            deltas = [moved_locally(None, direction.region, offset) for offset in offsets]
        elif offsets is not None:
            latents = latents + offsets
        return generator.synthesize(latents, deltas, dtype=fast_dtype(latents.device)).float().clamp(-1, 1)

    for _ in range(steps):
        chosen, sign = _draw(sides, draw)
        latents, sign = crowd.latents[chosen], sign.to(crowd.latents)
        away = F.pad(offset, (0, 0, rows.start, num_rows - rows.stop))
        shake = int(torch.randint(2**31, (), generator=draw))
        with torch.no_grad():
            before = draw_faces(latents)
            was = reader(_shaken(before, shake))
        after = draw_faces(latents, sign[:, None, None] * away)
        now = reader(_shaken(after, shake))
        seen_before, seen_after = scores_of(was), scores_of(now)
        goal = torch.where(sign > 0, with_it, without)
        missing = F.relu(sign * (goal - seen_after[direction.id])) / (with_it - without)
        others = [
            weight * ((seen_after[name] - seen_before[name]) / spread[name]).square().mean()
            for name, weight in weights.items()
        ]
        colour = torch.einsum("nchw,khw->nkc", after - before, steady)
        loss = (
            CHANGE_WEIGHT * missing.square().mean()
            + torch.stack(others).mean()
            + likeness * (now.vectors - was.vectors).square().sum(dim=1).mean()
            + COLOUR_WEIGHT * colour.square().sum(dim=(1, 2)).mean()
            + LENGTH_WEIGHT * (offset.norm() / begin.norm()).square()
            + COLD_WEIGHT * F.relu(coldness(after) - coldness(before)).square().mean()
        )
        if discriminator is not None:
            loss = loss + REALISM_WEIGHT * F.softplus(-discriminator(after).float()).mean()
        if shade is not None:
            with torch.no_grad():
                hair = hair_of(generator, latents)
            loss = loss + wanted.shade * shade.missing(before, after, hair, sign)
            if rest:
                loss = loss + rest * changed_outside(hair, before, after)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            offset.mul_((farthest / offset.norm()).clamp(max=1))

    normal = F.normalize(offset.detach().flatten(), dim=0).view_as(offset)
    return replace(direction, normal=F.pad(normal, (0, 0, rows.start, num_rows - rows.stop)).cpu())


def coldness(images: Tensor) -> Tensor:
    """How much more green or blue than red pictures [N, 3, R, R] have, [N, R, R]: no skin and no hair has any."""
    return F.relu(images[:, 1:].amax(dim=1) - images[:, 0])


def towards_means(direction: Direction, held: Sequence[Direction], share: float) -> Direction:
    """A direction whose normal is turned by a share of the way to the difference of the means, less what of that
    belongs to those that are held. What the reader takes for a fringe may be paint; means are of real ones.
    """
    rows, num_rows = slice(*direction.rows), len(direction.normal)
    tuned, means = (
        F.normalize(way_of(direction, method=method, held=others, rows=rows, num_rows=num_rows).flatten(), dim=0)
        for method, others in (("linear", ()), ("mean", held))
    )
    normal = F.normalize(tuned.lerp(means, share), dim=0).view(rows.stop - rows.start, -1)
    return replace(direction, normal=F.pad(normal, (0, 0, rows.start, num_rows - rows.stop)))


def _shaken(images: Tensor, seed: int) -> Tensor:
    """Pictures [N, 3, R, R], each moved, recoloured and softened a little, in the same way for the same seed."""
    return jitter(images, generator=torch.Generator().manual_seed(seed))[0]


def _draw(sides: Sequence[Tensor], draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Who is tried next, [BATCH], most of them faces that lack it, and which way they are to go, 1 or -1."""
    lacking = round((1 - HAVING) * BATCH) if len(sides[1]) else BATCH
    counts = (lacking, BATCH - lacking) if len(sides[0]) else (0, BATCH)
    chosen = [
        side[torch.randint(0, len(side), (count,), generator=draw)]
        for side, count in zip(sides, counts, strict=True)
        if count
    ]
    return torch.cat(chosen), torch.tensor([1.0] * counts[0] + [-1.0] * counts[1])


def patch_weights(resolution: int) -> dict[str, Tensor]:
    """Where an aligned face's colours are to stay: by patch [R, R], each adding up to 1.

    "cheeks", half of the way from each eye to the mouth's corner; "forehead", between the brows and the hair; "left"
    and "right", the upper corners of the picture.
    """
    points = TEMPLATE_LANDMARKS
    eyes, corners = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)], [points[48], points[54]]
    cheeks = [0.5 * (eye + corner) for eye, corner in zip(eyes, corners, strict=True)]
    upwards = np.mean(eyes, axis=0) - np.mean(corners, axis=0)
    forehead = points[17:27].mean(axis=0) + FOREHEAD_HEIGHT * upwards
    weights = {name: np.zeros((resolution, resolution), np.float32) for name in ("cheeks", "forehead", "left", "right")}
    radius = round(PATCH_SIDE * resolution / 2)
    for name, middle in (("cheeks", cheeks[0]), ("cheeks", cheeks[1]), ("forehead", forehead)):
        x, y = (middle * resolution).round().astype(int)
        weights[name][y - radius : y + radius + 1, x - radius : x + radius + 1] = 1
    weights["lenses"] = np.zeros((resolution, resolution), np.float32)
    for place in lens_squares(resolution)[0]:
        weights["lenses"][place] = 1
    rows, columns = round(CORNER_ROWS * resolution), round(CORNER_COLUMNS * resolution)
    weights["left"][:rows, :columns] = weights["right"][:rows, -columns:] = 1
    return {name: torch.from_numpy(patch / patch.sum()) for name, patch in weights.items()}
