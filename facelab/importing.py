"""Latents that other programs found, taken in as faces: stylegan-encoder's `.npy`, e4e's and pSp's `.pt`.

Both hold w+ rows of an FFHQ StyleGAN, 18 x 512 at 1024 pixels, alone or as a batch; e4e's scripts also save a dict of
them. A latent has a meaning for the one model that it was found for, which the file does not name: the shape is checked
here, the model is the caller's word.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from facelab.checkpoints.weights import load_torch
from facelab.errors import BadFaceFile, LatentMismatch
from facelab.face import Face, Latent
from facelab.generators.base import Generator

MAX_LATENT_BYTES = 64 * 2**20
MAX_LATENTS = 1000
_LARGEST = 1e4  # of a latent's numbers; w of StyleGANs stays below a hundred


def import_latents(source: str | os.PathLike | BinaryIO, generator: Generator) -> list[Face]:
    """The faces of a latent file, for one generator: a face for each latent in it.

    source: a `.npy` array or a `.pt` tensor (or list or dict of them), float [L, D], [1, L, D] or [N, L, D]; which of
    the two is seen in the content. Nothing in the file is executed. Raises BadFaceFile for other or damaged files and
    LatentMismatch for latents of another shape than this generator's w+.
    """
    data = _bytes(source)
    try:
        values = _from_npy(data) if data.startswith(b"\x93NUMPY") else _from_pt(data)
        values = torch.cat([_as_batch(value) for value in values])
    except LatentMismatch:
        raise
    # A damaged or hostile file raises nearly anything: UnpicklingError, BadZipFile, EOFError, RuntimeError, ...
    except Exception as cause:
        raise BadFaceFile(
            "This is no file of latents, or it is damaged. Choose a .npy of stylegan-encoder or a .pt of e4e or pSp."
        ) from cause
    shape = generator.latent_shape("w+")
    if tuple(values.shape[1:]) != shape:
        raise LatentMismatch(
            f"These latents have {values.shape[1]} rows of {values.shape[2]}; {generator.name} has {shape[0]} of "
            f"{shape[1]}. Choose the model that they were found for."
        )
    if not 1 <= len(values) <= MAX_LATENTS:
        raise BadFaceFile(f"This file holds {len(values)} latents; between 1 and {MAX_LATENTS} can be imported.")
    if not torch.isfinite(values).all() or values.abs().max() > _LARGEST:
        raise BadFaceFile("This file holds numbers that no latent has (infinite, or far too large).")
    return [
        Face(
            Latent(rows.clone(), "w+", generator.name),
            model_sha256=generator.sha256,
            made=("import",),
            photo_behind=True,  # these programs take latents from photos
        )
        for rows in values
    ]


def _bytes(source: str | os.PathLike | BinaryIO) -> bytes:
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return _bytes(file)
    data = source.read(MAX_LATENT_BYTES + 1)
    if len(data) > MAX_LATENT_BYTES:
        raise BadFaceFile(f"This file is larger than {MAX_LATENT_BYTES // 2**20} MB, which no file of latents is.")
    return data


def _from_npy(data: bytes) -> list[Tensor]:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind != "f":
        raise ValueError("dtype")
    return [torch.from_numpy(array.astype(np.float32))]


def _from_pt(data: bytes) -> list[Tensor]:
    loaded = load_torch(data)
    if isinstance(loaded, dict):
        loaded = list(loaded.values())
    values = loaded if isinstance(loaded, (list, tuple)) else [loaded]
    if not values or not all(isinstance(value, Tensor) and _is_plain(value) for value in values):
        raise ValueError("content")
    if sum(value.numel() for value in values) * 4 > MAX_LATENT_BYTES:  # a few bytes can be stretched to any shape
        raise ValueError("size")
    return [value.detach().float() for value in values]


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor holds its numbers one after the other: no sparse, nested or empty promise of one."""
    return value.is_floating_point() and value.layout == torch.strided and value.is_cpu and not value.is_nested


def _as_batch(values: Tensor) -> Tensor:
    if values.ndim not in (2, 3):
        raise LatentMismatch(
            f"A latent has rows and channels, such as 18 x 512; this file holds {list(values.shape)}. "
            "Import w+ latents of a StyleGAN."
        )
    return values[None] if values.ndim == 2 else values
