"""Claims decided by figures: an order, a range, a bound; and the sentence that tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from facelab.evaluation.papers.document import Claim
from facelab.evaluation.papers.evidence import Finding

Words = Callable[[object], str]
MOST = 6  # figures that a claim lists


def ordered(
    says: str, where: str, findings: Mapping[str, Finding], words: Words, *, why: str = "", least: bool = False
) -> Claim:
    """Whether findings, by what they are of, rise in the order in which they stand; least: whether the first one is
    below all others, whose order does not matter. why: a sentence to add where it is not so.
    """
    values = {name: each.value for name, each in findings.items()}
    known = {name: value for name, value in values.items() if value is not None}
    if len(known) < len(values):
        so_far = f"Ours so far: {_listed(known, words)}. " if known else ""
        return _claim(says, where, findings, None, so_far + _missing(findings))
    names = list(values)
    pairs = [(names[0], name) for name in names[1:]] if least else list(pairwise(names))
    wrong = [(low, high) for low, high in pairs if not values[low] < values[high]]
    told = f"Ours: {_listed(known, words)}."
    if wrong:
        told += f" {' and '.join(f'{low} is not below {high}' for low, high in wrong)}.{why}"
    return _claim(says, where, findings, not wrong, told)


def within(
    says: str,
    where: str,
    findings: Mapping[str, Finding],
    words: Words,
    low: float,
    high: float,
    *,
    why: str = "",
    beside: str = "",
) -> Claim:
    """Whether all findings lie between two bounds, inclusive; those without a value leave it open unless another is
    outside. beside: a sentence to add where anything is known; why: one where it is not so.
    """
    known = {name: each.value for name, each in findings.items() if each.value is not None}
    outside = [name for name, value in known.items() if not low <= value <= high]
    whole = bool(known) and len(known) == len(findings)
    told = f"Ours: {_listed(known, words)}." if known else ""
    if outside and len(findings) > 1:
        told += f" Outside: {', '.join(outside) if len(outside) < len(known) else 'all'}."
    told += beside if known else ""
    told += why if outside else ""
    told += "" if whole else f" {_missing(findings)}" if known else _missing(findings)
    return _claim(says, where, findings, False if outside else True if whole else None, told)


def _listed(known: Mapping[str, float], words: Words) -> str:
    """All figures, or of many the extremes."""
    if len(known) <= MOST:
        return ", ".join(f"{name} {words(value)}" for name, value in known.items())
    low, high = (pick(known, key=known.__getitem__) for pick in (min, max))
    return f"{len(known)} figures, from {low} {words(known[low])} to {high} {words(known[high])}"


def _missing(findings: Mapping[str, Finding]) -> str:
    names = [f"{name} ({each.why})" if each.why else name for name, each in findings.items() if each.value is None]
    return f"Missing: {', '.join(names)}." if names else ""


def _claim(says: str, where: str, findings: Mapping[str, Finding], holds: bool | None, told: str) -> Claim:
    commands = tuple(each.command for each in findings.values())
    return Claim(says, where, holds, told, commands, any(each.earlier for each in findings.values()))
