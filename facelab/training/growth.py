"""Progressive growing (Karras et al. 2018, section 2): training begins at a low resolution; each doubling fades in.

Nothing is rebuilt when a network grows. Both have all their blocks from the start, under names that carry their
resolution; the generator stops at the one in use, and the discriminator is entered there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.generators.layers import fir_filter, upsample_2d


@dataclass(frozen=True)
class Stage:
    """resolution: of the newest block, in pixels. alpha: its share, from 0 (a doubling begins) to 1 (it is whole)."""

    resolution: int
    alpha: float = 1.0

    @property
    def rows(self) -> int:
        """How many rows of w+ are in use."""
        return 2 * (self.resolution.bit_length() - 2)


def stage_after(images: int, *, resolution: int, grow_from: int, grow_images: int, fade_images: int) -> Stage:
    """The stage after `images` pictures: grow_images at grow_from px, then for each doubling up to `resolution`
    fade_images of fading in and grow_images of the whole. grow_from 0 begins at the full resolution.
    """
    size = grow_from or resolution
    images -= grow_images
    while size < resolution and images >= 0:
        size *= 2
        if images < fade_images:
            return Stage(size, images / fade_images)
        images -= fade_images + grow_images
    return Stage(size)


def grown_to(names: Iterable[str]) -> int:
    """The side in pixels of what a StyleGAN2 draws, by the names of its weights: a run's first ones may be of a network
    that still grows. 0 where they are another family's.
    """
    blocks = (re.match(r"g\.synthesis\.b(\d+)\.", name) for name in names)
    return max((int(block[1]) for block in blocks if block), default=0)


def show_at(images: Tensor, stage: Stage, *, enlarge: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Real pictures [N, 3, R, R] as the discriminator meets them at a stage: [N, 3, stage.resolution, ...].

    While a doubling fades in they are blended with what the lower resolution shows of them, as the generator's are:
    otherwise fine detail, which only real pictures would have, gives them away at once. enlarge: doubles pictures as
    the generator does it there; by default with StyleGAN2's filter.
    """
    if stage.resolution < images.shape[-1]:
        images = F.avg_pool2d(images, images.shape[-1] // stage.resolution)
    if stage.alpha == 1:
        return images
    coarse = F.avg_pool2d(images, 2)
    coarse = upsample_2d(coarse, fir_filter().to(images.device)) if enlarge is None else enlarge(coarse)
    return torch.lerp(coarse, images, stage.alpha)
