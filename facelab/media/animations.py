"""Frames as one file: GIF, MP4, animated WebP, or a strip of pictures."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from facelab.errors import BadSetting
from facelab.files import write_file
from facelab.media.gif import encode_gif
from facelab.media.marks import stamp
from facelab.media.pictures import encode_png
from facelab.media.provenance import Provenance
from facelab.media.sheets import contact_sheet
from facelab.media.signing import sign
from facelab.media.video import encode_mp4

KINDS = {"gif": "image/gif", "mp4": "video/mp4", "webp": "image/webp", "png": "image/png"}
STRIP_PICTURES = 10
MAX_FPS = 60
WEBP_QUALITY = 80
_UNEVEN = "An animation needs at least one frame, and all frames of one size."


def save_animation(
    frames: Iterable[np.ndarray],
    target: str | os.PathLike | BinaryIO,
    *,
    model: str,
    kind: str | None = None,
    fps: float = 20,
    operations: Sequence[str] = (),
    from_photo: bool = False,
    mark: bool = False,
) -> None:
    """Write frames, uint8 [H, W, 3] of one size, as one file that says that it was made with AI.

    kind: "gif", "mp4", "webp" or "png" (a strip of ten pictures), by default what the path ends in. fps: frames a
    second. model, operations, from_photo: see Provenance. mark: write "made with AI" into the frames, too.
    Raises BadSetting for another kind or no frames, OSError where the file cannot be written.
    """
    if kind is None:
        kind = Path(target).suffix.removeprefix(".").lower() if isinstance(target, (str, os.PathLike)) else ""
    provenance = Provenance(model, operations, from_photo)
    write_file(encode_animation(frames, kind, provenance, fps=fps, mark=mark), target)


def encode_animation(
    frames: Iterable[np.ndarray], kind: str, provenance: Provenance, *, fps: float = 20, mark: bool = False
) -> bytes:
    """The same as bytes; the media type of `kind` is KINDS[kind]. Of an MP4 no more than one frame is held."""
    if kind not in KINDS:
        raise BadSetting(f"An animation is one of {', '.join(KINDS)}, not {kind!r}.")
    if not 0.1 <= fps <= MAX_FPS:
        raise BadSetting(f"An animation has between 0.1 and {MAX_FPS} frames a second, not {fps:g}.")
    if kind == "png":
        return encode_png(filmstrip(list(_of_one_size(frames))), provenance, mark=mark)
    frames = _of_one_size(frames)
    frames = map(stamp, frames) if mark else frames
    return sign(_encode(frames, kind, provenance, fps), KINDS[kind], provenance)


def some_frames(frames: Sequence[np.ndarray], count: int = STRIP_PICTURES) -> list[np.ndarray]:
    """At most `count` of the frames, as far apart as can be, the first and the last among them."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return [frames[index] for index in chosen]


def filmstrip(frames: Sequence[np.ndarray], count: int = STRIP_PICTURES) -> np.ndarray:
    """At most `count` of the frames, the first and the last among them, side by side: uint8 [H, W', 3]."""
    chosen = some_frames(frames, count)
    return contact_sheet(chosen, columns=len(chosen))


def _of_one_size(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    shape = None
    for frame in frames:
        if shape not in (None, frame.shape):
            raise BadSetting(_UNEVEN)
        shape = frame.shape
        yield np.ascontiguousarray(frame)
    if shape is None:
        raise BadSetting(_UNEVEN)


def _encode(frames: Iterator[np.ndarray], kind: str, provenance: Provenance, fps: float) -> bytes:
    """An MP4 is written frame by frame; the others are made of all frames at once."""
    if kind == "gif":
        return encode_gif(list(frames), fps=fps, comment=provenance.comment, xmp=provenance.xmp(read_only=True))
    if kind == "mp4":
        return encode_mp4(frames, fps=fps, comment=provenance.comment, xmp=provenance.xmp())
    buffer = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=round(1000 / fps),
        loop=0,
        quality=WEBP_QUALITY,
        method=2,
        exif=provenance.exif(),
        xmp=provenance.xmp().encode(),
    )
    return buffer.getvalue()
