"""Sums of faces: `A + B - C` read without running it, combining two faces, and a face's neighbours."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from facelab.errors import BadSetting

MAX_LENGTH = 500  # characters of an expression
MAX_WEIGHT = 100.0
_HOW = "Write faces by their letters, such as A + B - C or 0.5*A + 0.5*B."
_ONE = ""  # the key of the part without a face while an expression is read
_NUMBER_OF = re.compile(r"(?<![\w.])(\d+\.?\d*|\.\d+)\s*(?=[A-Za-z_(])(?![eE][+-]?\d)")  # as in 0.5 B, not in 1e9


def written_out(expression: str) -> str:
    """An expression as people write it, "A + 0.5 B", with every sign that `parse` needs: "A + 0.5*B"."""
    return _NUMBER_OF.sub(r"\1*", expression)


def parse(expression: str) -> dict[str, float]:
    """The weight of each face in an expression such as "A + B - C", "A + 0.5 B" or "(A + B) / 2".

    Allowed are names, numbers, + - * / and parentheses, so far as the result is a weighted sum of faces. Nothing is
    evaluated as code. Raises BadSetting, saying what it did not understand.
    """
    if len(expression) > MAX_LENGTH:
        raise BadSetting(f"This expression has more than {MAX_LENGTH} characters. {_HOW}")
    try:
        tree = ast.parse(written_out(expression).strip(), mode="eval")
        weights = _weights(tree.body)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as cause:
        if isinstance(cause, BadSetting):
            raise
        raise BadSetting(f"{expression[:40]!r} is not an expression of faces. {_HOW}") from cause
    if weights.pop(_ONE, 0.0):
        raise BadSetting(f"A number can only multiply or divide a face. {_HOW}")
    if not weights:
        raise BadSetting(f"No face is in this expression. {_HOW}")
    if not all(abs(weight) <= MAX_WEIGHT for weight in weights.values()):  # also true of what is not a number
        raise BadSetting(f"The weight of a face must lie between -{MAX_WEIGHT:g} and {MAX_WEIGHT:g}.")
    return weights


def _weights(node: ast.expr) -> dict[str, float]:
    match node:
        case ast.Name(id=name):
            return {name: 1.0}
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return {_ONE: _finite(value)}
        case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
            return _times(_weights(operand), -1.0 if isinstance(sign, ast.USub) else 1.0)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=right):
            first, second = _weights(left), _times(_weights(right), -1.0 if isinstance(sign, ast.Sub) else 1.0)
            return {name: first.get(name, 0.0) + second.get(name, 0.0) for name in {**first, **second}}
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            first, second = _weights(left), _weights(right)
            if not first.keys() <= {_ONE}:
                first, second = second, first
            if not first.keys() <= {_ONE}:
                raise BadSetting(f"Faces cannot be multiplied with each other. {_HOW}")
            return _times(second, first[_ONE])
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            divisor = _weights(right)
            if not divisor.keys() <= {_ONE} or not divisor[_ONE]:
                raise BadSetting(f"A face can only be divided by a number that is not 0. {_HOW}")
            return _times(_weights(left), 1 / divisor[_ONE])
    raise BadSetting(f"{ast.unparse(node)[:40]!r} is not understood here. {_HOW}")


def _times(weights: dict[str, float], factor: float) -> dict[str, float]:
    return {name: weight * factor for name, weight in weights.items()}


def _finite(value: float) -> float:
    if abs(value) > 1e6 or not math.isfinite(value):
        raise BadSetting("The numbers of an expression must lie below a million.")
    return float(value)


def weighted_sum(latents: Mapping[str, Tensor], weights: Mapping[str, float], *, origin: Tensor) -> Tensor:
    """origin + the sum of weight * (latent - origin): faces are summed as differences from the mean face.

    latents: name -> [..., L, D]. weights: of `parse`; where they sum to 1, as in A + B - C, the origin cancels.
    origin: the mean face's latent, [D] or [L, D]. A single face of weight 1 comes back as it is.
    Raises BadSetting for a name without a face.
    """
    missing = sorted(set(weights) - set(latents))
    if missing:
        raise BadSetting(f"No face is given for {', '.join(missing)}. Given: {', '.join(latents) or 'none'}.")
    used = {name: weight for name, weight in weights.items() if weight}
    if list(used.values()) == [1.0]:
        return latents[next(iter(used))].clone()
    result = origin
    for name, weight in used.items():
        result = result + weight * (latents[name] - origin)
    return result if used else origin.expand_as(next(iter(latents.values()))).clone()


def combine_on_sphere(first: Tensor, second: Tensor) -> Tensor:
    """normalise(z1 + z2), with the length of the operands' mean (the PGGAN paper's combination of two faces).

    first, second: z latents [..., D]. In w+ two faces combine by their mean instead (interpolation.weighted_mean).
    """
    total = first + second
    length = (first.norm(dim=-1, keepdim=True) + second.norm(dim=-1, keepdim=True)) / 2
    return total / total.norm(dim=-1, keepdim=True).clamp_min(1e-12) * length


def neighbours(latent: Tensor, offsets: Tensor, *, radius: float) -> Tensor:
    """Faces near one face: [N, L, D], latent + radius * offset (ISTRC shows 63 of them).

    latent: [L, D]. offsets: how far random faces lie from the mean face, [N, L or 1, D], so that neighbours differ as
    faces differ. radius: 0 is the face itself, 1 as different as random faces are.
    """
    return torch.add(latent, offsets, alpha=radius)
