"""The unit hypersphere of identity vectors, as ISTRC edits it: walks, averages, sums, neighbours and distances.

Pure functions on tensors. Points are unit vectors [..., D]; angles are in radians. The way between two points is
`interpolation.spherical`, the mean of many `interpolation.karcher_mean`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.edits.interpolation import spherical
from facelab.errors import BadSetting
from facelab.seeds import seeded

Classifier = Callable[[Tensor], Tensor]  # points [N, D] -> logits [N]

SUMMIT_STEPS, SUMMIT_GAIN = 25, 0.02  # steps in which the logit has gained no more: they only go round the summit
SMALLEST = 1e-4  # of a sum's length: shorter ones point nowhere


def on_sphere(vectors: Tensor) -> Tensor:
    """Vectors [..., D] at length 1."""
    return F.normalize(vectors, dim=-1)


def walk_on_sphere(
    points: Tensor,
    classifier: Classifier,
    arc: float | Tensor,
    *,
    steps: int = 500,
    frames: int = 10,
    held: Sequence[Classifier] = (),
) -> Tensor:
    """Walks along a classifier's gradient, every step as long as the others and back on the sphere after each
    (ISTRC, sections 3.4 and 5.4): [frames + 1, N, D], from the points themselves on.

    The paper descends the binary cross-entropy towards 1 or 0 with a learning rate that keeps the steps equal; what is
    left of it then is the direction of the logit's gradient, up or down. points: [N, D]. arc: how far in all, one for
    each point or one for all; negative is towards 0. held: classifiers whose answers are to stay: at each step the
    part along their gradients is taken out, which the paper does not do.
    Raises BadSetting unless 1 <= frames <= steps.
    """
    if not 1 <= frames <= steps:
        raise BadSetting(f"A walk needs at least one frame and no more frames than its {steps} steps, not {frames}.")
    length = torch.as_tensor(arc, dtype=points.dtype, device=points.device) / steps
    shown = {round((number + 1) * steps / frames) for number in range(frames)}
    path, place = [points], points
    for step in range(1, steps + 1):
        place = _step(place, classifier, length, held)
        if step in shown:
            path.append(place)
    return torch.stack(path)


def walk_until_sure(
    points: Tensor,
    classifier: Classifier,
    stride: float,
    *,
    sure: float,
    most: int,
    held: Sequence[Classifier] = (),
) -> tuple[Tensor, Tensor]:
    """The same walks, however far, until the classifier says it: the paths [S + 1, N, D], from the points themselves
    on, and the steps that each point took [N], after which it stays where it is.

    points: [N, D]. stride: of each step, in radians; negative is towards 0. sure: where a point has arrived, its
    logit towards 1 or 0. most: steps, S at most. held: as in `walk_on_sphere`. A walk that climbs no more has found the
    surest place that there is, and ends there without having arrived.
    """
    path, steps = [points], torch.zeros(len(points), dtype=torch.long, device=points.device)
    side, place = (1.0 if stride > 0 else -1.0), points
    length = torch.tensor(stride, dtype=points.dtype, device=points.device)
    best, best_at = torch.full_like(points[:, 0], -torch.inf), steps.clone()
    while len(path) <= most:
        with torch.no_grad():
            says = side * classifier(place)
        climbs = says > best + SUMMIT_GAIN
        best, best_at = torch.where(climbs, says, best), torch.where(climbs, steps, best_at)
        going = (says < sure) & (steps - best_at < SUMMIT_STEPS)
        if not going.any():
            break
        place = place.clone()
        place[going] = _step(place[going], classifier, length, held)
        steps += going
        path.append(place)
    return torch.stack(path), steps


def plain_mean(points: Tensor) -> Tensor:
    """The mean of points [N, D] as numbers, [D]: shorter than 1, and the more so the more the points differ."""
    return points.mean(dim=0)


def chained_mean(points: Tensor) -> Tensor:
    """The mean of points [N, D] as the paper's formula has it, slerp(., ., 0.5) of one after the other, [D].

    Each new point weighs as much as all before it, so that the last ones decide and the order matters.
    """
    mean = points[0]
    for point in points[1:]:
        mean = spherical(mean, point, 0.5)
    return mean


def sum_on_sphere(points: Mapping[str, Tensor], weights: Mapping[str, float], *, origin: Tensor) -> Tensor:
    """A weighted sum of points such as A + B - C, brought back to the sphere, [D] (ISTRC, section 4.3).

    points: name -> [D]. weights: of `arithmetic.parse`. origin: the mean point, from which differences are summed
    where the weights do not sum to 1. Raises BadSetting for a sum that points nowhere.
    """
    total = origin * (1 - sum(weights.values())) + sum(weight * points[name] for name, weight in weights.items())
    if float(total.norm()) < SMALLEST:
        raise BadSetting("This sum cancels out, so that no face is left. Change the expression.")
    return on_sphere(total)


def neighbours_on_sphere(point: Tensor, count: int, *, angle: float, seed: int) -> Tensor:
    """`count` points [count, D] at an angle from a point [D], in random directions (ISTRC, figure 6 has 63)."""
    noise = torch.randn(count, len(point), generator=seeded(seed)).to(point)
    way = F.normalize(_without(noise, [point.expand_as(noise)]), dim=-1)
    return torch.cos(torch.tensor(angle)) * point + torch.sin(torch.tensor(angle)) * way


def great_circle(first: Tensor, second: Tensor) -> Tensor:
    """The angle between points [..., D], in [0, pi]: the distance along the sphere. Exact also for near ones."""
    return 2 * torch.atan2((first - second).norm(dim=-1), (first + second).norm(dim=-1))


def _step(place: Tensor, classifier: Classifier, length: Tensor, held: Sequence[Classifier]) -> Tensor:
    """Points [N, D] one step further up the classifier's gradient, down where the length, in radians, is negative."""
    way = _without(_slope(classifier, place), [place, *(_slope(other, place) for other in held)])
    return on_sphere(place + torch.tan(length).reshape(-1, 1) * F.normalize(way, dim=-1))


def _slope(classifier: Classifier, points: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        place = points.detach().clone().requires_grad_()
        return torch.autograd.grad(classifier(place).sum(), place)[0]


def _without(vectors: Tensor, others: Sequence[Tensor]) -> Tensor:
    """`vectors` [N, D] without their parts in the span of `others`, [N, D] each (Gram and Schmidt)."""
    basis: list[Tensor] = []
    for other in others:
        for axis in basis:
            other = other - (other * axis).sum(dim=-1, keepdim=True) * axis
        basis.append(F.normalize(other, dim=-1))
    for axis in basis:
        vectors = vectors - (vectors * axis).sum(dim=-1, keepdim=True) * axis
    return vectors
