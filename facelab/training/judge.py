"""Trains the judge of evaluation/judge.py on the train split's labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.evaluation.judge import ATTRIBUTES, Judge, judge
from facelab.studio import best_device
from facelab.training.data import Pictures, open_pictures
from facelab.training.fitting import Fitting
from facelab.training.jitter import jitter
from facelab.training.labels import Labels, read_labels
from facelab.training.settings import FitSettings

SMOOTHING = 0.02  # of the labels: annotators disagree


class Labelled(NamedTuple):
    """A batch: images [N, 3, R, R], attributes float32 [N, 40], and how much more a yes weighs in each, [40]."""

    images: Tensor
    attributes: Tensor
    weight: Tensor


class LabelledPictures:
    """Pictures with their attributes; the rarer answer weighs more."""

    def __init__(self, pictures: Pictures, labels: Labels) -> None:
        self.pictures = pictures
        self.attributes = torch.from_numpy(labels.attributes).float()
        share = self.attributes.mean(dim=0).clamp(0.002, 0.998)
        self.weight = ((1 - share) / share).sqrt()

    def batch(self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)) -> Labelled:
        """The batch of one step."""
        images, chosen = self.pictures.batch_with_indices(step, size=size, seed=seed, flip=flip, share=share)
        return Labelled(images, self.attributes[chosen], self.weight)


class JudgeTrainer(Fitting):
    """Binary cross-entropy on 40 attributes."""

    columns = ("bce",)

    def losses(self, batch: Labelled, draw: torch.Generator) -> dict[str, Tensor]:
        images, _ = jitter(batch.images, generator=draw)
        goal = batch.attributes * (1 - 2 * SMOOTHING) + SMOOTHING
        logits = self.network(images.to(self.device))
        bce = F.binary_cross_entropy_with_logits(logits, goal.to(self.device), pos_weight=batch.weight.to(self.device))
        return {"bce": bce}


def make_trainer(settings: FitSettings) -> JudgeTrainer:
    """A judge at its beginning."""
    torch.manual_seed(settings.seed)
    return JudgeTrainer(Judge(), settings, device=best_device())


def open_batches(source: Path, settings: FitSettings, cache: Path) -> LabelledPictures:
    """The train split with its labels. Raises BadSetting where there are none."""
    return LabelledPictures(open_pictures(source, resolution=settings.resolution, cache=cache), read_labels(source))


def accuracy(network: Judge, pictures: Pictures, labels: Labels) -> dict[str, dict[str, Any]]:
    """Per attribute, what part of the pictures the judge gets right, and the mean over those with and without it
    (balanced), for attributes that few people have. having: of those labelled as women and as men, how many have it,
    and in what part of these the judge sees it; None where nobody has.
    """
    firsts = range(0, len(pictures), 256)
    seen = np.concatenate([judge(network, pictures.tensor(slice(first, first + 256))).numpy() > 0 for first in firsts])
    men, figures = labels.of("Male"), {}
    for index, name in enumerate(ATTRIBUTES):
        right, truth = seen[:, index] == labels.attributes[:, index], labels.attributes[:, index]
        balanced = np.mean([right[truth == side].mean() for side in (False, True) if (truth == side).any()])
        having = {}
        for people, among in (("women", ~men), ("men", men)):
            those = right[among & truth]
            having[people] = {"faces": len(those), "seen": round(float(those.mean()), 4) if len(those) else None}
        figures[name] = {
            "accuracy": round(float(right.mean()), 4),
            "balanced": round(float(balanced), 4),
            "having": having,
        }
    return figures
