"""What the generators before StyleGAN share: one latent for the whole picture, and stacks of strided convolutions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from facelab.errors import LatentMismatch
from facelab.face import Delta
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.seeds import seeded

SMALLEST = 4  # pixels on a side, where pictures begin to grow
MAPPED = 64  # latents mapped in one go


class SingleLatentGenerator(Generator):
    """A generator with one latent of `latent_dim` numbers for the whole picture: all its spaces have them."""

    num_layers = 1

    def __init__(self, resolution: int, latent_dim: int) -> None:
        super().__init__()
        self.resolution, self.latent_dim = resolution, latent_dim

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [N, D] -> pictures [N, 3, R, R] in about [-1, 1]."""

    def prior(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """n draws of z [n, Z] from the distribution that the model was trained with; here the standard normal."""
        return torch.randn(n, self.latent_shape("z")[1], generator=generator)

    def clip(self, latents: Tensor, *, limit: float, generator: torch.Generator | None = None) -> Tensor:
        """Stochastic clipping (Lipton and Tripathi 2017, section 3): numbers of latents [N, D], of the space that faces
        are edited in, that have left the prior's range are drawn anew from it.

        limit: where the normal distribution, which has no range, is taken to end.
        """
        return torch.where(latents.abs() > limit, self.prior(len(latents), generator=generator).to(latents), latents)

    def latent_shape(self, space: str) -> tuple[int, int]:
        if space not in self.spaces:
            raise LatentMismatch(f"{self.name or 'This model'} has the spaces {', '.join(self.spaces)}, not {space!r}.")
        return 1, self.latent_dim

    def mean_latent(self) -> Tensor:
        return torch.zeros(1, self.latent_dim, device=next(self.parameters()).device)

    def map(self, z: Tensor) -> Tensor:
        return z

    def sample(self, n: int, *, seed: int, truncation: float = 1.0) -> Tensor:
        mean = self.mean_latent()
        z = self.prior(n, generator=seeded(seed)).to(mean.device)
        w = torch.cat([self.map(part) for part in z.split(MAPPED)])  # BEGAN's goes by way of pictures
        return torch.lerp(mean, w, truncation)[:, None]

    def synthesize(
        self, latents: Tensor, deltas: Sequence[Delta | None] | None = None, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        if latents.ndim != 3 or latents.shape[1:] != (1, self.latent_dim):
            raise LatentMismatch(f"synthesize takes latents [N, 1, {self.latent_dim}], not {list(latents.shape)}")
        if deltas is not None and any(delta is not None for delta in deltas):
            raise LatentMismatch(f"{self.name or 'This model'} has no refined faces. Embed the photo without refining.")
        dtype = dtype or fast_dtype(latents.device)
        with torch.autocast(latents.device.type, dtype, enabled=dtype != torch.float32):
            return self.decode(latents[:, 0]).float()


def widths(resolution: int, channels: int) -> list[int]:
    """Channels from the finest level to the coarsest: `channels`, doubling up to eight times as many."""
    levels = (resolution // SMALLEST).bit_length() - 1
    return [channels * min(2**level, 8) for level in range(levels)]


class HalvingStack(nn.Module):
    """Pictures [N, 3, R, R] -> features of every level, finest first: [N, C, R / 2, R / 2], ..., [N, C', 4, 4]."""

    def __init__(self, resolution: int, channels: int, *, first_norm: bool = True) -> None:
        super().__init__()
        sizes = [3, *widths(resolution, channels)]
        self.levels = nn.ModuleList()
        for index, (before, after) in enumerate(pairwise(sizes)):
            norm = nn.BatchNorm2d(after) if index or first_norm else nn.Identity()
            self.levels.append(
                nn.Sequential(nn.Conv2d(before, after, 4, stride=2, padding=1), norm, nn.LeakyReLU(0.2, inplace=True))
            )
        self.out_features = sizes[-1] * SMALLEST**2

    def forward(self, images: Tensor) -> list[Tensor]:
        x, features = images, []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class DoublingStack(nn.Module):
    """Latents [N, D] -> pictures [N, 3, R, R] in [-1, 1]."""

    def __init__(self, resolution: int, latent_dim: int, channels: int) -> None:
        super().__init__()
        sizes = widths(resolution, channels)[::-1]
        self.begin = nn.Linear(latent_dim, sizes[0] * SMALLEST**2)
        self.norm = nn.BatchNorm2d(sizes[0])
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
            )
            for before, after in pairwise(sizes)
        )
        self.end = nn.ConvTranspose2d(sizes[-1], 3, 4, stride=2, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.begin(latents).reshape(len(latents), -1, SMALLEST, SMALLEST)
        x = torch.relu(self.norm(x)).contiguous(memory_format=torch.channels_last)
        for level in self.levels:
            x = level(x)
        return torch.tanh(self.end(x))
