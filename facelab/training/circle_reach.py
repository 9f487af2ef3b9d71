"""How far an edit on the circle has to go until it is seen: tried on random faces, through the reader's eyes, and what
is a shape (a nose's width, an open mouth) by dlib's landmarks: the reader sees shapes change where dlib sees none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from facelab.circle import FEATURES, Circle, Feature, edit_key
from facelab.edits.sphere import on_sphere, walk_on_sphere
from facelab.evaluation.geometry import measured
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader
from facelab.pixels import as_pixels
from facelab.recognition import SAME_PERSON, Recogniser
from facelab.training.circle_crowd import SEEN
from facelab.training.direction_list import Wanted
from facelab.training.sight import Sight, is_binary, see

STRENGTHS = (1.0, 1.25, 1.5, 1.75, 2.0)
GENTLER = (0.75, 0.5, 0.25)  # where held genders change at once
TRIED, SEED, TRUNCATION = 192, 7, 0.8  # random faces
FEWEST = 8  # that lack a feature, to say anything of it
ENOUGH = 0.85  # of those who lack a feature must be seen to have it
TURNED = 0.08  # of them at most, or one of few, may change their gender where it is held
UPPER = 2 / 3  # of the random faces' scores: where nothing says yes or no, above it a face has the feature
SURE = 0.5  # deviations of the scores beyond that border: the reader is pleased sooner than others are
CLEAR = 0.75  # deviations, to which an edit goes on as long as people stay who they are
KEPT = 0.95  # of them must
UNSEEN = 0.1  # where even fewer ever show it, the reader cannot tell, and it is as far as genders hold
GAIN = 0.05  # of the faces must show it more, for an edit to go farther: many are as clear as they get at once
STEPS, PART = 50, 16


class Look(NamedTuple):
    """What is seen at a strength: whether held genders change; the shares of faces that have what the edit gives, and
    that have it clearly; whether they stay who they are.
    """

    turned: bool
    shown: float
    clear: float
    alike: bool


@torch.inference_mode()
def find_reach(circle: Circle, generator: Generator, reader: FaceReader, *, tried: int = TRIED) -> dict[str, float]:
    """By edit, such as "smile +" and "smile -", the least strength at which nearly all have what it gives, or clearly
    have it where that costs no likeness, and else the one at which most have it; but none at which held genders change.
    For a circle of dlib's sphere, whose points the reader tells.
    """
    finder = Recogniser()
    faces = _draw(generator, generator.sample(tried, seed=SEED, truncation=TRUNCATION))
    points = on_sphere(reader.read(faces).vectors)
    drawn = _look_at(faces, reader, finder, SEEN).scores
    decoded = _look_at(_draw(generator, circle(points)), reader, finder, SEEN)
    before = decoded.scores
    men = before["gender"] > 0

    def tried_at(feature: Feature, sign: int, lacking: np.ndarray, border: float, strength: float) -> Look:
        way, held = circle.classifier(feature.id), [circle.classifier(each) for each in feature.held]
        arc = sign * strength * circle.sphere.arc
        ends = walk_on_sphere(points[lacking], way, arc, steps=STEPS, frames=1, held=held)[-1]
        wanted = [each for each in SEEN if each.id in ("gender", feature.id)]
        after = _look_at(_draw(generator, circle(ends)), reader, finder, wanted)
        turned = ((after.scores["gender"] > 0) != men[lacking]).sum() > max(1, TURNED * len(lacking))
        beyond = (sign * after.scores[feature.id] - border) / max(before[feature.id].std(), 1e-9)
        alike = (after.vectors - decoded.vectors[lacking]).norm(dim=1) < SAME_PERSON
        return Look(
            turned=bool(turned and feature.id != "gender"),
            shown=float((beyond > SURE).mean()),
            clear=float((beyond > CLEAR).mean()),
            alike=bool(alike.float().mean() >= KEPT),
        )

    found = {}
    for feature, wanted in zip(FEATURES, SEEN, strict=True):
        for sign in (1, -1):
            scores = sign * before[feature.id]
            low, high = (0.0, 0.0) if is_binary(wanted) else np.quantile(sign * drawn[feature.id], (0.5, UPPER))
            lacking = np.flatnonzero(scores <= low)
            look = partial(tried_at, feature, sign, lacking, high)
            found[edit_key(feature.id, sign)] = _least(look) if len(lacking) >= FEWEST else STRENGTHS[0]
    return found


def _least(look: Callable[[float], Look]) -> float:
    """The least strength that shows, or that shows clearly as long as people stay who they are, or else the one that
    shows most, of those at which held genders stay; the greatest of these where next to nothing is seen at any. Where
    too few show it, it goes on as long as no fewer do and people stay who they are.
    """
    best, farthest, further, shown, clear = None, None, None, -1.0, -1.0
    for strength in STRENGTHS:
        seen, enough = look(strength), shown >= ENOUGH
        if seen.turned or (enough and not seen.alike):
            break
        farthest = strength
        gain = seen.clear - clear if enough else seen.shown - shown
        if gain > GAIN or (seen.shown >= ENOUGH and not enough):
            best, shown, clear = strength, seen.shown, seen.clear
        if seen.alike and seen.shown > shown - GAIN:
            further = strength
        if shown >= ENOUGH and (clear >= ENOUGH or not seen.alike):
            break
    if shown < UNSEEN:
        best = farthest
    elif shown < ENOUGH and best and further:
        best = max(best, further)
    return best or next((each for each in GENTLER if not look(each).turned), GENTLER[-1])


def _look_at(pictures: Tensor, reader: FaceReader, finder: Recogniser, wanted: Sequence[Wanted]) -> Sight:
    """What is seen in pictures [N, 3, R, R] in [-1, 1]."""
    sight, shapes = see(reader, pictures, wanted), [each for each in wanted if not is_binary(each)]
    if shapes:
        sizes = measured(np.stack([finder.landmarks_of_aligned(picture)[0] for picture in as_pixels(pictures)]))
        sight.scores.update({each.id: sizes[each.seen] for each in shapes})
    return sight


def _draw(generator: Generator, latents: Tensor) -> Tensor:
    dtype = fast_dtype(latents.device)
    return torch.cat([generator.synthesize(part, dtype=dtype).float().clamp(-1, 1) for part in latents.split(PART)])
