"""MP4 that browsers play, by the ffmpeg that imageio-ffmpeg carries."""

from __future__ import annotations

import struct
import tempfile
import uuid
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from facelab.errors import FaceLabError

XMP_BOX = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes  # XMP specification, part 3, section 1.1.4
QUALITY = 18  # x264's constant rate factor; 18 looks like the original
MAX_RATE = "12M"  # bits a second: 20 seconds of noise in full HD are 30 MB
_COLOURS = "bt709"


class Mp4Writer:
    """An MP4 written frame by frame, so that no more than one frame is in memory: H.264, yuv420p, even sides, its index
    in front. An odd side gets its last row or column twice.
    """

    def __init__(self, *, fps: float, comment: str, xmp: str, sound: Path | None = None) -> None:
        """fps: frames a second. comment, xmp: the metadata. sound: an .m4a of ours, which is copied in."""
        self._fps, self._comment, self._xmp, self._sound = fps, comment, xmp, sound
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "film.mp4"
        self._frames: Generator[None, np.ndarray, None] | None = None

    def add(self, frame: np.ndarray) -> None:
        """The next frame, uint8 [H, W, 3], all of one size. Raises FaceLabError when ffmpeg is missing or fails."""
        frame = _even(frame)
        with _explained():
            if self._frames is None:
                self._frames = self._begin(frame.shape[1], frame.shape[0])
                self._frames.send(None)
            self._frames.send(frame)

    def finish(self) -> bytes:
        """The whole file. Raises FaceLabError when ffmpeg fails, or there is no frame."""
        with _explained():
            if self._frames is not None:
                self._frames.close()
            data = self._path.read_bytes()
        self.close()
        return data + _box(self._xmp.encode())

    def close(self) -> None:
        """Give up: ffmpeg ends, and nothing stays on the disk."""
        if self._frames is not None:
            self._frames.close()
        self._folder.cleanup()

    def _begin(self, width: int, height: int) -> Generator[None, np.ndarray, None]:
        import imageio_ffmpeg

        return imageio_ffmpeg.write_frames(
            str(self._path),
            (width, height),
            fps=self._fps,
            codec="libx264",
            pix_fmt_in="rgb24",
            pix_fmt_out="yuv420p",
            quality=None,
            macro_block_size=2,
            output_params=_output(self._comment),
            audio_path=None if self._sound is None else str(self._sound),
            audio_codec=None if self._sound is None else "copy",
        )


def encode_mp4(frames: Iterable[np.ndarray], *, fps: float, comment: str, xmp: str) -> bytes:
    """Frames uint8 [H, W, 3] of one size as the bytes of an MP4. Raises what Mp4Writer raises."""
    with closing(Mp4Writer(fps=fps, comment=comment, xmp=xmp)) as writer:
        for frame in frames:
            writer.add(frame)
        return writer.finish()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as cause:
        raise FaceLabError("ffmpeg could not write the MP4. Save a GIF or a WebP instead.") from cause


def _output(comment: str) -> list[str]:
    colours = ["-color_primaries", _COLOURS, "-color_trc", _COLOURS, "-colorspace", _COLOURS]
    matrix = ["-vf", f"scale=out_color_matrix={_COLOURS}:out_range=tv"]
    words = ["-metadata", f"comment={comment}", "-metadata", "title=Made with AI by FaceLab"]
    rate = ["-crf", str(QUALITY), "-maxrate", MAX_RATE, "-bufsize", MAX_RATE]
    return [*rate, "-preset", "veryfast", "-movflags", "+faststart", *matrix, *colours, *words]


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded)


def _box(packet: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(XMP_BOX) + len(packet), b"uuid") + XMP_BOX + packet
