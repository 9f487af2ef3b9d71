"""Between what networks see and what files hold: float [N, 3, H, W] in [-1, 1] and uint8 [N, H, W, 3]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def as_images(pictures: Sequence[np.ndarray]) -> Tensor:
    """N times uint8 [H, W, 3] -> float32 [N, 3, H, W] in [-1, 1], channels last."""
    return torch.from_numpy(np.require(pictures, np.uint8, ["C", "W"])).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def as_pixels(images: Tensor) -> np.ndarray:
    """float [N, 3, H, W], of which [-1, 1] is seen -> uint8 [N, H, W, 3]."""
    pixels = ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()
