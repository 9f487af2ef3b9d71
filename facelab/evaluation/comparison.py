"""Models beside each other on faces of one size, by the numbers of the VAE/GAN comparison and by dlib's."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import nn

from facelab.checkpoints.cards import Card
from facelab.errors import BadSetting
from facelab.evaluation.judge import Judge, judge
from facelab.evaluation.metrics import face_score, frechet_distance, laplacian_variance, mean_pairwise_distance
from facelab.evaluation.portraits import Portraits, describe, draw_samples
from facelab.generators.base import Generator

TIMED = 64  # pictures
REAL = "real faces"


@dataclass(frozen=True)
class Row:
    """What is known of one model's random faces, or of real ones (then what only a model has is None).

    face_score: metrics.face_score by the judge, 1 to 2. sharpness: variance of the Laplacian. frechet: squared distance
    of dlib's vectors to those of real faces. found: the share in which dlib finds a face. diversity: mean identity
    distance of pairs. parameters: of what draws pictures. images_per_second: drawn, on this machine. training_images,
    training_hours: as the card says.
    """

    name: str
    samples: int
    face_score: float
    sharpness: float
    frechet: float | None
    found: float
    diversity: float
    parameters: int | None = None
    images_per_second: float | None = None
    training_images: int | None = None
    training_hours: float | None = None


def at_size(images: list[np.ndarray], side: int) -> list[np.ndarray]:
    """Square pictures averaged down to `side` pixels. Raises BadSetting for smaller ones: nothing is made up."""
    if images[0].shape[0] == side:
        return list(images)
    if images[0].shape[0] < side:
        raise BadSetting(f"Pictures of {images[0].shape[0]} px cannot be compared at {side} px. Choose a smaller side.")
    return [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX)) for image in images]


def describe_faces(
    name: str, images: list[np.ndarray], network: Judge, *, seen: Portraits, real: Portraits | None = None
) -> Row:
    """A row of pictures uint8 [R, R, 3]. seen: what dlib sees in them. real: in real faces."""
    logits = judge(network, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()
    vectors = seen.vectors[seen.found]
    return Row(
        name=name,
        samples=len(images),
        face_score=round(face_score(logits), 4),
        sharpness=round(laplacian_variance(np.stack(images)), 1),
        frechet=None if real is None else round(frechet_distance(vectors, real.vectors[real.found]), 4),
        found=round(float(seen.found.mean()), 4),
        diversity=round(mean_pairwise_distance(vectors), 4),
    )


def compare_model(
    card: Card,
    generator: Generator,
    network: Judge,
    real: Portraits,
    *,
    count: int,
    side: int,
    seed: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> Row:
    """A model's row: `count` random faces of it, at truncation 1, averaged down to `side` pixels.

    real: what dlib sees in real faces of that size.
    """
    drawn = at_size(draw_samples(generator, count, seed=seed), side)
    row = describe_faces(card.name, drawn, network, seen=describe(drawn, progress=progress), real=real)
    return replace(
        row,
        parameters=count_parameters(generator),
        images_per_second=round(speed(generator), 1),
        training_images=card.training.get("images"),
        training_hours=card.training.get("hours"),
    )


def count_parameters(network: nn.Module) -> int:
    """How many numbers were learned."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.inference_mode()
def speed(generator: Generator, *, batch: int = 16) -> float:
    """Pictures a second from latents that are there already, after a first batch to warm up."""
    latents = generator.sample(batch, seed=0)
    generator.synthesize(latents)
    begun = time.perf_counter()
    for _ in range(TIMED // batch):
        generator.synthesize(latents)
    return TIMED / (time.perf_counter() - begun)
