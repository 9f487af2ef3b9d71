"""Training of BEGAN (Berthelot et al. 2017): the auto-encoder's errors on real and drawn pictures kept in balance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facelab.generators.began import BEGAN
from facelab.training.networks import NetworksTrainer, shaped_by_start
from facelab.training.run import read_rows
from facelab.training.settings import BEGANSettings

BETAS = (0.5, 0.999)
PROPORTIONAL_GAIN = 0.001  # lambda_k of section 3.4


def make_trainer(settings: BEGANSettings) -> Trainer:
    """A trainer of new networks, or of those of the catalogued model settings.start, on the fastest device."""
    from facelab.studio import best_device

    settings = shaped_by_start(settings)
    torch.manual_seed(settings.seed)
    model = BEGAN(settings.resolution, **settings.config)
    return Trainer(settings, model.to(device=best_device(), memory_format=torch.channels_last))


class Trainer(NetworksTrainer):
    """Discriminator L(x) - k L(G(z)), generator L(G(z)), and k so that L(G(z)) stays at gamma L(x) (section 3.4).

    `convergence` is L(x) + |gamma L(x) - L(G(z))|, the paper's global measure: it falls as the pictures get better.
    The learning rate is halved every settings.halve_images pictures.
    """

    columns = ("convergence", "real_error", "fake_error", "k")

    def __init__(self, settings: BEGANSettings, model: BEGAN) -> None:
        groups = {"generator": [model.generator], "discriminator": [model.discriminator]}
        super().__init__(settings, model, groups=groups, betas=BETAS)
        self.k = float(read_rows(self.earlier)[-1]["k"]) if self.earlier else 0.0

    def learn(self, parts: tuple[Tensor, ...]) -> None:
        self.halve_rate()
        self.update(parts, self._losses)

    def step(self, batch: Tensor) -> dict[str, float]:
        """One step; k moves by the mean errors over all parts and processes."""
        numbers = super().step(batch)
        balance = self.settings.gamma * numbers["real_error"] - numbers["fake_error"]
        self.k = min(1.0, max(0.0, self.k + PROPORTIONAL_GAIN * balance))
        return numbers | {"convergence": numbers["real_error"] + abs(balance), "k": self.k}

    def _losses(self, images: Tensor) -> dict[str, Tensor]:
        discriminator = self.model.discriminator
        fake = self.model.generator(self.draw(len(images)))
        w = discriminator.encoder(fake)
        real_error = _error(images, discriminator(images))
        fake_error = _error(fake, discriminator.decoder(w))
        self.model.track_mean(w.detach())
        self.note(real_error=real_error, fake_error=fake_error)
        return {"generator": fake_error, "discriminator": real_error - self.k * fake_error}

    def state(self) -> dict[str, Any]:
        return super().state() | {"k": self.k}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.k = state["k"]


def _error(images: Tensor, rebuilt: Tensor) -> Tensor:
    """The mean absolute difference of pixels (eta = 1 in equation 1)."""
    return (rebuilt.float() - images.float()).abs().mean()
