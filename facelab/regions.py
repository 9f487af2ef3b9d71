"""Where in an aligned face an attribute lives, and edits that reach no farther.

All faces are aligned alike (template.py: eyes at 0.48 of the side, mouth at 0.75, chin at 0.93), so that a region is
one soft mask for everybody; hair, skin and the whole person are where they are seen in the picture that is being drawn
(generators/parts.py). An edit of a region is an offset of the latent that counts only there: the styles of a
generator's layers vary over the picture, which stays one picture, and what lies outside keeps its look. A face carries
its offsets in its delta, under "local/" and the region's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facelab.face import LOCAL, Delta
from facelab.generators.parts import HAIR, PERSON

_SIDE = 256  # pixels at which the masks are drawn
_EDGE = 0.08  # in sides: from outside to inside of a box
_RIM = 0.5  # the same of an oval, in its radii

Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _oval(x: float, y: float, width: float, height: float) -> Shape:
    """Within an ellipse around (x, y), its radii half of the width and the height."""
    return lambda xs, ys: (1 - np.hypot((xs - x) / (width / 2), (ys - y) / (height / 2))) / _RIM + 0.5


def _box(left: float, top: float, right: float, bottom: float) -> Shape:
    return lambda xs, ys: np.minimum.reduce([xs - left, right - xs, ys - top, bottom - ys]) / _EDGE + 0.5


def _without(hole: Shape, *shapes: Shape) -> tuple[Shape, ...]:
    return tuple(lambda xs, ys, shape=shape: np.minimum(shape(xs, ys), 1 - hole(xs, ys)) for shape in shapes)


_EVERYWHERE = 9.0  # a box's side that lies outside the picture
_FACE = _oval(0.5, 0.70, 0.48, 0.60)
_LIPS = _oval(0.5, 0.765, 0.30, 0.13)
_JAW = (_oval(0.5, 0.84, 0.72, 0.48), _box(0.20, 0.63, 0.80, _EVERYWHERE))
_SHAPES: dict[str, tuple[Shape, ...]] = {
    "eyes": (_box(0.12, 0.36, 0.88, 0.62),),
    "brows": (_box(0.18, 0.32, 0.82, 0.58),),
    "nose": (_oval(0.5, 0.58, 0.40, 0.40),),
    "mouth": (_oval(0.5, 0.76, 0.56, 0.30),),
    "jaw": _JAW,
    "beard": _without(_LIPS, *_JAW),
    "moustache": _without(_LIPS, _oval(0.5, 0.70, 0.40, 0.17)),
    "face": (_oval(0.5, 0.67, 0.70, 0.70),),
    "forehead": (_box(-_EVERYWHERE, -_EVERYWHERE, _EVERYWHERE, 0.50),),
    "hair": (lambda xs, ys: 1 - _FACE(xs, ys),),
    "skin": (_oval(0.5, 0.67, 0.70, 0.85),),
    "person": (_box(-_EVERYWHERE, -_EVERYWHERE, _EVERYWHERE, _EVERYWHERE),),
}
REGIONS = tuple(_SHAPES)
_PARTS_OF = {"person": (PERSON, HAIR), "skin": (PERSON,), "hair": (HAIR,), "forehead": (PERSON, HAIR)}
BY_PARTS = frozenset(_PARTS_OF)  # regions that a picture's own parts decide, where these are known
FACIAL = frozenset(REGIONS) - BY_PARTS  # those of a face's own features

_LEFT = dict.fromkeys(FACIAL, 0.4)  # of a delta, where a feature has moved as far as edits go
_LEFT |= {"face": 0.7, "hair": 0.7}
_FAR = 0.2  # how far that is, of the latent's own length


def region_mask(region: str, side: int, *, parts: Tensor | None = None) -> Tensor:
    """How much of each pixel belongs to a region: float32 [1, 1, side, side] in 0 to 1.

    parts [N, 3, S, S]: how much of each pixel is what in N pictures (generators/parts.py); with them the masks of
    BY_PARTS are [N, 1, side, side].
    """
    if parts is None or region not in BY_PARTS:
        return _drawn(region, side)
    seen = parts[:, _PARTS_OF[region]].sum(dim=1, keepdim=True)
    seen = functional.interpolate(seen, (side, side), mode="area" if side <= seen.shape[-1] else "bilinear")
    return seen * _drawn(region, side).to(seen) if region == "forehead" else seen


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # kept, and so also for those who want gradients, whoever asks first
def _drawn(region: str, side: int) -> Tensor:
    middles = (np.arange(_SIDE) + 0.5) / _SIDE
    xs, ys = np.meshgrid(middles, middles)
    inside = np.maximum.reduce([shape(xs, ys) for shape in _SHAPES[region]]).clip(0, 1)
    mask = torch.from_numpy((inside * inside * (3 - 2 * inside)).astype(np.float32))[None, None]
    return functional.interpolate(mask, (side, side), mode="area" if side <= _SIDE else "bilinear")


def moved_locally(delta: Delta | None, region: str, offset: Tensor) -> Delta:
    """The delta with an offset [L, D] of the latent more, which counts in a region alone."""
    values = dict(delta.values) if delta is not None else {}
    name = LOCAL + region
    values[name] = values[name] + offset if name in values else offset
    return Delta(values)


def placed(latent: Tensor, moved: Tensor, delta: Delta | None, region: str) -> tuple[Tensor, Delta | None]:
    """The latent [L, D] and the delta after a move that counts in a region, or with "" everywhere."""
    if not region or torch.equal(moved, latent):
        return moved, delta
    return latent, moved_locally(delta, region, moved - latent)


def local_offsets(delta: Delta | None) -> Mapping[str, Tensor]:
    """A delta's offsets by region."""
    known = {} if delta is None else delta.values
    return {name.removeprefix(LOCAL): value for name, value in known.items() if name.startswith(LOCAL)}


def delta_left(region: str, latents: Tensor, offsets: Tensor) -> Tensor:
    """How much of a face's delta counts where an edit has moved its latent [N, L, D] by offsets of that shape: [N].

    A delta knows a photo's closed mouth so well that it cannot be opened: where a feature changes, the generator draws
    it more and more as it would without, and hair of another colour a little. The person as a whole and skin keep all
    that is known of them.
    """
    if region not in _LEFT:
        return latents.new_ones(len(latents))
    moved = offsets.flatten(1).norm(dim=1) / latents.flatten(1).norm(dim=1).clamp_min(1e-12)
    return 1 - (1 - _LEFT[region]) * (moved / _FAR).clamp(max=1)


def everywhere(latent: Tensor, delta: Delta | None) -> Tensor:
    """A latent [L, D] with its local offsets as if they counted everywhere: what comparisons of faces need."""
    return latent + sum(local_offsets(delta).values()) if local_offsets(delta) else latent
