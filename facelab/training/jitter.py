"""Small changes of aligned faces that change nothing about who is in them, for networks that learn to look at faces."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = 0.03  # of the side, standard deviation
TURN = 3.0  # degrees, standard deviation
ZOOM = 0.05  # octaves, standard deviation
COLOUR = 0.15  # standard deviation of log contrast, of log saturation, and of brightness in [-1, 1]
BLURRED = 0.5  # share of pictures that lose detail, as generated ones lack some
LEAST_SIDE = 0.4  # of the side: what they are shrunk to at most


def jitter(images: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Move, recolour and soften images [N, 3, R, R] in [-1, 1].

    Returns them and theta [N, 2, 3], which takes a place of the new picture in [-1, 1] to that of the old one.
    """
    count = len(images)

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator)

    turn, zoom = normal() * math.radians(TURN), torch.exp2(normal() * ZOOM)
    rows = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], dim=1).reshape(-1, 2, 2) * zoom[:, None, None]
    theta = torch.cat([rows, 2 * SHIFT * normal(2, 1)], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast, saturation = (torch.exp(COLOUR * normal(1, 1, 1)) for _ in range(2))
    grey = images.mean(dim=1, keepdim=True)
    images = (grey + (images - grey) * saturation) * contrast + COLOUR * normal(1, 1, 1)
    softened = torch.rand(count, generator=generator) < BLURRED
    if softened.any():
        side = images.shape[-1]
        least = torch.empty(1).uniform_(LEAST_SIDE, 1.0, generator=generator).item()
        small = F.interpolate(images[softened], size=max(8, round(side * least)), mode="bilinear", antialias=True)
        images[softened] = F.interpolate(small, size=side, mode="bilinear")
    return images.clamp(-1, 1), theta


def move_landmarks(landmarks: Tensor, theta: Tensor) -> Tensor:
    """Landmarks [N, K, 2] in [0, 1] of the pictures before, in those that `jitter` made with theta [N, 2, 3]."""
    inverse = torch.linalg.inv(theta[:, :, :2])
    places = (2 * landmarks - 1) - theta[:, :, 2][:, None]
    return (places @ inverse.transpose(1, 2) + 1) / 2
