"""Teaches an encoder to invert a frozen generator: on its own pictures, whose latents are known, and on photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from facelab.encoder import Encoder
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader
from facelab.perceptual import discriminator_distance
from facelab.training.data import Pictures
from facelab.training.fitting import FitSettings, fit

# Of a batch, so many pictures are photos; the others are generated and cost no pass back through the generator.
PHOTO_SHARE = 0.5
TRUNCATIONS = (0.6, 1.0)
MIXED = 0.5  # share of generated pictures whose rows come from two latents

LATENT_WEIGHT = 0.2
PIXEL_WEIGHT = 1.0
PERCEPTUAL_WEIGHT = 0.1
IDENTITY_WEIGHT = 0.5
SPREAD_WEIGHT = 0.004  # of the rows around their mean: near w, edits work
MEAN_WEIGHT = 0.002  # of the rows around the mean latent


def train_encoder(
    generator: StyleGAN2,
    discriminator: Discriminator,
    reader: FaceReader,
    pictures: Pictures,
    settings: FitSettings,
    *,
    start: Encoder | None = None,
    checkpoint: Path | None = None,
    report: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
) -> Encoder:
    """Fit an encoder to a generator; all other networks stay as they are.

    start: an encoder to go on from, such as that of an earlier state of the generator; by default the trunk begins as
    the reader's, which knows faces already.
    """
    torch.manual_seed(settings.seed)
    network = start or _new_encoder(generator, reader)
    photos = max(1, round(PHOTO_SHARE * settings.batch))

    def loss_of(network: Encoder, step: int) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(step)
        known = draw_latents(generator, settings.batch - photos, draw)
        with torch.no_grad():
            made = generator.synthesize(known).clamp(-1, 1)
        photographed = pictures.batch(step, size=photos, seed=settings.seed)
        deviations = network.deviations(torch.cat([made, photographed]))
        ws = network.mean + network.spread * deviations
        again = generator.synthesize(ws[-photos:], dtype=fast_dtype(ws.device))
        with torch.no_grad():
            goal = reader(photographed).vectors
        found = deviations[-photos:]
        return {
            "latent": LATENT_WEIGHT * ((ws[:-photos] - known) / network.spread).square().mean(),
            "pixel": PIXEL_WEIGHT * (again - photographed).square().mean(),
            "perceptual": PERCEPTUAL_WEIGHT * discriminator_distance(discriminator, photographed)(again).mean(),
            "identity": IDENTITY_WEIGHT * (reader(again.clamp(-1, 1)).vectors - goal).square().sum(dim=1).mean(),
            "spread": SPREAD_WEIGHT * (found - found.mean(dim=1, keepdim=True)).square().mean(),
            "mean": MEAN_WEIGHT * found.square().mean(),
        }

    return fit(network, loss_of, settings, checkpoint=checkpoint, report=report)


@torch.no_grad()
def draw_latents(generator: StyleGAN2, count: int, draw: torch.Generator) -> Tensor:
    """Random w+ [count, L, D] of various truncations, some with rows from two latents."""
    z = torch.randn(2, count, generator.z_dim, generator=draw)
    low, high = TRUNCATIONS
    truncation = low + (high - low) * torch.rand(count, 1, generator=draw)
    first, second = (torch.lerp(generator.mean_latent(), generator.map(each), truncation) for each in z)
    layers = generator.num_layers
    crossover = torch.randint(1, layers, (count, 1), generator=draw)
    crossover[torch.rand(count, 1, generator=draw) >= MIXED] = layers
    taken = torch.arange(layers)[None] >= crossover
    return torch.where(taken[..., None], second[:, None], first[:, None])


@torch.no_grad()
def _new_encoder(generator: StyleGAN2, reader: FaceReader) -> Encoder:
    network = Encoder(*generator.latent_shape("w+"))
    network.trunk.load_state_dict(reader.trunk.state_dict())
    ws = generator.map(torch.randn(4096, generator.z_dim, generator=torch.Generator().manual_seed(0)))
    network.mean.copy_(generator.mean_latent()[0])
    network.spread.copy_(ws.std(dim=0))
    return network
