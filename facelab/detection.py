"""All faces of a photo: dlib's detector and MTCNN both look, and what overlaps is one face."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from facelab.errors import BadSetting, BadWeights
from facelab.mtcnn import Mtcnn
from facelab.template import TEMPLATE_BOX

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (crop, box in it) -> points in it

_DLIB_SIDE = 1280  # longest side of the copy that dlib looks at: it finds faces from 80 pixels on
_DLIB_MAX_UPSCALE = 2.5
_DLIB_SURE = 0.25  # below, dlib needs MTCNN to see the face too; upright faces score above 0.7 in 99 of 100
_DLIB_ROLL = {3: -30.0, 4: 30.0}  # degrees: two of the detector's five templates look for tilted faces
_MTCNN_SIDE = 1000
_MTCNN_SURE = 0.97
_ALIGNED_SIDES = (256, 512)  # 98.7 of 100 aligned portraits are seen at the first, 99.3 at the second
_IN_PLACE_SIDE = 512  # pixels: landmarks are whole ones, which is 0.2 percent of the crop
_SAME_FACE = 0.3  # intersection over union
_LANDMARK_FACE = 400  # pixels: dlib rounds landmarks to whole pixels, which is 0.1 percent of such a box
_LOOK_FACE, _LOOK_SURE = 100, -0.2  # pixels, and dlib's score, where a face is looked for that was there before
_MARGIN = 0.4  # of the box, what the landmark predictor sees around it
_UPRIGHT_WITHIN = 12.0  # degrees of roll; beyond, the face is turned upright before landmarks are looked for
_LOOKS = 3
# dlib's frame of a face from MTCNN's five points, over 1,144 aligned portraits where both see it (+-12 percent, the
# step of dlib's pyramid): its side from eyes' distance and eyes to mouth (the latter alone for profiles), its middle
# above the points'.
_FRAME_SIDE, _FRAME_SIDE_PROFILE, _FRAME_UP = 1.6, 2.15, 0.023


@dataclass(frozen=True, eq=False)
class FoundFace:
    """One face of a photo.

    box: float32 [4], left, top, right, bottom in the photo's pixels, in dlib's framing (square, brows to chin).
    landmarks: float32 [68, 2] in dlib's order or [5, 2] in MTCNN's (eyes, nose, mouth corners; image left first).
    detector: which one saw it, "dlib" or "mtcnn" ("dlib" when both did).
    """

    box: np.ndarray
    landmarks: np.ndarray
    detector: str


@dataclass(frozen=True, eq=False)
class _Sighting:
    box: np.ndarray
    roll: float  # degrees, clockwise
    detector: str
    sure: bool


class FaceFinder:
    """Resident detectors and landmark predictor: loaded at first use, safe to share between threads."""

    def __init__(self) -> None:
        self._dlib_lock, self._predictor_lock = threading.Lock(), threading.Lock()
        self._mtcnn = Mtcnn()

    def find(
        self,
        photo: np.ndarray,
        *,
        landmarks: Literal["dlib", "mtcnn"] = "dlib",
        detectors: Literal["both", "dlib"] = "both",
    ) -> list[FoundFace]:
        """Every face of a photo, the largest first; an empty list when there is none.

        photo: uint8 [H, W, 3] RGB. landmarks: "dlib" gives 68 points (a file trained on non-commercial data), "mtcnn"
        five points and never opens that file. detectors: "dlib" alone is faster, "both" finds more.
        """
        if landmarks not in ("dlib", "mtcnn"):
            raise BadSetting(f"Landmarks are 'dlib' or 'mtcnn'; this is {landmarks!r}.")
        if detectors not in ("both", "dlib"):
            raise BadSetting(f"Detectors are 'both' or 'dlib'; this is {detectors!r}.")
        sightings = self._dlib_sightings(photo)
        if detectors == "both":
            sightings = _merged(sightings, self._mtcnn_sightings(photo))
        locate = self.landmarks68 if landmarks == "dlib" else self.landmarks5
        found = [
            FoundFace(seen.box, locate(photo, seen.box, seen.roll), seen.detector) for seen in sightings if seen.sure
        ]
        return sorted(found, key=lambda face: _area(face.box), reverse=True)

    def turns_upright(self, photo: np.ndarray) -> int:
        """How many quarter turns to the right make the faces of a photo, uint8 [H, W, 3], stand upright: 0 to 3, and 0
        where none is seen. MTCNN looks alone: dlib's detector takes many a face on its head for an upright one.
        """
        return max(range(4), key=lambda turns: self._seen_upright(np.rot90(photo, -turns)))

    def find_aligned(self, image: np.ndarray) -> FoundFace | None:
        """The face of an aligned crop uint8 [R, R, 3], or None where dlib's detector sees none in its place."""
        expected = TEMPLATE_BOX * image.shape[1]
        for side in _ALIGNED_SIDES:
            for seen in self._dlib_sightings(image, side, side / min(image.shape[:2])):
                if overlap(seen.box, expected) >= _SAME_FACE:
                    return FoundFace(seen.box, self.landmarks68(image, seen.box), "dlib")
        return None

    def sees(self, photo: np.ndarray, box: np.ndarray, roll: float = 0.0, *, patient: bool = False) -> bool:
        """Whether a face is where this box of dlib's framing says: a look at the place alone, of some milliseconds.

        patient: ask MTCNN, too, where dlib's detector sees none.
        """
        side, angle = float(box[2] - box[0]), np.radians(roll)
        scale = side / _LOOK_FACE
        matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        size = 2 * _LOOK_FACE
        window = _window(photo, matrix, (box[:2] + box[2:]) / 2 - matrix @ np.full(2, size / 2), size)
        expected = np.array([1, 1, 3, 3], np.float32) * _LOOK_FACE / 2
        with self._dlib_lock:
            boxes = self._dlib_detector.run(window, 0, _LOOK_SURE)[0]
        corners = [np.array([each.left(), each.top(), each.right() + 1, each.bottom() + 1]) for each in boxes]
        if any(overlap(each, expected) >= _SAME_FACE for each in corners):
            return True
        if not patient:
            return False
        points, scores = self._mtcnn.detect(window)
        frames = [_frame_of_points(five)[0] for five, score in zip(points, scores, strict=True) if score >= _MTCNN_SURE]
        return any(overlap(each, expected) >= _SAME_FACE for each in frames)

    def landmarks_in_place(self, image: np.ndarray) -> np.ndarray:
        """dlib's 68 landmarks of an aligned crop uint8 [R, R, 3], its face taken to be where the alignment puts it.

        No detector looks, so this takes a few milliseconds. Returns float32 [68, 2] in the crop's pixels.
        """
        scale = _IN_PLACE_SIDE / len(image)
        copy = np.asarray(Image.fromarray(image).resize((_IN_PLACE_SIDE, _IN_PLACE_SIDE), Image.Resampling.BICUBIC))
        return self._predict68(copy, TEMPLATE_BOX * _IN_PLACE_SIDE) / np.float32(scale)

    def landmarks68(self, photo: np.ndarray, box: np.ndarray, roll: float = 0.0) -> np.ndarray:
        """dlib's 68 landmarks of the face in a box of dlib's framing: float32 [68, 2] in the photo's pixels.

        roll: about how many degrees the face is turned clockwise; beyond 30 dlib needs to know.
        """
        return _located(photo, box, roll, self._predict68, (slice(36, 42), slice(42, 48)))

    def landmarks5(self, photo: np.ndarray, box: np.ndarray, roll: float = 0.0) -> np.ndarray:
        """MTCNN's five points of the same face: float32 [5, 2] in the photo's pixels."""
        return _located(photo, box, roll, self._predict5, (slice(0, 1), slice(1, 2)))

    def _dlib_sightings(
        self, photo: np.ndarray, side: int = _DLIB_SIDE, max_upscale: float = _DLIB_MAX_UPSCALE
    ) -> list[_Sighting]:
        copy, scale = _scaled(photo, side, max_upscale)
        with self._dlib_lock:
            boxes, scores, templates = self._dlib_detector.run(copy, 0, 0.0)
        sightings = []
        for box, score, template in zip(boxes, scores, templates, strict=True):
            corners = np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1], np.float32) / scale
            sightings.append(_Sighting(corners, _DLIB_ROLL.get(template, 0.0), "dlib", score >= _DLIB_SURE))
        return sightings

    def _mtcnn_sightings(self, photo: np.ndarray) -> list[_Sighting]:
        copy, scale = _scaled(photo, _MTCNN_SIDE, 1.0)
        points, scores = self._mtcnn.detect(copy)
        return [
            _Sighting(*_frame_of_points(five / scale), "mtcnn", score >= _MTCNN_SURE)
            for five, score in zip(points, scores, strict=True)
        ]

    def _seen_upright(self, photo: np.ndarray) -> float:
        """How wide all faces are together that MTCNN is sure of, and that stand upright rather than lie."""
        sightings = self._mtcnn_sightings(photo)
        return sum(float(seen.box[2] - seen.box[0]) for seen in sightings if seen.sure and abs(seen.roll) < 45)

    def _predict68(self, crop: np.ndarray, box: np.ndarray) -> np.ndarray:
        import dlib

        with self._predictor_lock:
            shape = self._predictor(crop, dlib.rectangle(*(round(float(value)) for value in box - (0, 0, 1, 1))))
        return np.array([(point.x + 0.5, point.y + 0.5) for point in shape.parts()], np.float32)

    def _predict5(self, crop: np.ndarray, box: np.ndarray) -> np.ndarray:
        # MTCNN's last network looks at a square of its box's height: 1.27 times dlib's side, 8 percent higher
        side = box[2] - box[0]
        middle, half = (box[:2] + box[2:]) / 2 - (0, 0.08 * side), 1.27 * side / 2
        return self._mtcnn.five_points(crop, np.concatenate([middle - half, middle + half]))

    @cached_property
    def _dlib_detector(self) -> Any:
        import dlib

        return dlib.get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        import dlib

        return dlib.shape_predictor(str(dlib_model("shape_predictor_68_face_landmarks.dat")))


def dlib_model(name: str) -> Path:
    """The path of one of dlib's model files, which the package face_recognition_models carries.

    The package is not imported: its __init__ needs pkg_resources, which new setuptools no longer has.
    Raises BadWeights when the package or the file is missing.
    """
    package = find_spec("face_recognition_models")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise BadWeights(f"dlib's {name} was not found. Install it: pip install face_recognition_models")


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    size = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(max(size[0], 0) * max(size[1], 0))
    return shared / max(_area(first) + _area(second) - shared, 1e-9)


def _area(box: np.ndarray) -> float:
    return float(np.prod(box[2:] - box[:2], dtype=np.float64))


def _frame_of_points(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The box that dlib would have drawn around MTCNN's five points, and the roll in degrees."""
    eye_to_eye = points[1] - points[0]
    eye_to_mouth = (points[3] + points[4] - points[0] - points[1]) / 2
    tall = np.hypot(*eye_to_mouth)
    side = max(_FRAME_SIDE * np.hypot(tall, np.hypot(*eye_to_eye)), _FRAME_SIDE_PROFILE * tall)
    middle = points.mean(axis=0) - _FRAME_UP * side * eye_to_mouth / max(tall, 1e-6)
    box = np.concatenate([middle - side / 2, middle + side / 2]).astype(np.float32)
    return box, _roll(eye_to_eye)


def _roll(eye_to_eye: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(eye_to_eye[1], eye_to_eye[0])))


def _merged(first: list[_Sighting], second: list[_Sighting]) -> list[_Sighting]:
    """One sighting a face: where both detectors agree, dlib's box with the roll of MTCNN's points."""
    merged, remaining = [], list(second)
    for seen in first:
        same = max(remaining, key=lambda other: overlap(seen.box, other.box), default=None)
        if same is not None and overlap(seen.box, same.box) >= _SAME_FACE:
            remaining.remove(same)
            seen = replace(seen, roll=same.roll, sure=True)
        merged.append(seen)
    return merged + remaining


def _scaled(photo: np.ndarray, longest: int, max_upscale: float) -> tuple[np.ndarray, float]:
    height, width = photo.shape[:2]
    scale = min(longest / max(height, width), max_upscale)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, reducing_gap=1.5)), scale


def _located(
    photo: np.ndarray, box: np.ndarray, roll: float, predict: Predict, eyes: tuple[slice, slice]
) -> np.ndarray:
    """Look at the face alone, at a size that suits the predictor, and again turned upright as long as it is tilted."""
    side, middle = float(box[2] - box[0]), (box[:2] + box[2:]) / 2
    margin = _MARGIN * _LANDMARK_FACE
    inner = np.array([margin, margin, margin + _LANDMARK_FACE, margin + _LANDMARK_FACE], np.float32)
    turned = roll if abs(roll) > _UPRIGHT_WITHIN else 0.0
    for _ in range(_LOOKS):
        angle = np.radians(turned)
        matrix = side / _LANDMARK_FACE * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = middle - matrix @ np.full(2, margin + _LANDMARK_FACE / 2)
        points = predict(_window(photo, matrix, offset, round(2 * margin + _LANDMARK_FACE)), inner) @ matrix.T + offset
        roll = _roll(points[eyes[1]].mean(axis=0) - points[eyes[0]].mean(axis=0))
        if abs((roll - turned + 180) % 360 - 180) <= _UPRIGHT_WITHIN:
            break
        turned = roll
    return points.astype(np.float32)


def _window(photo: np.ndarray, matrix: np.ndarray, offset: np.ndarray, size: int) -> np.ndarray:
    """`size` pixels square of the photo under an affine map, averaged first when it shrinks; black outside."""
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ matrix.T + offset
    height, width = photo.shape[:2]
    x0, y0 = np.clip(np.floor(corners.min(axis=0)).astype(int) - 2, 0, (width - 1, height - 1))
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, (x0 + 1, y0 + 1), (width, height))
    shrink = max(int(np.hypot(*matrix[:, 0])), 1)
    region = Image.fromarray(np.ascontiguousarray(photo[y0:y1, x0:x1])).reduce(shrink)
    coefficients = np.column_stack([matrix, offset - (x0, y0)]) / shrink
    return np.asarray(
        region.transform((size, size), Image.Transform.AFFINE, tuple(coefficients.ravel()), Image.Resampling.BILINEAR)
    )
