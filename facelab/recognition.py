"""Who a face is: dlib's raw 128-d vector and the identity distance."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from facelab.detection import FaceFinder, dlib_model
from facelab.errors import BadSetting
from facelab.template import TEMPLATE_LANDMARKS

SAME_PERSON = 0.6  # dlib's threshold on its raw vectors: same person below
_LOOK_SIZE = 256  # pixels: smaller aligned faces are enlarged to this before a detector or the network looks
_FIVE = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))  # MTCNN's five among dlib's 68


class Recogniser:
    """dlib's face network (D. E. King, 2017), resident, loaded at first use, safe to share between threads."""

    def __init__(self, finder: FaceFinder | None = None) -> None:
        self._finder = finder or FaceFinder()
        self._lock = threading.Lock()

    def vector(self, image: np.ndarray, landmarks: np.ndarray | None = None) -> np.ndarray:
        """The raw vector of one face, float32 [128], of norm about 1.5 and never normalised.

        image: uint8 [H, W, 3] RGB. landmarks: [68, 2] or [5, 2] in its pixels; without them the image is taken as an
        aligned crop, whose face is found, or, where no detector finds it, assumed where the alignment puts it.
        """
        if landmarks is None:
            return self.vector_of_aligned(image)[0]
        return self._vector(image, _as_68(landmarks))

    def vector_of_aligned(self, image: np.ndarray) -> tuple[np.ndarray, bool]:
        """The raw vector float32 [128] of an aligned crop uint8 [R, R, 3], and whether a detector found its face."""
        points, found = self.landmarks_of_aligned(image)
        return self._vector(image, points), found

    def landmarks_of_aligned(self, image: np.ndarray) -> tuple[np.ndarray, bool]:
        """dlib's landmarks of an aligned crop uint8 [R, R, 3]: float32 [68, 2] in its pixels, and whether it was found.

        Where dlib's detector finds no face, they are the template's.
        """
        found = self._finder.find_aligned(image)
        if found is None:
            return TEMPLATE_LANDMARKS * np.float32(image.shape[1]), False
        return found.landmarks, True

    def _vector(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        import dlib

        scale = max(_LOOK_SIZE / min(image.shape[:2]), 1.0)
        if scale > 1:
            size = round(image.shape[1] * scale), round(image.shape[0] * scale)
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        places = np.floor(points * scale).astype(int)
        (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
        shape = dlib.full_object_detection(
            dlib.rectangle(int(left), int(top), int(right), int(bottom)),
            [dlib.point(int(x), int(y)) for x, y in places],
        )
        with self._lock:
            return np.array(self._network.compute_face_descriptor(image, shape), np.float32)

    @cached_property
    def _network(self) -> Any:
        import dlib

        return dlib.face_recognition_model_v1(str(dlib_model("dlib_face_recognition_resnet_model_v1.dat")))


def identity_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Euclidean distance of two raw vectors [128]; the same person below 0.6. Never give it normalised vectors."""
    return float(np.linalg.norm(np.asarray(first, np.float64) - np.asarray(second, np.float64)))


def _as_68(landmarks: np.ndarray) -> np.ndarray:
    """68 points as they are; five points carry the template's 68 by the least-squares similarity (Umeyama 1991)."""
    points = np.asarray(landmarks, np.float64)
    if points.shape == (68, 2):
        return points
    if points.shape != (5, 2):
        raise BadSetting(f"Landmarks must have the shape [68, 2] or [5, 2]; these have {list(points.shape)}.")
    template = TEMPLATE_LANDMARKS.astype(np.float64)
    five = np.array([template[part].mean(axis=0) for part in _FIVE])
    source, target = (values - values.mean(axis=0) for values in (five, points))
    source, target = source @ (1, 1j), target @ (1, 1j)  # a similarity is one complex factor
    factor = np.vdot(source, target) / np.vdot(source, source)
    moved = ((template - five.mean(axis=0)) @ (1, 1j)) * factor
    return np.stack([moved.real, moved.imag], axis=1) + points.mean(axis=0)
