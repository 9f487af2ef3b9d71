"""How far a direction has to go, and on which rows: tried on portraits of the train split, seen by the FaceReader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facelab.edits.attributes import DEFAULT_METHOD, Direction, move
from facelab.evaluation.geometry import measure, skin_tone
from facelab.evaluation.judge import ATTRIBUTES
from facelab.face import Delta
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader
from facelab.training.direction_list import WANTED, Wanted
from facelab.training.labels import POSE

STRENGTHS = (0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
ENOUGH = 0.9  # share of the faces that must change, for a strength to count as far enough
LIKENESS_WEIGHT = 1.0  # what a unit of identity distance costs beside the share of faces that change
UPPER = 2 / 3  # of the portraits' scores: where nothing says yes or no, above it a face has the attribute


@dataclass(frozen=True, eq=False)
class Sight:
    """What the reader sees in N pictures: scores by direction, float [N], and identity vectors [N, 128]."""

    scores: dict[str, np.ndarray]
    vectors: Tensor


def see(reader: FaceReader, pictures: Tensor, wanted: Sequence[Wanted] = WANTED) -> Sight:
    """Look at pictures [N, 3, R, R] in [-1, 1] with the reader alone."""
    reading = reader.read(pictures)
    landmarks = reading.landmarks.float().cpu().numpy()
    shapes, scores = measure(landmarks), {}
    for each in wanted:
        name, sign = each.seen.removeprefix("-"), -1.0 if each.seen.startswith("-") else 1.0
        if name in ATTRIBUTES:
            scores[each.id] = sign * reading.attributes[:, ATTRIBUTES.index(name)].cpu().numpy()
        elif name in POSE:
            scores[each.id] = sign * reading.pose[:, POSE.index(name)].cpu().numpy()
        elif name == "skin":
            pixels = ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            scores[each.id] = skin_tone(pixels, landmarks)
        else:
            scores[each.id] = shapes[name]
    return Sight(scores, reading.vectors)


@torch.inference_mode()
def reach(
    directions: Sequence[Direction],
    generator: StyleGAN2,
    reader: FaceReader,
    latents: Tensor,
    *,
    deltas: Sequence[Delta | None] | None = None,
    any_rows: bool = True,
    method: str = DEFAULT_METHOD,
    progress: Callable[[str, tuple[int, int], float], None] = lambda id, rows, strength: None,
) -> list[Direction]:
    """The directions with the rows and the strength that change most faces at the least cost of likeness.

    latents: w+ [N, L, D] of portraits that no evaluation looks at. deltas: theirs, once they are refined. any_rows: try
    ranges of rows as well, or only how far to go on those that each direction has.
    """

    def draw(values: Tensor, whose: Tensor) -> Tensor:
        pictures = []
        for places in torch.arange(len(values)).split(16):
            chosen = None if deltas is None else [deltas[index] for index in whose[places]]
            pictures.append(generator.synthesize(values[places], chosen, dtype=fast_dtype(values.device)).clamp(-1, 1))
        return torch.cat(pictures)

    before = see(reader, draw(latents, torch.arange(len(latents))))
    limits = {
        wanted.id: 0.0
        if wanted.seen.removeprefix("-") in ATTRIBUTES
        else float(np.quantile(before.scores[wanted.id], UPPER))
        for wanted in WANTED
    }
    by_id = {direction.id: direction for direction in directions}
    return [
        _reach(direction, by_id, latents, before, limits[direction.id], draw, reader, any_rows, method, progress)
        for direction in directions
    ]


def _reach(
    direction: Direction,
    by_id: Mapping[str, Direction],
    latents: Tensor,
    before: Sight,
    limit: float,
    draw: Callable[[Tensor, Tensor], Tensor],
    reader: FaceReader,
    any_rows: bool,
    method: str,
    progress: Callable[[str, tuple[int, int], float], None],
) -> Direction:
    wanted = next(each for each in WANTED if each.id == direction.id)
    held = [] if method == "linear" else [by_id[name] for name in direction.held]
    lacking = torch.from_numpy(np.flatnonzero(before.scores[direction.id] <= limit))[:16]
    best, best_value = direction, -np.inf
    for rows in row_choices(latents.shape[1]) if any_rows else [direction.rows]:
        for strength in STRENGTHS:
            tried = replace(direction, rows=rows, strength=strength)
            moved = torch.stack([move(latents[index], tried, strength, method=method, held=held) for index in lacking])
            after = see(reader, draw(moved, lacking), [wanted])
            changed = float((after.scores[direction.id] > limit).mean())
            apart = float((after.vectors - before.vectors[lacking]).norm(dim=1).mean())
            value = min(changed, ENOUGH) - LIKENESS_WEIGHT * max(apart - 0.2, 0)
            if value > best_value:
                best, best_value = tried, value
            if changed >= ENOUGH:
                break  # going farther only costs likeness
    progress(best.id, best.rows, best.strength)
    return best


def row_choices(count: int) -> list[tuple[int, int]]:
    """Ranges of rows worth trying: everything, and what is coarse, middle and fine, at pairs of rows a resolution."""
    return [(0, count), (0, 8), (0, 6), (2, 6), (2, 8), (4, 8), (4, count), (6, count)] if count > 8 else [(0, count)]
