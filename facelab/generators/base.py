"""The contract that every generator fills: latents in, pictures out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import title_of
from facelab.errors import LatentMismatch
from facelab.face import Delta, Latent
from facelab.seeds import seeded


class Generator(nn.Module, ABC):
    """A face generator with its latent spaces.

    name: the model's name in the catalogue. sha256: of its weight file. spaces: those it speaks, of "z", "w", "w+".
    resolution: side of its pictures in pixels. num_layers: rows of a w+ latent. alignment: the template that its
    training pictures were cut by.
    """

    name: str = ""
    sha256: str = ""
    alignment: str = "ffhq"
    spaces: tuple[str, ...] = ()
    resolution: int
    num_layers: int

    @property
    def edit_space(self) -> str:
        """The space that faces are edited in: the one with the most room, "w+" where there is one."""
        return self.spaces[-1]

    @property
    def sphere_dims(self) -> int:
        """How many of z's leading numbers are drawn from the normal distribution, so that they lie near a sphere."""
        return self.latent_shape("z")[1]

    @abstractmethod
    def latent_shape(self, space: str) -> tuple[int, int]:
        """Rows and channels (L, D) of a latent in `space`. Raises LatentMismatch for a space it does not speak."""

    @abstractmethod
    def mean_latent(self) -> Tensor:
        """The latent of the mean face, float32 [1, D]."""

    @abstractmethod
    def map(self, z: Tensor) -> Tensor:
        """Carry z [N, Dz] into w [N, D]."""

    @abstractmethod
    def synthesize(
        self, latents: Tensor, deltas: Sequence[Delta | None] | None = None, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Pictures of latents: [N, L or 1, D] -> float32 [N, 3, H, W] in about [-1, 1] (not clamped).

        deltas: for each latent, what its face adds to the weights and, within regions, to the latent; or None. dtype:
        of the convolutions, by default the fastest that the device has. Differentiable with respect to the latents and
        to the tensors in the deltas.
        """

    def sample(self, n: int, *, seed: int, truncation: float = 1.0) -> Tensor:
        """n random latents [n, L, D], the same for the same seed; truncation 0 is the mean face, 1 the full variety.
        Raises BadSetting for a seed out of range (seeds.py).
        """
        z = torch.randn(n, self.latent_shape("z")[1], generator=seeded(seed))
        mean = self.mean_latent()
        w = torch.lerp(mean, self.map(z.to(mean.device)), truncation)
        return w[:, None].expand(-1, self.num_layers, -1).contiguous()

    @torch.no_grad()
    def spread(self) -> Tensor:
        """How far each number of a latent goes from face to face, [D]: its deviation over 1,024 random faces."""
        spread = self.sample(1024, seed=0)[:, 0].std(dim=0)
        return spread.clamp_min(1e-3 * spread.max())  # numbers that say nothing, too, are divided by it

    def check(self, latent: Latent) -> None:
        """Raise LatentMismatch unless `latent` belongs to this model and has the shape of its space."""
        if latent.model != self.name:
            raise LatentMismatch(
                f"This face was made with “{title_of(latent.model)}”, not with “{title_of(self.name)}”. "
                "Choose faces of one model, or embed its photo again with that one."
            )
        shape = self.latent_shape(latent.space)
        if tuple(latent.values.shape) != shape:
            raise LatentMismatch(
                f"A {latent.space} latent of {self.name} has the shape {list(shape)}, "
                f"this one {list(latent.values.shape)}. Embed the photo again."
            )
