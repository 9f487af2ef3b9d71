"""How much an edited clip flickers, and how fast it is made: `python -m benchmarks.video PHOTOS [--set smile=2]`.

Of every photo of a folder a clip is made: a camera that pans, zooms, tilts and shakes over it, a sensor's noise, light
that drifts. The face is edited with smoothing over time and without. Because the camera's way is known, what the edit
has changed (edited minus source) can be laid over the photo frame by frame, where it should stand still. Printed:
change: its mean size inside the mask, in 8-bit values; flicker: its mean difference from one frame to the next there,
over `change`, smoothed and unsmoothed; slow: the same after a blur over 4 pixels, which takes the sensor's noise out;
still: the share of pixels outside the face's crop that are as they were (1 is all); ms: processor milliseconds a
frame without the key frame's embedding, and embed: seconds of that.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.machine import machine
from facelab.alignment import quad_from_landmarks
from facelab.clips import Clip, read_clip
from facelab.errors import FaceLabError
from facelab.media import save_animation
from facelab.photo import read_photo
from facelab.studio import Studio
from facelab.video import SMOOTHING

SIZE, FPS = (640, 480), 25
TREMOR = 2.0, 0.01  # frames over which a hand keeps its direction, and how far it goes, in faces
NOISE, DRIFT = 3.0, 12.0  # 8-bit values: of the sensor, and by which the light comes and goes
CHANGED = 6.0  # mean change, in 8-bit values, from which a place belongs to the mask


def main() -> None:
    """Edit a clip of every photo with and without smoothing and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--set", default="smile=2", help="the edit, such as smile=2")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--model", default="faces128")
    parser.add_argument("--threads", type=int, help="torch's threads, by default all cores")
    options = parser.parse_args()
    name, _, strength = options.set.partition("=")
    if options.threads:
        torch.set_num_threads(options.threads)

    print(machine())
    studio, rows = Studio(options.model), []
    for path in sorted(options.photos.iterdir()):
        try:
            photo = read_photo(path)
            row = measure(studio, photo, {name: float(strength)}, options.frames)
        except FaceLabError as error:
            print(f"{path.name:<24} skipped: {str(error).partition('.')[0]}")
            continue
        rows.append(row)
        print(f"{path.name:<24} {told(row)}", flush=True)
    if rows:
        median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        print(f"{'median':<24} {told(median)}")


def measure(studio: Studio, photo: np.ndarray, strengths: dict[str, float], count: int) -> dict[str, float]:
    """The figures of one photo's clip."""
    face = studio.find_faces(photo)[0]
    ways = camera(face.landmarks, count)
    clip = as_clip([seen(photo, way, number) for number, way in enumerate(ways)])
    row: dict[str, float] = {}
    for title, smoothing in (("", SMOOTHING), ("raw_", 0.0)):
        marks = [("", time.process_time())]
        edited = []
        for step in studio.edit_clip(clip, lambda face: studio.edit(face, strengths), smoothing=smoothing):
            if step.phase != marks[-1][0]:
                marks.append((step.phase, time.process_time()))
            if step.frame is not None:
                edited.append(step.frame)
        marks.append(("", time.process_time()))
        spent = {phase: later[1] - since for (phase, since), later in pairwise(marks)}
        row |= {
            f"{title}{key}": value
            for key, value in flicker(clip, edited, ways, quad_from_landmarks(face.landmarks)).items()
        }
        if not title:
            embed = spent.pop("embed")
            row |= {"ms": 1000 * sum(spent.values()) / len(edited), "embed": embed}
    return row


def camera(landmarks: np.ndarray, count: int) -> list[np.ndarray]:
    """Affine maps from a frame's pixels to the photo's, float64 [2, 3] each: around the face, never quite at rest."""
    centre, side = landmarks.mean(axis=0), float(np.ptp(landmarks[:, 0]))
    tremor = np.random.default_rng(0).normal(0, 1, (count, 2))
    kernel = np.exp(-0.5 * ((np.arange(count) - np.arange(count)[:, None]) / TREMOR[0]) ** 2)
    shake = TREMOR[1] * kernel @ tremor / np.linalg.norm(kernel, axis=1, keepdims=True)
    ways = []
    for number in range(count):
        turn = 2 * np.pi * number / count
        angle, zoom = np.radians(5 * np.sin(turn)), side / 150 * (1 + 0.12 * np.sin(turn + 1))
        matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = centre + side * (0.25 * np.array([np.sin(turn), 0.5 * np.sin(2 * turn)]) + shake[number])
        ways.append(np.column_stack([matrix, middle - matrix @ (np.array(SIZE) / 2)]))
    return ways


def seen(photo: np.ndarray, way: np.ndarray, number: int) -> np.ndarray:
    """What the camera films: uint8 [480, 640, 3]."""
    frame = moved(photo, way, SIZE).astype(np.float32)
    frame += np.random.default_rng(number).normal(0, NOISE, frame.shape) + DRIFT * np.sin(number / 9)
    return np.clip(frame + 0.5, 0, 255).astype(np.uint8)


def moved(picture: np.ndarray, way: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture uint8 [H, W, 3] under an affine map from the new pixels to its own."""
    image = Image.fromarray(picture).transform(
        size, Image.Transform.AFFINE, tuple(way.ravel()), Image.Resampling.BICUBIC
    )
    return np.asarray(image)


def as_clip(frames: list[np.ndarray]) -> Clip:
    """Frames as an MP4 that is read again."""
    buffer = io.BytesIO()
    save_animation(frames, buffer, kind="mp4", fps=FPS, model="none")
    return read_clip(buffer.getvalue())


def flicker(clip: Clip, edited: list[np.ndarray], ways: list[np.ndarray], quad: np.ndarray) -> dict[str, float]:
    """change, flicker, slow and still (see above) of an edited clip. quad: [4, 2], the face's in the photo."""
    changes = [new.astype(np.int16) - old for new, old in zip(edited, clip.frames(), strict=True)]
    touched = [(change != 0).any(axis=2)[~inside(quad, way)].mean() for change, way in zip(changes, ways, strict=True)]
    laid = np.stack([lay(change, way, ways[0]) for change, way in zip(changes, ways, strict=True)])
    size = np.abs(laid).mean(axis=(0, 3))
    mask = size > CHANGED
    soft = np.stack([lay(change, way, ways[0], blur=4) for change, way in zip(changes, ways, strict=True)])
    return {
        "change": float(size[mask].mean()),
        "flicker": float(np.abs(np.diff(laid, axis=0))[:, mask].mean() / np.abs(laid)[:, mask].mean()),
        "slow": float(np.abs(np.diff(soft, axis=0))[:, mask].mean() / np.abs(soft)[:, mask].mean()),
        "still": float(1 - np.mean(touched)),
    }


def lay(change: np.ndarray, way: np.ndarray, onto: np.ndarray, *, blur: float = 0.0) -> np.ndarray:
    """A change int16 [H, W, 3] as the camera at `onto` would have seen it: float32 [H, W, 3]."""
    whole = np.vstack([way, [0, 0, 1]])
    back = (np.linalg.inv(whole) @ np.vstack([onto, [0, 0, 1]]))[:2]
    halves = [np.clip(sign * change, 0, 255).astype(np.uint8) for sign in (1, -1)]
    if blur:
        halves = [np.asarray(Image.fromarray(half).filter(ImageFilter.GaussianBlur(blur))) for half in halves]
    more, less = (moved(half, back, SIZE).astype(np.float32) for half in halves)
    return more - less


def inside(quad: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Where the face's crop, grown a little for the tracker's errors, is in a frame: bool [480, 640]."""
    grown = quad.mean(axis=0) + 1.05 * (quad - quad.mean(axis=0))
    corners = (grown - way[:, 2]) @ np.linalg.inv(way[:, :2]).T
    mask = Image.new("1", SIZE)
    ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners], fill=1)
    return np.array(mask)


def told(row: dict[str, float]) -> str:
    """One line of figures."""
    return (
        f"change {row['change']:5.1f}  flicker {row['flicker']:.3f} (unsmoothed {row['raw_flicker']:.3f})  "
        f"slow {row['slow']:.3f} ({row['raw_slow']:.3f})  still {row['still']:.0f}  "
        f"{row['ms']:.0f} ms a frame  embed {row['embed']:.1f} s"
    )


if __name__ == "__main__":
    main()
