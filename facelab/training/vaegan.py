"""Training of VAE/GAN (Larsen et al. 2016): a VAE whose error is measured in a discriminator's features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.generators.dcgan import Critic
from facelab.generators.vae import VAE
from facelab.training.losses import r1_penalty
from facelab.training.networks import NetworksTrainer, shaped_by_start
from facelab.training.settings import VAEGANSettings
from facelab.training.vae import guess_variances, kl_divergence

BETAS = (0.5, 0.999)
R1_INTERVAL = 8  # steps between penalties


def make_trainer(settings: VAEGANSettings) -> Trainer:
    """A trainer of new networks, or of those of the catalogued model settings.start, on the fastest device."""
    from facelab.studio import best_device

    settings = shaped_by_start(settings)
    torch.manual_seed(settings.seed)
    model = VAE(settings.resolution, **settings.config)
    critic = Critic(settings.resolution, channels=settings.channels)
    for network in (model, critic):
        network.to(device=best_device(), memory_format=torch.channels_last)
    return Trainer(settings, model, critic)


class Trainer(NetworksTrainer):
    """Encoder, decoder and discriminator, each by its own loss from one forward pass (Larsen's algorithm 1).

    The similarity is the mean squared distance of features; the divergence is the mean over the latent's numbers. The
    decoder raises the very error that the discriminator lowers, as in the paper: while it is easily found out, its
    pictures follow the similarity. R1 (Mescheder et al. 2018) keeps the discriminator's features smooth; without it
    every face becomes the same within a few epochs. The learning rate is halved every settings.halve_images pictures:
    without that a discriminator that had held its own for 44 epochs gave up all at once.
    """

    columns = ("d_loss", "decoder_loss", "encoder_loss", "similarity", "kl", "mse", "penalty")

    def __init__(self, settings: VAEGANSettings, model: VAE, critic: Critic) -> None:
        encoder = [model.encoder, model.mean, model.log_variance]
        groups = {"encoder": encoder, "decoder": [model.decoder], "discriminator": [critic]}
        super().__init__(settings, model, others={"d": critic}, groups=groups, betas=BETAS)
        self.critic = critic

    def learn(self, parts: tuple[Tensor, ...]) -> None:
        guess_variances(self, self.model, parts)
        self.halve_rate()
        self.update(parts, self._losses)

    def _losses(self, images: Tensor) -> dict[str, Tensor]:
        settings, model = self.settings, self.model
        mean, log_variance, _ = model.describe(images)
        rebuilt = model.decode(mean + torch.randn_like(mean) * (log_variance / 2).exp())
        drawn = model.decode(self.draw(len(images)))

        due = settings.r1_gamma > 0 and self.steps % R1_INTERVAL == 0
        images = images.detach().requires_grad_(due)
        real_logits, wanted = self.critic.look(images)
        rebuilt_logits, reached = self.critic.look(rebuilt)
        similarity = (reached - wanted).square().mean()
        divergence = kl_divergence(mean, log_variance) / mean.shape[1]
        caught = F.softplus(rebuilt_logits).mean() + F.softplus(self.critic(drawn)).mean()
        penalty = similarity.new_zeros(())
        if due:
            penalty = r1_penalty(real_logits, images)
            self.note(penalty=penalty)
        losses = {
            "encoder": divergence + settings.similarity_weight * similarity,
            "decoder": settings.gamma * similarity - caught,
            "discriminator": F.softplus(-real_logits).mean() + caught + settings.r1_gamma * R1_INTERVAL * penalty,
        }
        self.note(
            d_loss=losses["discriminator"],
            decoder_loss=losses["decoder"],
            encoder_loss=losses["encoder"],
            similarity=similarity,
            kl=divergence,
            mse=(rebuilt.float() - images).square().mean(),
        )
        return losses
