"""Faces that a generator draws, for the networks that look at faces: what they are shown later is drawn as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from facelab.checkpoints.cards import fingerprint
from facelab.checkpoints.weights import load_model
from facelab.encoder import load_encode
from facelab.evaluation.portraits import as_pictures
from facelab.studio import best_device
from facelab.training.data import Pictures

TRUNCATIONS = (1.0, 0.7)
PART = 32


def draw_faces(model: str, portraits: Pictures, count: int, *, cache: Path) -> np.ndarray:
    """`count` faces of a model, uint8 [count, R, R, 3]: every other one is random, at one of TRUNCATIONS, the others
    are what its encoder makes of portraits. Kept in `cache`.

    Raises UnknownModel for a model without an encoder.
    """
    path = cache / f"drawn-{fingerprint(model)}-{count}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        drawn = _draw(model, portraits, count)
        with path.with_suffix(".partial").open("wb") as file:
            np.save(file, drawn)
        path.with_suffix(".partial").replace(path)
    return np.load(path)


@torch.inference_mode()
def _draw(model: str, portraits: Pictures, count: int) -> np.ndarray:
    generator = load_model(model, device=best_device())[0]
    encode = load_encode(generator)
    chosen = np.linspace(0, len(portraits) - 1, -(-count // 2)).round().astype(int)
    pictures = []
    for first in range(0, len(chosen), PART):
        places = chosen[first : first + PART]
        random = generator.sample(len(places), seed=first, truncation=TRUNCATIONS[first // PART % len(TRUNCATIONS)])
        alike = encode(portraits.tensor(places))
        both = torch.stack([random, alike], dim=1).flatten(0, 1)
        pictures += as_pictures(generator.synthesize(both))
    return np.stack(pictures[:count])
