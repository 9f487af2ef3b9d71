"""What the FaceReader sees of each wanted direction: one score a direction, with gradients or as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facelab.evaluation.geometry import measure, skin_tone
from facelab.evaluation.judge import ATTRIBUTES
from facelab.identity import FaceReader, Reading
from facelab.pixels import as_pixels
from facelab.training.direction_list import WANTED, Wanted
from facelab.training.labels import POSE

SKIN = "skin"  # is seen in pixels, not by the reader


@dataclass(frozen=True, eq=False)
class Sight:
    """What the reader sees in N pictures: scores by direction, float [N], and identity vectors [N, 128]."""

    scores: dict[str, np.ndarray]
    vectors: Tensor


def scores_of(reading: Reading, wanted: Sequence[Wanted] = WANTED) -> dict[str, Tensor]:
    """By direction, how much of it each of N faces has, [N]: logits, degrees or sizes; all but skin's."""
    shapes, scores = measure(reading.landmarks.float()), {}
    for each in wanted:
        name, sign = each.seen.removeprefix("-"), -1.0 if each.seen.startswith("-") else 1.0
        if name in ATTRIBUTES:
            scores[each.id] = sign * reading.attributes[:, ATTRIBUTES.index(name)]
        elif name in POSE:
            scores[each.id] = sign * reading.pose[:, POSE.index(name)]
        elif name != SKIN:
            scores[each.id] = shapes[name]
    return scores


def see(reader: FaceReader, pictures: Tensor, wanted: Sequence[Wanted] = WANTED) -> Sight:
    """Look at pictures [N, 3, R, R] in [-1, 1], at skin as well."""
    reading = reader.read(pictures)
    scores = {name: values.cpu().numpy() for name, values in scores_of(reading, wanted).items()}
    for each in wanted:
        if each.seen == SKIN:
            scores[each.id] = skin_tone(as_pixels(pictures), reading.landmarks.float().cpu().numpy())
    return Sight(scores, reading.vectors)


def class_means(scores: Tensor, *, binary: bool) -> tuple[float, float]:
    """The mean scores [N] of real faces without and with it: of those below and above 0, or of the outer thirds."""
    low, high = (0.0, 0.0) if binary else torch.quantile(scores, torch.tensor([1 / 3, 2 / 3])).tolist()
    without, with_it = scores[scores <= low], scores[scores >= high]
    return (float(without.mean()) if len(without) else low), (float(with_it.mean()) if len(with_it) else high)


def is_binary(wanted: Wanted) -> bool:
    """Whether a direction's score says yes or no: a label's logit, not a size or an angle."""
    return wanted.seen.removeprefix("-") in ATTRIBUTES
