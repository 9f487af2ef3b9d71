"""What dlib sees in aligned faces: identity vectors and landmarks, by all cores."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from facelab.files import read_or_make
from facelab.generators.base import Generator
from facelab.pixels import as_pixels
from facelab.recognition import Recogniser

CHUNK = 16
PART = 2048
FEW = 48  # faces are described sooner than other processes are there
_staying: ContextVar[ProcessPoolExecutor | None] = ContextVar("staying", default=None)  # each thread has its own


@dataclass(frozen=True, eq=False)
class Portraits:
    """vectors float32 [N, 128], landmarks float32 [N, 68, 2] in crop coordinates [0, 1], found bool [N].

    Where no face was found, vectors and landmarks are those at the template's place and no part of any distance.
    """

    vectors: np.ndarray
    landmarks: np.ndarray
    found: np.ndarray

    def to_bytes(self) -> bytes:
        """An .npz, to be read by `from_bytes`."""
        buffer = io.BytesIO()
        np.savez(buffer, vectors=self.vectors, landmarks=self.landmarks, found=self.found)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Portraits:
        """Read what `to_bytes` made."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(arrays["vectors"], arrays["landmarks"], arrays["found"])


@contextmanager
def describers() -> Iterator[ProcessPoolExecutor]:
    """The processes that describe faces. They stay for all that is described inside: beginning takes each seconds."""
    if (pool := _staying.get()) is not None:
        yield pool
        return
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        token = _staying.set(pool)
        try:
            yield pool
        finally:
            _staying.reset(token)


def describe(images: Sequence[np.ndarray], *, progress: Callable[[int], None] = lambda count: None) -> Portraits:
    """Look at aligned faces, uint8 [R, R, 3] each. progress is told how many more are done."""
    chunks = [np.stack(images[first : first + CHUNK]) for first in range(0, len(images), CHUNK)]
    if len(images) <= FEW:
        parts = [_describe_chunk(chunk) for chunk in chunks]
        progress(len(images))
        return Portraits(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    parts = []
    with describers() as pool:
        for part in pool.map(_describe_chunk, chunks):
            parts.append(part)
            progress(len(part[2]))
    return Portraits(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def describe_split(
    images: Sequence[np.ndarray],
    *,
    cache: Path,
    name: str,
    progress: Callable[[int], None] = lambda count: None,
) -> Portraits:
    """`describe`, kept in `cache` part by part, so that it can be broken off and is done once for the same pictures."""
    cache.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, len(images), PART):
        part = images[first : first + PART]
        path = cache / f"seen-{name}-{images[0].shape[0]}-{first:05d}-{made_of(part)}.npz"
        parts.append(read_or_make(path, Portraits.from_bytes, partial(_look, list(part), progress)))
    columns = ("vectors", "landmarks", "found")
    return Portraits(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))


def _look(images: list[np.ndarray], progress: Callable[[int], None]) -> bytes:
    return describe(images, progress=progress).to_bytes()


def made_of(images: Sequence[np.ndarray]) -> str:
    """Which pictures these are, uint8 [R, R, 3] each, in short, for the name of what keeps what is seen in them."""
    return hashlib.sha256(np.ascontiguousarray(images)).hexdigest()[:12]


@torch.inference_mode()
def draw_samples(generator: Generator, count: int, *, seed: int, truncation: float = 1.0) -> list[np.ndarray]:
    """`count` random faces, uint8 [R, R, 3] each; the same for the same seed."""
    ws = generator.sample(count, seed=seed, truncation=truncation)
    pictures = []
    for part in ws.split(CHUNK):
        pictures.extend(as_pixels(generator.synthesize(part)))
    return pictures


@cache
def _recogniser() -> Recogniser:
    return Recogniser()


def _describe_chunk(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    recogniser = _recogniser()
    vectors, landmarks, found = [], [], []
    for image in images:
        points, seen = recogniser.landmarks_of_aligned(image)
        vectors.append(recogniser.vector(image, points))
        landmarks.append(points / image.shape[1])
        found.append(seen)
    return np.stack(vectors), np.stack(landmarks).astype(np.float32), np.array(found)
