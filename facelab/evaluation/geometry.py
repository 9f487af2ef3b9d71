"""What landmarks measure in an aligned face: sizes of its parts, the mouth's opening, and the colour of its cheeks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# dlib's 68 points: brows 17-26, nose 27-35, eyes 36-47, lips outside 48-59 and inside 60-67.
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
CHEEK_SHARE = 0.12  # radius of the cheek's patch in eye distances


def measure(landmarks: Tensor) -> dict[str, Tensor]:
    """Sizes in units of the distance between the eyes' centres, [N] each, of landmarks [N, 68, 2]; differentiable.

    nose_size: width of the wings. lips: thickness of both lips. eyes: opening, mean of both. mouth_size: width.
    mouth_open: gap between the lips. brows: height above the eyes. yaw: how far the nose's tip lies left of the middle
    between the eyes, in the picture.
    """
    left, right = landmarks[:, LEFT_EYE].mean(dim=1), landmarks[:, RIGHT_EYE].mean(dim=1)
    unit = (right - left).norm(dim=1)
    along = (right - left) / unit[:, None]

    def apart(first: int, second: int) -> Tensor:
        return (landmarks[:, first] - landmarks[:, second]).norm(dim=1) / unit

    inside = (apart(61, 67) + apart(62, 66) + apart(63, 65)) / 3
    outside = (apart(50, 58) + apart(51, 57) + apart(52, 56)) / 3
    return {
        "nose_size": apart(31, 35),
        "lips": outside - inside,
        "eyes": (apart(37, 41) + apart(38, 40) + apart(43, 47) + apart(44, 46)) / 4,
        "mouth_size": apart(48, 54),
        "mouth_open": inside,
        "brows": (apart(19, 37) + apart(24, 44)) / 2,
        "yaw": (((left + right) / 2 - landmarks[:, 30]) * along).sum(dim=1) / unit,
    }


def measured(landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """`measure` of landmarks as dlib gives them: float [N] each."""
    return {name: values.numpy() for name, values in measure(torch.tensor(landmarks, dtype=torch.float64)).items()}


def skin_tone(images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The individual typology angle of the cheeks in degrees, float [N]; higher is lighter (Chardon et al. 1991).

    images: uint8 [N, R, R, 3] sRGB. landmarks: [N, 68, 2] in [0, 1]. ITA = arctan((L* - 50) / b*) of the median colour.
    """
    side = images.shape[1]
    angles = np.empty(len(images))
    for index, (image, points) in enumerate(zip(images, np.asarray(landmarks, np.float64) * side, strict=True)):
        unit = np.linalg.norm(points[LEFT_EYE].mean(axis=0) - points[RIGHT_EYE].mean(axis=0))
        radius = max(1, round(CHEEK_SHARE * unit))
        patches = []
        for eye, corner in ((LEFT_EYE, 48), (RIGHT_EYE, 54)):
            x, y = (0.5 * (points[eye].mean(axis=0) + points[corner])).round().astype(int)
            left, top = (int(np.clip(value - radius, 0, side - 2 * radius - 1)) for value in (x, y))
            patches.append(image[top : top + 2 * radius + 1, left : left + 2 * radius + 1].reshape(-1, 3))
        lightness, _, yellow = _lab(np.median(np.concatenate(patches), axis=0) / 255)
        angles[index] = np.degrees(np.arctan2(lightness - 50, yellow))
    return angles


def _lab(colour: np.ndarray) -> tuple[float, float, float]:
    """CIE L*a*b* (D65) of an sRGB colour [3] in [0, 1] (IEC 61966-2-1, CIE 15)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratios = matrix @ linear / (0.9505, 1.0, 1.089)
    x, y, z = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)
