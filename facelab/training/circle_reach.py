"""How far an edit on the circle has to go until it is seen: tried on random faces, through the reader's eyes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from facelab.circle import FEATURES, Circle, Feature, edit_key
from facelab.edits.sphere import on_sphere, walk_on_sphere
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader
from facelab.training.circle_crowd import SEEN
from facelab.training.sight import is_binary, see

STRENGTHS = (1.0, 1.25, 1.5, 1.75, 2.0)
GENTLER = (0.75, 0.5, 0.25)  # where held genders change at once
TRIED, SEED, TRUNCATION = 192, 7, 0.8  # random faces
FEWEST = 8  # that lack a feature, to say anything of it
ENOUGH = 0.85  # of those who lack a feature must be seen to have it
TURNED = 0.08  # of them at most, or one of few, may change their gender where it is held
UPPER = 2 / 3  # of the random faces' scores: where nothing says yes or no, above it a face has the feature
SURE = 0.5  # deviations of the scores beyond that border: the reader is pleased sooner than others are
STEPS, PART = 50, 16


@torch.inference_mode()
def find_reach(circle: Circle, generator: Generator, reader: FaceReader, *, tried: int = TRIED) -> dict[str, float]:
    """By edit, such as "smile +" and "smile -", the least strength at which nearly all have what it gives, and else the
    greatest; but none at which held genders change. For a circle of dlib's sphere, whose points the reader tells.
    """
    faces = _draw(generator, generator.sample(tried, seed=SEED, truncation=TRUNCATION))
    points = on_sphere(reader.read(faces).vectors)
    drawn, before = (see(reader, pictures, SEEN).scores for pictures in (faces, _draw(generator, circle(points))))
    men = before["gender"] > 0

    def tried_at(feature: Feature, sign: int, lacking: np.ndarray, needed: float, strength: float) -> tuple[bool, bool]:
        """Whether held genders change, and whether nearly all have what the edit gives."""
        way, held = circle.classifier(feature.id), [circle.classifier(each) for each in feature.held]
        arc = sign * strength * circle.sphere.arc
        ends = walk_on_sphere(points[lacking], way, arc, steps=STEPS, frames=1, held=held)[-1]
        after = see(reader, _draw(generator, circle(ends)), SEEN).scores
        turned = ((after["gender"] > 0) != men[lacking]).sum() > max(1, TURNED * len(lacking))
        return turned and feature.id != "gender", (sign * after[feature.id] > needed).mean() >= ENOUGH

    found = {}
    for feature, wanted in zip(FEATURES, SEEN, strict=True):
        for sign in (1, -1):
            scores = sign * before[feature.id]
            low, high = (0.0, 0.0) if is_binary(wanted) else np.quantile(sign * drawn[feature.id], (0.5, UPPER))
            lacking = np.flatnonzero(scores <= low)
            look = partial(tried_at, feature, sign, lacking, high + SURE * scores.std())
            found[edit_key(feature.id, sign)] = _least(look) if len(lacking) >= FEWEST else STRENGTHS[0]
    return found


def _least(look: Callable[[float], tuple[bool, bool]]) -> float:
    """The least strength that shows, or else the greatest, of those at which held genders stay."""
    best = None
    for strength in STRENGTHS:
        turned, shown = look(strength)
        if turned:
            break
        best = strength
        if shown:
            break
    return best or next((each for each in GENTLER if not look(each)[0]), GENTLER[-1])


def _draw(generator: Generator, latents: Tensor) -> Tensor:
    dtype = fast_dtype(latents.device)
    return torch.cat([generator.synthesize(part, dtype=dtype).float().clamp(-1, 1) for part in latents.split(PART)])
