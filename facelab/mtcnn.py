"""MTCNN (Zhang et al. 2016; weights of facenet-pytorch): boxes and five points, without the 68-point landmark file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from PIL import Image

MIN_FACE = 20  # pixels, in the picture that `detect` is given
_ONET_INPUT = 48
# One look of the last network at 48 x 48 pixels is coarse. With the median of several, each framed a little
# differently, roll is 0.9 degrees from dlib's instead of 1.3. (shift right, shift down, size), in sides of the box.
_LOOKS = tuple((dx, dy, size) for size in (0.92, 1.0, 1.1) for dx in (-0.05, 0.05) for dy in (-0.05, 0.05))
_MIRRORED = [1, 0, 2, 4, 3]


class Mtcnn:
    """The resident network, loaded at first use. It has a thread of its own, which also makes it safe to share.

    Its hundreds of small convolutions run on one core: with more, threads wait for one another, and on a busy machine
    a 0.3 s detection takes seconds.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mtcnn")
        self._network: Any = None

    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Faces in uint8 [H, W, 3]: five points each, float32 [N, 5, 2], and scores, float32 [N] in 0..1."""
        return self._run(self._detect, image)

    def five_points(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The two eyes, the nose and the mouth's corners, image left first: float32 [5, 2] in the image's pixels.

        image: uint8 [H, W, 3]; box: [4], the face in MTCNN's framing.
        """
        return self._run(self._five_points, image, box)

    def _run(self, task: Any, *inputs: Any) -> Any:
        first, threads = self._network is None, torch.get_num_threads()
        try:
            return self._thread.submit(self._alone, task, *inputs).result()
        finally:
            if first:  # torch hands the last count that was set to every new thread
                torch.set_num_threads(threads)

    def _alone(self, task: Any, *inputs: Any) -> Any:
        if self._network is None:
            from facenet_pytorch import MTCNN

            torch.set_num_threads(1)
            self._network = MTCNN(keep_all=True, min_face_size=MIN_FACE, device="cpu")
        with torch.inference_mode():
            return task(*inputs)

    def _detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes = None
        if min(image.shape[:2]) >= MIN_FACE:  # on a smaller picture facenet-pytorch raises
            boxes, scores, points = self._network.detect(image, landmarks=True)
        if boxes is None:
            return np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32)
        return np.asarray(points, np.float32), np.asarray(scores, np.float32)

    def _five_points(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        left, top, right, bottom = (float(value) for value in box)
        side = max(right - left, bottom - top)
        picture = Image.fromarray(image)
        frames, views = [], []
        for dx, dy, size in _LOOKS:
            half = side * size / 2
            x, y = (left + right) / 2 + dx * side - half, (top + bottom) / 2 + dy * side - half
            view = picture.transform(
                (2 * _ONET_INPUT, 2 * _ONET_INPUT),
                Image.Transform.AFFINE,
                (half / _ONET_INPUT, 0, x, 0, half / _ONET_INPUT, y),
                Image.Resampling.BILINEAR,
            ).reduce(2)
            frames.append((x, y, 2 * half))
            views.append(np.asarray(view, np.float32))
        batch = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
        batch = (torch.cat([batch, batch.flip(3)]) - 127.5) / 128
        points = self._network.onet(batch)[1].numpy().reshape(-1, 2, 5).transpose(0, 2, 1)
        straight, mirrored = points[: len(_LOOKS)], points[len(_LOOKS) :, _MIRRORED].copy()
        mirrored[..., 0] = 1 - mirrored[..., 0]
        frames = np.array(frames)[:, None]
        return np.median(
            np.concatenate([frames[..., :2] + frames[..., 2:] * looks for looks in (straight, mirrored)]), axis=0
        ).astype(np.float32)
