"""All faces of a photo: dlib's detector and MTCNN both look, and what overlaps is one face."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from facelab.errors import BadSetting, BadWeights
from facelab.mtcnn import Mtcnn

_DLIB_SIDE = 1280  # longest side of the copy that dlib looks at: it finds faces from 80 pixels on
_DLIB_MAX_UPSCALE = 2.5
_MTCNN_SIDE = 1000
_DLIB_SCORE, _MTCNN_SCORE = 0.0, 0.97
_SAME_FACE = 0.3  # intersection over union
_LANDMARK_FACE = 400  # pixels: dlib rounds landmarks to whole pixels, which is 0.1 percent of such a box
_MARGIN = 0.4  # of the box, what the landmark predictor sees around it
_UPRIGHT_WITHIN = 12.0  # degrees of roll; beyond, the face is turned upright and looked at once more
# dlib's frame of a face from MTCNN's, mean over 1,144 aligned portraits where both see it: side = 0.91 * sqrt(w * h)
# (+-10 percent, the step of dlib's pyramid), centre lower by 7 percent.
_FRAME_SIDE, _FRAME_DOWN = 0.91, 0.073


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
        boxes = [(box, "dlib") for box in self._dlib_boxes(photo)]
        if detectors == "both":
            for box in self._mtcnn_boxes(photo):
                if all(overlap(box, other) < _SAME_FACE for other, _ in boxes):
                    boxes.append((box, "mtcnn"))
        boxes.sort(key=lambda found: _area(found[0]), reverse=True)
        locate = self.landmarks68 if landmarks == "dlib" else self.landmarks5
        return [FoundFace(box, locate(photo, box), detector) for box, detector in boxes]

    def landmarks68(self, photo: np.ndarray, box: np.ndarray) -> np.ndarray:
        """dlib's 68 landmarks of the face in a box of dlib's framing: float32 [68, 2] in the photo's pixels."""
        return _located(photo, box, self._predict68, (slice(36, 42), slice(42, 48)))

    def landmarks5(self, photo: np.ndarray, box: np.ndarray) -> np.ndarray:
        """MTCNN's five points of the face in a box of dlib's framing: float32 [5, 2] in the photo's pixels."""
        return _located(photo, box, self._predict5, (slice(0, 1), slice(1, 2)))

    def _dlib_boxes(self, photo: np.ndarray) -> list[np.ndarray]:
        copy, scale = _scaled(photo, _DLIB_SIDE, _DLIB_MAX_UPSCALE)
        with self._dlib_lock:
            found, _, _ = self._dlib_detector.run(copy, 0, _DLIB_SCORE)
        return [
            np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1], np.float32) / scale for box in found
        ]

    def _mtcnn_boxes(self, photo: np.ndarray) -> list[np.ndarray]:
        copy, scale = _scaled(photo, _MTCNN_SIDE, 1.0)
        boxes, scores = self._mtcnn.detect(copy)
        return [_framed_as_dlib(box / scale) for box in boxes[scores >= _MTCNN_SCORE]]

    def _predict68(self, crop: np.ndarray, box: np.ndarray) -> np.ndarray:
        import dlib

        with self._predictor_lock:
            shape = self._predictor(crop, dlib.rectangle(*(round(float(value)) for value in box - (0, 0, 1, 1))))
        return np.array([(point.x + 0.5, point.y + 0.5) for point in shape.parts()], np.float32)

    def _predict5(self, crop: np.ndarray, box: np.ndarray) -> np.ndarray:
        side = (box[2] - box[0]) / _FRAME_SIDE
        middle = (box[:2] + box[2:]) / 2 - (0, _FRAME_DOWN * side)
        half = side * 0.57  # the network looks at squares of the box's longer side, its height
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
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _framed_as_dlib(box: np.ndarray) -> np.ndarray:
    size = np.sqrt(_area(box))
    middle = (box[:2] + box[2:]) / 2 + (0, _FRAME_DOWN * size)
    half = _FRAME_SIDE * size / 2
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def _scaled(photo: np.ndarray, longest: int, max_upscale: float) -> tuple[np.ndarray, float]:
    height, width = photo.shape[:2]
    scale = min(longest / max(height, width), max_upscale)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)), scale


def _located(photo: np.ndarray, box: np.ndarray, predict: Any, eyes: tuple[slice, slice]) -> np.ndarray:
    """Look at the face alone, at a size that suits the predictor; once more turned upright when it is tilted."""
    side, middle = float(box[2] - box[0]), (box[:2] + box[2:]) / 2
    margin = _MARGIN * _LANDMARK_FACE
    inner = np.array([margin, margin, margin + _LANDMARK_FACE, margin + _LANDMARK_FACE], np.float32)

    def look(roll: float) -> np.ndarray:
        unit = side / _LANDMARK_FACE * np.array([np.cos(roll), np.sin(roll)])
        matrix = np.array([[unit[0], -unit[1]], [unit[1], unit[0]]])
        offset = middle - matrix @ np.full(2, margin + _LANDMARK_FACE / 2)
        return predict(_window(photo, matrix, offset, round(2 * margin + _LANDMARK_FACE)), inner) @ matrix.T + offset

    points = look(0.0)
    across = points[eyes[1]].mean(axis=0) - points[eyes[0]].mean(axis=0)
    roll = float(np.arctan2(across[1], across[0]))
    if abs(np.degrees(roll)) > _UPRIGHT_WITHIN:
        points = look(roll)
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
