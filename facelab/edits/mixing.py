"""Weighted sums of faces' deltas. Products of factors are summed, never the factors: ranks are laid side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facelab.face import Delta

MAX_RANK = 64  # above, a sum is recompressed
KEPT_RANK = 32  # to this rank: the best approximation of each layer's sum in the least-squares sense


def mix_deltas(deltas: Sequence[Delta | None], weights: Sequence[float]) -> Delta | None:
    """The delta whose addition to every weight is the weighted sum of those of `deltas`; None counts as zero.

    A face's factors [O, r] and [r, I] become [O, r1 + r2 + ...] and [r1 + r2 + ..., I]; above rank 64 the sum is
    brought to rank 32. A single delta of weight 1 comes back as it is, and one that occurs twice is counted once with
    the sum of its weights, so that A - A leaves nothing.
    """
    terms = _merged(deltas, weights)
    if not terms:
        return None
    if len(terms) == 1 and terms[0][1] == 1:
        return terms[0][0]
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {}
    whole: dict[str, Tensor] = {}
    for delta, weight in terms:
        for name, value in delta.values.items():
            if name.endswith(":out"):
                stem = name.removesuffix(":out")
                pairs.setdefault(stem, []).append((_scaled(value, weight), delta.values[f"{stem}:in"]))
            elif not name.endswith(":in"):
                whole[name] = whole[name] + _scaled(value, weight) if name in whole else _scaled(value, weight)
    factors = {stem: _side_by_side(parts) for stem, parts in pairs.items()}
    if max((len(inner) for _, inner in factors.values()), default=0) > MAX_RANK:
        factors = {stem: _recompressed(*parts, rank=KEPT_RANK) for stem, parts in factors.items()}
    rank = max((len(inner) for _, inner in factors.values()), default=0)
    for stem, (outer, inner) in factors.items():  # one rank for all layers: refinement.check_delta asks for it
        missing = rank - len(inner)
        whole[f"{stem}:out"] = torch.cat([outer, outer.new_zeros(len(outer), missing)], dim=1) if missing else outer
        whole[f"{stem}:in"] = torch.cat([inner, inner.new_zeros(missing, inner.shape[1])]) if missing else inner
    return Delta(whole)


def _merged(deltas: Sequence[Delta | None], weights: Sequence[float]) -> list[tuple[Delta, float]]:
    merged: list[tuple[Delta, float]] = []
    for delta, weight in zip(deltas, weights, strict=True):
        if delta is None:
            continue
        known = next((index for index, (other, _) in enumerate(merged) if _equal(delta, other)), None)
        if known is None:
            merged.append((delta, float(weight)))
        else:
            merged[known] = (merged[known][0], merged[known][1] + float(weight))
    return [(delta, weight) for delta, weight in merged if weight]


def _equal(one: Delta, other: Delta) -> bool:
    if one is other:
        return True
    return one.values.keys() == other.values.keys() and all(
        torch.equal(value, other.values[name]) for name, value in one.values.items()
    )


def _scaled(value: Tensor, weight: float) -> Tensor:
    return value if weight == 1 else value * weight


def _side_by_side(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    if len(parts) == 1:
        return parts[0]
    return torch.cat([outer for outer, _ in parts], dim=1), torch.cat([inner for _, inner in parts])


def _recompressed(outer: Tensor, inner: Tensor, *, rank: int) -> tuple[Tensor, Tensor]:
    """The nearest product of `rank` (Eckart and Young 1936), by QR of both factors and SVD of the small middle."""
    left, upper = torch.linalg.qr(outer)
    right, lower = torch.linalg.qr(inner.T)
    u, s, vh = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    root = s[:rank].sqrt()
    return (left @ u[:, :rank]) * root, root[:, None] * (vh[:rank] @ right.T)
