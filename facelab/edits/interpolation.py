"""Between faces: straight lines, great circles, averages, and the positions of a morph's frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facelab.errors import BadSetting, LatentMismatch

PARALLEL = 1e-4  # radians; below, a great circle and a straight line are the same in float32
EASINGS = ("linear", "smooth")


def linear(first: Tensor, second: Tensor, t: float) -> Tensor:
    """(1 - t) * first + t * second, exact at both ends (Image2StyleGAN, section 4.1, with lambda = 1 - t).

    first, second: latents [..., L, D] of one shape. t: 0 is the first, 1 the second.
    Raises LatentMismatch when the shapes differ.
    """
    _same_shape(first, second)
    return torch.lerp(first, second, float(t))


def spherical(first: Tensor, second: Tensor, t: float) -> Tensor:
    """Along the great circle between the directions of two latents, their lengths in between (Shoemake 1985, slerp).

    first, second: [..., D]; each vector of the last dimension by itself. t: 0 is the first, 1 the second, both exact.
    Raises LatentMismatch when the shapes differ, BadSetting for opposite directions: no circle is the shortest.
    """
    _same_shape(first, second)
    if t in (0, 1):
        return (second if t else first).clone()
    lengths = first.norm(dim=-1, keepdim=True), second.norm(dim=-1, keepdim=True)
    one, two = first / lengths[0].clamp_min(1e-12), second / lengths[1].clamp_min(1e-12)
    # The angle by its sine and cosine: arccos of a product near 1 would lose half of the digits.
    angle = 2 * torch.atan2((one - two).norm(dim=-1, keepdim=True), (one + two).norm(dim=-1, keepdim=True))
    if bool((angle > torch.pi - PARALLEL).any()):
        raise BadSetting("These two faces lie opposite to each other on the sphere. Choose the linear path.")
    sine = torch.sin(angle).clamp_min(PARALLEL / 2)
    circle = torch.sin((1 - t) * angle) / sine * one + torch.sin(t * angle) / sine * two
    direction = torch.where(angle < PARALLEL, torch.lerp(one, two, float(t)), circle)
    return direction * torch.lerp(lengths[0], lengths[1], float(t))


def weighted_mean(latents: Tensor, weights: Sequence[float] | None = None) -> Tensor:
    """The mean of latents [N, ...] -> [...]; weights, N numbers of any positive sum, by default all alike."""
    return torch.tensordot(shares(len(latents), weights).to(latents), latents, dims=1)


def karcher_mean(points: Tensor, weights: Sequence[float] | None = None, *, steps: int = 100) -> Tensor:
    """The point of the unit sphere nearest to all points (least sum of squared angles; Karcher 1977).

    points: [N, D], of any length, taken to the sphere first. Two points give slerp at a half. The order of the points
    does not matter. Returns a unit vector [D]. Raises BadSetting where the points leave no mean (two opposite ones).
    """
    share = shares(len(points), weights).to(points.device)
    unit = points.double() / points.double().norm(dim=1, keepdim=True).clamp_min(1e-12)
    mean = share @ unit
    if float(mean.norm()) < 1e-6:
        raise BadSetting("These faces lie all around the sphere, so that they have no mean. Leave one of them out.")
    mean = mean / mean.norm()
    for _ in range(steps):
        cosine = (unit @ mean).clamp(-1, 1)[:, None]
        tangent = unit - cosine * mean
        sine = tangent.norm(dim=1, keepdim=True)
        step = share @ (tangent * torch.atan2(sine, cosine) / sine.clamp_min(1e-15))
        length = step.norm()
        if float(length) < 1e-12:
            break
        mean = torch.cos(length) * mean + torch.sin(length) * step / length
    return (mean / mean.norm()).to(points.dtype)


def shares(count: int, weights: Sequence[float] | None = None) -> Tensor:
    """Weights that sum to 1, float64 [count]. Raises BadSetting for weights that are negative, too few or all zero."""
    if weights is None:
        weights = [1.0] * count
    values = torch.tensor([float(weight) for weight in weights], dtype=torch.float64)
    if not count or len(values) != count:
        raise BadSetting(
            f"An average takes at least one face and a weight for each: {count} faces, {len(values)} given."
        )
    if not bool(torch.isfinite(values).all()) or bool((values < 0).any()) or float(values.sum()) <= 0:
        raise BadSetting("The weights of an average must be 0 or more, and not all of them 0.")
    return values / values.sum()


def positions(frames: int, *, easing: str = "linear", there_and_back: bool = False) -> list[float]:
    """Where each frame of a morph stands between 0 and 1.

    easing: "linear", or "smooth" for a slow start and end. there_and_back: to 1 and back, without the first position
    at the end again, so that a loop does not halt there; an odd number of frames passes 1 between two of them. Raises
    BadSetting for fewer than two frames.
    """
    if frames < 2:
        raise BadSetting(f"A morph has at least two frames, not {frames}.")
    if easing not in EASINGS:
        raise BadSetting(f"easing must be one of {', '.join(EASINGS)}, not {easing!r}.")
    if there_and_back:
        path = [1 - abs(1 - 2 * index / frames) for index in range(frames)]
    else:
        path = [index / (frames - 1) for index in range(frames)]
    return [t * t * (3 - 2 * t) for t in path] if easing == "smooth" else path


def _same_shape(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape:
        raise LatentMismatch(
            f"These latents have different shapes, {list(first.shape)} and {list(second.shape)}. "
            "Embed both faces with the same model."
        )
