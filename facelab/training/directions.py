"""Finds a model's directions on its own samples, labelled by the FaceReader; the judge takes no part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.edits.attributes import Direction, LatentClassifier
from facelab.evaluation.geometry import measure, skin_tone
from facelab.evaluation.judge import ATTRIBUTES
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader, Reading
from facelab.training.direction_list import WANTED, Wanted

CLASS_SHARE = 0.15  # the samples with the strongest and the weakest scores make the two classes
RIDGE = 1e-2  # of the mean variance of w
CLASSIFIER_STEPS = 400


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """ws [N, D] and, for each wanted direction, a standardised score [N]."""

    ws: Tensor
    scores: dict[str, Tensor]


def scores_of(reading: Reading, images: np.ndarray, wanted: Wanted) -> np.ndarray:
    """How much of an attribute the reader sees in N faces, float [N], on the attribute's own scale.

    images: uint8 [N, R, R, 3].
    """
    seen, sign = wanted.seen.removeprefix("-"), -1.0 if wanted.seen.startswith("-") else 1.0
    landmarks = reading.landmarks.float().numpy()
    if seen in ATTRIBUTES:
        return sign * reading.attributes[:, ATTRIBUTES.index(seen)].float().numpy()
    if seen == "skin":
        return skin_tone(images, landmarks)
    if seen in ("yaw", "roll"):
        return reading.pose[:, 0 if seen == "yaw" else 2].float().numpy()
    return measure(landmarks)[seen]


@torch.inference_mode()
def label_samples(
    generator: Generator,
    reader: FaceReader,
    count: int,
    *,
    seed: int = 0,
    batch: int = 32,
    progress: Callable[[int], None] = lambda done: None,
) -> LabelledSamples:
    """Draw `count` faces at truncation 1 and let the reader score them."""
    ws = generator.map(torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed)))
    scores: dict[str, list[np.ndarray]] = {wanted.id: [] for wanted in WANTED}
    for part in ws.split(batch):
        pictures = generator.synthesize(part[:, None], dtype=fast_dtype(part.device)).clamp(-1, 1)
        reading = reader.read(pictures)
        pixels = ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for wanted in WANTED:
            scores[wanted.id].append(scores_of(reading, pixels, wanted))
        progress(len(part))
    columns = {name: torch.from_numpy(np.concatenate(parts)).float() for name, parts in scores.items()}
    standard = {name: ((value - value.mean()) / value.std()).clamp(-4, 4) for name, value in columns.items()}
    return LabelledSamples(ws.clone(), standard)


def find_direction(wanted: Wanted, samples: LabelledSamples, *, num_rows: int, seed: int = 0) -> Direction:
    """One direction, by all three methods, moving every row."""
    ws, scores = samples.ws, samples.scores[wanted.id]
    order = scores.argsort()
    count = max(2, round(CLASS_SHARE * len(order)))
    difference = ws[order[-count:]].mean(dim=0) - ws[order[:count]].mean(dim=0)
    return Direction(
        id=wanted.id,
        title=wanted.title,
        low=wanted.low,
        high=wanted.high,
        group=wanted.group,
        rows=(0, num_rows),
        held=wanted.held,
        strength=1.0,
        difference=difference,
        normal=ridge_normal(ws, scores),
        classifier=fit_classifier(ws, scores, seed=seed),
    )


def ridge_normal(ws: Tensor, scores: Tensor) -> Tensor:
    """The unit vector [D] along which a score [N] grows fastest in w [N, D], by ridge regression."""
    centred = (ws - ws.mean(dim=0)).double()
    covariance = centred.T @ centred / len(ws)
    loading = centred.T @ scores.double() / len(ws)
    covariance += RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    return F.normalize(torch.linalg.solve(covariance, loading), dim=0).float()


def fit_classifier(ws: Tensor, scores: Tensor, *, seed: int) -> LatentClassifier:
    """A classifier of "more than the mean" on w [N, D], by binary cross-entropy with the score as its soft answer."""
    torch.manual_seed(seed)
    classifier = LatentClassifier(ws.shape[1])
    classifier.centre.copy_(ws.mean(dim=0))
    classifier.scale.copy_(ws.std(dim=0))
    answers = torch.sigmoid(2 * scores)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3, weight_decay=0.05, foreach=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, CLASSIFIER_STEPS)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(CLASSIFIER_STEPS):
        chosen = torch.randint(0, len(ws), (512,), generator=draw)
        loss = F.binary_cross_entropy_with_logits(classifier(ws[chosen]), answers[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval().requires_grad_(False)
