"""Many pictures embedded as one batch: `embedding.embed` without its previews and refinement, for experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facelab.embedding import Descent, first_latent, learning_rate_at, signal_to_noise
from facelab.embedding_settings import EmbedSettings
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.perceptual import Distance
from facelab.pixels import as_pixels


@dataclass(frozen=True, eq=False)
class Embedded:
    """The best latent of one picture's embedding.

    rows: in w+, float32 [L, D], on the CPU. image: what it draws, uint8 [R, R, 3]. loss, pixel, perceptual: of the
    step it was found at (Image2StyleGAN, equation 1). psnr: of the image, in dB. away, away_per_row:
    ||w* - w_mean|| over all rows, and the mean of the rows' own. curve: the loss of each step, float [steps].
    """

    rows: Tensor
    image: np.ndarray
    loss: float
    pixel: float
    perceptual: float
    psnr: float
    away: float
    away_per_row: float
    curve: np.ndarray


def embed_batch(
    generator: Generator,
    targets: Tensor,
    settings: EmbedSettings,
    *,
    seeds: Sequence[int],
    distance: Distance | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> list[Embedded]:
    """Embed `targets`, float32 [N, 3, R, R] in [-1, 1], side by side; none knows of the others.

    settings: but for refinement, early stopping, previews and the encoder's start, which are not for batches. seeds: of
    each one's start. distance: to the targets, [N, 3, R, R] -> [N]; None where perceptual_weight is 0. progress is told
    the number of each step. A search in which noise is resampled is judged with the constant one.
    """
    starts = [first_latent(generator, replace(settings, seed=seed)) for seed in seeds]
    descent = Descent.at(torch.stack(starts).to(targets.device))
    dtype, options = fast_dtype(targets.device), {"noise": "random"} if settings.noise == "resampled" else {}
    best, best_terms, curves = descent.values, torch.full((3, len(targets)), torch.inf), []
    for step in range(settings.steps):
        with torch.inference_mode(False), torch.enable_grad():
            values = descent.values.detach().clone().requires_grad_()
            pictures = generator.synthesize(as_w(generator, values, settings.space), dtype=dtype, **options)
            terms = _terms(pictures, targets, distance, settings)
            (gradient,) = torch.autograd.grad(terms[0].sum(), values)
        found = terms.detach().cpu()
        curves.append(found[0])
        better = found[0] < best_terms[0]
        best = torch.where(better.to(best.device)[:, None, None], descent.values, best)
        best_terms = torch.where(better, found, best_terms)
        rate = learning_rate_at(
            step, settings.steps, peak=settings.learning_rate, schedule=settings.schedule, warm_up=settings.warm_up
        )
        descent = descent.step(gradient, learning_rate=rate, betas=settings.betas, epsilon=settings.epsilon)
        progress(step + 1)
    return _describe(generator, targets, as_w(generator, best, settings.space), best_terms, torch.stack(curves))


def as_w(generator: Generator, values: Tensor, space: str) -> Tensor:
    """Latents [N, L, D] of a space as `synthesize` takes them."""
    return generator.map(values[:, 0])[:, None] if space == "z" else values


def _terms(pictures: Tensor, targets: Tensor, distance: Distance | None, settings: EmbedSettings) -> Tensor:
    """Loss, pixel and perceptual term of each picture: [3, N]."""
    pixel = (pictures - targets).square().mean(dim=(1, 2, 3))
    seen = torch.zeros_like(pixel)
    if distance is not None and settings.perceptual_weight:
        seen = distance(pictures)
    return torch.stack([settings.pixel_weight * pixel + settings.perceptual_weight * seen, pixel, seen])


@torch.no_grad()
def _describe(generator: Generator, targets: Tensor, latents: Tensor, terms: Tensor, curves: Tensor) -> list[Embedded]:
    pictures = generator.synthesize(latents, dtype=fast_dtype(targets.device))
    errors = (pictures.clamp(-1, 1) - targets).square().mean(dim=(1, 2, 3)).tolist()
    rows = latents.expand(-1, generator.num_layers, -1)
    away = (rows - generator.mean_latent()).norm(dim=2)
    return [
        Embedded(
            rows=rows[index].cpu().clone(),
            image=image,
            loss=terms[0, index].item(),
            pixel=terms[1, index].item(),
            perceptual=terms[2, index].item(),
            psnr=signal_to_noise(errors[index]),
            away=away[index].norm().item(),
            away_per_row=away[index].mean().item(),
            curve=curves[:, index].numpy(),
        )
        for index, image in enumerate(as_pixels(pictures))
    ]


def squared_error(image: np.ndarray, target: np.ndarray, where: np.ndarray | None = None) -> float:
    """The mean squared difference in [-1, 1] of pictures uint8 [R, R, 3]; of all pixels, or those of bool [R, R]."""
    squares = np.square((image.astype(float) - target) / 127.5)
    return float((squares if where is None else squares[where]).mean())
