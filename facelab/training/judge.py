"""Trains the judge of evaluation/judge.py on the train split's labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.evaluation.judge import ATTRIBUTES, Judge, judge
from facelab.training.data import Pictures
from facelab.training.fitting import FitSettings, fit
from facelab.training.jitter import jitter
from facelab.training.labels import Labels

SMOOTHING = 0.02  # of the labels: annotators disagree


def train_judge(
    pictures: Pictures,
    labels: Labels,
    settings: FitSettings,
    *,
    checkpoint: Path | None = None,
    report: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
) -> Judge:
    """Fit a judge to pictures and their attributes by binary cross-entropy, in which the rarer answer weighs more."""
    torch.manual_seed(settings.seed)
    truth = torch.from_numpy(labels.attributes).float()
    share = truth.mean(dim=0).clamp(0.002, 0.998)
    weight = ((1 - share) / share).sqrt()

    def loss_of(network: nn.Module, step: int) -> dict[str, Tensor]:
        images, indices = pictures.batch_with_indices(step, size=settings.batch, seed=settings.seed)
        images, _ = jitter(images, generator=torch.Generator().manual_seed(step))
        goal = truth[indices] * (1 - 2 * SMOOTHING) + SMOOTHING
        return {"bce": F.binary_cross_entropy_with_logits(network(images), goal, pos_weight=weight)}

    return fit(Judge(), loss_of, settings, checkpoint=checkpoint, report=report)


def accuracy(network: Judge, pictures: Pictures, labels: Labels) -> dict[str, dict[str, float]]:
    """Per attribute, what part of the pictures the judge gets right, and the mean over those with and without it
    (balanced), for attributes few people have.
    """
    seen = np.concatenate(
        [
            (judge(network, pictures.tensor(slice(first, first + 256))) > 0).numpy()
            for first in range(0, len(pictures), 256)
        ]
    )
    figures = {}
    for index, name in enumerate(ATTRIBUTES):
        right, truth = seen[:, index] == labels.attributes[:, index], labels.attributes[:, index]
        balanced = np.mean([right[truth == side].mean() for side in (False, True) if (truth == side).any()])
        figures[name] = {"accuracy": round(float(right.mean()), 4), "balanced": round(float(balanced), 4)}
    return figures
