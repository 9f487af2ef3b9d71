"""Teaches the FaceReader of identity.py dlib's vectors and landmarks, and the labels' attributes and pose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.evaluation.portraits import Portraits
from facelab.identity import FaceReader
from facelab.training.data import Pictures
from facelab.training.fitting import FitSettings, fit
from facelab.training.jitter import jitter, move_landmarks
from facelab.training.labels import Labels

# What each term weighs: brought to about one at the start of the training.
VECTOR_WEIGHT = 1.0
LANDMARK_WEIGHT = 400.0
ATTRIBUTE_WEIGHT = 0.3
POSE_WEIGHT = 0.05 / 10


def train_reader(
    pictures: Pictures,
    seen: Portraits,
    labels: Labels,
    settings: FitSettings,
    *,
    checkpoint: Path | None = None,
    report: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
) -> FaceReader:
    """Fit a reader to pictures [N], what dlib sees in them and their labels.

    Pictures beyond the labels' (generated ones, say) teach vectors and landmarks only; faces that dlib does not find
    teach neither. The squared distance to dlib's vector is the loss; mirrored pictures are not used, since dlib's
    vector of a mirrored face is another one.
    """
    torch.manual_seed(settings.seed)
    vectors, landmarks = torch.from_numpy(seen.vectors), torch.from_numpy(seen.landmarks)
    found = torch.from_numpy(seen.found).float()
    labelled = torch.arange(len(pictures)) < len(labels.attributes)
    attributes = _padded(labels.attributes.astype(np.float32), len(pictures))
    pose = _padded(labels.pose, len(pictures))
    network = FaceReader()
    network.mean_vector.copy_(vectors[seen.found].mean(dim=0))
    network.mean_landmarks.copy_(landmarks[seen.found].mean(dim=0).flatten())

    def loss_of(network: FaceReader, step: int) -> dict[str, Tensor]:
        images, chosen = pictures.batch_with_indices(step, size=settings.batch, seed=settings.seed, flip=False)
        images, theta = jitter(images, generator=torch.Generator().manual_seed(step))
        reading = network(images)
        known, told = found[chosen], labelled[chosen].float()
        places = move_landmarks(landmarks[chosen], theta)
        apart = (reading.vectors - vectors[chosen]).square().sum(dim=1)
        astray = (reading.landmarks - places).square().mean(dim=(1, 2))
        wrong = F.binary_cross_entropy_with_logits(reading.attributes, attributes[chosen], reduction="none").mean(dim=1)
        turned = F.smooth_l1_loss(reading.pose, pose[chosen], reduction="none").mean(dim=1)
        return {
            "vector": VECTOR_WEIGHT * _mean(apart, known),
            "landmarks": LANDMARK_WEIGHT * _mean(astray, known),
            "attributes": ATTRIBUTE_WEIGHT * _mean(wrong, told),
            "pose": POSE_WEIGHT * _mean(turned, told),
        }

    return fit(network, loss_of, settings, checkpoint=checkpoint, report=report)


def agreement(network: FaceReader, pictures: Pictures, seen: Portraits) -> dict[str, float]:
    """How well a reader agrees with dlib on pictures it was not taught.

    distance: median distance of its vectors to dlib's of the same picture. correlation: Pearson's, of its pairwise
    distances to dlib's. landmarks: median error in fractions of the side.
    """
    parts = [network.read(pictures.tensor(slice(first, first + 256))) for first in range(0, len(pictures), 256)]
    vectors = np.concatenate([part.vectors.float().numpy() for part in parts])[seen.found]
    landmarks = np.concatenate([part.landmarks.float().numpy() for part in parts])[seen.found]
    truth = seen.vectors[seen.found]
    pairs = np.random.default_rng(0).integers(0, len(truth), (2, 20_000))
    mine, theirs = (np.linalg.norm(each[pairs[0]] - each[pairs[1]], axis=1) for each in (vectors, truth))
    different = pairs[0] != pairs[1]
    return {
        "distance": round(float(np.median(np.linalg.norm(vectors - truth, axis=1))), 4),
        "correlation": round(float(np.corrcoef(mine[different], theirs[different])[0, 1]), 4),
        "landmarks": round(float(np.median(np.linalg.norm(landmarks - seen.landmarks[seen.found], axis=2))), 5),
    }


def _padded(values: np.ndarray, count: int) -> Tensor:
    return torch.cat([torch.from_numpy(values), torch.zeros(count - len(values), values.shape[1])])


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
