"""Convolution by weights that faces have tuned (see face.Delta), without a weight of its own for each face.

A face adds a product of two thin factors to a weight: W + U V. A convolution is linear in its weight: the shared W
serves the whole batch, V of few channels all faces that have it, and U, a matrix a face, puts the outcome on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facelab.generators.layers import Prepared, filter_2d


@dataclass(frozen=True, eq=False)
class Group:
    """The faces of a batch that share an inner factor.

    members: their places in the batch. outer: float32 [n, O, r], one for each. inner: float32 [r, I, 3, 3]. Both are
    None for faces that add nothing.
    """

    members: list[int]
    outer: Tensor | None = None
    inner: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TunedWeight:
    """The shared weight, float32 [O, I, 3, 3], and what the groups of a batch add to it."""

    shared: Tensor
    groups: Sequence[Group]


def group_factors(factors: Sequence[tuple[Tensor, Tensor] | None]) -> list[Group]:
    """Group the faces of a batch by their inner factor. factors: for each face outer [O, r] and inner [r, I * 9]."""
    members: dict[int | None, list[int]] = {}
    for place, pair in enumerate(factors):
        members.setdefault(None if pair is None else id(pair[1]), []).append(place)
    groups = []
    for key, places in members.items():
        if key is None:
            groups.append(Group(places))
        else:
            inner = factors[places[0]][1]
            outer = torch.stack([factors[place][0] for place in places])
            inner = inner.reshape(len(inner), -1, 3, 3).to(memory_format=torch.channels_last)
            groups.append(Group(places, outer, inner))
    return groups


def demodulation(weight: Tensor, energy: Tensor, group: Group, styles: Tensor) -> Tensor:
    """The sum of squares of each face's modulated weight, float32 [n, O]: |s (W + U V)|^2, multiplied out.

    energy: of the shared weight, [I, O]. styles: [n, I].
    """
    plain = styles.square() @ energy
    if group.outer is None:
        return plain
    scaled = _rows(group.inner) * styles[:, None, None]  # [n, r, 9, I]
    twice = scaled * styles[:, None, None]
    cross = torch.einsum("oe,nre->nor", _rows(weight).flatten(1), twice.flatten(2))
    scaled = scaled.flatten(2)
    gram = scaled @ scaled.transpose(1, 2)  # [n, r, r]
    return plain + ((2 * cross + group.outer @ gram) * group.outer).sum(dim=2)


def _rows(weight: Tensor) -> Tensor:
    """[O, I, 3, 3] as [O, 9, I], as it lies in memory where channels come last."""
    return weight.permute(0, 2, 3, 1).flatten(1, 2)


def tuned_conv2d(
    x: Tensor,
    weight: TunedWeight,
    styles: Tensor,
    bias: Tensor,
    *,
    up: int,
    fir: Tensor,
    gain: float,
    epsilon: float,
    prepared: Prepared,
    convolve: Callable[[Tensor, Tensor, int, Prepared], Tensor],
) -> Tensor:
    """modulated_conv2d for a batch of tuned faces: the same arguments; convolve: the plain convolution."""
    x = x * styles.to(x.dtype)[:, :, None, None]
    energy = prepared("energy", weight.shared, lambda w: w.square().sum(dim=(2, 3)).t())
    y = convolve(x, weight.shared, up, prepared)
    factor = styles.new_empty(len(x), len(weight.shared))
    pixels = y.permute(0, 2, 3, 1).reshape(len(y), -1, y.shape[1])  # a view: y is channels last
    for group in weight.groups:
        whole = len(group.members) == len(x)
        places = slice(None) if whole else group.members
        factor[places] = demodulation(weight.shared, energy, group, styles[places])
        if group.outer is not None:
            thin = convolve(x[places], group.inner, up, Prepared()).permute(0, 2, 3, 1).flatten(1, 2)
            outer = group.outer.to(x.dtype).transpose(1, 2)
            if whole:
                pixels.baddbmm_(thin, outer)
            else:
                pixels[places] = torch.baddbmm(pixels[places], thin, outer)
    y = pixels.reshape(len(y), *y.shape[2:], -1).permute(0, 3, 1, 2)
    if up == 2:
        y = filter_2d(y, fir, padding=1, gain=4)
    factor = (factor + epsilon).rsqrt() * gain
    return torch.addcmul(bias.to(x.dtype).reshape(-1, bias.shape[-1], 1, 1), y, factor.to(x.dtype)[:, :, None, None])
