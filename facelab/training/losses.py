"""The losses of StyleGAN2 (Karras et al. 2020), each on a batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_loss(fake_logits: Tensor) -> Tensor:
    """The non-saturating loss of the generator (Goodfellow et al. 2014), mean over logits [N, 1]."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The logistic loss of the discriminator, mean over logits [N, 1] each."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(logits: Tensor, real: Tensor) -> Tensor:
    """Half the squared gradient of D at real images, batch mean (Mescheder et al. 2018, equation 9).

    logits: [N, 1], made from real images [N, 3, R, R] that require a gradient.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2


def path_lengths(images: Tensor, ws: Tensor, noise: Tensor) -> Tensor:
    """|J^T y| per picture (Karras et al. 2020, equation 4): images [N, 3, R, R] made from ws [N, L, W] -> [N].

    noise: y, standard normal, of the images' shape.
    """
    projected = (images * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad(projected, ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
