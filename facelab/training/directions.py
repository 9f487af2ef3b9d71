"""Finds a model's directions on portraits that its encoder has carried into w+, by their labels and dlib's landmarks,
or on faces that it draws, by what the reader sees.

The judge takes no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.edits.attributes import Direction, LatentClassifier
from facelab.encoder import Encode
from facelab.errors import BadSetting
from facelab.evaluation.geometry import measured, skin_tone
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.portraits import Portraits
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader
from facelab.training.crowd import Crowd
from facelab.training.data import Pictures
from facelab.training.direction_list import WANTED, Wanted
from facelab.training.labels import POSE, Labels

CLASS_SHARE = 1 / 3  # where a score is no yes or no, the upper and the lower third are the classes
RIDGE = 1e-2
CLASSIFIER_STEPS = 400
DRAWN_SEED = 77  # of random faces in which directions are found


def encode_pictures(
    encode: Encode,
    pictures: Pictures,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """The latents of all pictures: float32 [N, L, D]."""
    parts = []
    for first in range(0, len(pictures), 64):
        parts.append(encode(pictures.tensor(slice(first, first + 64))).cpu())
        progress(len(parts[-1]))
    return torch.cat(parts)


def score_drawn(
    generator: Generator, reader: FaceReader, count: int, *, progress: Callable[[int], None] = lambda done: None
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """The latents [count, L, D] of random faces, and by direction whether the reader sees it in their pictures, bool
    [count]: of what CelebA's attributes say.
    """
    latents, seen = generator.sample(count, seed=DRAWN_SEED), []
    for part in latents.split(64):
        with torch.inference_mode():
            pictures = generator.synthesize(part, dtype=fast_dtype(part.device)).float().clamp(-1, 1)
            seen.append(reader.read(pictures).attributes.cpu().numpy() > 0)
        progress(len(part))
    return latents.cpu(), score_labels(Labels(np.concatenate(seen)))


def score_labels(labels: Labels) -> dict[str, np.ndarray]:
    """By direction, who has it, bool [N]: those of which the labels say so."""
    known = [each for each in WANTED if each.seen.removeprefix("-") in ATTRIBUTES]
    return {each.id: labels.of(each.seen.removeprefix("-")) ^ each.seen.startswith("-") for each in known}


def score_portraits(pictures: Pictures, labels: Labels, seen: Portraits) -> dict[str, np.ndarray]:
    """By direction, how much of it each of N portraits has: bool [N] from the labels, or float [N] as measured.

    Portraits in which dlib finds no face get the mean of the others where landmarks are measured.
    """
    shapes = {name: _filled(values, seen.found) for name, values in measured(seen.landmarks).items()}
    scores: dict[str, np.ndarray] = {}
    for wanted in WANTED:
        name, opposite = wanted.seen.removeprefix("-"), wanted.seen.startswith("-")
        if name in ATTRIBUTES:
            scores[wanted.id] = labels.of(name) ^ opposite
        elif name in POSE:
            scores[wanted.id] = (-1 if opposite else 1) * labels.pose[:, POSE.index(name)]
        elif name == "skin":
            scores[wanted.id] = _filled(skin_tone(pictures.images, seen.landmarks), seen.found)
        else:
            scores[wanted.id] = shapes[name]
    return scores


def tells_apart(scores: np.ndarray) -> bool:
    """Whether a score [N] differs between people: not of what all have, or nobody, or of what is seen in no face."""
    return bool(scores.min() < scores.max())


def find_directions(latents: Tensor, scores: Mapping[str, np.ndarray], *, seed: int = 0) -> list[Direction]:
    """The wanted directions of which there are scores that tell people apart, each by all three methods and moving
    every row.

    latents: [N, L, D]. difference: between the class means. normal: what an attribute adds to the latent when all
    others stay as they are, the slope of a linear regression of the latents on all scores together. classifier: on the
    mean of the rows. Raises BadSetting where no score tells them apart.
    """
    scores = {name: values for name, values in scores.items() if tells_apart(values)}
    if not scores:
        raise BadSetting("These portraits are all alike in all that directions are found by. Give more of them.")
    scored = [wanted for wanted in WANTED if wanted.id in scores]
    slopes = regress(latents.flatten(1), torch.stack([_standard(scores[wanted.id]) for wanted in scored], dim=1))
    return [
        _direction(wanted, latents, scores[wanted.id], slope, scores, seed)
        for wanted, slope in zip(scored, slopes, strict=True)
    ]


def find_drawn(crowd: Crowd, ids: Collection[str], *, seed: int = 0) -> list[Direction]:
    """The directions named, by what the reader sees in the pictures of a crowd's latents.

    For what an encoder leaves out of a face, such as glasses: latents that were searched for draw it, though not all of
    them, and so labels of the photos would not do. None of what is drawn in no picture, or in all.
    """
    scores = {name: values.cpu().numpy() for name, values in crowd.scores.items()}
    scores = {name: values for name, values in scores.items() if tells_apart(values)}
    factors = torch.stack([_standard(values) for values in scores.values()], dim=1)
    slopes = dict(zip(scores, regress(crowd.latents.flatten(1), factors), strict=True))
    return [
        _direction(wanted, crowd.latents, scores[wanted.id] > 0, slopes[wanted.id], scores, seed)
        for wanted in WANTED
        if wanted.id in ids and wanted.id in scores and tells_apart(scores[wanted.id] > 0)
    ]


def _direction(
    wanted: Wanted, latents: Tensor, score: np.ndarray, slope: Tensor, known: Collection[str], seed: int
) -> Direction:
    return Direction(
        id=wanted.id,
        title=wanted.title,
        low=wanted.low,
        high=wanted.high,
        group=wanted.group,
        rows=(0, latents.shape[1]),
        held=tuple(id for id in wanted.held if id in known),
        strength=1.0,
        difference=class_difference(latents, score),
        normal=F.normalize(slope, dim=0).unflatten(0, latents.shape[1:]),
        classifier=fit_classifier(latents.mean(dim=1), score, seed=seed),
        region=wanted.region if latents.shape[1] > 1 else "",
    )


def class_difference(latents: Tensor, scores: np.ndarray) -> Tensor:
    """Mean of the latents [N, L, D] that have it minus mean of those that lack it."""
    with_it, without = classes(scores)
    return latents[torch.from_numpy(with_it)].mean(dim=0) - latents[torch.from_numpy(without)].mean(dim=0)


def classes(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Who has it and who lacks it, bool [N] each: a label's two sides, or the outer thirds of what is measured."""
    if scores.dtype == bool:
        return scores, ~scores
    low, high = np.quantile(scores, (CLASS_SHARE, 1 - CLASS_SHARE))
    return scores >= high, scores <= low


def regress(values: Tensor, factors: Tensor) -> Tensor:
    """The slopes [K, M] of `values` [N, M] on standardised `factors` [N, K] by ridge regression."""
    count = len(factors)
    centred = (values - values.mean(dim=0)).double()
    gram = factors.double().T @ factors.double() / count
    gram += RIDGE * torch.eye(len(gram), dtype=gram.dtype)
    return torch.linalg.solve(gram, factors.double().T @ centred / count).float()


def fit_classifier(ws: Tensor, scores: np.ndarray, *, seed: int) -> LatentClassifier:
    """A classifier of one attribute on w [N, D], by binary cross-entropy; both classes are drawn equally often."""
    torch.manual_seed(seed)
    classifier = LatentClassifier(ws.shape[1])
    classifier.centre.copy_(ws.mean(dim=0))
    classifier.scale.copy_(ws.std(dim=0))
    sides = [torch.from_numpy(np.flatnonzero(side)) for side in classes(scores)]
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3, weight_decay=0.1, foreach=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, CLASSIFIER_STEPS)
    draw = torch.Generator().manual_seed(seed)
    answers = torch.tensor([0.95, 0.05]).repeat_interleave(256)
    for _ in range(CLASSIFIER_STEPS):
        chosen = torch.cat([side[torch.randint(0, len(side), (256,), generator=draw)] for side in sides])
        loss = F.binary_cross_entropy_with_logits(classifier(ws[chosen]), answers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval().requires_grad_(False)


def _standard(scores: np.ndarray) -> Tensor:
    values = torch.from_numpy(scores.astype(np.float32))
    return (values - values.mean()) / values.std()


def _filled(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.where(found, values, values[found].mean() if found.any() else np.nan)
