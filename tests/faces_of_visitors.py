"""What tests of sessions and of visitors put into a library."""

from __future__ import annotations

import numpy as np
import torch

from facelab.embedding_settings import PRESETS
from facelab.face import AlignedFace, Face, Latent
from facelab.sessions import Embedding

PICTURE = np.zeros((8, 8, 3), np.uint8)


def make_face() -> Face:
    return Face(Latent(torch.zeros(1, 4), "w", "test"))


def make_embedding(name: str = "Ann") -> Embedding:
    aligned = AlignedFace(PICTURE, np.zeros((512, 512, 3), np.uint8), np.zeros((4, 2), np.float32), (8, 8))
    return Embedding(aligned, PRESETS["fast"], name)
