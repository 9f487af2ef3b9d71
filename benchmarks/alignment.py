"""Time finding and aligning a face: python -m benchmarks.alignment PHOTO [--megapixels 2] [--repeats 5]."""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import machine
from facelab.alignment import align, quad_from_landmarks
from facelab.detection import FaceFinder
from facelab.photo import read_photo


def scaled(photo: np.ndarray, megapixels: float) -> np.ndarray:
    """The photo at about this many megapixels."""
    height, width = photo.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    return np.asarray(Image.fromarray(photo).resize((round(width * scale), round(height * scale)), Image.LANCZOS))


def timed(name: str, run: Callable[[], Any], repeats: int) -> Any:
    """Run once to warm up, then print the median and the slowest of `repeats`."""
    result, times = run(), []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(f"{name:<52} {statistics.median(times):6.3f} s   (slowest {max(times):.3f})")
    return result


def main() -> None:
    """Print the machine and the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", help="a photo with at least one face")
    parser.add_argument("--megapixels", type=float, default=2.0)
    parser.add_argument("--resolution", type=int, default=128, help="the generator's, in pixels")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    print(machine())
    data, finder = Path(options.photo).read_bytes(), FaceFinder()
    photo = scaled(read_photo(data), options.megapixels)
    print(f"{photo.shape[1]} x {photo.shape[0]} pixels, crops of {options.resolution} and 512 px")

    def align_all(**how: str) -> int:
        faces = finder.find(photo, **how)
        for face in faces:
            align(photo, quad_from_landmarks(face.landmarks), resolution=options.resolution)
        return len(faces)

    timed(
        f"read {Path(options.photo).suffix[1:]} ({len(data) / 1e6:.1f} MB)", lambda: read_photo(data), options.repeats
    )
    counts = {
        timed("find and align, dlib alone", lambda: align_all(detectors="dlib"), options.repeats),
        timed("find and align, both detectors", align_all, options.repeats),
        timed("find and align, both detectors, five points", lambda: align_all(landmarks="mtcnn"), options.repeats),
    }
    faces = finder.find(photo, detectors="dlib") or finder.find(photo)
    if faces:
        face = faces[0]
        quad = quad_from_landmarks(face.landmarks)
        timed("  68 landmarks of one face", lambda: finder.landmarks68(photo, face.box), options.repeats)
        timed("  crops of one face", lambda: align(photo, quad, resolution=options.resolution), options.repeats)
    print(f"faces found: {', '.join(str(count) for count in sorted(counts))}")


if __name__ == "__main__":
    main()
