"""The progressive GAN (Karras et al. 2018): pixel norm, equalised learning rates, a latent drawn from the normal
distribution and carried to the sphere, networks that grow while they learn.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.generators.discriminator import MinibatchDeviation, channels_at
from facelab.generators.layers import Conv2d, FullyConnected, halve
from facelab.generators.single_latent import SMALLEST, SingleLatentGenerator


def pixel_norm(x: Tensor) -> Tensor:
    """Scale the channels of every pixel to a mean square of 1 (section 4.2): [N, C, ...]."""
    strength = (x.square().mean(dim=1, keepdim=True, dtype=torch.float32) + 1e-8).rsqrt()
    return x * strength.to(x.dtype)


def twice_as_large(x: Tensor) -> Tensor:
    """Every pixel of x [N, C, H, W] as four of them: how the generator grows."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class ProGAN(SingleLatentGenerator):
    """z [N, 512], normal, to pictures: at each resolution two convolutions, and a way out that fades in."""

    spaces = ("z",)

    def __init__(
        self, resolution: int = 64, *, z_dim: int = 512, channel_base: int = 2048, channel_max: int = 256
    ) -> None:
        super().__init__(resolution, z_dim)
        channels = {size: _channels(size, channel_base, channel_max) for size in _sizes(resolution)}
        self.sizes = list(channels)
        self.begin = FullyConnected(z_dim, channels[SMALLEST] * SMALLEST**2)
        for size in self.sizes:
            before = channels[max(SMALLEST, size // 2)]
            if size > SMALLEST:
                self.add_module(f"b{size}_conv0", Conv2d(before, channels[size], 3, activation=True))
            self.add_module(f"b{size}_conv1", Conv2d(channels[size], channels[size], 3, activation=True))
            self.add_module(f"b{size}_torgb", Conv2d(channels[size], 3, 1))

    def decode(self, latents: Tensor, resolution: int | None = None, alpha: float = 1.0) -> Tensor:
        """Latents [N, Z] -> [N, 3, r, r]. resolution: stop there, its way out counting `alpha`: a network that still
        grows.
        """
        x = self.begin(pixel_norm(latents.float())).reshape(len(latents), -1, SMALLEST, SMALLEST)
        x = pixel_norm(F.leaky_relu(x, 0.2)).contiguous(memory_format=torch.channels_last)
        coarse = None
        for size in self.sizes[: self.sizes.index(resolution or self.resolution) + 1]:
            if size > SMALLEST:
                before = x
                x = twice_as_large(x)
                x = pixel_norm(getattr(self, f"b{size}_conv0")(x))
                if size == resolution and alpha < 1:
                    coarse = twice_as_large(getattr(self, f"b{size // 2}_torgb")(before))
            x = pixel_norm(getattr(self, f"b{size}_conv1")(x))
        picture = getattr(self, f"b{size}_torgb")(x)
        return picture if coarse is None else torch.lerp(coarse, picture, alpha)


class ProGANCritic(nn.Module):
    """The discriminator: pictures [N, 3, r, r] of any resolution that it grew through -> scores [N, 1]."""

    def __init__(self, resolution: int = 64, *, channel_base: int = 2048, channel_max: int = 256) -> None:
        super().__init__()
        channels = {size: _channels(size, channel_base, channel_max) for size in _sizes(resolution)}
        self.sizes = list(channels)[::-1]
        for size in self.sizes:
            self.add_module(f"b{size}_fromrgb", Conv2d(3, channels[size], 1, activation=True))
            if size > SMALLEST:
                self.add_module(f"b{size}_conv0", Conv2d(channels[size], channels[size], 3, activation=True))
                self.add_module(f"b{size}_conv1", Conv2d(channels[size], channels[size // 2], 3, activation=True))
        self.deviation = MinibatchDeviation()
        self.conv = Conv2d(channels[SMALLEST] + 1, channels[SMALLEST], 3, activation=True)
        self.fc = FullyConnected(channels[SMALLEST] * SMALLEST**2, channels[SMALLEST], activation=True)
        self.out = FullyConnected(channels[SMALLEST], 1)

    def forward(self, images: Tensor, alpha: float = 1.0) -> Tensor:
        entrance = images.shape[-1]
        x = getattr(self, f"b{entrance}_fromrgb")(images)
        for size in self.sizes[self.sizes.index(entrance) : -1]:
            x = getattr(self, f"b{size}_conv1")(getattr(self, f"b{size}_conv0")(x))
            x = halve(x)
            if size == entrance and alpha < 1:
                x = torch.lerp(getattr(self, f"b{size // 2}_fromrgb")(halve(images)).to(x.dtype), x, alpha)
        x = self.conv(self.deviation(x)).float()
        return self.out(self.fc(x.flatten(1)))


def _sizes(resolution: int) -> list[int]:
    return [2**level for level in range(2, int(math.log2(resolution)) + 1)]


def _channels(size: int, channel_base: int, channel_max: int) -> int:
    return channels_at(size, channel_base=channel_base, channel_max=channel_max)
