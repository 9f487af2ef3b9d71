"""Teaches the FaceReader of identity.py dlib's vectors and landmarks, and the labels' attributes and pose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.checkpoints.cards import find_card
from facelab.checkpoints.weights import fill_from
from facelab.evaluation.portraits import Portraits, describe_split
from facelab.identity import FaceReader
from facelab.studio import best_device
from facelab.training.data import Pictures, open_pictures
from facelab.training.drawn import draw_faces
from facelab.training.fitting import Fitting, check_resolution
from facelab.training.jitter import jitter, move_landmarks
from facelab.training.labels import Labels, read_labels
from facelab.training.settings import ReaderSettings

# What each term weighs: brought to about one at the start of the training.
VECTOR_WEIGHT = 1.0
LANDMARK_WEIGHT = 400.0
ATTRIBUTE_WEIGHT = 0.3
POSE_WEIGHT = 0.005


class Seen(NamedTuple):
    """A batch: images [N, 3, R, R], dlib's vectors [N, 128] and landmarks [N, 68, 2], found float32 [N], attributes
    float32 [N, 40] and pose [N, 3] in degrees, which are NaN where there are no labels.
    """

    images: Tensor
    vectors: Tensor
    landmarks: Tensor
    found: Tensor
    attributes: Tensor
    pose: Tensor


class SeenPictures:
    """Pictures, what dlib sees in the first of them, and the labels of the last of them."""

    def __init__(self, pictures: Pictures, seen: Portraits, labels: Labels) -> None:
        self.pictures = pictures
        described = (seen.vectors, seen.landmarks, seen.found)
        columns = [_filled_up(column, len(pictures), 0.0) for column in described]
        columns += [
            _filled_up(column[::-1], len(pictures), np.nan)[::-1] for column in (labels.attributes, labels.pose)
        ]
        self.columns = [torch.from_numpy(column.copy()) for column in columns]

    def batch(self, step: int, *, size: int, seed: int, flip: bool = False, share: tuple[int, int] = (0, 1)) -> Seen:
        """The batch of one step."""
        images, chosen = self.pictures.batch_with_indices(step, size=size, seed=seed, flip=flip, share=share)
        return Seen(images, *(column[chosen] for column in self.columns))


class ReaderTrainer(Fitting):
    """Squared distances to dlib's vectors and landmarks, cross-entropy on attributes, and the pose's error. Faces that
    dlib does not find, or did not look at, teach no vector and no landmarks, and those without labels nothing else.
    """

    columns = ("vector", "landmarks", "attributes", "pose")

    def losses(self, batch: Seen, draw: torch.Generator) -> dict[str, Tensor]:
        images, theta = jitter(batch.images, generator=draw)
        places = move_landmarks(batch.landmarks, theta).to(self.device)
        reading = self.network(images.to(self.device))
        vectors, found, attributes, pose = (
            each.to(self.device) for each in (batch.vectors, batch.found, batch.attributes, batch.pose)
        )
        known = found / found.sum().clamp(min=1)
        apart = (reading.vectors - vectors).square().sum(dim=1)
        astray = (reading.landmarks - places).square().mean(dim=(1, 2))
        return {
            "vector": VECTOR_WEIGHT * (apart * known).sum(),
            "landmarks": LANDMARK_WEIGHT * (astray * known).sum(),
            "attributes": ATTRIBUTE_WEIGHT * _mean(F.binary_cross_entropy_with_logits, reading.attributes, attributes),
            "pose": POSE_WEIGHT * _mean(F.smooth_l1_loss, reading.pose, pose),
        }


def make_trainer(settings: ReaderSettings) -> ReaderTrainer:
    """A reader at its beginning, or all of `start`."""
    torch.manual_seed(settings.seed)
    reader = FaceReader()
    if settings.start:
        fill_from(reader, Path(settings.start))
    return ReaderTrainer(reader, settings, device=best_device())


def open_batches(source: Path, settings: ReaderSettings, cache: Path) -> SeenPictures:
    """The train split with its labels and faces that are drawn, and what dlib sees in them, which takes a while and is
    kept in `cache`. Raises BadSetting for a model that draws faces of another size.
    """
    if settings.generated:
        check_resolution(settings, settings.model, find_card(settings.model).resolution)
    pictures = open_pictures(source, resolution=settings.resolution, cache=cache)
    labels = read_labels(source, pose=True)
    seen = describe_split(pictures.images[: settings.described or None], cache=cache, name="train")
    if not settings.generated:
        return SeenPictures(pictures, seen, labels)
    drawn = draw_faces(settings.model, pictures, settings.generated, cache=cache)
    both = zip(astuple(describe_split(drawn, cache=cache, name="drawn")), astuple(seen), strict=True)
    seen = Portraits(*(np.concatenate(columns) for columns in both))
    return SeenPictures(Pictures(np.concatenate([drawn, pictures.images])), seen, labels)


def _filled_up(column: np.ndarray, count: int, value: float) -> np.ndarray:
    """float32 [count, ...]: a column [N, ...] with N up to `count`, and after it `value`."""
    full = np.full((count, *column.shape[1:]), value, np.float32)
    full[: len(column)] = column
    return full


def _mean(loss: Callable[..., Tensor], guess: Tensor, truth: Tensor) -> Tensor:
    """The mean of a loss over what is known of the truth: all that is not NaN; 0 where nothing is."""
    known = truth.isfinite()
    return loss(guess[known], truth[known], reduction="sum") / known.sum().clamp(min=1)


def agreement(network: FaceReader, pictures: Pictures, seen: Portraits) -> dict[str, float]:
    """How well a reader agrees with dlib on pictures it was not taught.

    distance: median distance of its vectors to dlib's of the same picture. correlation: Pearson's, of the distances
    between pairs of people to dlib's. landmarks: median error in fractions of the side.
    """
    parts = [network.read(pictures.tensor(slice(first, first + 256))) for first in range(0, len(pictures), 256)]
    vectors = np.concatenate([part.vectors.numpy() for part in parts])[seen.found]
    landmarks = np.concatenate([part.landmarks.numpy() for part in parts])[seen.found]
    truth = seen.vectors[seen.found]
    first, second = np.random.default_rng(0).integers(0, len(truth), (2, 20_000))
    mine, theirs = (np.linalg.norm(each[first] - each[second], axis=1) for each in (vectors, truth))
    return {
        "distance": round(float(np.median(np.linalg.norm(vectors - truth, axis=1))), 4),
        "correlation": round(float(np.corrcoef(mine[first != second], theirs[first != second])[0, 1]), 4),
        "landmarks": round(float(np.median(np.linalg.norm(landmarks - seen.landmarks[seen.found], axis=2))), 5),
    }
