"""The variational auto-encoder (Kingma and Welling 2014) and its conditional form (Sohn et al. 2015) for faces.

VAE/GAN (Larsen et al. 2016) is the same network trained otherwise, see training/vaegan.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelab.generators.single_latent import DoublingStack, HalvingStack, SingleLatentGenerator

LOG_VARIANCE_LIMIT = 10.0
LEAST_VARIANCE = 0.02  # that is guessed: few pictures have numbers farther apart than the prior's


class VAE(SingleLatentGenerator):
    """Pictures to latents and back. With attributes, their values are the latent's last numbers: to change one is to
    edit the face, and what the encoder puts before them is what they do not say.
    """

    spaces = ("z",)

    def __init__(self, resolution: int = 64, *, z_dim: int = 128, channels: int = 32, attributes: int = 0) -> None:
        super().__init__(resolution, z_dim + attributes)
        self.z_dim, self.attributes = z_dim, attributes
        self.encoder = HalvingStack(resolution, channels)
        self.mean = nn.Linear(self.encoder.out_features + attributes, z_dim)
        self.log_variance = nn.Linear(self.encoder.out_features + attributes, z_dim)
        if attributes:
            self.guess = nn.Linear(self.encoder.out_features, attributes)
            self.register_buffer("share", torch.full((attributes,), 0.5))  # of people who have each attribute
        self.decoder = DoublingStack(resolution, z_dim + attributes, channels)

    def describe(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """The posterior of images [N, 3, R, R]: mean and log variance [N, Z] float32, and attribute logits [N, A].

        labels: [N, A] in 0..1; without them the encoder's own guess is used.
        """
        features = self.encoder(images)[-1].flatten(1)
        logits = None
        if self.attributes:
            logits = self.guess(features).float()
            known = logits.sigmoid() if labels is None else labels
            features = torch.cat([features, known.to(features.dtype)], dim=1)
        limit = LOG_VARIANCE_LIMIT
        return self.mean(features).float(), self.log_variance(features).float().clamp(-limit, limit), logits

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images [N, 3, R, R] in [-1, 1] -> latents [N, 1, D], the posterior's mean (and the attributes)."""
        mean, _, logits = self.describe(images, labels)
        if logits is None:
            return mean[:, None]
        return torch.cat([mean, logits.sigmoid() if labels is None else labels], dim=1)[:, None]

    @torch.no_grad()
    def guess_variances(self, images: Tensor, labels: Tensor | None = None) -> None:
        """Give every picture the variances that the prior leaves beside how far the means of `images` lie apart, as for
        a file that goes without them: where posteriors fit the prior, the two add up to 1 in each number of the latent.
        """
        means = self.describe(images, labels)[0]
        free = 1 - means.square().mean(dim=0)
        nn.init.zeros_(self.log_variance.weight)
        self.log_variance.bias.copy_(free.clamp(min=LEAST_VARIANCE).log())

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)

    def prior(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        z = torch.randn(n, self.z_dim, generator=generator)
        if not self.attributes:
            return z
        drawn = torch.rand(n, self.attributes, generator=generator) < self.share.cpu()
        return torch.cat([z, drawn.float()], dim=1)

    @property
    def sphere_dims(self) -> int:
        return self.z_dim

    def clip(self, latents: Tensor, *, limit: float, generator: torch.Generator | None = None) -> Tensor:
        """As of SingleLatentGenerator; attributes end at 0 and 1, beyond which there is nothing to be drawn anew."""
        clipped = super().clip(latents, limit=limit, generator=generator)
        return torch.cat([clipped[:, : self.z_dim], latents[:, self.z_dim :].clamp(0, 1)], dim=1)

    def mean_latent(self) -> Tensor:
        mean = super().mean_latent()
        if self.attributes:
            mean[:, self.z_dim :] = self.share
        return mean
