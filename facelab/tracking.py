"""A face through a clip: found in the first frames, followed by its landmarks, its quads smoothed over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from facelab.alignment import crop_to_photo, quad_from_landmarks
from facelab.detection import FaceFinder, overlap
from facelab.template import TEMPLATE_BOX

CHECK_EVERY = 8  # frames: the detector looks whether what is followed is still a face
_SAME_FACE = 0.3  # intersection over union
_MAX_JUMP = 0.5  # of the side, between two frames


@dataclass(frozen=True, eq=False)
class Track:
    """One face through T frames. quads: float32 [T, 4, 2]. present: float32 [T], 1 where the face was seen, else 0."""

    quads: np.ndarray
    present: np.ndarray

    def smoothed(self, frames: float) -> Track:
        """The same track, its place, size and roll smoothed over about `frames` frames each way, and fading in and out
        where the face comes and goes.
        """
        centres = self.quads.mean(axis=1)
        across = (self.quads[:, 3] - self.quads[:, 0]).astype(np.float64)
        size, roll = np.log(np.hypot(*across.T)), np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
        x, y, size, roll = over_time(np.column_stack([centres, size, roll]), frames, self.present).T
        across = np.exp(size)[:, None] * np.column_stack([np.cos(roll), np.sin(roll)]) / 2
        down = np.column_stack([-across[:, 1], across[:, 0]])
        middle = np.column_stack([x, y])
        corners = [middle - across - down, middle - across + down, middle + across + down, middle + across - down]
        present = np.clip(over_time(self.present, frames), 0, self.present)
        return Track(np.stack(corners, axis=1).astype(np.float32), present)


def follow_face(
    finder: FaceFinder, frames: Iterable[np.ndarray], *, near: np.ndarray | None = None
) -> Iterator[np.ndarray | None]:
    """The quad of one face, float32 [4, 2], frame by frame; None where it is not seen.

    frames: uint8 [H, W, 3] each. near: a point (x, y) in the first frame in which the face is seen, to choose it by; by
    default the largest face is followed.
    """
    quad = None
    for number, frame in enumerate(frames):
        if quad is None or number % CHECK_EVERY == 0:
            quad = _seen(finder, frame, quad, near)
        else:
            quad = _next(finder, frame, quad)
        yield quad


def as_track(quads: Iterable[np.ndarray | None]) -> Track | None:
    """Quads frame by frame as one track: where the face is not seen, it is taken to move straight on. None for a face
    that is never seen.
    """
    listed = list(quads)
    present = np.array([quad is not None for quad in listed])
    if not present.any():
        return None
    known, frames = np.stack([quad for quad in listed if quad is not None]), np.arange(len(listed))
    columns = [np.interp(frames, frames[present], column) for column in known.reshape(len(known), 8).T]
    return Track(np.stack(columns, axis=1).reshape(-1, 4, 2).astype(np.float32), present.astype(np.float32))


def over_time(values: np.ndarray, frames: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Values [T, ...] smoothed over time: at each frame the line that fits best within a Gaussian of `frames` frames,
    so that steady movement stays as it is, at the ends too (local linear regression, Cleveland 1979).

    weights: float [T], of frames that count less, or not at all.
    """
    if frames <= 0 or len(values) < 2:
        return values
    steps = np.arange(len(values))
    away = (steps - steps[:, None]) / frames
    kernel = np.exp(-0.5 * away**2) * (1 if weights is None else np.maximum(weights, 1e-3))
    none, first, second = (np.sum(kernel * away**power, axis=1, keepdims=True) for power in (0, 1, 2))
    kernel *= (second - first * away) / np.maximum(none * second - first**2, 1e-9)
    kernel /= kernel.sum(axis=1, keepdims=True)
    return np.tensordot(kernel, values, axes=1).astype(values.dtype)


def _seen(
    finder: FaceFinder, frame: np.ndarray, before: np.ndarray | None, near: np.ndarray | None
) -> np.ndarray | None:
    """The face where it was before, or, at the beginning, the one near the point, or the largest."""
    found = finder.find(frame, detectors="dlib" if before is not None else "both")
    if before is not None:
        box = _box(before)[0]
        same = max(found, key=lambda face: overlap(face.box, box), default=None)
        if same is None or overlap(same.box, box) < _SAME_FACE:
            return _next(finder, frame, before) if _still_there(finder, frame, before) else None
        return quad_from_landmarks(same.landmarks)
    if near is not None and found:
        found = sorted(found, key=lambda face: np.hypot(*((face.box[:2] + face.box[2:]) / 2 - near)))
    return quad_from_landmarks(found[0].landmarks) if found else None


def _still_there(finder: FaceFinder, frame: np.ndarray, quad: np.ndarray) -> bool:
    """Whether the slower detectors see a face that dlib's has missed."""
    box = _box(quad)[0]
    return any(overlap(face.box, box) >= _SAME_FACE for face in finder.find(frame))


def _next(finder: FaceFinder, frame: np.ndarray, before: np.ndarray) -> np.ndarray | None:
    """The face a frame later: landmarks looked for where they were."""
    box, roll = _box(before)
    quad = quad_from_landmarks(finder.landmarks68(frame, box, roll))
    side = np.hypot(*(before[3] - before[0]))
    jump = np.abs(quad - before).max() / side
    return quad if np.isfinite(jump) and jump < _MAX_JUMP else None


def _box(quad: np.ndarray) -> tuple[np.ndarray, float]:
    """The detector's box of a face with this quad, and its roll in degrees."""
    matrix = crop_to_photo(quad, 1)
    middle = matrix[:, :2] @ ((TEMPLATE_BOX[:2] + TEMPLATE_BOX[2:]) / 2) + matrix[:, 2]
    across = matrix[:, 0]
    half = np.hypot(*across) * (TEMPLATE_BOX[2] - TEMPLATE_BOX[0]) / 2
    box = np.concatenate([middle - half, middle + half]).astype(np.float32)
    return box, float(np.degrees(np.arctan2(across[1], across[0])))
