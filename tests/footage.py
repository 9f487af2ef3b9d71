"""Clips as a phone makes them, for tests: a generated face over a pattern, with what ffmpeg can do to a file."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

from facelab.media import save_animation


def ground(width: int = 400, height: int = 320) -> np.ndarray:
    """A pattern in which no detector sees a face."""
    y, x = np.mgrid[:height, :width]
    return np.stack([120 + 40 * np.sin(x / 31 + c) + 30 * np.cos(y / 23) for c in range(3)], axis=2).astype(np.uint8)


def with_face(picture: np.ndarray, left: int, top: int, side: int = 220, *, turned: float = 0.0) -> np.ndarray:
    """The pattern with an aligned face's picture, uint8 [R, R, 3], in it."""
    frame, face = Image.fromarray(ground()), Image.fromarray(picture).resize((side, side)).convert("RGBA")
    face = face.rotate(turned, Image.Resampling.BICUBIC, expand=True)
    frame.paste(face, (left, top), face)
    return np.asarray(frame)


def write_clip(path: Path, frames: list[np.ndarray], *, fps: float = 10, sound: bool = False) -> Path:
    """An MP4 of frames, with a tone if `sound`."""
    if not sound:
        save_animation(frames, path, model="none", kind="mp4", fps=fps)
        return path
    with tempfile.TemporaryDirectory() as folder:
        silent = write_clip(Path(folder) / "silent.mp4", frames, fps=fps)
        tone = ["-f", "lavfi", "-i", f"sine=440:d={len(frames) / fps}"]
        ffmpeg("-i", silent, *tone, "-c:v", "copy", "-c:a", "aac", "-metadata", "location=+48.2+016.3/", path)
    return path


def ffmpeg(*arguments: object) -> None:
    """Run ffmpeg, or fail with what it says."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def streams(path: Path) -> str:
    """What ffmpeg says of a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr
