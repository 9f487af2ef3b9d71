"""MP4 that browsers play, by the ffmpeg that imageio-ffmpeg carries."""

from __future__ import annotations

import struct
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from facelab.errors import FaceLabError

XMP_BOX = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes  # XMP specification, part 3, section 1.1.4
QUALITY = 18  # x264's constant rate factor; 18 looks like the original
_COLOURS = "bt709"


def encode_mp4(frames: Iterable[np.ndarray], *, fps: float, comment: str, xmp: str) -> bytes:
    """Frames uint8 [H, W, 3] of one size as the bytes of an MP4: H.264, yuv420p, even sides, its index in front.

    An odd side gets its last row or column twice. Raises FaceLabError when ffmpeg is missing or fails.
    """
    import imageio_ffmpeg

    frames = iter(frames)
    first = _even(next(frames))
    height, width = first.shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "animation.mp4"
        try:
            writer = imageio_ffmpeg.write_frames(
                str(path),
                (width, height),
                fps=fps,
                codec="libx264",
                pix_fmt_in="rgb24",
                pix_fmt_out="yuv420p",
                quality=None,
                macro_block_size=2,
                output_params=_output(comment),
            )
            writer.send(None)
            writer.send(first)
            for frame in frames:
                writer.send(_even(frame))
            writer.close()
            data = path.read_bytes()
        except (OSError, RuntimeError) as cause:
            raise FaceLabError("ffmpeg could not write the MP4. Save a GIF or a WebP instead.") from cause
    return data + _box(xmp.encode())


def _output(comment: str) -> list[str]:
    colours = ["-color_primaries", _COLOURS, "-color_trc", _COLOURS, "-colorspace", _COLOURS]
    matrix = ["-vf", f"scale=out_color_matrix={_COLOURS}:out_range=tv"]
    words = ["-metadata", f"comment={comment}", "-metadata", "title=Made with AI by FaceLab"]
    return ["-crf", str(QUALITY), "-preset", "veryfast", "-movflags", "+faststart", *matrix, *colours, *words]


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded)


def _box(packet: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(XMP_BOX) + len(packet), b"uuid") + XMP_BOX + packet
