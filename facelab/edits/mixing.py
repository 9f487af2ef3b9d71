"""Weighted sums of faces' deltas. Products of factors are summed, never the factors: ranks are laid side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from facelab.errors import BadFaceFile
from facelab.face import Delta

MAX_RANK = 64  # above, a sum is recompressed
KEPT_RANK = 32  # to this rank: the best approximation of each layer's sum in the least-squares sense


def mix_deltas(deltas: Sequence[Delta | None], weights: Sequence[float]) -> Delta | None:
    """The delta whose addition to every weight is the weighted sum of those of `deltas`; None counts as zero.

    A face's factors [O, r] and [r, I] become [O, r1 + r2 + ...] and [r1 + r2 + ..., I]; above rank 64 the sum is
    brought to rank 32. A single delta of weight 1 comes back as it is, and one that occurs twice is counted once with
    the sum of its weights, so that A - A leaves nothing.
    """
    return DeltaMixer(deltas).mix(weights)


class DeltaMixer:
    """Many weighted sums of the same deltas, such as a morph's: they share their inner factors [r1 + r2 + ..., I]."""

    def __init__(self, deltas: Sequence[Delta | None]) -> None:
        self._distinct: list[Delta] = []
        self._places: list[int | None] = [None if delta is None else self._place(delta) for delta in deltas]
        self._inner: dict[str, Tensor] = {}

    def _place(self, delta: Delta) -> int:
        known = next((place for place, other in enumerate(self._distinct) if _equal(delta, other)), None)
        if known is None:
            self._distinct.append(delta)
        return len(self._distinct) - 1 if known is None else known

    def mix(self, weights: Sequence[float]) -> Delta | None:
        """The sum for these weights, one for each delta (see `mix_deltas`)."""
        totals = [0.0] * len(self._distinct)
        for place, weight in zip(self._places, weights, strict=True):
            if place is not None:
                totals[place] += float(weight)
        terms = [(delta, weight) for delta, weight in zip(self._distinct, totals, strict=True) if weight]
        if len(terms) < 2 and all(weight == 1 for _, weight in terms):
            return terms[0][0] if terms else None
        whole: dict[str, Tensor] = {}
        outers: dict[str, list[Tensor]] = {}
        for delta, weight in terms:
            for name, value in delta.values.items():
                if name.endswith(":out"):
                    outers.setdefault(name.removesuffix(":out"), []).append(_scaled(value, weight))
                elif not name.endswith(":in"):
                    whole[name] = whole[name] + _scaled(value, weight) if name in whole else _scaled(value, weight)
        inners = self._inners([delta for delta, _ in terms], outers)
        factors = {stem: (_joined(parts, 1), inners[stem]) for stem, parts in outers.items()}
        return Delta({**whole, **_of_one_rank(factors)})

    def _inners(self, deltas: Sequence[Delta], stems: Iterable[str]) -> dict[str, Tensor]:
        known = self._inner if len(deltas) == len(self._distinct) else {}
        for stem in stems:
            if stem not in known:
                parts = [delta.values[f"{stem}:in"] for delta in deltas if f"{stem}:in" in delta.values]
                known[stem] = _joined(parts, 0)
        return known


def _of_one_rank(factors: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The entries of a delta, its factors padded with zeros to one rank, as refinement.check_delta asks for it."""
    if max((len(inner) for _, inner in factors.values()), default=0) > MAX_RANK:
        factors = {stem: _recompressed(*parts, rank=KEPT_RANK) for stem, parts in factors.items()}
    rank = max((len(inner) for _, inner in factors.values()), default=0)
    values = {}
    for stem, (outer, inner) in factors.items():
        missing = rank - len(inner)
        values[f"{stem}:out"] = torch.cat([outer, outer.new_zeros(len(outer), missing)], dim=1) if missing else outer
        values[f"{stem}:in"] = torch.cat([inner, inner.new_zeros(missing, inner.shape[1])]) if missing else inner
    return values


def _equal(one: Delta, other: Delta) -> bool:
    if one is other:
        return True
    return one.values.keys() == other.values.keys() and all(
        torch.equal(value, other.values[name]) for name, value in one.values.items()
    )


def _scaled(value: Tensor, weight: float) -> Tensor:
    return value if weight == 1 else value * weight


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def _recompressed(outer: Tensor, inner: Tensor, *, rank: int) -> tuple[Tensor, Tensor]:
    """The nearest product of `rank` (Eckart and Young 1936), by QR of both factors and SVD of the small middle."""
    left, upper = torch.linalg.qr(outer)
    right, lower = torch.linalg.qr(inner.T)
    try:
        u, s, vh = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    except torch.linalg.LinAlgError as cause:  # numbers that no refinement makes, from a file
        raise BadFaceFile("The refinement of one of these faces is damaged. Embed its photo again.") from cause
    root = s[:rank].sqrt()
    return (left @ u[:, :rank]) * root, root[:, None] * (vh[:rank] @ right.T)
