"""Pivotal tuning (Roich et al. 2021): after the latent, tune the generator a little on this one face.

The paper tunes all weights of the synthesis network and so leaves a network a face. Here what is learned is a low-rank
addition (Hu et al. 2021, LoRA) that lives beside the shared weights, which are never written to. The paper's locality
term holds what the tuned network draws of latents near by; here what is held is what edits of the whole person change
in the picture, or the addition learns somebody so well that they cannot turn or grow old any more. For edits of single
features it gives way of itself (regions.delta_left).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from facelab.edits.mixing import MAX_RANK
from facelab.errors import BadFaceFile, BadSetting
from facelab.face import LOCAL, Delta
from facelab.generators.base import Generator
from facelab.regions import REGIONS, moved_locally

MAX_BYTES = 500_000  # of one face's delta in float16
EDIT_EVERY = 3  # steps; each step would be as good for edits, at more than twice the time
EDIT_REACH = (0.4, 1.2)  # of an edit's strength, either way


@dataclass(frozen=True, eq=False)
class Edit:
    """What an edit adds to a latent: its offset [L, D], and the region of the picture where it counts (regions.py), ""
    for everywhere.
    """

    offset: Tensor
    region: str = ""


class KeptEdits:
    """How far edits of a refined face change other things than they do in the generator as it is.

    pivot: the face's latent [1, L, D]. edits: of which each look draws one.
    """

    def __init__(
        self, generator: Generator, pivot: Tensor, edits: Sequence[Edit], *, seed: int, dtype: torch.dtype
    ) -> None:
        self.generator, self.edits, self.seed, self.dtype = generator, edits, seed, dtype
        self.pivot = pivot.expand(-1, generator.num_layers, -1)
        with torch.no_grad():
            self.plain = generator.synthesize(self.pivot, dtype=dtype)

    def change(self, delta: Delta, picture: Tensor, step: int) -> Tensor:
        """The mean squared difference between what an edit changes in the refined face's `picture` [1, 3, R, R] and in
        the plain one. step: decides which edit, and how far; the same for the same seed.
        """
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        edit = self.edits[int(torch.randint(len(self.edits), (), generator=draw))]
        near, far = EDIT_REACH
        share = near + (far - near) * float(torch.rand((), generator=draw))
        sign = 1 if torch.rand((), generator=draw) < 0.5 else -1
        offset = (sign * share * edit.offset).to(self.pivot)
        with torch.no_grad():
            wanted = self._edited(None, offset, edit.region) - self.plain
        return (self._edited(delta, offset, edit.region) - picture.detach() - wanted).square().mean()

    def _edited(self, delta: Delta | None, offset: Tensor, region: str) -> Tensor:
        if region:
            return self.generator.synthesize(self.pivot, [moved_locally(delta, region, offset)], dtype=self.dtype)
        return self.generator.synthesize(self.pivot + offset, None if delta is None else [delta], dtype=self.dtype)


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
        or 0 in ranks
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
