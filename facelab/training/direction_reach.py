"""How far a direction has to go, and on which rows: tried on portraits of the train split, seen by the FaceReader and,
where it is given, by dlib.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facelab.edits.attributes import DEFAULT_METHOD, Direction, move
from facelab.face import Delta
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader
from facelab.recognition import SAME_PERSON
from facelab.regions import moved_locally
from facelab.training.direction_list import WANTED, Wanted
from facelab.training.sight import is_binary, see

STRENGTHS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
TRIED = 24  # faces a direction and strength
ENOUGH = 0.9  # share of the faces that must change, for a strength to be far enough
FEWEST = 1 / 3  # share of the faces that must change, and with `likeness` stay the person, for a choice by their share
KEPT = 0.8  # share of the faces that must stay the person, for a strength to be chosen where fewer change
LIKENESS_WEIGHT = 1.0  # what a unit of identity distance costs beside the share of faces that change
LITTLE_WEIGHT = 0.25  # the same in models of one latent, of whose edits hardly any leaves the person: it is to be seen
UPPER = 2 / 3  # of the portraits' scores: where nothing says yes or no, above it a face has the attribute
SURE, SURE_OF_SIZE = 1.25, 0.25  # deviations beyond that border: the reader is pleased sooner than others are

Likeness = Callable[[Tensor, Tensor], np.ndarray]  # pictures [N, 3, R, R] and whose they are -> identity distances [N]


@torch.inference_mode()
def reach(
    directions: Sequence[Direction],
    generator: StyleGAN2,
    reader: FaceReader,
    latents: Tensor,
    *,
    deltas: Sequence[Delta | None] | None = None,
    likeness: Likeness | None = None,
    any_rows: bool = True,
    method: str = DEFAULT_METHOD,
    likeness_weight: float = LIKENESS_WEIGHT,
    progress: Callable[[str, tuple[int, int], float], None] = lambda id, rows, strength: None,
) -> list[Direction]:
    """The directions with the rows and the strength that change most faces, or enough of them, at the least cost of
    likeness; where the reader sees few faces change, all rows and the farthest that changes most, or with `likeness` at
    which most stay the person.

    latents: w+ [N, L, D] of portraits that no evaluation looks at. deltas: theirs, once they are refined. likeness:
    dlib's distances to the portraits; with it, what counts is the share of faces that change and stay the person.
    any_rows: try ranges of rows as well, or only how far to go on those that each direction has. likeness_weight: what
    a unit of the reader's distance costs beside the share of faces that change, without `likeness`.
    """
    trial = _Trial(
        generator, reader, latents, deltas, likeness, {each.id: each for each in directions}, method, likeness_weight
    )
    before = see(reader, trial.draw(latents, torch.arange(len(latents))))
    found = []
    for direction, wanted in zip(directions, _wanted(directions), strict=True):
        scores = before.scores[direction.id]
        limit = 0.0 if is_binary(wanted) else float(np.quantile(scores, UPPER))
        lacking = torch.from_numpy(np.flatnonzero(scores <= limit))[:TRIED]
        limit += (SURE if is_binary(wanted) else SURE_OF_SIZE) * float(scores.std())
        choices = row_choices(*wanted.rows_of(latents.shape[1])) if any_rows else [direction.rows]
        if len(lacking):
            direction = trial.best(direction, wanted, choices, lacking, before.vectors[lacking], limit)
        progress(direction.id, direction.rows, direction.strength)
        found.append(direction)
    return found


def _wanted(directions: Sequence[Direction]) -> list[Wanted]:
    by_id = {each.id: each for each in WANTED}
    return [by_id[direction.id] for direction in directions]


@dataclass(frozen=True, eq=False)
class _Trial:
    """What stays the same while directions are tried; the fields are `reach`'s arguments."""

    generator: StyleGAN2
    reader: FaceReader
    latents: Tensor
    deltas: Sequence[Delta | None] | None
    likeness: Likeness | None
    by_id: Mapping[str, Direction]
    method: str
    likeness_weight: float

    def draw(self, values: Tensor, whose: Tensor, *, region: str = "") -> Tensor:
        """The pictures of latents [N, L, D], each with the delta of whose it is; moved in a region, or everywhere."""
        pictures = []
        for places in torch.arange(len(values)).split(16):
            chosen = [self.deltas and self.deltas[index] for index in whose[places]]
            latents = values[places]
            if region:
                latents = self.latents[whose[places]]
                chosen = [
                    moved_locally(delta, region, offset)
                    for delta, offset in zip(chosen, values[places] - latents, strict=True)
                ]
            drawn = self.generator.synthesize(latents, chosen, dtype=fast_dtype(values.device))
            pictures.append(drawn.clamp(-1, 1))
        return torch.cat(pictures)

    def best(
        self,
        direction: Direction,
        wanted: Wanted,
        choices: Sequence[tuple[int, int]],
        lacking: Tensor,
        vectors: Tensor,
        limit: float,
    ) -> Direction:
        """The direction with the rows and the strength that serve the faces `lacking` best.

        vectors: theirs, as the reader sees them before. limit: above this score a face surely has the attribute.
        """
        held = [] if self.method == "linear" else [self.by_id[name] for name in direction.held]
        tries: list[tuple[float, Direction]] = []
        reached, most = direction, 0.0  # as far as it went before, where nobody changes or stays the person
        for rows in choices:
            for strength in STRENGTHS:
                tried = replace(direction, rows=rows, strength=strength)
                how = {"method": self.method, "held": held}
                moved = torch.stack([move(self.latents[index], tried, strength, **how) for index in lacking])
                pictures = self.draw(moved, lacking, region=direction.region)
                after = see(self.reader, pictures, [wanted])
                changed = after.scores[direction.id] > limit
                if self.likeness is None:
                    apart = float((after.vectors - vectors).norm(dim=1).mean())
                    if rows == choices[0] and changed.mean() >= max(most, 1 / len(lacking)):
                        reached = tried
                    most = max(most, changed.mean())
                    value = min(changed.mean(), ENOUGH) - self.likeness_weight * max(apart - 0.2, 0)
                else:
                    kept = self.likeness(pictures, lacking) < SAME_PERSON
                    value = min(float((changed & kept).mean()), ENOUGH)
                    if rows == direction.rows and kept.mean() >= KEPT:
                        reached = tried
                tries.append((value, tried))
                if (changed.mean() if self.likeness is None else value) >= ENOUGH:
                    break  # going farther only costs likeness
        value, best = max(tries, key=lambda each: each[0])  # of those that are alike the first, which goes least far
        if (most if self.likeness is None else value) < FEWEST:
            return reached  # the reader is hard to please: nothing says that it is far enough
        return best


def row_choices(start: int, stop: int) -> list[tuple[int, int]]:
    """Ranges within the rows from start to stop that are worth trying: all, and what is coarse, middle and fine."""
    tried = [(start, stop), (0, 8), (0, 6), (2, 6), (2, 8), (4, 8), (4, stop), (6, stop)]
    return [rows for rows in dict.fromkeys(tried) if start <= rows[0] < rows[1] <= stop]
