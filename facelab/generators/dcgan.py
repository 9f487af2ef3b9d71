"""DCGAN (Radford et al. 2016): strided convolutions, batch norm, a latent drawn evenly from [-1, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelab.generators.single_latent import DoublingStack, HalvingStack, SingleLatentGenerator

DEVIATION = 0.02  # of initial weights (section 3.1 of the paper's "details of adversarial training")


class DCGAN(SingleLatentGenerator):
    """z [N, 100], uniform in [-1, 1], to pictures."""

    spaces = ("z",)
    sphere_dims = 0

    def __init__(self, resolution: int = 64, *, z_dim: int = 100, channels: int = 48) -> None:
        super().__init__(resolution, z_dim)
        self.decoder = DoublingStack(resolution, z_dim, channels)
        draw_as_published(self)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)

    def prior(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return torch.rand(n, self.latent_dim, generator=generator) * 2 - 1

    def clip(self, latents: Tensor, *, limit: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
        """As of SingleLatentGenerator; this prior ends at 1 itself."""
        return super().clip(latents, limit=min(limit, 1.0), generator=generator)


class Critic(nn.Module):
    """The discriminator of DCGAN and of VAE/GAN: pictures [N, 3, R, R] -> logits [N, 1]."""

    def __init__(self, resolution: int = 64, *, channels: int = 48) -> None:
        super().__init__()
        self.encoder = HalvingStack(resolution, channels, first_norm=False)
        self.out = nn.Linear(self.encoder.out_features, 1)
        draw_as_published(self)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [N, 1], and the features of the last level but one, whose distance is VAE/GAN's similarity."""
        features = self.encoder(images)
        return self.out(features[-1].flatten(1)).float(), features[max(0, len(features) - 2)].float()

    def forward(self, images: Tensor) -> Tensor:
        return self.look(images)[0]


@torch.no_grad()
def draw_as_published(network: nn.Module) -> None:
    """Draw the weights of a network from DCGAN's initial distribution."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, DEVIATION)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, DEVIATION)
