"""Who a face is, where its landmarks lie and what is seen in it, by one small network: batched and differentiable.

dlib's network gives identity vectors without gradients, one face at a time; this one was taught its raw vectors
(distillation, Hinton et al. 2015). It serves as a loss, in batches and for live readouts. What is reported as identity
distance is always dlib's own (recognition.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import READER, catalogue
from facelab.evaluation.judge import ATTRIBUTES
from facelab.perceptual import Distance
from facelab.template import TEMPLATE_LANDMARKS
from facelab.trunk import Trunk

WIDTHS = (24, 48, 96, 144, 192)
HIDDEN = 224
VECTOR_SCALE = 0.1  # of the numbers of dlib's raw vectors
NUM_LANDMARKS = 68


@dataclass(frozen=True, eq=False)
class Reading:
    """What the network reads in N aligned faces.

    vectors: [N, 128] on the scale of dlib's raw vectors (the same person below a distance of 0.6). landmarks:
    [N, 68, 2] in [0, 1] of the picture. attributes: logits [N, 40] in the order of judge.ATTRIBUTES. pose: [N, 3] yaw,
    pitch and roll in degrees.
    """

    vectors: Tensor
    landmarks: Tensor
    attributes: Tensor
    pose: Tensor


class FaceReader(nn.Module):
    """Aligned faces [N, 3, R, R] in [-1, 1] -> Reading."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(WIDTHS)
        self.hidden = nn.Linear(self.trunk.num_features, HIDDEN)
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.vector = nn.Linear(HIDDEN, 128)
        self.landmarks = nn.Linear(HIDDEN, 2 * NUM_LANDMARKS)
        self.attributes = nn.Linear(HIDDEN, len(ATTRIBUTES))
        self.pose = nn.Linear(HIDDEN, 3)
        self.register_buffer("template", torch.tensor(TEMPLATE_LANDMARKS, dtype=torch.float32), persistent=False)

    def forward(self, images: Tensor) -> Reading:
        maps = self.trunk(images).flatten(1)
        hidden = torch.relu(self.norm(self.hidden(maps)))
        return Reading(
            self.vector(hidden) * VECTOR_SCALE,
            self.template + 0.05 * self.landmarks(hidden).unflatten(1, (NUM_LANDMARKS, 2)),
            self.attributes(hidden),
            self.pose(hidden) * 10,
        )

    @torch.inference_mode()
    def read(self, images: Tensor, *, batch: int = 32) -> Reading:
        """Readings of any number of pictures [N, 3, R, R] in [-1, 1], in batches, without gradients."""
        parts = [self(part) for part in images.split(batch)]
        names = Reading.__dataclass_fields__
        return Reading(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def reader_sha256() -> str:
    """Which reader is part of the catalogue; "" for none."""
    model, _, part = READER.rpartition("-")
    cards = catalogue()
    return cards[model].companions.get(part, {}).get("sha256", "") if model in cards else ""


def has_reader() -> bool:
    """Whether the reader is part of the catalogue."""
    return bool(reader_sha256())


def reader_distance(reader: FaceReader, target: Tensor) -> Distance:
    """The squared distance to `target` [1, 3, R, R] of the vectors that the network reads, float32 [N]; below 0.36 it
    takes both for one person. A target [N, 3, R, R] is one for each picture.
    """
    with torch.no_grad():
        goal = reader(target).vectors
    return lambda images: (reader(images).vectors - goal).square().sum(dim=1)


def load_reader(path: Path | None = None, *, device: torch.device | str = "cpu") -> FaceReader:
    """The reader that ships, frozen, or the one in `path`. Raises BadWeights for a damaged file."""
    from facelab.checkpoints.weights import load_network

    return load_network(FaceReader(), path or READER, device=device)
