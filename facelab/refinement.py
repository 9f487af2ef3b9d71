"""Pivotal tuning (Roich et al. 2021): after the latent, tune the generator a little on this one face.

The paper tunes all weights of the synthesis network and so leaves a network a face. Here what is learned is a low-rank
addition (Hu et al. 2021, LoRA) that lives beside the shared weights, which are never written to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from facelab.edits.mixing import MAX_RANK
from facelab.errors import BadFaceFile, BadSetting
from facelab.face import LOCAL, Delta
from facelab.generators.base import Generator
from facelab.regions import REGIONS

MAX_BYTES = 500_000  # of one face's delta in float16


def delta_shapes(generator: Generator, *, rank: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a delta: two factors of rank `rank` for each 3 x 3 convolution; biases, noise strengths and the
    small weights that make RGB of features whole. The affine layers (styles) stay as they are.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, parameter in generator.synthesis.named_parameters():
        shape = tuple(parameter.shape)
        if ".affine." in name or name.endswith(".const"):
            continue
        if len(shape) == 4 and shape[-1] > 1:
            shapes[f"{name}:out"] = (shape[0], rank)
            shapes[f"{name}:in"] = (rank, math.prod(shape[1:]))
        else:
            shapes[name] = shape
    return shapes


def fitting_rank(generator: Generator, *, limit: int = MAX_BYTES) -> int:
    """The largest rank, at most 64, whose delta takes `limit` bytes in float16. Raises BadSetting where none does."""
    sizes = [_nbytes(delta_shapes(generator, rank=rank)) for rank in (0, 1)]
    rank = (limit - sizes[0]) // max(sizes[1] - sizes[0], 1)
    if rank < 1:
        raise BadSetting(
            f"{generator.name} is too large to refine a face within {limit:,} bytes. Embed without refining."
        )
    return min(rank, MAX_RANK)


def check_delta(generator: Generator, delta: Delta) -> None:
    """Raise BadFaceFile unless every tensor of `delta` has the name and the shape of one that faces here have."""
    ranks = {value.shape[0] for name, value in delta.values.items() if name.endswith(":in") and value.ndim}
    shapes = delta_shapes(generator, rank=max(ranks, default=0)) if hasattr(generator, "synthesis") else {}
    shapes |= {LOCAL + region: generator.latent_shape(generator.edit_space) for region in REGIONS}
    found = {name: tuple(value.shape) for name, value in delta.values.items()}
    if (
        len(ranks) > 1
        or max(ranks, default=0) > MAX_RANK
        or any(shapes.get(name) != shape for name, shape in found.items())
    ):
        raise BadFaceFile(f"This face's refinement does not fit {generator.name}. Embed the photo again.")
    if any(name.endswith((":in", ":out")) and _partner(name) not in found for name in found):
        raise BadFaceFile("A part of this face's refinement is missing. Embed the photo again.")


def _partner(name: str) -> str:
    stem, _, end = name.rpartition(":")
    return f"{stem}:{'in' if end == 'out' else 'out'}"


def _nbytes(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(2 * math.prod(shape) for shape in shapes.values())


def start_values(shapes: Mapping[str, tuple[int, ...]], *, seed: int) -> Tensor:
    """The delta that adds nothing, as one flat float32 vector: inner factors random, everything else zero."""
    random = torch.Generator().manual_seed(seed)
    parts = []
    for name, shape in shapes.items():
        if name.endswith(":in"):
            parts.append(torch.randn(shape, generator=random) / math.sqrt(shape[0]))
        else:
            parts.append(torch.zeros(shape))
    return torch.cat([part.flatten() for part in parts])


def as_delta(values: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> Delta:
    """Cut a flat vector into the tensors of a delta; differentiable, nothing is copied."""
    parts = values.split([math.prod(shape) for shape in shapes.values()])
    return Delta({name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)})


def as_stored(values: Tensor) -> Tensor:
    """The values as FACE.npz will hold them (rounded to float16), so that a saved face renders as it did before."""
    return values.detach().half().float()
