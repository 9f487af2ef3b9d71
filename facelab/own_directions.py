"""Directions of one's own: made from faces with something and faces without it, and kept as a small file, NAME.npz.

The file is read with allow_pickle=False and holds `format` "facelab-direction/1", `model` and `model_sha256`, `title`,
and `difference` float32 [L, D]. A direction's id and hash are those of its numbers, so that it is the same one on every
machine: recipes name it by both.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from facelab.edits.attributes import Direction, difference_of
from facelab.errors import BadFaceFile, BadSetting, LatentMismatch
from facelab.face import read_arrays
from facelab.files import write_file
from facelab.names import clean_name

DIRECTION_FORMAT = "facelab-direction/1"
MAX_DIRECTION_BYTES = 4 * 2**20
TITLE_LENGTH = 24
LONGEST = 1 / 3  # of a usual face's distance from the mean face: twice and thrice as far it is still a face
_MAX_ROWS, _MAX_CHANNELS, _LARGEST = 64, 4096, 1e4


def make_direction(
    title: str, with_it: Tensor, without: Tensor, *, model: str, model_sha256: str, longest: float = math.inf
) -> Direction:
    """The direction from faces without something, w+ [M, L, D], to faces with it, [N, L, D], of one model.

    longest: of the way that strength 1 goes. A few faces differ in so much more than what is meant that all of it,
    twice, leads out of what a generator can draw.
    Raises BadSetting where there is no face on one side, no difference, or no title.
    """
    difference = difference_of(with_it, without)
    shorter = (longest / difference.norm().clamp_min(1e-12)).clamp(max=1)
    return _direction(title, shorter * difference, model, model_sha256)


def save_direction(direction: Direction, target: str | os.PathLike | BinaryIO) -> None:
    """Write a direction of one's own. Raises OSError where the file cannot be written."""
    arrays = {
        "format": np.array(DIRECTION_FORMAT),
        "model": np.array(direction.model),
        "model_sha256": np.array(direction.model_sha256),
        "title": np.array(direction.title),
        "difference": direction.difference.numpy().astype(np.float32),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(buffer.getvalue(), target)


def load_direction(source: str | os.PathLike | BinaryIO) -> Direction:
    """Read what `save_direction` wrote. Nothing in the file is executed. Raises BadFaceFile for anything else."""
    try:
        arrays = read_arrays(source, MAX_DIRECTION_BYTES)
        if str(arrays["format"]) != DIRECTION_FORMAT:
            raise ValueError("format")
        difference = arrays["difference"].astype(np.float32)
        rows, channels = difference.shape
        if rows > _MAX_ROWS or channels > _MAX_CHANNELS or not (np.abs(difference) <= _LARGEST).all():
            raise ValueError("difference")
        texts = (str(arrays[name])[:100] for name in ("model", "model_sha256"))
        return _direction(str(arrays["title"]), torch.from_numpy(difference), *texts)
    except FileNotFoundError:
        raise
    # A damaged file raises nearly anything: BadZipFile, KeyError, EOFError, zlib.error, NotImplementedError, ...
    except Exception as cause:
        raise BadFaceFile(
            "This is not a direction that FaceLab saved, or it is damaged. Choose the .npz that Save gave."
        ) from cause


def check_model(direction: Direction, model: str, model_sha256: str) -> None:
    """Raise LatentMismatch for a direction of one's own that belongs to another model or another version of it."""
    if direction.hash and (direction.model, direction.model_sha256) != (model, model_sha256):
        raise LatentMismatch(
            f"The direction “{direction.title}” was made for another model or another version of it "
            f"({direction.model[:40]}). Make it again from faces of {model}."
        )


def by_id(directions: Iterable[Direction]) -> dict[str, Direction]:
    """Directions as `Studio.edit` and `Studio.apply` look them up."""
    return {direction.id: direction for direction in directions}


def _direction(title: str, difference: Tensor, model: str, model_sha256: str) -> Direction:
    title = clean_name(title, TITLE_LENGTH)
    if not title:
        raise BadSetting("Give the direction a name, such as Freckles.")
    length = difference.norm()
    if not 1e-6 < float(length) < float("inf"):
        raise BadSetting("The faces with the attribute are the same as those without it. Choose different ones.")
    numbers = difference.detach().cpu().float().contiguous()
    digest = hashlib.sha256(f"{model} {model_sha256} {list(numbers.shape)} ".encode() + numbers.numpy().tobytes())
    return Direction(
        id=f"own_{digest.hexdigest()[:8]}",
        title=title,
        low="without",
        high="with",
        group="own",
        rows=(0, len(numbers)),
        held=(),
        strength=1.0,
        difference=numbers,
        normal=numbers / length,
        model=model,
        model_sha256=model_sha256,
        hash=digest.hexdigest()[:32],
    )
