"""Teaches an encoder to invert a frozen generator: on its own pictures, whose latents are known, and on photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facelab.checkpoints.weights import fill_from, load_model
from facelab.encoder import Encoder
from facelab.errors import BadSetting
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader, load_reader
from facelab.perceptual import discriminator_distance
from facelab.studio import best_device
from facelab.training.fitting import Fitting, check_resolution
from facelab.training.run import picture_grid
from facelab.training.settings import EncoderSettings

TRUNCATIONS = (0.6, 1.0)
MIXED = 0.5  # share of generated pictures whose rows come from two latents

LATENT_WEIGHT = 0.2
PIXEL_WEIGHT = 1.0
PERCEPTUAL_WEIGHT = 0.1
PERCEPTUAL_INTERVAL = 3
IDENTITY_WEIGHT = 1.2
SPREAD_WEIGHT = 0.004  # of the rows around their mean: near w, edits work
MEAN_WEIGHT = 0.002  # of the rows around the mean latent


class EncoderTrainer(Fitting):
    """Inverts a frozen generator in two looks (see encoder.look_closely); discriminator and reader only look.

    The face that the second look is at is the moving average's, and no gradient goes through it.
    """

    columns = ("latent", "pixel", "perceptual", "identity", "spread", "mean")

    def __init__(
        self,
        encoder: Encoder,
        settings: EncoderSettings,
        *,
        generator: StyleGAN2,
        discriminator: Discriminator,
        reader: FaceReader,
        device: torch.device,
    ) -> None:
        super().__init__(encoder, settings, device=device)
        self.average.eval()  # it draws, too
        self.generator, self.discriminator, self.reader = generator, discriminator, reader
        self.shown: Tensor | None = None

    def losses(self, batch: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
        photos = batch.to(self.device)
        count, fewer = len(photos), max(len(photos) // 2, 1)
        known = draw_latents(self.generator, fewer, draw)
        dtype = fast_dtype(self.device)
        with torch.no_grad():
            made = self.generator.synthesize(known).clamp(-1, 1)
            goal = self.reader(photos).vectors
            looked_at = self.generator.synthesize(self.average(photos, goal), dtype=dtype).clamp(-1, 1)
            vectors = torch.cat([self.reader(made).vectors, goal, self.reader(looked_at).vectors])
        deviations = self.network.deviations(torch.cat([made, photos, looked_at]), vectors)
        guessed, first, second = deviations.split([fewer, count, count])
        found = 2 * first - second
        mean, spread = self.network.mean, self.network.spread
        again = self.generator.synthesize(mean + spread * found, dtype=dtype)
        self.shown = torch.cat([photos, again.detach()])
        losses = {
            "latent": LATENT_WEIGHT * (guessed - (known - mean) / spread).square().mean(),
            "pixel": PIXEL_WEIGHT * (again - photos).square().mean(),
            "identity": IDENTITY_WEIGHT * (self.reader(again.clamp(-1, 1)).vectors - goal).square().sum(dim=1).mean(),
            "spread": SPREAD_WEIGHT * (found - found.mean(dim=1, keepdim=True)).square().mean(),
            "mean": MEAN_WEIGHT * found.square().mean(),
        }
        if self.steps % PERCEPTUAL_INTERVAL == 0:  # the dearest of the eyes looks at some steps only
            distance = discriminator_distance(self.discriminator, photos)
            losses["perceptual"] = PERCEPTUAL_INTERVAL * PERCEPTUAL_WEIGHT * distance(again).mean()
        return losses

    def sheet(self) -> np.ndarray | None:
        """The last photos above what the encoder makes of them."""
        return None if self.shown is None else picture_grid(self.shown, columns=len(self.shown) // 2)


def make_trainer(settings: EncoderSettings) -> EncoderTrainer:
    """An encoder at its beginning: its trunk is the reader's, which knows faces already, or all of `start`.

    Raises BadSetting for a generator that it cannot invert.
    """
    torch.manual_seed(settings.seed)
    device = best_device()
    generator, discriminator = load_model(settings.model, device=device)
    if not isinstance(generator, StyleGAN2):
        raise BadSetting(f"{settings.model} has one latent. Its encoder is trained by `train inverter`.")
    check_resolution(settings, settings.model, generator.resolution)
    discriminator.compute_dtype = fast_dtype(device)
    reader = load_reader(device=device)
    encoder = Encoder(*generator.latent_shape("w+"))
    if settings.start:
        fill_from(encoder, Path(settings.start))
    else:
        encoder.trunk.load_state_dict(reader.trunk.state_dict())
    ws = generator.map(torch.randn(4096, generator.z_dim, generator=torch.Generator().manual_seed(0)).to(device))
    encoder.mean.copy_(generator.mean_latent()[0])
    encoder.spread.copy_(ws.std(dim=0))
    return EncoderTrainer(
        encoder, settings, generator=generator, discriminator=discriminator, reader=reader, device=device
    )


@torch.no_grad()
def draw_latents(generator: StyleGAN2, count: int, draw: torch.Generator) -> Tensor:
    """Random w+ [count, L, D] of various truncations, some with rows from two latents."""
    device = generator.mean_latent().device
    z = torch.randn(2, count, generator.z_dim, generator=draw).to(device)
    low, high = TRUNCATIONS
    truncation = low + (high - low) * torch.rand(count, 1, generator=draw).to(device)
    first, second = (torch.lerp(generator.mean_latent(), generator.map(each), truncation) for each in z)
    layers = generator.num_layers
    crossover = torch.randint(1, layers, (count, 1), generator=draw)
    crossover[torch.rand(count, 1, generator=draw) >= MIXED] = layers
    taken = torch.arange(layers)[None] >= crossover
    return torch.where(taken[..., None].to(device), second[:, None], first[:, None])
