"""Models beside each other on faces of one size, by the numbers of the VAE/GAN comparison and by dlib's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from facelab.checkpoints.cards import COMPARISON, EYES, Card, catalogue, checkpoint_folder
from facelab.errors import BadWeights
from facelab.evaluation.inception import inception_score
from facelab.evaluation.judge import Judge, judge
from facelab.evaluation.measured import stated_sha256
from facelab.evaluation.metrics import face_score, frechet_distance, laplacian_variance, mean_pairwise_distance
from facelab.evaluation.portraits import Portraits, describe, draw_samples
from facelab.evaluation.sizes import at_size
from facelab.files import write_file
from facelab.generators.base import Generator
from facelab.pixels import as_images

if TYPE_CHECKING:
    from facelab.evaluation.reconstruction import Reconstruction

TIMED = 64  # pictures
REAL = "real faces"


@dataclass(frozen=True)
class Row:
    """What is known of one model's random faces, or of real ones (then what only a model has is None).

    face_score: metrics.face_score by the judge, 1 to 2. inception_score: where Inception is here. sharpness: variance
    of the Laplacian; sharpness_ratio: that over real faces'. frechet: squared distance of dlib's vectors to those of
    real faces. found: the share in which dlib finds a face. diversity: mean identity distance of pairs. psnr, identity,
    reconstructed, reconstructed_by: see reconstruction.Reconstruction. parameters: an auto-encoder's, encoder and all.
    images_per_second: drawn, on this machine. training_images, training_hours: as the card says.
    """

    name: str
    samples: int
    face_score: float
    sharpness: float
    frechet: float | None = None
    found: float | None = None
    diversity: float | None = None
    inception_score: float | None = None
    sharpness_ratio: float | None = None
    psnr: float | None = None
    identity: float | None = None
    reconstructed: int | None = None
    reconstructed_by: str | None = None
    parameters: int | None = None
    images_per_second: float | None = None
    training_images: int | None = None
    training_hours: float | None = None

    def with_reconstruction(self, done: Reconstruction) -> Row:
        """The row with what a reconstruction has measured."""
        told = {"psnr": done.psnr, "identity": done.identity}
        return replace(self, **told, reconstructed=done.faces, reconstructed_by=done.by)


@dataclass(frozen=True)
class Comparison:
    """Rows measured alike, real faces first where there are any.

    samples, side, seed: of each model's faces. command, machine: how and where. weights: SHA-256 by the name of each
    file of weights that took part: figures of other weights than those that are here now count for nothing.
    """

    samples: int
    side: int
    seed: int
    command: str
    machine: str
    weights: dict[str, str]
    rows: tuple[Row, ...]

    def row(self, card: Card) -> Row | None:
        """The row of a model as it is now."""
        took_part = [name for name in (card.name, f"{card.name}-encoder", *EYES) if name in self.weights]
        if card.name not in took_part or any(self.weights[name] != stated_sha256(name) for name in took_part):
            return None
        return next((row for row in self.rows if row.name == card.name), None)

    def others(self, cards: Sequence[Card]) -> dict[str, Row]:
        """The rows of all other models of the catalogue as they are now, by name."""
        names = {card.name for card in cards}
        rows = {name: self.row(card) for name, card in catalogue().items() if name not in names}
        return {name: row for name, row in rows.items() if row is not None}

    @property
    def real(self) -> Row | None:
        """The row of real faces."""
        return next((row for row in self.rows if row.name == REAL), None)

    def save(self) -> None:
        """Write checkpoints/comparison.json."""
        write_file((json.dumps(asdict(self), indent=2) + "\n").encode(), checkpoint_folder() / COMPARISON)


def load_comparison() -> Comparison | None:
    """What `evaluate --save` wrote, or None. Raises BadWeights where it is no such file."""
    path = checkpoint_folder() / COMPARISON
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {entry.name for entry in fields(Row)}
        rows = tuple(Row(**{key: each for key, each in row.items() if key in known}) for row in values["rows"])
        return Comparison(**{**values, "rows": rows})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as cause:
        raise BadWeights(f"{COMPARISON} is damaged. Delete it, or measure again: evaluate M1 M2 --save.") from cause


def describe_faces(
    name: str,
    images: list[np.ndarray],
    network: Judge,
    *,
    seen: Portraits,
    real: Portraits | None = None,
    inception: nn.Module | None = None,
) -> Row:
    """A row of pictures uint8 [R, R, 3]. seen: what dlib sees in them. real: in real faces."""
    logits = judge(network, as_images(images)).cpu().numpy()
    vectors = seen.vectors[seen.found]
    return Row(
        name=name,
        samples=len(images),
        face_score=round(face_score(logits), 4),
        inception_score=None if inception is None else round(inception_score(inception, images), 3),
        sharpness=round(laplacian_variance(np.stack(images)), 1),
        frechet=None
        if real is None or len(vectors) < 2
        else round(frechet_distance(vectors, real.vectors[real.found]), 4),
        found=round(float(seen.found.mean()), 4),
        diversity=round(mean_pairwise_distance(vectors), 4) if len(vectors) > 1 else None,
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
    inception: nn.Module | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Row:
    """A model's row: `count` random faces of it, at truncation 1, averaged down to `side` pixels.

    real: what dlib sees in real faces of that size.
    """
    drawn = at_size(draw_samples(generator, count, seed=seed), side)
    seen = describe(drawn, progress=progress)
    row = describe_faces(card.name, drawn, network, seen=seen, real=real, inception=inception)
    return of_model(row, card, generator)


def of_model(row: Row, card: Card, generator: Generator) -> Row:
    """A row with what is known of the model itself."""
    return replace(
        row,
        parameters=count_parameters(generator),
        images_per_second=round(speed(generator), 1),
        training_images=card.training.get("images"),
        training_hours=card.training.get("hours"),
    )


def with_ratios(rows: Sequence[Row], real: Row) -> list[Row]:
    """Rows with their sharpness over that of real faces of the same size."""
    return [replace(row, sharpness_ratio=round(row.sharpness / real.sharpness, 3)) for row in rows]


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
