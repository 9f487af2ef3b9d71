"""Faces through a clip: found, followed by their landmarks, joined when they come back, smoothed over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image

from facelab.alignment import align, crop_to_photo, quad_from_landmarks
from facelab.detection import FaceFinder, overlap
from facelab.errors import BadSetting
from facelab.face import CROP_SIZE
from facelab.template import TEMPLATE_BOX

CHECK_EVERY = 10  # frames: the detector looks at the whole frame for faces that are not followed yet
GAP = 5  # frames: a face that is back after so few was there all the time
FADE = 3.0  # in smoothing's frames: how long an edit takes to come and to go with the face
MAX_FOLLOWED = 6  # faces at a time, those that were seen last
SHORTEST = 3  # frames; what is seen in fewer is no face
_SAME_FACE = 0.3  # intersection over union
_MAX_JUMP = 0.5  # of the side, between two frames
_CUT_SIDE, _CUT = 16, 0.12  # mean difference of two frames' thumbnails, of the range, where one scene ends


@dataclass(frozen=True, eq=False)
class Track:
    """One face through T frames.

    quads: float32 [T, 4, 2]. present: float32 [T], 1 where the face was seen, else 0. scenes: int [T], another number
    after each cut. crop: uint8 [512, 512, 3], the face where it is about largest, or None.
    """

    quads: np.ndarray
    present: np.ndarray
    scenes: np.ndarray
    crop: np.ndarray | None = None

    def smoothed(self, frames: float) -> Track:
        """The same track, its place, size and roll smoothed over about `frames` frames each way, and fading in and out
        where the face comes and goes.
        """
        centres = self.quads.mean(axis=1)
        across = (self.quads[:, 3] - self.quads[:, 0]).astype(np.float64)
        size, roll = np.log(np.hypot(*across.T)), np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
        place = np.column_stack([centres, size, roll])
        x, y, size, roll = over_time(place, frames, self.present, self.scenes).T
        across = np.exp(size)[:, None] * np.column_stack([np.cos(roll), np.sin(roll)]) / 2
        down = np.column_stack([-across[:, 1], across[:, 0]])
        middle = np.column_stack([x, y])
        corners = [middle - across - down, middle - across + down, middle + across + down, middle + across - down]
        present = _fading(self.present, self.scenes, frames)
        return Track(np.stack(corners, axis=1).astype(np.float32), present, self.scenes, self.crop)


@dataclass(eq=False)
class _Trail:
    """A face that is being followed: its quads by frame, and its crop where it was largest so far."""

    quads: dict[int, np.ndarray] = field(default_factory=dict)
    crop: np.ndarray | None = None
    side: float = 0.0

    @property
    def last(self) -> np.ndarray:
        return self.quads[_last_seen(self)]

    def add(self, number: int, frame: np.ndarray, quad: np.ndarray) -> None:
        self.quads[number] = quad
        side = float(np.hypot(*(quad[3] - quad[0])))
        if side > 1.1 * self.side:
            with suppress(BadSetting):  # half outside the frame: it is still followed
                self.crop, self.side = align(frame, quad, resolution=CROP_SIZE).crop, side


def follow_faces(
    finder: FaceFinder,
    frames: Iterable[np.ndarray],
    *,
    same_person: Callable[[np.ndarray, np.ndarray], bool] = lambda first, second: False,
) -> Iterator[list[Track]]:
    """Follow all faces: after each frame an empty list, and at the end the tracks, the one that is seen largest and
    longest first.

    frames: uint8 [H, W, 3] each. same_person: whether two crops show one person; a face that was gone and comes back is
    then one track.
    """
    trails: list[_Trail] = []
    live: list[_Trail] = []
    scenes: list[int] = []
    before = None
    for number, frame in enumerate(frames):
        thumbnail = _thumbnail(frame)
        cut = before is not None and float(np.abs(thumbnail - before).mean()) > _CUT
        before = thumbnail
        scenes.append(scenes[-1] + cut if scenes else 0)
        if cut:
            live = []
        lost = False
        for trail in sorted(live, key=_last_seen, reverse=True):
            here = [_box(other.quads[number])[0] for other in live if number in other.quads]
            quad = _next(finder, frame, trail.last, patient=number - 1 in trail.quads)
            if quad is not None and all(overlap(_box(quad)[0], box) < _SAME_FACE for box in here):
                trail.add(number, frame, quad)
            else:
                lost = lost or number - 1 in trail.quads
        if cut or lost or number % CHECK_EVERY == 0:
            fresh = _look_around(finder, frame, number, live)
            trails = trails + fresh
            live = sorted(live + fresh, key=_last_seen, reverse=True)[:MAX_FOLLOWED]
            if number >= SHORTEST:  # in a crowd, those who are not followed would be kept anew at each look
                trails = [trail for trail in trails if trail in live or len(trail.quads) >= SHORTEST]
        yield []
    count = len(scenes)
    trails = _joined([trail for trail in trails if len(trail.quads) >= min(SHORTEST, count)], same_person)
    trails.sort(key=lambda trail: -sum(float(np.hypot(*(quad[3] - quad[0]))) for quad in trail.quads.values()))
    yield [_as_track(trail, np.array(scenes)) for trail in trails]


def over_time(
    values: np.ndarray, frames: float, weights: np.ndarray | None = None, scenes: np.ndarray | None = None
) -> np.ndarray:
    """Values [T, ...] smoothed over time: at each frame the parabola that fits best within a Gaussian of `frames`
    frames (local regression, Cleveland 1979); a line would cut the corners of a hand-held camera's way.

    weights: float [T], of frames that count less, or not at all. scenes: [T], smoothed each by itself.
    """
    if frames <= 0 or len(values) < 2:
        return values
    steps = np.arange(len(values))
    away = (steps - steps[:, None]) / frames
    kernel = np.exp(-0.5 * away**2) * (1 if weights is None else np.maximum(weights, 1e-3))
    if scenes is not None:
        kernel *= scenes == scenes[:, None]
    powers = np.stack([away**power for power in range(3)])  # [3, T, T]
    moments = np.einsum("tn,atn,btn->tab", kernel, powers, powers)
    parabola = np.linalg.pinv(moments, rcond=1e-6, hermitian=True)[:, 0]  # few frames determine none: then a line
    kernel *= np.einsum("ta,atn->tn", parabola, powers)
    kernel /= kernel.sum(axis=1, keepdims=True)
    return np.tensordot(kernel, values, axes=1).astype(values.dtype)


def _fading(present: np.ndarray, scenes: np.ndarray, frames: float) -> np.ndarray:
    """1 where the face is seen, 0 where not, rising and falling over some frames between, but not at a cut."""
    steps = np.arange(len(present))
    gone = (present == 0) & (scenes == scenes[:, None])
    away = np.where(gone, np.abs(steps - steps[:, None]), np.inf).min(axis=1)
    return np.minimum(away / (1 + FADE * max(frames, 0)), 1).astype(np.float32)


def _as_track(trail: _Trail, scenes: np.ndarray) -> Track:
    known, frames = np.array(sorted(trail.quads)), np.arange(len(scenes))
    present = np.isin(frames, known).astype(np.float32)
    for start, stop in pairwise(known):
        if stop - start <= GAP and scenes[start] == scenes[stop]:
            present[start:stop] = 1
    stack = np.stack([trail.quads[number] for number in known]).reshape(len(known), 8)
    quads = np.stack([np.interp(frames, known, column) for column in stack.T], axis=1)
    return Track(quads.reshape(-1, 4, 2).astype(np.float32), present, scenes, trail.crop)


def _joined(trails: Sequence[_Trail], same_person: Callable[[np.ndarray, np.ndarray], bool]) -> list[_Trail]:
    """Trails of one person at different times as one."""
    joined: list[_Trail] = []
    for trail in sorted(trails, key=lambda trail: -len(trail.quads)):
        for other in joined:
            apart = not other.quads.keys() & trail.quads.keys() and other.crop is not None and trail.crop is not None
            if apart and same_person(other.crop, trail.crop):
                other.quads |= trail.quads
                break
        else:
            joined.append(trail)
    return joined


def _last_seen(trail: _Trail) -> int:
    return max(trail.quads)


def _look_around(finder: FaceFinder, frame: np.ndarray, number: int, live: Sequence[_Trail]) -> list[_Trail]:
    """Faces that nobody follows yet, as new trails; one that was lost from sight near by is followed on."""
    seen = [trail for trail in live if number in trail.quads]
    lost = [trail for trail in live if number not in trail.quads]
    fresh = []
    for face in finder.find(frame, detectors="dlib" if seen else "both"):
        if any(overlap(face.box, _box(trail.last)[0]) >= _SAME_FACE for trail in seen):
            continue
        quad = quad_from_landmarks(face.landmarks)
        near = next((trail for trail in lost if _jump(trail.last, quad) < _MAX_JUMP), None)
        if near is None:
            fresh.append(near := _Trail())
        else:
            lost.remove(near)
        near.add(number, frame, quad)
        seen.append(near)
    return fresh


def _next(finder: FaceFinder, frame: np.ndarray, before: np.ndarray, *, patient: bool) -> np.ndarray | None:
    """The face a frame later: landmarks looked for where they were, and a look whether that is a face.

    patient: ask the slower detector, too, which sees faces from the side.
    """
    quad = quad_from_landmarks(finder.landmarks68(frame, *_box(before)))
    if not _jump(before, quad) < _MAX_JUMP:
        return None
    return quad if finder.sees(frame, *_box(quad), patient=patient) else None


def _jump(before: np.ndarray, after: np.ndarray) -> float:
    """How far a quad has come, in its sides; not a number for one that is none."""
    side = np.hypot(*(before[3] - before[0]))
    return float(np.abs(after - before).max() / side)


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    small = Image.fromarray(frame).resize((_CUT_SIDE, _CUT_SIDE), Image.Resampling.BOX, reducing_gap=1.0)
    return np.asarray(small, np.float32) / 255


def _box(quad: np.ndarray) -> tuple[np.ndarray, float]:
    """The detector's box of a face with this quad, and its roll in degrees."""
    matrix = crop_to_photo(quad, 1)
    middle = matrix[:, :2] @ ((TEMPLATE_BOX[:2] + TEMPLATE_BOX[2:]) / 2) + matrix[:, 2]
    across = matrix[:, 0]
    half = np.hypot(*across) * (TEMPLATE_BOX[2] - TEMPLATE_BOX[0]) / 2
    box = np.concatenate([middle - half, middle + half]).astype(np.float32)
    return box, float(np.degrees(np.arctan2(across[1], across[0])))
