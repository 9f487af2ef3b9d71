"""The values that flow through FaceLab: AlignedFace, Latent, Delta, Face, Recipe, and the FACE.npz file."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from facelab.errors import BadFaceFile, LatentMismatch
from facelab.files import write_file

FACE_FORMAT = "facelab-face/1"
CROP_SIZE = 512
LOCAL = "local/"  # begins the names of a delta's offsets of the latent, which count in one region (regions.py)
UNEDITED = "unedited/"  # begins the names of what a file keeps of the face before its edits
MAX_FACE_FILE_BYTES = 8 * 2**20  # five times what a face takes
MAX_OPERATIONS = 100  # that a face remembers; of more, how it began and the last ones
_WORD = re.compile(r"[a-z0-9_]{1,24}")
_HUGE = 1e9  # nothing is edited so far; and a file may hold a number that no float can
_OPERATION = re.compile(r"[a-z][a-z0-9 _.+-]{0,59}")  # what describe_step writes: no room for anybody's name


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """One face of a photo, cut out by the alignment template of a generator.

    image: uint8 [R, R, 3] RGB at the generator's resolution. crop: uint8 [512, 512, 3] RGB, the face's own picture.
    quad: float32 [4, 2], the crop's corners in the photo's pixels: top left, bottom left, bottom right, top right.
    photo_size: (width, height) of the upright photo in pixels. landmarks: float32 [68 or 5, 2] in the photo's pixels,
    or None after alignment by hand. detector: "dlib", "mtcnn" or "hand".
    """

    image: np.ndarray
    crop: np.ndarray
    quad: np.ndarray
    photo_size: tuple[int, int]
    landmarks: np.ndarray | None = None
    detector: str = "hand"


@dataclass(frozen=True, eq=False)
class Latent:
    """A point of one model's latent space.

    values: float32 [L, D] on the CPU; z and w have one row, w+ one row a layer. space: "z", "w" or "w+".
    model: the name of the model that it belongs to.
    """

    values: Tensor
    space: str
    model: str

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise LatentMismatch(
                f"A latent has two dimensions, layers and channels; this one is {list(self.values.shape)}."
            )


@dataclass(frozen=True, eq=False)
class Delta:
    """What one face adds to a generator's synthesis: to its weights (pivotal tuning, kept at low rank), and what edits
    of a region add to the latent there.

    values: name of the synthesis parameter -> float tensor to add to it. A convolution's weight [O, I, k, k] has two
    entries, "<name>:out" [O, r] and "<name>:in" [r, I * k * k], whose product is the addition. "local/<region>" [L, D]
    is added to the latent, in that region only (regions.py).
    """

    values: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        """Size in bytes as stored."""
        return sum(np.dtype(_stored(name)).itemsize * value.numel() for name, value in self.values.items())


@dataclass(frozen=True, eq=False)
class Face:
    """A face that can be edited: its latent, its own delta, and the photo's crop that it came from.

    crop, quad and photo_size are those of AlignedFace, or None for a face that was not cut out of a photo. made: how
    it was made, in the words of describe_step, where that is more than crop and delta tell. photo_behind: whether a
    photo is behind it although it has no crop, as behind an average of people. unedited: the face that the crop shows,
    where edits have made another of it.
    """

    latent: Latent
    delta: Delta | None = None
    crop: np.ndarray | None = None
    quad: np.ndarray | None = None
    photo_size: tuple[int, int] | None = None
    model_sha256: str = ""
    made: tuple[str, ...] = ()
    photo_behind: bool = False
    unedited: Face | None = None

    @property
    def as_photographed(self) -> Face:
        """The face that the crop shows: itself, before any edit."""
        return self.unedited or self

    @property
    def is_as_cropped(self) -> bool:
        """Whether the crop shows the face as it is, and nothing has made another of it."""
        return self.crop is not None and not self.made

    @property
    def from_photo(self) -> bool:
        """Whether a photo is behind the face."""
        return self.crop is not None or self.photo_behind

    def made_by(self, *steps: Mapping[str, Any], of: Sequence[Face]) -> Face:
        """The same face, said to be what steps (a recipe's) have made of faces, the first of which began it."""
        before, latest = of[0].operations, [describe_step(step) for step in steps]
        if len(before) + len(latest) > MAX_OPERATIONS:  # how it began, and the newest
            before, rest = before[:2], [*before[2:], *latest]
            latest = rest[len(before) - MAX_OPERATIONS :]
        edited = self.crop is not None and self.crop is of[0].crop
        return replace(
            self,
            made=(*before, *latest),
            photo_behind=any(face.from_photo for face in of),
            unedited=of[0].as_photographed if edited else None,
        )

    @property
    def operations(self) -> list[str]:
        """How the face was made, as the metadata of its pictures says it: no name of anyone in it."""
        if self.made:
            return list(self.made)
        if self.crop is None:
            return ["sample"]
        return ["embed", "refine"] if self.delta is not None else ["embed"]

    def save(self, target: str | os.PathLike | BinaryIO) -> None:
        """Write FACE.npz (format facelab-face/1, see docs of `Face.load`)."""
        arrays: dict[str, np.ndarray] = {
            "format": np.array(FACE_FORMAT),
            "model": np.array(self.latent.model),
            "model_sha256": np.array(self.model_sha256),
            "space": np.array(self.latent.space),
            **_stored_values("", self),
        }
        if self.unedited is not None:
            arrays |= _stored_values(UNEDITED, self.unedited)
            for name in [name for name in arrays if name.startswith(UNEDITED)]:
                now = arrays.get(name.removeprefix(UNEDITED))
                if now is not None and np.array_equal(now, arrays[name]):
                    arrays[name] = np.zeros(0, now.dtype)  # most is as it was: once is enough
        if self.crop is not None:
            arrays["crop"] = self.crop.astype(np.uint8)
        if self.quad is not None:
            arrays["quad"] = self.quad.astype(np.float32)
        if self.photo_size is not None:
            arrays["photo_size"] = np.array(self.photo_size, np.int32)
        if self.made:
            arrays["operations"] = np.array(self.made)
        if self.photo_behind:
            arrays["photo_behind"] = np.array(True)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_file(buffer.getvalue(), target)

    @classmethod
    def load(cls, source: str | os.PathLike | BinaryIO) -> Face:
        """Read FACE.npz: format, model, model_sha256, space, latent float32 [L, D], delta/* float16 (delta/local/*
        float32, as the latent), and, where it was cut out of a photo, crop uint8 [512, 512, 3], quad float32 [4, 2] and
        photo_size (width, height). Optional are operations (texts, how it was made), photo_behind (bool), and of an
        edited face unedited/latent and unedited/delta/*, what the crop shows; an empty one is as it is now.

        Nothing in the file is executed. Raises BadFaceFile when the file is damaged or of another format, OSError
        where there is none.
        """
        try:
            arrays = read_arrays(source, MAX_FACE_FILE_BYTES)
            if str(arrays["format"]) != FACE_FORMAT:
                raise BadFaceFile(
                    f"This face file has the format {str(arrays['format'])[:40]!r}; this version reads {FACE_FORMAT}."
                )
            space, model = str(arrays["space"]), str(arrays["model"])
            latent, delta = _read_values("", arrays, space, model)
            crop, quad, size = arrays.get("crop"), arrays.get("quad"), arrays.get("photo_size")
            if crop is not None and (crop.shape != (CROP_SIZE, CROP_SIZE, 3) or crop.dtype != np.uint8):
                raise ValueError("crop")
            if quad is not None and quad.shape != (4, 2):
                raise ValueError("quad")
            if quad is not None and not np.isfinite(quad.astype(np.float32)).all():
                raise ValueError("quad")
            face = cls(
                latent=latent,
                delta=delta,
                crop=crop,
                quad=quad,
                photo_size=None if size is None else _photo_size(size),
                model_sha256=str(arrays["model_sha256"]),
                made=_operations(arrays.get("operations")),
                photo_behind=bool(arrays.get("photo_behind", False)),
            )
            if crop is None or f"{UNEDITED}latent" not in arrays:
                return face
            latent, delta = _read_values(UNEDITED, arrays, space, model)
            return replace(face, unedited=replace(face, latent=latent, delta=delta, made=(), photo_behind=False))
        except (BadFaceFile, FileNotFoundError, IsADirectoryError, PermissionError):
            raise
        # A damaged file raises nearly anything: BadZipFile, zlib.error, tokenize.TokenError, AttributeError, ...
        except Exception as cause:
            raise BadFaceFile(
                "This is not a FaceLab face file, or it is damaged. Choose a FACE.npz that FaceLab saved."
            ) from cause


def _stored_values(prefix: str, face: Face) -> dict[str, np.ndarray]:
    """A face's latent and delta, as its file keeps them."""
    values = {} if face.delta is None else face.delta.values
    kept = {
        f"{prefix}delta/{name}": value.detach().cpu().numpy().astype(_stored(name)) for name, value in values.items()
    }
    return {f"{prefix}latent": face.latent.values.detach().cpu().numpy().astype(np.float32), **kept}


def _read_values(prefix: str, arrays: Mapping[str, np.ndarray], space: str, model: str) -> tuple[Latent, Delta | None]:
    """What `_stored_values` gives, from a file. Raises ValueError for another type, and where a number is none."""
    values = {}
    for name, value in arrays.items():
        if name.startswith((f"{prefix}latent", f"{prefix}delta/")):
            if value.dtype not in (np.float16, np.float32):  # a byte for each would grow fourfold in memory
                raise ValueError("dtype")
            there = arrays[name.removeprefix(prefix)] if prefix and not value.size else value
            values[name.removeprefix(prefix)] = torch.from_numpy(there.astype(np.float32))
    if not all(torch.isfinite(value).all() for value in values.values()):
        raise ValueError("not finite")
    latent = Latent(values.pop("latent"), space, model)
    return latent, Delta({name.removeprefix("delta/"): value for name, value in values.items()}) if values else None


def _stored(name: str) -> type:
    """The type in which an entry of a delta is stored: what moves the latent as the latent is, so that edits last."""
    return np.float32 if name.startswith(LOCAL) else np.float16


def _photo_size(size: np.ndarray) -> tuple[int, int]:
    width, height = (int(value) for value in size)
    if not 1 <= min(width, height) <= max(width, height) < 2**31:
        raise ValueError("photo_size")
    return width, height


def _operations(texts: np.ndarray | None) -> tuple[str, ...]:
    """What a file says of how its face was made: a file from anywhere, whose words end up in our files' metadata."""
    if texts is None:
        return ()
    if texts.ndim != 1 or len(texts) > MAX_OPERATIONS or not all(_OPERATION.fullmatch(str(text)) for text in texts):
        raise ValueError("operations")
    return tuple(str(text) for text in texts)


def _size_of(source: str | os.PathLike | BinaryIO) -> int:
    if isinstance(source, (str, os.PathLike)):
        return Path(source).stat().st_size
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    return size


def read_arrays(source: str | os.PathLike | BinaryIO, limit: int) -> dict[str, np.ndarray]:
    """The arrays of an .npz from anywhere, no more than `limit` bytes of them, and none that would run code."""
    if _size_of(source) > limit:  # before its table of contents is read, which may be all of it
        raise BadFaceFile(
            f"This file is larger than {limit // 2**20} MB, which none of FaceLab's of its kind is. It was not opened."
        )
    with zipfile.ZipFile(source) as archive:  # sizes are checked before anything is unpacked
        if sum(entry.file_size for entry in archive.infolist()) > limit:
            raise BadFaceFile(
                f"This file unpacks to more than {limit // 2**20} MB, which none of FaceLab does. It was not opened."
            )
    if not isinstance(source, (str, os.PathLike)):
        source.seek(0)
    with np.load(source, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


@dataclass(frozen=True)
class Recipe:
    """The named steps that were applied to a latent, as JSON keeps them.

    steps: dictionaries such as {"op": "attribute", "id": "smile", "strength": 1.5}.
    """

    model: str
    steps: tuple[dict[str, Any], ...] = field(default=())
    version: int = 1

    def to_json(self) -> str:
        """The recipe as {"version": 1, "model": ..., "steps": [...]}."""
        return json.dumps({"version": self.version, "model": self.model, "steps": list(self.steps)})


def describe_step(step: Mapping[str, Any]) -> str:
    """A step in a few words without anybody's name: "attribute smile 1.5", "morph 0.5", "crossover"."""
    id = str(step.get("id", ""))
    operation = str(step.get("op", "edit"))
    words = [operation if _WORD.fullmatch(operation) else "edit", "own" if id.startswith("own_") else id]
    words = [word for word in words if _WORD.fullmatch(word)]
    numbers = [step[key] for key in ("strength", "t") if isinstance(step.get(key), (int, float))]
    amount = next((number for number in numbers if abs(number) < _HUGE), None)
    return " ".join(word for word in (*words, "" if amount is None else f"{amount:g}") if word)
