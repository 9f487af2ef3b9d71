"""Teaches an encoder to invert a generator with one latent: on its own pictures, of known latents, and on photos.

Guo and Huang, section 4: "It is better to train a face encoder using generated images to predict its corresponding
latent vector". Photos beside them keep it from knowing only what the generator draws.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facelab.checkpoints.weights import load_model
from facelab.encoder import Inverter, make_encoder
from facelab.errors import BadSetting
from facelab.generators.single_latent import SingleLatentGenerator
from facelab.generators.stylegan2 import fast_dtype
from facelab.studio import best_device
from facelab.training.fitting import Fitting, check_resolution
from facelab.training.run import picture_grid
from facelab.training.settings import InverterSettings

SHOWN = 16  # pictures of each kind on a sheet


class InverterTrainer(Fitting):
    """Inverts a frozen generator."""

    columns = ("latent", "made", "photo")

    def __init__(
        self,
        network: Inverter,
        settings: InverterSettings,
        *,
        generator: SingleLatentGenerator,
        device: torch.device,
    ) -> None:
        super().__init__(network, settings, device=device)
        self.generator = generator
        self.spread = generator.spread()  # one unit of error
        self.shown: Tensor | None = None

    def losses(self, batch: Tensor, draw: torch.Generator) -> dict[str, Tensor]:
        photos, weight = batch.to(self.device), self.settings.photo_weight
        generator, dtype = self.generator, fast_dtype(self.device)
        with torch.no_grad():
            known = generator.map(generator.prior(len(photos), generator=draw).to(self.device))[:, None]
            made = generator.synthesize(known, dtype=dtype).clamp(-1, 1)
        seen = torch.cat([made, photos]) if weight else made
        latents = self.network(seen)
        again = generator.synthesize(latents, dtype=dtype)
        parts = [made, again[: len(made)], *([photos, again[len(made) :]] if weight else [])]
        self.shown = torch.cat([each[:SHOWN].detach() for each in parts])
        errors = (again - seen).square().mean(dim=(1, 2, 3))
        return {
            "latent": ((latents[: len(made)] - known) / self.spread).square().mean(),
            "made": errors[: len(made)].mean(),
            "photo": weight * errors[len(made) :].mean() if weight else torch.zeros((), device=self.device),
        }

    def sheet(self) -> np.ndarray | None:
        """The last generated faces above what the inverter makes of them, and photos likewise."""
        return None if self.shown is None else picture_grid(self.shown, columns=min(SHOWN, self.settings.batch))


def make_trainer(settings: InverterSettings) -> InverterTrainer:
    """An inverter at its beginning. Raises BadSetting for a generator that it cannot invert."""
    if not settings.model:
        raise BadSetting("Say which generator is to be inverted: --model NAME, a name that `models list` prints.")
    torch.manual_seed(settings.seed)
    device = best_device()
    generator, _ = load_model(settings.model, device=device)
    if not isinstance(generator, SingleLatentGenerator):
        raise BadSetting(f"{settings.model} has w+. Its encoder is trained by `train encoder`.")
    check_resolution(settings, settings.model, generator.resolution)
    return InverterTrainer(make_encoder(generator), settings, generator=generator, device=device)
