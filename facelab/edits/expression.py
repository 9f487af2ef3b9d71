"""Expression transfer (Image2StyleGAN, section 4.3): the difference of two faces of one person, added to another."""

from __future__ import annotations

import torch
from torch import Tensor

from facelab.errors import LatentMismatch

# The paper sets rows of the difference shorter than 1 to zero. Its faces lie 30.67 from the mean face over 18 rows
# (table 2), 7.23 a row: what counts as noise in another model's space is the same fraction of a row's usual length.
PAPER_ROW_NORM = 30.67 / 18**0.5
THRESHOLD = 1 / PAPER_ROW_NORM
# After normalisation, strength 1 moves each row by this fraction of a row's usual length: about as far as smiling faces
# lie from serious ones in faces128 (the paper names no figure).
INTENSITY = 0.45
REGION = "face"  # where in an aligned face expressions are (regions.py): hair and what is behind it stay as they are


def transfer(
    target: Tensor,
    neutral: Tensor,
    expressive: Tensor,
    *,
    row_norm: float,
    strength: float = 1.0,
    threshold: float = THRESHOLD,
    normalise: bool = True,
) -> Tensor:
    """target + strength * (expressive - neutral), without the rows that are noise, at a fixed intensity.

    target, neutral, expressive: w+ latents [..., L, D] of one model. row_norm: how far a row of a typical face lies
    from the mean face's. strength: minus turns the expression around. threshold: rows of the difference shorter than
    this fraction of row_norm are left out. normalise: bring the difference to one length whatever the source, so that
    strength alone sets the intensity; a difference without any row left stays zero.
    Raises LatentMismatch when the shapes differ.
    """
    if not target.shape == neutral.shape == expressive.shape:
        raise LatentMismatch("Target, neutral and expressive face have different shapes. Embed them with one model.")
    return target + strength * difference(
        neutral, expressive, row_norm=row_norm, threshold=threshold, normalise=normalise
    )


def difference(
    neutral: Tensor, expressive: Tensor, *, row_norm: float, threshold: float = THRESHOLD, normalise: bool = True
) -> Tensor:
    """What `transfer` adds at strength 1: [..., L, D]."""
    change = expressive - neutral
    lengths = change.norm(dim=-1, keepdim=True)
    change = torch.where(lengths < threshold * row_norm, torch.zeros_like(change), change)
    if not normalise:
        return change
    kept = (change.norm(dim=-1, keepdim=True) > 0).sum(dim=-2, keepdim=True)
    total = torch.linalg.vector_norm(change, dim=(-2, -1), keepdim=True)
    return change / total.clamp_min(1e-12) * kept.sqrt() * (INTENSITY * row_norm)
