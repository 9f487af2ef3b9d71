"""Trains a circle (circle.py): the mapping from the sphere to a generator's latents, and the features' classifiers.

What it learns from: portraits, whose latents the generator's encoder says, and generated faces, whose latents are
known. Their vectors are dlib's where they were described, else the reader's; or FaceNet's, of all. The mapping also
closes the circle: the reader looks at what is decoded, and must find the vector that went in and, as far as a vector
says it, the features of that face (else decoded noses are narrower than people's); along an edit it must see the
feature change, and little else; and the discriminator asks that all of them look real. The classifiers learn from what
the reader sees there as well, so that their gradients lead to where decoded faces change, which labels of portraits do
not say. The judge takes no part in it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.checkpoints.cards import fingerprint
from facelab.checkpoints.weights import fill_from, load_model
from facelab.circle import DLIB, FEATURES, SPHERES, Circle, Sphere, make_circle
from facelab.edits.sphere import great_circle, on_sphere, walk_on_sphere
from facelab.encoder import load_encode
from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.portraits import describe_split
from facelab.facenet import facenet_vectors, load_facenet
from facelab.generators.base import Generator
from facelab.generators.began import BEGAN
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader, load_reader
from facelab.studio import best_device
from facelab.training.data import Pictures, open_pictures
from facelab.training.direction_list import GOES_WITH, WANTED
from facelab.training.fitting import Fitting
from facelab.training.labels import Labels, read_labels
from facelab.training.run import picture_grid
from facelab.training.settings import CircleSettings
from facelab.training.sight import class_means, is_binary, scores_of

SEEN = tuple(next(each for each in WANTED if each.id == feature.id) for feature in FEATURES)
DESCRIBED_SIDE = 128  # pixels of the portraits that dlib describes, at least: people bring photos, not thumbnails
CHUNK, PART = 64, 4096  # faces looked at in one go, and kept in one file

NOISE = 0.27  # arcs that a training vector is moved by: photos of one person lie farther apart
FURTHER = 0.25  # share of edits that go on in the way in which a face lies already: they must change little else
EDIT_STEPS = 6  # of a training walk; the gradient hardly turns on so short a way
SMOOTHING = 0.05  # of the classes: annotators disagree

LATENT_WEIGHT = 1.0
CLASSES_WEIGHT = 0.5
DECODED_WEIGHT = 0.5  # of the same cross-entropy, of decoded faces
CLEAR = 4.0  # logits between the class means of what is measured: a decoded face is of both classes by as much
# What is seen in decoded faces is noisy: few looks with much weight make the mapping worse than a constant, a dozen
# each step with this weight make it better than the latents alone do.
IDENTITY_WEIGHT = 3.0  # of the angle between what goes in and what is read, squared
LIKENESS_WEIGHT = 0.2  # of how far decoded faces have other features than who went in, squared, in deviations
CHANGE_WEIGHT = 0.6  # of what is missing of the class mean, squared, in distances between the classes
HELD_WEIGHT = 0.2  # of the change of what is held, squared, in deviations among people
SHAVED = ("beard", "mustache")  # held in all edits that do not go with it: darkness around a mouth widens a nose, too
OTHERS_WEIGHT = 0.01  # of the change of the rest
REALISM_WEIGHT = 0.05  # of the discriminator's doubt: the reader takes paint for a moustache
PIXEL_DOUBT = 10.0  # of BEGAN's discriminator, whose loss is a difference of pixels: about 1, as the others' logits


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
        """The batch of one step: every other face has dlib's vector, as far as there are any, or each has FaceNet's."""
        draw = torch.Generator().manual_seed(seed * 1_000_003 + step)
        size = size * (share[1] > share[0]) // share[1]
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


class CircleTrainer(Fitting):
    """The mapping and the classifiers side by side; generator, discriminator and reader only look."""

    columns = ("latent", "classes", "decoded", "identity", "likeness", "change", "held", "realism")

    def __init__(
        self,
        circle: Circle,
        settings: CircleSettings,
        *,
        generator: Generator,
        reader: FaceReader,
        device: torch.device,
        discriminator: nn.Module | None = None,
    ) -> None:
        """discriminator: the generator's own; BEGAN has it within. Without one nothing asks for realism."""
        super().__init__(circle, settings, device=device)
        self.average.eval()
        self.generator, self.reader = generator, reader
        self.discriminator = generator.discriminator if isinstance(generator, BEGAN) else discriminator
        self.shown: Tensor | None = None

    def losses(self, batch: Known, draw: torch.Generator) -> dict[str, Tensor]:
        batch = Known(*(each.to(self.device) for each in batch))
        count = len(batch.points)
        spread = NOISE * self.network.sphere.arc / batch.points.shape[1] ** 0.5
        points = on_sphere(batch.points + spread * torch.randn(batch.points.shape, generator=draw).to(self.device))
        early = self.images < self.settings.look_from * self.settings.images
        looking = not early and self.steps % self.settings.look_every == 0
        tried = min(self.settings.looks, count) if looking else 0
        feature = int(torch.randint(0, len(FEATURES), (1,), generator=draw))
        edited, sign = self._edited(batch, feature, tried, draw)
        standard = self.network.norm(torch.cat([points, edited]))
        deviations = self.network.mapping(standard)
        losses = {
            "latent": LATENT_WEIGHT * (deviations[:count] - batch.latents).square().mean(),
            "classes": CLASSES_WEIGHT * self._classes(standard[:count], batch.classes),
        }
        if looking:
            both, places = (torch.cat([each[:tried], each[count:]]) for each in (deviations, standard))
            losses |= self._looks(self.network.mean + self.network.spread * both, places, batch, feature, sign)
        return losses

    def _edited(self, batch: Known, feature: int, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """The first `count` points with a feature given to those that lack it and taken from those that have it, or
        for a few the other way round, and which way they went, [count].
        """
        lacks = batch.scores[:count, feature] < batch.means[feature].mean()
        further = torch.rand(count, generator=draw).to(self.device) < FURTHER
        sign = torch.where(lacks ^ further, 1.0, -1.0)
        if not count:
            return batch.points[:0], sign
        arc = self.network.sphere.arc * sign * (0.7 + 0.6 * torch.rand(count, generator=draw).to(self.device))
        held = [self.average.classifier(name) for name in FEATURES[feature].held]
        way = self.average.classifier(FEATURES[feature].id)
        return walk_on_sphere(batch.points[:count], way, arc, steps=EDIT_STEPS, frames=1, held=held)[-1], sign

    def _classes(self, standard: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropy of all classifiers; both answers of a feature weigh the same."""
        terms = []
        for place, network in enumerate(self.network.classifiers.values()):
            truth = classes[:, place]
            logits = network(standard)[:, 0]
            for answer in (0.0, 1.0):
                chosen = logits[truth == answer]
                if len(chosen):
                    goal = torch.full_like(chosen, abs(answer - SMOOTHING))
                    terms.append(F.binary_cross_entropy_with_logits(chosen, goal))
        return torch.stack(terms).sum() / (2 * len(FEATURES)) if terms else standard.new_zeros(())

    def _looks(self, latents: Tensor, standard: Tensor, batch: Known, feature: int, sign: Tensor) -> dict[str, Tensor]:
        """What the reader sees in decoded faces [2 n, ...], the second half of them edited; standard: their vectors."""
        count = len(latents) // 2
        pictures = self.generator.synthesize(latents, dtype=fast_dtype(self.device)).float().clamp(-1, 1)
        self.shown = pictures.detach()
        reading = self.reader(pictures)
        seen = torch.stack(list(scores_of(reading, SEEN).values()), dim=1)
        before, after = seen[:count], seen[count:]
        without, with_it = batch.means[feature]
        goal = torch.where(sign > 0, with_it, without)
        missing = F.relu(sign * (goal - after[:, feature])) / (with_it - without)
        weights = torch.tensor(_weights(feature), device=seen.device)
        changed = ((after - before.detach()) / batch.spread).square() * weights
        angle = great_circle(on_sphere(reading.vectors[:count]), batch.goals[:count])
        logits = torch.cat([network(standard) for network in self.network.classifiers.values()], dim=1)
        truth = _as_logits(seen.detach(), batch.means)
        offset = (truth - logits.detach()).mean(dim=0)  # how many have it is for the portraits' labels to say
        return {
            "decoded": DECODED_WEIGHT * F.binary_cross_entropy_with_logits(logits + offset, torch.sigmoid(truth)),
            "identity": IDENTITY_WEIGHT * angle.square().mean(),
            "likeness": LIKENESS_WEIGHT * ((before - batch.scores[:count]) / batch.spread).square().mean(),
            "change": CHANGE_WEIGHT * missing.square().mean(),
            "held": changed.sum(dim=1).mean(),
            **({} if self.discriminator is None else {"realism": REALISM_WEIGHT * self._doubt(pictures).mean()}),
        }

    def _doubt(self, pictures: Tensor) -> Tensor:
        """How unreal pictures [N, 3, R, R] look to the discriminator: its generator's loss in training, [N]."""
        judged = self.discriminator(pictures)
        if judged.shape == pictures.shape:
            return PIXEL_DOUBT * (judged - pictures).abs().flatten(1).mean(dim=1)
        return F.softplus(-judged.float())[:, 0]

    def sheet(self) -> np.ndarray | None:
        """The last faces that were looked at, above their edits."""
        return None if self.shown is None else picture_grid(self.shown, columns=len(self.shown) // 2)


def _as_logits(scores: Tensor, means: Tensor) -> Tensor:
    """How clearly decoded faces have each feature, [N, K]: scores [N, K] that are logits, and sizes as if they were.

    means: [K, 2], of people without and with it.
    """
    yes_or_no = torch.tensor([is_binary(wanted) for wanted in SEEN], device=scores.device)
    without, with_it = means.T
    return torch.where(yes_or_no, scores, CLEAR * (scores - (without + with_it) / 2) / (with_it - without))


def _weights(feature: int) -> list[float]:
    """How much the change of each feature counts while one of them is edited."""
    mine = FEATURES[feature]
    free = (mine.id, *GOES_WITH.get(mine.id, ()))
    others = max(1, len(FEATURES) - len(free))
    weights = {each.id: OTHERS_WEIGHT / others for each in FEATURES}
    weights |= dict.fromkeys((*SHAVED, *mine.held), HELD_WEIGHT) | dict.fromkeys(free, 0.0)
    return [weights[each.id] for each in FEATURES]


def make_trainer(settings: CircleSettings) -> CircleTrainer:
    """A circle at its beginning, or as `start` has it."""
    torch.manual_seed(settings.seed)
    device = best_device()
    generator, discriminator = load_model(settings.model, device=device)
    if isinstance(discriminator, Discriminator):
        discriminator.compute_dtype = fast_dtype(device)
    else:
        discriminator = None  # of the other families only BEGAN's, within the generator, says how unreal a picture is
    circle = make_circle(generator, _sphere(settings))
    if settings.start:
        fill_from(circle, Path(settings.start))
    circle.mean.copy_(generator.mean_latent()[0])
    circle.spread.copy_(spread_of(generator))
    reader = load_reader(device=device)
    return CircleTrainer(
        circle, settings, generator=generator, discriminator=discriminator, reader=reader, device=device
    )


def open_batches(source: Path, settings: CircleSettings, cache: Path) -> Crowd:
    """The train split and generated faces as a crowd, which takes a while and is kept in `cache` part by part."""
    generator = load_model(settings.model, device=best_device())[0]
    pictures = open_pictures(source, resolution=generator.resolution, cache=cache)
    pictures = Pictures(pictures.images[: settings.portraits or None])
    labels = read_labels(source)
    labels = Labels(labels.attributes[: len(pictures)], labels.pose[: len(pictures)])
    known = read_portraits(generator, pictures, cache=cache)
    drawn = read_generated(generator, settings.generated, cache=cache)
    vectors, latents, scores = (torch.cat(columns) for columns in zip(known, drawn, strict=True))
    classes = torch.cat([classes_of(labels, known[2]), torch.full((len(drawn[0]), len(FEATURES)), torch.nan)])
    if _sphere(settings) is not DLIB:
        points = torch.cat(list(_facenet_points(generator, pictures, settings.generated, cache=cache)))
        return Crowd(vectors, latents, scores, classes, points=points)
    looked_at = open_pictures(source, resolution=max(generator.resolution, DESCRIBED_SIDE), cache=cache)
    described = min(settings.described, len(pictures))
    with _bar("dlib", described) as bar:
        seen = describe_split(looked_at.images[:described], cache=cache, name="train", progress=bar.update)
    described, found = torch.from_numpy(seen.vectors), torch.from_numpy(seen.found)
    return Crowd(vectors, latents, scores, classes, described=described, found=found)


def _sphere(settings: CircleSettings) -> Sphere:
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
    reader, standard = load_reader(), _standard(generator)
    encode = load_encode(generator)

    def look(chosen: slice) -> Columns:
        images = pictures.tensor(chosen)
        return _columns(reader, images, standard(encode(images)))

    return _in_parts(look, len(pictures), cache / f"circle-{fingerprint(generator.name)}-portraits", "portraits")


def read_generated(generator: Generator, count: int, *, cache: Path) -> Columns:
    """What the reader sees in random faces, whose latents are known."""
    reader, standard = load_reader(), _standard(generator)
    latents, draw = _drawing(generator, count)

    def look(chosen: slice) -> Columns:
        return _columns(reader, draw(chosen), standard(latents[chosen]))

    return _in_parts(look, count, cache / f"circle-{fingerprint(generator.name)}-generated", "generated")


def _facenet_points(generator: Generator, pictures: Pictures, count: int, *, cache: Path) -> Iterator[Tensor]:
    """FaceNet's vectors [N, 512] of portraits, then of as many generated faces as `read_generated` draws."""
    network = load_facenet(device=best_device())
    _, draw = _drawing(generator, count)
    for name, total, images in ("portraits", len(pictures), pictures.tensor), ("generated", count, draw):
        stem = cache / f"facenet-{fingerprint(generator.name)}-{name}"
        yield from _in_parts(lambda chosen, of=images: (facenet_vectors(network, of(chosen)),), total, stem, name)


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


def spread_of(generator: Generator) -> Tensor:
    """The deviation of each number of a generator's latents, [D], over 1,024 random faces."""
    drawn = torch.cat([generator.sample(CHUNK, seed=seed)[:, 0] for seed in range(1024 // CHUNK)])
    return drawn.std(dim=0).clamp_min(1e-6)


def _standard(generator: Generator) -> Callable[[Tensor], Tensor]:
    mean, spread = generator.mean_latent()[0], spread_of(generator)
    return lambda latents: (latents - mean) / spread


def _in_parts(look: Callable[[slice], Columns], count: int, stem: Path, name: str) -> Columns:
    """All columns, PART faces a file beside `stem`."""
    parts: list[Sequence[Tensor]] = []
    with _bar(name, count) as bar:
        for first in range(0, count, PART):
            stop = min(first + PART, count)
            path = stem.with_name(f"{stem.name}-{first:05d}-{stop - first}.pt")
            if not path.exists():
                chunks = []
                for start in range(first, stop, CHUNK):
                    chunks.append(look(slice(start, min(start + CHUNK, stop))))
                    bar.update(len(chunks[-1][0]))
                torch.save([torch.cat(column) for column in zip(*chunks, strict=True)], path)
            parts.append(torch.load(path, weights_only=True))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _bar(name: str, total: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=name, unit="face", file=sys.stderr, dynamic_ncols=True)
