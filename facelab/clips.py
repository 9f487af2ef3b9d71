"""Short videos in: frames of MP4, MOV, WebM, MKV, AVI and GIF, by the ffmpeg that imageio-ffmpeg carries.

A video is hostile until it is decoded. Its kind is known by its content and no other demuxer is tried, so that a text
that names other files or addresses (a playlist) is never followed; ffmpeg may open nothing but the one file, and is
stopped when it gives no frame for too long.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from facelab.errors import FaceLabError, UnreadableClip

MAX_BYTES = 100 * 2**20
MAX_SECONDS = 20.0
MAX_PIXELS = 3840 * 2160  # of a frame, before it is scaled down
MAX_SIDE = 1920  # of a frame, after
MAX_FPS = 30.0
MIN_SIDE = 64
PATIENCE = 30.0  # seconds for one frame, or for the sound
_NO_SOUND = 1000  # bytes of an .m4a in which there is none
_IN_TIME = 0.03  # seconds after the picture, up to which a sound begins with it

_MATRICES = r"bt709|bt470bg|smpte170m|smpte240m|fcc|bt2020|gbr|ycgco|ictcp"  # as ffmpeg names them
_BRIGHT = r"arib-std-b67|smpte2084"  # HLG and PQ, the curves of HDR
_HD_WIDTH, _HD_HEIGHT = 1280, 577  # from either on, what says nothing is meant as BT.709; below, as BT.601
_WHITE = 203  # nits of a sheet of paper in HDR (ITU-R BT.2408, section 2.2)

_KINDS = (  # (offset, magic bytes, ffmpeg's demuxer)
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"GIF8", "gif"),
)
_ACCEPTED = "MP4, MOV, WebM, MKV, AVI or GIF"


@dataclass(frozen=True, eq=False)
class Clip:
    """A short video that can be gone through as often as needed.

    data: the file. kind: ffmpeg's demuxer. fps: of the frames, at most 30; a varying rate is made even. size: (width,
    height) of the frames, upright and at most 1920 on the longer side. seconds: how long it says it is, 0 where it does
    not. audio: the codec of its sound, "" where there is none. colours: ffmpeg's filters that make them sRGB's.
    """

    data: bytes
    kind: str
    fps: float
    size: tuple[int, int]
    seconds: float = 0.0
    audio: str = ""
    colours: str = "scale"

    @property
    def expected(self) -> int | None:
        """About how many frames there are, None where the file does not say it."""
        return round(self.seconds * self.fps) or None

    def frames(self) -> Iterator[np.ndarray]:
        """The frames one after the other, uint8 [H, W, 3] RGB, the same at each call. Closing it stops ffmpeg.

        Raises UnreadableClip where the video is damaged and not even one frame could be read.
        """
        return _frames(self.data, self.kind, self.fps, self.colours)

    def write_sound(self, path: str | os.PathLike) -> bool:
        """Write the clip's sound as an .m4a that begins with the picture, AAC as it is where it does, all else as AAC
        anew, and nothing else of the file (no place, no device, no name). Returns False where there is no sound that
        can be read.
        """
        return bool(self.audio) and _write_sound(self.data, self.kind, self.audio, Path(path))


def read_clip(source: bytes | str | os.PathLike | BinaryIO) -> Clip:
    """Look into a video: its frame rate and the size of its frames.

    source: the file's bytes, its path, or an open binary file. Limits: 100 MB, 20 seconds, frames of 64 pixels to 8
    megapixels; where the file does not say how long it is, the first 20 seconds are taken.
    Raises UnreadableClip, whose message says what is wrong and what to do.
    """
    data = _read_bytes(source)
    kind = next((name for offset, magic, name in _KINDS if data[offset : offset + len(magic)] == magic), None)
    if kind is None:
        raise UnreadableClip(f"This is no video that can be read. Choose a clip as {_ACCEPTED}.")
    said = _said(data, kind)
    stream = re.search(r"Stream #.*Video:.*", said)
    if stream is None:
        raise UnreadableClip(f"There is no picture in this video, or it is damaged. Choose a clip as {_ACCEPTED}.")
    if (size := re.search(r"\b(\d{2,6})x(\d{2,6})\b", stream[0])) and int(size[1]) * int(size[2]) > MAX_PIXELS:
        raise UnreadableClip(
            f"This video has frames of {size[0]} pixels; 3840 x 2160 is the most. Scale it down first."
        )
    length = re.search(r"Duration: (\d+):(\d+):(\d+\.\d+)", said)
    seconds = float(length[1]) * 3600 + float(length[2]) * 60 + float(length[3]) if length else 0.0
    if seconds > MAX_SECONDS + 1:
        raise UnreadableClip(
            f"This clip is {seconds:.0f} seconds long; {MAX_SECONDS:g} are the most. Cut it to its "
            "best part first; every phone's gallery can do that."
        )
    rate = re.search(r"(\d+(?:\.\d+)?) fps", stream[0])
    fps = min(max(float(rate[1]), 1.0), MAX_FPS) if rate else MAX_FPS
    audio = re.search(r"Stream #.*Audio: (\w+)", said)
    colours = _colours(stream[0], size)
    frames = _frames(data, kind, fps, colours)
    try:
        height, width = next(frames).shape[:2]
    finally:
        frames.close()
    if min(height, width) < MIN_SIDE:
        told = f"This video has {width} x {height} pixels; at least {MIN_SIDE} a side are needed."
        raise UnreadableClip(f"{told} Choose a larger one.")
    return Clip(data, kind, fps, (width, height), min(seconds, MAX_SECONDS), audio[1] if audio else "", colours)


def _said(data: bytes, kind: str) -> str:
    """What ffmpeg says about a file."""
    with _as_file(data) as path:
        command = [_ffmpeg(), "-nostdin", "-hide_banner", *_input(kind), "-i", path]
        try:
            said = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).stderr
        except subprocess.TimeoutExpired as cause:
            raise UnreadableClip("This video could not be read in time. Save it anew as MP4 (H.264).") from cause
    return said.decode("utf-8", "replace")


def _colours(stream: str, size: re.Match | None) -> str:
    """The filters that make a stream's colours sRGB's: what HDR shows up to the white of paper as it is, brighter as
    white; HD that does not say how its colours are coded as players take it.

    stream: ffmpeg's line of it. size: the pixels in that line.
    """
    if re.search(_BRIGHT, stream):
        to_light = f"zscale=transfer=linear:npl={_WHITE},format=gbrpf32le,zscale=primaries=709"
        return f"{to_light},tonemap=clip,zscale=transfer=709:matrix=709:range=tv"
    coded = re.search(r"\byuv\w*(\([^)]*\))?", stream)
    if coded and size and (int(size[1]) >= _HD_WIDTH or int(size[2]) >= _HD_HEIGHT):
        return "scale" if re.search(_MATRICES, coded[0]) else "scale=in_color_matrix=bt709"
    return "scale"


def _frames(data: bytes, kind: str, fps: float, colours: str) -> Iterator[np.ndarray]:
    scale = f"scale='min(iw,{MAX_SIDE})':'min(ih,{MAX_SIDE})':force_original_aspect_ratio=decrease:reset_sar=1"
    with _as_file(data) as path:  # from time 0 on, as the sound is, also where the first picture comes later
        command = [_ffmpeg(), "-nostdin", "-v", "error", *_input(kind), "-i", path, "-t", str(MAX_SECONDS)]
        command += ["-map", "0:v:0", "-vf", f"fps={fps}:start_time=0,{scale},{colours}", "-pix_fmt", "rgb24"]
        command += ["-frames:v", str(round(MAX_SECONDS * fps))]
        command += ["-f", "image2pipe", "-c:v", "ppm", "pipe:1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            count = 0
            while (frame := _next(process)) is not None:
                yield frame
                count += 1
            if not count:
                raise UnreadableClip("Not one frame of this video could be read. Save it anew as MP4 (H.264).")
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _write_sound(data: bytes, kind: str, codec: str, target: Path) -> bool:
    anew = ["aac", "-b:a", "160k", "-ac", "2", "-af", "aresample=async=1:first_pts=0"]  # silence where it begins later
    with _as_file(data) as path:
        command = [_ffmpeg(), "-nostdin", "-v", "error", "-y", *_input(kind), "-i", path, "-t", str(MAX_SECONDS)]
        command += ["-map", "0:a:0", "-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4", "-c:a"]
        for way in (["copy"], anew) if codec == "aac" else (anew,):
            with suppress(subprocess.TimeoutExpired):
                done = subprocess.run([*command, *way, str(target)], capture_output=True, timeout=PATIENCE, check=False)
                late = way == ["copy"] and _begins_late(target)  # whoever puts it to a picture would begin with it
                if not done.returncode and target.stat().st_size > _NO_SOUND and not late:
                    return True
    return False


def _begins_late(sound: Path) -> bool:
    began = re.search(r"start: (\d+\.\d+)", _said(sound.read_bytes(), "mp4")) if sound.exists() else None
    return began is not None and float(began[1]) > _IN_TIME


def _next(process: subprocess.Popen) -> np.ndarray | None:
    """The next picture that ffmpeg writes (PPM, which tells its size), or None after the last one."""
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        header = b"".join(process.stdout.readline(64) for _ in range(3))
        if (shape := re.fullmatch(rb"P6\n(\d{1,5}) (\d{1,5})\n255\n", header)) is None:
            return None
        width, height = int(shape[1]), int(shape[2])
        pixels = process.stdout.read(width * height * 3)
    finally:
        watch.cancel()
    if len(pixels) < width * height * 3:
        return None
    return np.frombuffer(bytearray(pixels), np.uint8).reshape(height, width, 3)


def _input(kind: str) -> list[str]:
    return ["-protocol_whitelist", "file", "-threads", "2", "-max_pixels", str(MAX_PIXELS), "-f", kind]


def _ffmpeg() -> str:
    import imageio_ffmpeg

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as cause:
        raise FaceLabError("ffmpeg is missing, which reads videos. Install it: pip install imageio-ffmpeg") from cause


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        path.write_bytes(data)
        yield str(path)


def _read_bytes(source: bytes | str | os.PathLike | BinaryIO) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    else:
        data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UnreadableClip(f"This video is larger than {MAX_BYTES // 2**20} MB. Cut it or scale it down first.")
    return data
