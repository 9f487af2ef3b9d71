"""Adaptive discriminator augmentation (Karras et al. 2020, "Training Generative Adversarial Networks with Limited
Data"): what the discriminator sees is moved, turned, scaled and recoloured, and the controller decides how often.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

UPDATE_EVERY = 4  # steps between two corrections of p (section 3)

# Strengths of the published pipeline (appendix B).
SHIFT = 0.125  # of the side, largest whole-pixel shift and deviation of the fractional one
SCALE_DEVIATION = 0.2  # octaves
BRIGHTNESS_DEVIATION = 0.2
CONTRAST_DEVIATION = 0.5  # octaves
SATURATION_DEVIATION = 1.0  # octaves


class AdaptiveAugmentation:
    """Augments pictures with probability p, and moves p so that the overfitting measure r_t = E[sign(D(real))] stays
    at `target` (section 3). images: p can go from 0 to 1 in so many pictures. target 0 leaves pictures alone.
    """

    def __init__(self, *, target: float, images: int) -> None:
        self.target, self.images = target, images
        self.p = 0.0
        self._signs: list[float] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Augment images [N, 3, R, R] in [-1, 1], differentiably with respect to them."""
        return augment(images, self.p) if self.p > 0 else images

    def observe(self, real_sign: float) -> None:
        """Note a step's mean sign of the discriminator's logits for real pictures."""
        self._signs.append(real_sign)

    def update(self, seen: int) -> float:
        """Correct p after a step of `seen` pictures; returns p."""
        if len(self._signs) >= UPDATE_EVERY:
            share = sum(self._signs) / len(self._signs)
            change = len(self._signs) * seen / self.images
            if self.target:
                self.p = min(1.0, max(0.0, self.p + (change if share > self.target else -change)))
            self._signs.clear()
        return self.p

    def state(self) -> dict[str, Any]:
        """What the next step depends on."""
        return {"p": self.p, "signs": list(self._signs)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        self.p, self._signs = state["p"] if self.target else 0.0, list(state["signs"])


def augment(images: Tensor, p: float) -> Tensor:
    """Apply every transformation to every picture with probability p: images [N, 3, R, R] -> the same shape."""
    return _recolour(_move(images, p), p)


def _move(images: Tensor, p: float) -> Tensor:
    """Quarter turns, shifts, isotropic and anisotropic scaling and rotation, as one bilinear resampling."""
    count, side, device = len(images), images.shape[-1], images.device

    def chosen(values: Tensor, neutral: float, probability: float = p) -> Tensor:
        return torch.where(torch.rand(count, device=device) < probability, values, torch.full_like(values, neutral))

    def normal() -> Tensor:
        return torch.randn(count, device=device)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, device=device) * 2 - 1) * limit

    quarter = chosen(torch.randint(0, 4, (count,), device=device) * (math.pi / 2), 0.0)
    shift_x, shift_y = (chosen((uniform(SHIFT) * side).round() / side, 0.0) for _ in range(2))
    scale = chosen(torch.exp2(normal() * SCALE_DEVIATION), 1.0)
    rotation_probability = 1 - math.sqrt(1 - p)  # so that the two rotations together turn a picture with probability p
    before = chosen(uniform(math.pi), 0.0, rotation_probability)
    aspect = chosen(torch.exp2(normal() * SCALE_DEVIATION), 1.0)
    after = chosen(uniform(math.pi), 0.0, rotation_probability)
    moved_x, moved_y = (chosen(normal() * SHIFT, 0.0) for _ in range(2))

    matrix = _rotation(quarter) @ _scaling(scale, scale)
    matrix = matrix @ _rotation(before) @ _scaling(aspect, 1 / aspect) @ _rotation(after)
    offset = 2 * torch.stack([shift_x + moved_x, shift_y + moved_y], dim=1)
    theta = torch.cat([matrix, offset[:, :, None]], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)


def _recolour(images: Tensor, p: float) -> Tensor:
    """Brightness, contrast, hue (a rotation about the grey axis) and saturation."""
    count, device = len(images), images.device

    def chosen(values: Tensor, neutral: float) -> Tensor:
        keep = torch.rand(count, device=device) < p
        return torch.where(keep, values, torch.full_like(values, neutral))[:, None, None]

    def normal() -> Tensor:
        return torch.randn(count, device=device)

    brightness = chosen(normal() * BRIGHTNESS_DEVIATION, 0.0)
    contrast = chosen(torch.exp2(normal() * CONTRAST_DEVIATION), 1.0)
    angle = chosen((torch.rand(count, device=device) * 2 - 1) * math.pi, 0.0)
    saturation = chosen(torch.exp2(normal() * SATURATION_DEVIATION), 1.0)

    identity = torch.eye(3, device=device)[None]
    grey = torch.full((1, 3, 3), 1 / 3, device=device)  # projection on the grey axis
    third = 1 / math.sqrt(3)
    cross = torch.tensor([[0, -third, third], [third, 0, -third], [-third, third, 0]], device=device)[None]
    # Rodrigues' rotation about the grey axis, then chroma scaled against luma
    hue = angle.cos() * identity + angle.sin() * cross + (1 - angle.cos()) * grey
    matrix = contrast * ((grey + saturation * (identity - grey)) @ hue)
    flat = torch.baddbmm(brightness.expand(-1, 3, 1), matrix, images.flatten(2))
    return flat.reshape(images.shape).contiguous(memory_format=torch.channels_last)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([1 / x, 1 / y], dim=1))
