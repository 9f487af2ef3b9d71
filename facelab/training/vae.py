"""Training of the variational auto-encoder (Kingma and Welling 2014), plain or conditional on attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.errors import BadSetting
from facelab.generators.vae import VAE
from facelab.training import distributed
from facelab.training.data import Pictures, open_pictures
from facelab.training.networks import NetworksTrainer, shaped_by_start
from facelab.training.run import Batches
from facelab.training.settings import VAESettings

SHARE_DECAY = 0.01  # of the running share of people who have an attribute


def make_trainer(settings: VAESettings) -> Trainer:
    """A trainer of a new network, or of that of the catalogued model settings.start, on the fastest device."""
    from facelab.studio import best_device

    settings = shaped_by_start(settings)
    torch.manual_seed(settings.seed)
    model = VAE(settings.resolution, **settings.config)
    return Trainer(settings, model.to(device=best_device(), memory_format=torch.channels_last))


def open_batches(source: Path, settings: VAESettings, cache: Path) -> Batches:
    """Pictures, with their attributes where there are any to be conditional on."""
    from facelab.evaluation.judge import ATTRIBUTES
    from facelab.training.labels import read_labels

    pictures = open_pictures(source, resolution=settings.resolution, cache=cache)
    names = settings.conditions
    if not names:
        return pictures
    if unknown := set(names) - set(ATTRIBUTES):
        raise BadSetting(f"There is no attribute {', '.join(sorted(unknown))}. Choose among {', '.join(ATTRIBUTES)}.")
    labels = read_labels(source)
    return LabelledPictures(pictures, np.stack([labels.of(name) for name in names], axis=1))


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Pictures and what they show: labels bool [N, A]."""

    pictures: Pictures
    labels: np.ndarray

    def batch(
        self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)
    ) -> tuple[Tensor, Tensor]:
        """Pictures as of data.Pictures.batch, and their labels, float32 [N, A]."""
        images, indices = self.pictures.batch_with_indices(step, size=size, seed=seed, flip=flip, share=share)
        return images, torch.from_numpy(self.labels[indices.numpy()]).float()


class Trainer(NetworksTrainer):
    """Minimises the squared error of pixels and the divergence from the prior (equation 10), sums over a picture."""

    columns = ("loss", "mse", "kl", "attributes")

    def __init__(self, settings: VAESettings, model: VAE) -> None:
        super().__init__(settings, model, groups={"model": [model]})

    def learn(self, parts: tuple[Tensor | tuple[Tensor, Tensor], ...]) -> None:
        guess_variances(self, self.model, parts)
        self.update(parts, self._losses)

    def _losses(self, part: Tensor | tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        images, labels = part if isinstance(part, tuple) else (part, None)
        mean, log_variance, logits = self.model.describe(images, labels)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        if labels is not None:
            z = torch.cat([z, labels], dim=1)
            self.model.share.lerp_(labels.mean(dim=0), SHARE_DECAY)
        error = (self.model.decode(z).float() - images).square()
        divergence = kl_divergence(mean, log_variance)
        loss = error.flatten(1).sum(dim=1).mean() / 2 + self.settings.kl_weight * divergence
        self.note(mse=error.mean(), kl=divergence)
        if logits is not None:
            guess = F.binary_cross_entropy_with_logits(logits, labels, reduction="none").sum(dim=1).mean()
            loss = loss + guess
            self.note(attributes=guess)
        self.note(loss=loss)
        return {"model": loss}


def guess_variances(trainer: NetworksTrainer, model: VAE, parts: Sequence[Tensor | tuple[Tensor, Tensor]]) -> None:
    """Before the first step from a published model without variances, take those that its pictures leave room for."""
    if trainer.steps_since_start or not trainer.begun_with or "g.log_variance.bias" in trainer.begun_with:
        return
    images, labels = zip(*(part if isinstance(part, tuple) else (part, None) for part in parts), strict=True)
    model.guess_variances(torch.cat(images), None if labels[0] is None else torch.cat(labels))
    distributed.average([model.log_variance.bias.data])


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q || N(0, 1)) of a posterior [N, Z], the sum over Z, the mean over N (Kingma and Welling 2014, appendix B)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2
