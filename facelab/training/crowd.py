"""The portraits that directions are found and tuned on: encoded ones, and ones whose latents were searched for.

An encoder leaves out of a face what it has seldom seen: of glasses it draws dark patches, which the reader takes for
them. Latents that were searched for have glasses, so that these are found and tuned there, all others on both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facelab.evaluation.figures import spread
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader
from facelab.training.direction_list import WANTED
from facelab.training.labels import Labels
from facelab.training.lenses import see_through
from facelab.training.sight import scores_of

SEARCHED = 96  # portraits drawn at random, and as many more of each attribute that no encoder draws
BATCH = 32


@dataclass(frozen=True, eq=False)
class Crowd:
    """Faces to try directions on. latents: w+ [N, L, D]. scores: what the reader sees in their pictures, [N] each.

    No inference tensors: gradients flow past them.
    """

    latents: Tensor
    scores: dict[str, Tensor]


def not_encoded(labels: Labels, images: np.ndarray) -> dict[str, np.ndarray]:
    """By direction, up to SEARCHED portraits, of uint8 [N, R, R, 3], that have what encoders do not draw, int [K]; none
    that nobody has. Of glasses those that can be seen through.
    """
    places = {}
    for wanted in WANTED:
        if not wanted.encoded:
            having = np.flatnonzero(see_through(images, labels.of(wanted.seen)))
            if len(having):
                places[wanted.id] = having[spread(len(having), SEARCHED)]
    return places


def look_at(latents: Tensor, generator: StyleGAN2, reader: FaceReader) -> Crowd:
    """Latents [N, L, D] with what the reader sees in their pictures: not all that a photo has is drawn."""
    parts = []
    with torch.inference_mode():
        for part in latents.split(BATCH):
            pictures = generator.synthesize(part, dtype=fast_dtype(part.device)).float().clamp(-1, 1)
            parts.append(scores_of(reader(pictures)))
    return Crowd(latents, {name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def join(*crowds: Crowd) -> Crowd:
    """One crowd of several."""
    return Crowd(
        torch.cat([each.latents for each in crowds]),
        {name: torch.cat([each.scores[name] for each in crowds]) for name in crowds[0].scores},
    )
