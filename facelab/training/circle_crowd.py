"""What a circle is taught on (training/circle.py): portraits, whose latents the generator's encoder says, and generated
faces, whose latents are known. Their vectors are dlib's where they were described, else the reader's; or FaceNet's, of
all.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import fingerprint
from facelab.checkpoints.weights import load_model
from facelab.circle import DLIB, FEATURES, SPHERES, Sphere
from facelab.commands.console import progress_bar
from facelab.edits.sphere import on_sphere
from facelab.encoder import load_encode
from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.portraits import describe_split, made_of
from facelab.facenet import facenet_vectors, load_facenet
from facelab.files import read_or_make
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader, load_reader
from facelab.studio import best_device
from facelab.training.data import Pictures, open_pictures
from facelab.training.direction_list import WANTED
from facelab.training.labels import Labels, read_labels
from facelab.training.settings import CircleSettings
from facelab.training.sight import class_means, is_binary, scores_of

SEEN = tuple(next(each for each in WANTED if each.id == feature.id) for feature in FEATURES)
DESCRIBED_SIDE = 128  # pixels of the portraits that dlib describes, at least: people bring photos, not thumbnails
CHUNK, PART = 64, 4096  # faces looked at in one go, and kept in one file


class Known(NamedTuple):
    """A batch. points: [N, V] on the sphere, dlib's or the reader's, or FaceNet's. goals: [N, 128] on the sphere, the
    reader's. latents: [N, L, D], deviations in units of the spread. classes: [N, K], 0, 1, or NaN where nothing is
    known. scores: [N, K], what the reader sees. means: [K, 2], such scores of people without and with the feature.
    spread: [K].
    """

    points: Tensor
    goals: Tensor
    latents: Tensor
    classes: Tensor
    scores: Tensor
    means: Tensor
    spread: Tensor


class Crowd:
    """All that is known of portraits and generated faces, in memory.

    vectors: the reader's raw ones [N, 128]. latents: float16 deviations [N, L, D]. scores, classes: [N, K]. described:
    dlib's raw vectors [M, 128] of the first M faces; found: bool [M]. points: FaceNet's [N, 512], in place of both.
    """

    def __init__(
        self,
        vectors: Tensor,
        latents: Tensor,
        scores: Tensor,
        classes: Tensor,
        *,
        described: Tensor | None = None,
        found: Tensor | None = None,
        points: Tensor | None = None,
    ) -> None:
        self.goals, self.latents = on_sphere(vectors.float()), latents
        self.points = self.goals if points is None else points.float()
        self.scores, self.classes = scores, classes
        self.described = None if described is None else on_sphere(described.float())
        self.found = torch.zeros(0, dtype=torch.int64) if found is None else torch.nonzero(found)[:, 0]
        pairs = zip(SEEN, scores.T, strict=True)
        self.means = torch.tensor([class_means(values, binary=is_binary(wanted)) for wanted, values in pairs])
        self.spread = scores.std(dim=0)

    def batch(self, step: int, *, size: int, seed: int, flip: bool = False, share: tuple[int, int] = (0, 1)) -> Known:
        """The batch of one step: every other face has dlib's vector, as far as there are any, or each has FaceNet's.

        A circle is trained by one process and never on mirrored faces: flip and share are those of other batches.
        """
        draw = torch.Generator().manual_seed(seed * 1_000_003 + step)
        half = size // 2 if len(self.found) else 0
        by_dlib = self.found[torch.randint(0, max(len(self.found), 1), (half,), generator=draw)] if half else None
        others = torch.randint(0, len(self.goals), (size - half,), generator=draw)
        chosen = others if by_dlib is None else torch.stack([by_dlib, others[:half]], dim=1).flatten()
        if len(chosen) < size:
            chosen = torch.cat([chosen, others[half:]])
        points = self.points[chosen].clone()
        if by_dlib is not None:
            points[: 2 * half : 2] = self.described[by_dlib]
        return Known(
            points,
            self.goals[chosen],
            self.latents[chosen].float(),
            self.classes[chosen],
            self.scores[chosen],
            self.means,
            self.spread,
        )


def open_crowd(source: Path, settings: CircleSettings, cache: Path) -> Crowd:
    """The train split and generated faces as a crowd, which takes a while and is kept in `cache` part by part."""
    generator = load_model(settings.model, device=best_device())[0]
    pictures = open_pictures(source, resolution=generator.resolution, cache=cache)
    pictures = Pictures(pictures.images[: settings.portraits or None])
    labels = read_labels(source).first(len(pictures))
    known = read_portraits(generator, pictures, cache=cache)
    drawn = read_generated(generator, settings.generated, cache=cache)
    vectors, latents, scores = (torch.cat(columns) for columns in zip(known, drawn, strict=True))
    classes = torch.cat([classes_of(labels, known[2]), torch.full((len(drawn[0]), len(FEATURES)), torch.nan)])
    if sphere_of(settings) is not DLIB:
        points = torch.cat(list(_facenet_points(generator, pictures, settings.generated, cache=cache)))
        return Crowd(vectors, latents, scores, classes, points=points)
    looked_at = open_pictures(source, resolution=max(generator.resolution, DESCRIBED_SIDE), cache=cache)
    described = min(settings.described, len(pictures))
    with progress_bar("dlib", described, "face") as bar:
        seen = describe_split(looked_at.images[:described], cache=cache, name="train", progress=bar.update)
    described, found = torch.from_numpy(seen.vectors), torch.from_numpy(seen.found)
    return Crowd(vectors, latents, scores, classes, described=described, found=found)


def sphere_of(settings: CircleSettings) -> Sphere:
    """Whose vectors a circle begins with. Raises BadSetting for a name that is none of SPHERES."""
    if settings.identity not in SPHERES:
        raise BadSetting(f"A circle begins with the vectors of {' or '.join(SPHERES)}, not of {settings.identity!r}.")
    return SPHERES[settings.identity]


def classes_of(labels: Labels, scores: Tensor) -> Tensor:
    """Who has each feature, [N, K]: a label's answer, or of what is measured the outer thirds, and NaN between them.

    scores: [N, K], what the reader sees.
    """
    columns = []
    for wanted, values in zip(SEEN, scores.T, strict=True):
        name, opposite = wanted.seen.removeprefix("-"), wanted.seen.startswith("-")
        if name in ATTRIBUTES:
            columns.append(torch.from_numpy(labels.of(name) ^ opposite).float())
        else:
            low, high = torch.quantile(values, torch.tensor([1 / 3, 2 / 3]))
            columns.append(torch.where(values >= high, 1.0, torch.where(values <= low, 0.0, torch.nan)))
    return torch.stack(columns, dim=1)


Columns = tuple[Tensor, ...]  # the reader's vectors [N, 128], deviations [N, L, D], scores [N, K]; or FaceNet's alone


def read_portraits(generator: Generator, pictures: Pictures, *, cache: Path) -> Columns:
    """What the reader and the generator's encoder see in portraits."""
    device = generator.mean_latent().device
    reader, standard, encode = load_reader(device=device), _standard(generator), load_encode(generator)

    def look(chosen: slice) -> Columns:
        images = pictures.tensor(chosen).to(device)
        return _columns(reader, images, standard(encode(images)))

    stem = cache / f"circle-{fingerprint(generator.name)}-portraits"
    return _in_parts(look, len(pictures), stem, "portraits", shown=pictures.images)


def read_generated(generator: Generator, count: int, *, cache: Path) -> Columns:
    """What the reader sees in random faces, whose latents are known."""
    reader, standard = load_reader(device=generator.mean_latent().device), _standard(generator)
    latents, draw = _drawing(generator, count)

    def look(chosen: slice) -> Columns:
        return _columns(reader, draw(chosen), standard(latents[chosen]))

    return _in_parts(look, count, cache / f"circle-{fingerprint(generator.name)}-generated", "generated")


def _facenet_points(generator: Generator, pictures: Pictures, count: int, *, cache: Path) -> Iterator[Tensor]:
    """FaceNet's vectors [N, 512] of portraits, then of as many generated faces as `read_generated` draws."""
    network = load_facenet(device=best_device())
    _, draw = _drawing(generator, count)
    both = ("portraits", len(pictures), pictures.tensor, pictures.images), ("generated", count, draw, None)
    for name, total, images, shown in both:
        stem = cache / f"facenet-{fingerprint(generator.name)}-{name}"
        look = partial(_facenet_columns, network, images)
        yield from _in_parts(look, total, stem, name, shown=shown)


def _facenet_columns(network: nn.Module, images: Callable[[slice], Tensor], chosen: slice) -> Columns:
    return (facenet_vectors(network, images(chosen)),)


def _drawing(generator: Generator, count: int) -> tuple[Tensor, Callable[[slice], Tensor]]:
    """Latents of random faces, [N, L, D], and what draws some of them, [n, 3, R, R] in [-1, 1]."""
    latents = generator.sample(count, seed=1, truncation=0.8)

    @torch.no_grad()
    def draw(chosen: slice) -> Tensor:
        return generator.synthesize(latents[chosen], dtype=fast_dtype(latents.device)).clamp(-1, 1)

    return latents, draw


def _columns(reader: FaceReader, images: Tensor, deviations: Tensor) -> Columns:
    reading = reader.read(images, batch=CHUNK)
    scores = torch.stack(list(scores_of(reading, SEEN).values()), dim=1)
    return reading.vectors.float().cpu(), deviations.half().cpu(), scores.float().cpu()


def _standard(generator: Generator) -> Callable[[Tensor], Tensor]:
    mean, spread = generator.mean_latent()[0], generator.spread()
    return lambda latents: (latents - mean) / spread


def _in_parts(
    look: Callable[[slice], Columns], count: int, stem: Path, name: str, *, shown: np.ndarray | None = None
) -> Columns:
    """All columns, PART faces a file beside `stem`. shown: the pictures looked at, where nothing else tells them."""
    parts: list[Columns] = []
    with progress_bar(name, count, "face") as bar:

        def look_at(first: int, stop: int) -> bytes:
            chunks, buffer = [], io.BytesIO()
            for start in range(first, stop, CHUNK):
                chunks.append(look(slice(start, min(start + CHUNK, stop))))
                bar.update(len(chunks[-1][0]))
            torch.save([torch.cat(column) for column in zip(*chunks, strict=True)], buffer)
            return buffer.getvalue()

        for first in range(0, count, PART):
            stop = min(first + PART, count)
            which = "" if shown is None else f"-{made_of(shown[first:stop])}"
            path = stem.with_name(f"{stem.name}-{first:05d}-{stop - first}{which}.pt")
            parts.append(read_or_make(path, _read_columns, partial(look_at, first, stop)))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _read_columns(data: bytes) -> Columns:
    return tuple(torch.load(io.BytesIO(data), weights_only=True))
