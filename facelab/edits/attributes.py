"""Attribute edits: a latent moved along a direction, straight or by a classifier's gradient, others held or not.

Strength 1 is the distance between the class means, for every method, so that methods can be compared: a unit vector n
is gone along for strength * |d|, where d is the difference of the means (VAE/GAN, section on attribute vectors; ISTRC,
section 4; InterFaceGAN, Shen et al. 2020, section 3, for the conditional edits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from facelab.errors import BadSetting

METHODS = ("linear", "mean", "gradient")
DEFAULT_METHOD = "linear"
MOST = 5.0  # of a strength; the page's sliders end at 3
WALK_STEPS = 50  # of a gradient edit; a walk that is watched takes more
MAX_WALK_STEPS = 5000


class LatentClassifier(nn.Module):
    """w [N, D] -> logit [N] of one attribute; four layers with a smooth rectifier, whose gradient never vanishes."""

    def __init__(self, dim: int, *, hidden: int = 48) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*widths) for widths in pairwise([dim, hidden, hidden, hidden]))
        self.out = nn.Linear(hidden, 1)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, w: Tensor) -> Tensor:
        x = (w - self.centre) / self.scale
        for layer in self.layers:
            x = nn.functional.silu(layer(x))
        return self.out(x)[:, 0]


@dataclass(frozen=True, eq=False)
class Direction:
    """One attribute of one model's latent space.

    id, title, low, high, group: its name, and what the page calls it and its two ends. rows: (start, stop), the rows of
    w+ that it moves. held: ids of the attributes that a conditional edit keeps, by default. strength: what changes most
    faces that lack it. difference: float32 [D], or [L, D] row by row: the mean latent with it minus that without it.
    normal: of the same shape, the linear direction. classifier: its logit on w, for gradient walks. quality: what was
    measured. region: where in the picture it changes anything (regions.py), "" for everywhere. model, model_sha256,
    hash: of one of a person's own (own_directions.py), whose model it belongs to, and what identifies its numbers.
    """

    id: str
    title: str
    low: str
    high: str
    group: str
    rows: tuple[int, int]
    held: tuple[str, ...]
    strength: float
    difference: Tensor
    normal: Tensor
    classifier: LatentClassifier | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    region: str = ""
    model: str = ""
    model_sha256: str = ""
    hash: str = ""


def way_of(direction: Direction, *, method: str, held: Sequence[Direction], rows: slice, num_rows: int) -> Tensor:
    """What strength 1 adds to the chosen rows, [R, D]: on all rows that the direction moves, as far along it as the
    class means lie apart on all that there are, less what of it belongs to those that are held.
    """
    vectors = [
        each.difference if method == "mean" else each.normal
        for each in (direction, *(other for other in held if other.id != direction.id))
    ]
    length = _on_rows(direction.difference, slice(None), num_rows).norm()
    whole = _on_rows(vectors[0], slice(*direction.rows), num_rows).norm().clamp_min(1e-12)
    straight, *kept = [_on_rows(vector, rows, num_rows) for vector in vectors]
    return orthogonal_to(length / whole * straight, kept).reshape(-1, direction.difference.shape[-1])


def orthogonal_to(vector: Tensor, others: Sequence[Tensor]) -> Tensor:
    """`vector` [D] without its part in the span of `others`, [D] each."""
    if not others:
        return vector
    axes, sizes, _ = torch.linalg.svd(torch.stack(list(others), dim=1), full_matrices=False)
    basis = axes[:, sizes > 1e-6 * sizes.max()]  # what is said twice, or is nothing here, holds nothing more
    return vector - basis @ (basis.T @ vector)


def difference_of(with_it: Tensor, without: Tensor) -> Tensor:
    """The mean of faces with something [N, L, D] less that of faces without it [M, L, D]: [L, D].

    Raises BadSetting where there is no face on one side.
    """
    if not len(with_it) or not len(without):
        raise BadSetting("A direction needs at least one face with the attribute and one without it.")
    return with_it.mean(dim=0) - without.mean(dim=0)


def move(
    latent: Tensor,
    direction: Direction,
    strength: float,
    *,
    method: str = DEFAULT_METHOD,
    held: Sequence[Direction] = (),
    rows: slice | None = None,
) -> Tensor:
    """A w+ latent [L, D] with an attribute changed.

    strength: 1 goes as far as the class means lie apart (see `way_of`), negative towards `low`. method: "linear" (made
    to change this one alone), "mean" (difference of the means) or "gradient" (steps along the classifier's gradient).
    held: attributes that are to stay. rows: which rows move, by default the direction's.
    Raises BadSetting for an unknown method.
    """
    if method not in METHODS:
        raise BadSetting(f"The method must be one of {', '.join(METHODS)}, not {method!r}.")
    if method == "gradient" and strength:
        return walk(latent, direction, strength, steps=WALK_STEPS, frames=1, held=held, rows=rows)[-1]
    chosen = rows or slice(*direction.rows)
    way = way_of(direction, method=method, held=held, rows=chosen, num_rows=len(latent))
    return _moved(latent, strength * way, chosen)


def walk(
    latent: Tensor,
    direction: Direction,
    strength: float,
    *,
    steps: int = 500,
    frames: int = 10,
    held: Sequence[Direction] = (),
    rows: slice | None = None,
) -> Tensor:
    """Equal steps along the gradient of the attribute's classifier (ISTRC, section 4): [frames + 1, L, D], from the
    latent itself on.

    The gradient is taken at the mean of the rows that move, and all of them move alike; its part along the gradients of
    the attributes that are held is taken out at every step.
    """
    if direction.classifier is None:
        raise BadSetting(f"{direction.title} has no classifier to walk by. Choose the method mean or linear.")
    if not 1 <= frames <= steps:
        raise BadSetting(f"A walk needs at least one frame and no more frames than its {steps} steps, not {frames}.")
    if steps > MAX_WALK_STEPS:
        raise BadSetting(f"A walk has at most {MAX_WALK_STEPS} steps, not {steps}.")
    chosen = rows or slice(*direction.rows)
    kept = [other for other in held if other.id != direction.id and other.classifier is not None]
    straight = way_of(direction, method="mean", held=held, rows=chosen, num_rows=len(latent))
    length = strength * float(straight.norm(dim=1).mean()) / steps
    place = start = latent[chosen].mean(dim=0)
    path = [latent]
    shown = {round((number + 1) * steps / frames) for number in range(frames)}
    for step in range(1, steps + 1):
        slope = orthogonal_to(_slope(direction, place), [_slope(other, place) for other in kept])
        place = place + length * nn.functional.normalize(slope, dim=0)
        if step in shown:
            path.append(_moved(latent, place - start, chosen))
    return torch.stack(path)


def _slope(direction: Direction, place: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        point = place.detach().clone()[None].requires_grad_()
        return torch.autograd.grad(direction.classifier(point).sum(), point)[0][0]


def _on_rows(vector: Tensor, rows: slice, num_rows: int) -> Tensor:
    """A vector [D] or [L, D] on the chosen rows, flat."""
    return vector.expand(num_rows, -1)[rows].flatten()


def _moved(latent: Tensor, offset: Tensor, rows: slice) -> Tensor:
    moved = latent.clone()
    moved[rows] += offset.to(latent)
    return moved
