"""Training of DCGAN (Radford et al. 2016): the discriminator learns, then the generator, by the non-saturating loss."""

from __future__ import annotations

import torch
from torch import Tensor

from facelab.generators.dcgan import DCGAN, Critic
from facelab.training.losses import discriminator_loss, generator_loss
from facelab.training.networks import NetworksTrainer, shaped_by_start
from facelab.training.settings import DCGANSettings

BETAS = (0.5, 0.999)  # section 4


def make_trainer(settings: DCGANSettings) -> Trainer:
    """A trainer of new networks, or of those of the catalogued model settings.start, on the fastest device."""
    from facelab.studio import best_device

    settings = shaped_by_start(settings)
    torch.manual_seed(settings.seed)
    model = DCGAN(settings.resolution, **settings.config)
    critic = Critic(settings.resolution, channels=settings.channels)
    for network in (model, critic):
        network.to(device=best_device(), memory_format=torch.channels_last)
    return Trainer(settings, model, critic)


class Trainer(NetworksTrainer):
    """Generator and discriminator in turns."""

    columns = ("d_loss", "g_loss", "real_sign", "fake_sign")

    def __init__(self, settings: DCGANSettings, model: DCGAN, critic: Critic) -> None:
        groups = {"generator": [model], "discriminator": [critic]}
        super().__init__(settings, model, others={"d": critic}, groups=groups, betas=BETAS)
        self.critic = critic

    def learn(self, parts: tuple[Tensor, ...]) -> None:
        self.update(parts, self._discriminate)
        self.update(parts, self._generate)

    def _discriminate(self, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.model.decode(self.draw(len(real)))
        real_logits, fake_logits = self.critic(real), self.critic(fake)  # apart: batch norm must not see both
        loss = discriminator_loss(real_logits, fake_logits)
        self.note(d_loss=loss, real_sign=real_logits.sign().mean(), fake_sign=fake_logits.sign().mean())
        return {"discriminator": loss}

    def _generate(self, real: Tensor) -> dict[str, Tensor]:
        loss = generator_loss(self.critic(self.model.decode(self.draw(len(real)))))
        self.note(g_loss=loss)
        return {"generator": loss}
