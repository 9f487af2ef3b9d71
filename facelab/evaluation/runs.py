"""Trainings of one model beside each other: what a setting of the training changes in its faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facelab.errors import BadSetting
from facelab.evaluation.comparison import describe_faces
from facelab.evaluation.judge import Judge
from facelab.evaluation.portraits import Portraits, describe, draw_samples
from facelab.generators.base import Generator
from facelab.pixels import as_images
from facelab.training.run import Run, images_seen

FIGURES = ("face_score", "sharpness", "frechet", "found", "diversity")  # of comparison.Row
BATCH = 64


@dataclass(frozen=True)
class Training:
    """A run's newest weights. settings: only those in which it differs from the runs beside it. images: seen."""

    weights: Path
    settings: Mapping[str, Any]
    images: int


def newest(runs: Sequence[Path]) -> list[Training]:
    """The newest weights of several runs of one family. Raises BadSetting for a folder without any."""
    told, files = [Run(run).read_settings() for run in runs], []
    for run in runs:
        found = Run(run).weight_files()
        if not found:
            raise BadSetting(f"There are no weight files in {run / 'weights'}. Choose the folder of a training run.")
        files.append(found[-1])
    if len({each.get("family") for each in told}) > 1:
        raise BadSetting("These runs are of different families: only trainings of one model are set beside each other.")
    differing = [name for name in told[0] if any(each.get(name) != told[0][name] for each in told)]
    return [
        Training(file, {name: each.get(name) for name in differing}, images_seen(file) or int(file.stem))
        for file, each in zip(files, told, strict=True)
    ]


def measure_training(
    training: Training,
    generator: Generator,
    judge: Judge,
    *,
    real: Portraits,
    photos: np.ndarray,
    count: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """A training's random faces, as `comparison.Row` measures them, and how near an auto-encoder brings real ones back.

    generator: with the training's weights. real: what dlib sees in real faces. photos: real faces, uint8
    [N, R, R, 3] at the model's size; psnr is their median there and back in dB, None without an encoder.
    """
    drawn = draw_samples(generator, count, seed=seed)
    row = describe_faces("", drawn, judge, seen=describe(drawn, progress=progress), real=real)
    figures = {name: getattr(row, name) for name in FIGURES}
    psnr = round(_there_and_back(generator, photos), 2) if hasattr(generator, "encode") else None
    return {**training.settings, "images": training.images, **figures, "psnr": psnr}


@torch.inference_mode()
def _there_and_back(generator: Generator, photos: np.ndarray) -> float:
    errors = []
    for part in np.array_split(photos, -(-len(photos) // BATCH)):
        images = as_images(part)
        drawn = generator.synthesize(generator.encode(images)).clamp(-1, 1)
        errors.append((drawn - images).square().mean(dim=(1, 2, 3)))
    return float((10 * (4 / torch.cat(errors)).log10()).median())
