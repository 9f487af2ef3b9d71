"""Faces that a generator draws, for the networks that look at faces: what they are shown later is drawn as well.

Where a search is led by such a network it ends at faces that please it, and just there it must be right: some of them
are searched for, a few steps long.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facelab.checkpoints.cards import fingerprint
from facelab.checkpoints.weights import load_model
from facelab.encoder import load_encode
from facelab.files import read_or_make
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader, has_reader, load_reader, reader_distance
from facelab.pixels import as_pixels
from facelab.studio import best_device
from facelab.training.data import Pictures

TRUNCATIONS = (1.0, 0.7)
PART = 32
STEPS, LEARNING_RATE = 10, 0.06  # of a search


def draw_faces(model: str, portraits: Pictures, count: int, *, cache: Path) -> np.ndarray:
    """`count` faces of a model, uint8 [count, R, R, 3]: every other one is random, at one of TRUNCATIONS, the others
    are what its encoder makes of portraits, half of them searched on from there. Kept in `cache`.

    Raises UnknownModel for a model without an encoder.
    """
    path = cache / f"drawn-{fingerprint(model)}-{count}.npy"
    cache.mkdir(parents=True, exist_ok=True)

    def draw() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, _draw(model, portraits, count))
        return buffer.getvalue()

    return read_or_make(path, lambda data: np.load(io.BytesIO(data), allow_pickle=False), draw)


@torch.no_grad()
def _draw(model: str, portraits: Pictures, count: int) -> np.ndarray:
    device = best_device()
    generator = load_model(model, device=device)[0]
    encode, reader = load_encode(generator), load_reader(device=device) if has_reader() else None
    chosen = np.linspace(0, len(portraits) - 1, -(-count // 2)).round().astype(int)
    pictures = []
    for part, first in enumerate(range(0, len(chosen), PART)):
        places = chosen[first : first + PART]
        random = generator.sample(len(places), seed=first, truncation=TRUNCATIONS[part % len(TRUNCATIONS)])
        photos = portraits.tensor(places).to(device)
        alike = encode(photos)
        if reader is not None and part % 2:
            alike = _search(generator, reader, photos, alike)
        both = torch.stack([random, alike], dim=1).flatten(0, 1)
        pictures.extend(as_pixels(generator.synthesize(both)))
    return np.stack(pictures[:count])


def _search(generator: Generator, reader: FaceReader, photos: Tensor, latents: Tensor) -> Tensor:
    """Latents [N, L, D] a few steps nearer to photos [N, 3, R, R] in [-1, 1], by pixels and by the reader."""
    values = latents.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([values], lr=LEARNING_RATE)
    distance = reader_distance(reader, photos)
    for _ in range(STEPS):
        with torch.enable_grad():
            drawn = generator.synthesize(values, dtype=fast_dtype(photos.device)).clamp(-1, 1)
            loss = ((drawn - photos).square().mean(dim=(1, 2, 3)) + distance(drawn)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return values.detach()
