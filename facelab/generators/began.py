"""BEGAN (Berthelot et al. 2017): a generator against a discriminator that is an auto-encoder.

The auto-encoder's latent is the one that ISTRC edits, so it is this model's w: z is drawn, made a picture by the
generator, and the encoder says where that picture lies. The decoder's picture is cleaner than the generator's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.generators.elu import ELU, elu
from facelab.generators.single_latent import SingleLatentGenerator

COARSEST = 8  # pixels on a side where the latent meets the picture
W_AVERAGE_BETA = 0.995


class Decoder(nn.Module):
    """Latents [N, D] -> pictures [N, 3, R, R]: two convolutions a level with ELUs, doubled by nearest pixels."""

    def __init__(self, resolution: int, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.begin = nn.Linear(latent_dim, channels * COARSEST**2)
        self.levels = nn.ModuleList(_pair(channels, channels) for _ in range(_doublings(resolution) + 1))
        self.end = nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.begin(latents).reshape(len(latents), self.channels, COARSEST, COARSEST)
        x = x.contiguous(memory_format=torch.channels_last)
        for index, level in enumerate(self.levels):
            x = level(F.interpolate(x, scale_factor=2, mode="nearest") if index else x)
        return self.end(x)


class Encoder(nn.Module):
    """Pictures [N, 3, R, R] -> latents [N, D]: each level is wider by `channels` and halves the size."""

    def __init__(self, resolution: int, latent_dim: int, channels: int) -> None:
        super().__init__()
        levels = _doublings(resolution) + 1
        self.begin = nn.Conv2d(3, channels, 3, padding=1)
        self.levels = nn.ModuleList(_pair(channels * n, channels * n) for n in range(1, levels + 1))
        self.halvings = nn.ModuleList(
            nn.Conv2d(channels * n, channels * (n + 1), 3, stride=2, padding=1) for n in range(1, levels)
        )
        self.end = nn.Linear(channels * levels * COARSEST**2, latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        x = elu(self.begin(images))
        for index, level in enumerate(self.levels):
            x = level(elu(self.halvings[index - 1](x)) if index else x)
        return self.end(x.flatten(1))


class AutoEncoder(nn.Module):
    """BEGAN's discriminator: pictures to pictures; how badly it does is how unreal they are."""

    def __init__(self, resolution: int, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.encoder = Encoder(resolution, latent_dim, channels)
        self.decoder = Decoder(resolution, latent_dim, channels)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


class BEGAN(SingleLatentGenerator):
    """z [N, D], uniform in [-1, 1]; w [N, D], the latent of the discriminator's auto-encoder."""

    spaces = ("z", "w")
    sphere_dims = 0

    def __init__(self, resolution: int = 64, *, z_dim: int = 64, channels: int = 32) -> None:
        super().__init__(resolution, z_dim)
        self.generator = Decoder(resolution, z_dim, channels)
        self.discriminator = AutoEncoder(resolution, z_dim, channels)
        self.register_buffer("w_avg", torch.zeros(z_dim))

    def prior(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, self.latent_dim, generator=generator) * 2 - 1

    def clip(self, latents: Tensor, *, limit: float, generator: torch.Generator | None = None) -> Tensor:
        """Nothing: w is what the encoder says, and is not drawn from any prior."""
        return latents

    def map(self, z: Tensor) -> Tensor:
        return self.discriminator.encoder(self.generator(z)).float()

    def encode(self, images: Tensor) -> Tensor:
        """Images [N, 3, R, R] in [-1, 1] -> w [N, 1, D]."""
        return self.discriminator.encoder(images).float()[:, None]

    def decode(self, latents: Tensor) -> Tensor:
        return self.discriminator.decoder(latents)

    def mean_latent(self) -> Tensor:
        return self.w_avg[None]

    @torch.no_grad()
    def track_mean(self, w: Tensor) -> None:
        """Move `w_avg` towards the mean of w [N, D] (once a training step)."""
        self.w_avg.copy_(w.float().mean(dim=0).lerp(self.w_avg, W_AVERAGE_BETA))


def _pair(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), ELU(), nn.Conv2d(after, after, 3, padding=1), ELU())


def _doublings(resolution: int) -> int:
    return (resolution // COARSEST).bit_length() - 1
