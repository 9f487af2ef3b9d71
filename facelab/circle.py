"""ISTRC's circle: identity vector -> edit on the unit hypersphere -> mapping -> a generator's latent -> picture.

The sphere's own arithmetic is in edits/sphere.py; here are the networks that belong to one generator: the mapping of
its section 3.3 and a classifier for each feature (section 5.3). Where the paper maps to the latent of BEGAN's
auto-encoder, any generator's latent will do here, all rows of StyleGAN's w+ included.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from facelab.edits.sphere import Classifier
from facelab.generators.base import Generator

CIRCLE = "circle"  # the sphere's name as a method of edits, and as a space of morphs, averages and sums
HIDDEN = 256
RANK = 96  # of the mapping's last layer, where the latent has more numbers
CLASSIFIER_HIDDEN = 48


@dataclass(frozen=True)
class Sphere:
    """Whose vectors a circle begins with. size: their numbers. same_angle: in radians, below it two are one person.
    arc: what strength 1 of an edit is, in radians: about as far apart as two photos of one person lie, so that the
    edited vector is still the person's.
    """

    name: str
    size: int
    same_angle: float
    arc: float


# dlib: 0.6 between raw vectors lets 0.5 percent of strangers through, and so does 0.4; the arc is the median of 11,987
# pairs of the val split. Strangers are 0.58 apart.
DLIB = Sphere("dlib", 128, same_angle=0.4, arc=0.3)
# FaceNet: 1.1 between vectors, squared (Schroff et al. 2015, figure 1), is 1.1 as an angle, too; the arc in proportion.
FACENET = Sphere("facenet", 512, same_angle=1.1, arc=0.83)
SPHERES = {each.name: each for each in (DLIB, FACENET)}


@dataclass(frozen=True)
class Feature:
    """A feature that has a classifier. id, title, low, high: as of a direction. held: ids of the features that an edit
    holds, by default. layers: fully connected ones of its classifier, more for what is harder to tell (4 to 7).
    """

    id: str
    title: str
    low: str
    high: str
    held: tuple[str, ...]
    layers: int


# ISTRC's ten semantic transformations and its make-up; a beard and a moustache are two classifiers of one of them.
FEATURES = (
    Feature("gender", "Gender", "feminine", "masculine", (), 4),
    Feature("smile", "Smile", "serious", "smiling", ("gender",), 6),
    Feature("mouth_open", "Mouth", "closed", "open", ("gender",), 6),
    Feature("beard", "Beard", "shaved", "bearded", ("gender",), 4),
    Feature("mustache", "Moustache", "without", "with", ("gender",), 4),
    Feature("nose_size", "Nose", "narrower", "wider", ("gender",), 5),
    Feature("age", "Age", "younger", "older", ("gender",), 5),
    Feature("lips", "Lips", "thinner", "fuller", ("gender",), 5),
    Feature("eyes", "Eyes", "narrower", "wider", ("gender",), 7),
    Feature("mouth_size", "Mouth width", "narrower", "wider", ("gender",), 6),
    Feature("attractive", "“Attractive”", "less", "more", ("gender",), 5),
    Feature("makeup", "Make-up", "without", "with", ("gender",), 4),
)


class Mapping(nn.Module):
    """Standardised vectors [N, V] -> deviations [N, L, D] from the mean latent: five fully connected layers with
    batch norm and tanh between them. The last one is a product of two where the latent is large.
    """

    def __init__(self, size: int, rows: int, dim: int) -> None:
        super().__init__()
        self.rows, self.dim = rows, dim
        widths = [size, HIDDEN, HIDDEN, HIDDEN, HIDDEN]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(*pair, bias=False), nn.BatchNorm1d(pair[1]), nn.Tanh()) for pair in pairwise(widths)
        )
        rank, numbers = min(RANK, rows * dim), rows * dim
        self.begin = nn.Linear(HIDDEN, rank, bias=False)
        self.end = nn.Linear(rank, numbers)

    def forward(self, vectors: Tensor) -> Tensor:
        x = vectors
        for layer in self.layers:
            x = layer(x)
        return self.end(self.begin(x)).unflatten(1, (self.rows, self.dim))


class Circle(nn.Module):
    """The networks of one generator's circle: points of the sphere [N, V] -> its latents [N, L, D].

    sphere: whose points they are, and so V. mean, spread: [D] each, of the generator's latents; the mapping's
    deviations are in units of the spread. norm: the mean and the deviation of vectors, which lie together in a small
    part of the sphere.
    """

    def __init__(self, rows: int, dim: int, sphere: Sphere = DLIB) -> None:
        super().__init__()
        self.sphere = sphere
        self.norm = nn.BatchNorm1d(sphere.size, affine=False)
        self.mapping = Mapping(sphere.size, rows, dim)
        self.classifiers = nn.ModuleDict({each.id: _classifier(sphere.size, each.layers) for each in FEATURES})
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))

    def forward(self, points: Tensor) -> Tensor:
        return self.mean + self.spread * self.mapping(self.norm(points))

    def classifier(self, feature: str) -> Classifier:
        """The logit [N] of a feature at points [N, V]."""
        network = self.classifiers[feature]
        return lambda points: network(self.norm(points))[:, 0]

    @property
    def middle(self) -> Tensor:
        """The mean vector of the portraits that the circle was trained on, on the sphere, [V]."""
        return nn.functional.normalize(self.norm.running_mean, dim=0)


def feature_of(id: str) -> Feature | None:
    """The feature of an id, or None."""
    return next((each for each in FEATURES if each.id == id), None)


def edit_key(id: str, sign: float) -> str:
    """What figures of an edit go by: a feature given ("smile +") or taken ("smile -")."""
    return f"{id} {'+' if sign > 0 else '-'}"


def make_circle(generator: Generator, sphere: Sphere = DLIB) -> Circle:
    """An untrained circle from a sphere through the latents that a generator's faces are edited in."""
    return Circle(*generator.latent_shape(generator.edit_space), sphere)


def fit_circle(generator: Generator, tensors: dict[str, Tensor]) -> Circle:
    """A circle's tensors as a network, from whichever sphere they are. Raises BadWeights where they do not fit."""
    from facelab.checkpoints.weights import fill

    size = tensors["norm.running_mean"].numel() if "norm.running_mean" in tensors else 0
    sphere = next((each for each in SPHERES.values() if each.size == size), DLIB)
    circle = make_circle(generator, sphere)
    fill(circle, {name: value.float() for name, value in tensors.items()})
    return circle.eval().requires_grad_(False)


def load_circle(generator: Generator, path: Path | None = None) -> Circle:
    """The circle that ships with a generator, frozen, or the one in `path`, on the generator's device.

    Raises UnknownModel when the model ships without one and BadWeights for a damaged file.
    """
    from facelab.checkpoints.cards import find_companion
    from facelab.checkpoints.weights import read_weights

    path, sha256 = (path, None) if path else find_companion(f"{generator.name}-circle")
    return fit_circle(generator, read_weights(path, sha256=sha256)).to(generator.mean_latent().device)


def _classifier(size: int, layers: int) -> nn.Sequential:
    widths = [size, *[CLASSIFIER_HIDDEN] * (layers - 1)]
    hidden = [module for pair in pairwise(widths) for module in (nn.Linear(*pair), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(CLASSIFIER_HIDDEN, 1))
