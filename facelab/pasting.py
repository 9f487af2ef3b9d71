"""Back into the photo: an edit's change made to the photo's own pixels, at its own resolution."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from facelab.alignment import align, crop_to_photo, photo_to_crop
from facelab.detail import Change
from facelab.errors import BadSetting
from facelab.face import CROP_SIZE, Face

QUAD_OF_CROP = np.array([[0, 0], [0, CROP_SIZE], [CROP_SIZE, CROP_SIZE], [CROP_SIZE, 0]], np.float32)  # in itself

_COARSE = 64  # pixels, at which the photo's crop is compared with the face's
_FARTHEST = 0.1  # that the two may be apart: the worst JPEG is by 0.04, the most similar two people by 0.17
_RAISING = 1.0  # of the finest detail, for the loss: so a shifted photo keeps the variance of its Laplacian
_GRAIN = 3.0  # in medians of the photo's finest detail: what is weaker is grain, and new things get it too
_STRIP = 2**20  # pixels worked on at a time, which keeps the memory small
_BANDS = 2**16  # pixels of each band that the texture is measured in
_SLIVER = 4  # pixels: what interpolation half-way between two of them looks at


def paste(photo: np.ndarray, changes: Iterable[tuple[np.ndarray, Change]]) -> np.ndarray:
    """A photo, uint8 [H, W, 3], with changes made to it, one after the other; the photo given stays as it is.

    changes: each with the quad of its crop, float [4, 2] in the photo's pixels. Every pixel is computed once, straight
    from the photo's pixels around the place where it comes from; a pixel that no change reaches keeps its value.
    """
    result = photo.copy()
    for quad, change in changes:
        _paste_one(result, quad, change)
    return result


def check_place(photo: np.ndarray, face: Face) -> None:
    """Raise BadSetting unless `face` was cut out of this photo, however the photo was compressed since."""
    if face.crop is None or face.quad is None:
        raise BadSetting("No photo is behind this face, so it cannot go back into one. Choose a face from a photo.")
    height, width = photo.shape[:2]
    if face.photo_size is not None and face.photo_size != (width, height):
        raise BadSetting(
            f"This face was cut out of a photo of {face.photo_size[0]} x {face.photo_size[1]} pixels; this one has "
            f"{width} x {height}. Choose the photo that the face came from."
        )
    if _apart(align(photo, face.quad, resolution=CROP_SIZE).crop, face.crop) > _FARTHEST:
        raise BadSetting(
            "This photo shows something else where the face was cut out of its own. Open the photo that the face came "
            "from, or embed the face that this one shows."
        )


def _apart(first: np.ndarray, second: np.ndarray) -> float:
    """How far two crops, uint8 [512, 512, 3], differ in more than their light: the mean square of what is left between
    them, in variances of one. 0 for the same, about 2 for what has nothing in common.
    """
    coarse = (Image.fromarray(crop).convert("L").reduce(CROP_SIZE // _COARSE) for crop in (first, second))
    first, second = (grey - grey.mean() for grey in (np.asarray(each, float) for each in coarse))
    return float(np.square(first - second).mean() / max((first.var() + second.var()) / 2, 1))


def _paste_one(photo: np.ndarray, quad: np.ndarray, change: Change) -> None:
    to_photo, to_crop = crop_to_photo(quad, 1), photo_to_crop(quad, 1)
    maps = _sized(change, math.hypot(*to_photo[:, 0]))
    used = _reached(maps, to_photo)
    height, width = photo.shape[:2]
    left, top, right, bottom = used.box(width, height)
    if left >= right or top >= bottom:
        return
    margin = math.ceil(float((np.abs(to_photo[:, :2]) @ change.move.abs().amax(dim=(1, 2)).numpy()).max())) + 3
    x0, y0 = max(left - margin, 0), max(top - margin, 0)
    source = _as_floats(photo[y0 : bottom + margin, x0 : right + margin])
    grain, raising = _texture(source)
    rows = max(_STRIP // (right - left), 1)
    for first in range(top, bottom, rows):
        last = min(first + rows, bottom)
        left, _, right, _ = used.between(first, last).box(width, height)
        part = photo[first:last, left:right]
        if not part.size:
            continue
        x, y = torch.arange(left, right) + 0.5, (torch.arange(first, last) + 0.5)[:, None]
        drawn = _sampled(maps, [2 * (row[0] * x + (row[1] * y + row[2])) - 1 for row in to_crop], "bilinear", "zeros")
        added, faded, move, reached = drawn.split((3, 1, 2, 1))
        shifts = [row[0] * move[0] + row[1] * move[1] for row in to_photo]
        places = [
            (2 / source.shape[2]) * (shifts[0] + (x - (x0 + source.shape[2] / 2))),
            (2 / source.shape[1]) * (shifts[1] + (y - (y0 + source.shape[1] / 2))),
        ]
        new = _sampled(source, places, "bicubic", "border")
        fine = _fine(new)
        raised = fine * ((1 + raising * _between(shifts[0])) * (1 + raising * _between(shifts[1])))
        new += raised
        new -= fine
        if faded.any():
            new.lerp_(raised.clamp_(-grain, grain), faded)
        new.add_(added, alpha=255).round_().clamp_(0, 255)
        part[...] = (
            torch.where(reached > 0, new.byte(), torch.from_numpy(part).permute(2, 0, 1)).permute(1, 2, 0).numpy()
        )


def _as_floats(photo: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W] in 0 to 255."""
    return torch.from_numpy(np.require(photo, np.uint8, ["C", "W"])).permute(2, 0, 1).float().contiguous()


def _fine(image: Tensor) -> Tensor:
    """What is finer in an image [3, H, W] than a pixel's neighbourhood (weights 1 2 1 both ways)."""
    around = functional.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    around = (around[:, :-2] + around[:, 2:]).add_(around[:, 1:-1], alpha=2)
    around = (around[..., :-2] + around[..., 2:]).add_(around[..., 1:-1], alpha=2)
    return image - around.mul_(1 / 16)


def _texture(image: Tensor) -> tuple[float, float]:
    """Of an image [3, H, W]: how strong its grain can be, and by how much its finest detail must be raised half-way
    between two pixels, where interpolation loses most of it. Looks at bands of its middle third, which are enough;
    a sliver at the photo's edge is looked at whole, and one too narrow to tell is said to have neither.
    """
    height, width = image.shape[1:]
    if width < _SLIVER:
        return 0.0, 0.0
    middle = image
    if min(height, width) >= 3 * _SLIVER:
        middle = image[:, height // 3 : -(height // 3), width // 3 : -(width // 3)]
    band = max(_BANDS // max(middle.shape[2], 1), 8)
    starts = torch.linspace(0, max(middle.shape[1] - band, 0), 4).int().unique().tolist()
    fine, left = zip(*(_band_texture(middle[:, start : start + band]) for start in starts), strict=True)
    fine, left = torch.cat(fine), torch.cat(left)
    loss = float((fine.square().mean() / left.square().mean().clamp(min=1e-9)).sqrt()) - 1
    return _GRAIN * float(fine.abs().median()), min(max(_RAISING * loss, 0.0), 1.0)


def _band_texture(band: Tensor) -> tuple[Tensor, Tensor]:
    """The finest detail of a band [3, H, W], and what of it is left half-way between two pixels; both flat."""
    near, far = band[..., 1:-2] + band[..., 2:-1], band[..., :-3] + band[..., 3:]
    left = _fine(0.59375 * near - 0.09375 * far)  # grid_sample's cubic half-way between
    return _fine(band).flatten(), left.flatten()


def _between(shift: Tensor) -> Tensor:
    """How far a place lies between two pixels: 0 on a pixel, 1 half-way."""
    rest = (shift - shift.round()).abs()
    return 4 * rest * (1 - rest)


def _sized(change: Change, side: float) -> Tensor:
    """The change's maps at a size from which they can be sampled linearly for a crop of `side` pixels: added, faded,
    move, and a seventh that is 1 where any of them is not 0.
    """
    maps = torch.cat([change.added, change.faded, change.move])[None]
    if side < maps.shape[-1]:
        maps = functional.interpolate(maps, (math.ceil(side),) * 2, mode="bicubic", antialias=True)
    else:
        maps = functional.interpolate(maps, scale_factor=2, mode="bicubic")
    return torch.cat([maps[0], (maps[0] != 0).any(dim=0, keepdim=True)])


@dataclass(frozen=True, eq=False)
class _Places:
    """Where a change is, float [N, 2] in the photo's pixels, and how far around each of these places it can reach."""

    points: np.ndarray
    reach: float

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the photo's pixels around the places."""
        if not len(self.points):
            return 0, 0, 0, 0
        low = np.clip(np.floor(self.points.min(axis=0) - self.reach).astype(int), 0, (width, height))
        high = np.clip(np.ceil(self.points.max(axis=0) + self.reach).astype(int), 0, (width, height))
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def between(self, top: float, bottom: float) -> _Places:
        """Those that can reach some rows; twice as far, since the next place of a slanting outline may lie outside."""
        rows, reach = self.points[:, 1], 2 * self.reach
        return _Places(self.points[(rows > top - reach) & (rows < bottom + reach)], self.reach)


def _reached(maps: Tensor, to_photo: np.ndarray) -> _Places:
    """Where in the photo a change is: its outline, on which the extremes lie, of any of the photo's rows too."""
    used = maps[-1] != 0
    inside = torch.zeros_like(used)
    inside[1:-1, 1:-1] = used[:-2, 1:-1] & used[2:, 1:-1] & used[1:-1, :-2] & used[1:-1, 2:]
    outline = (used & ~inside).nonzero().flip(1).numpy() + 0.5
    points = (outline / maps.shape[-1]) @ to_photo[:, :2].T + to_photo[:, 2]
    return _Places(points, 1.5 * float(np.abs(to_photo[:, :2]).sum(axis=1).max()) / maps.shape[-1] + 1)


def _sampled(image: Tensor, places: list[Tensor], mode: str, padding: str) -> Tensor:
    """An image [C, H, W] at places x and y [h, w], in -1 to 1 over the image. The rows are dealt out as a batch, over
    which grid_sample uses all cores; in one picture it uses one.
    """
    height, width = torch.broadcast_shapes(*(place.shape for place in places))
    parts = torch.get_num_threads()
    rows = math.ceil(height / parts)
    grid = torch.zeros(parts * rows, width, 2)
    for axis, place in enumerate(places):
        grid[:height, :, axis] = place
    sampled = functional.grid_sample(
        image.expand(parts, -1, -1, -1), grid.view(parts, rows, width, 2), mode, padding, align_corners=False
    )
    return sampled.transpose(0, 1).reshape(len(image), parts * rows, width)[:, :height]
