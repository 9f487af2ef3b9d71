"""Back into the photo: an edit's change made to the photo's own pixels, at its own resolution."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facelab.alignment import check_inside, crop_to_photo, photo_to_crop
from facelab.detail import Change, as_tensor
from facelab.errors import BadSetting
from facelab.face import CROP_SIZE, Face

QUAD_OF_CROP = np.array([[0, 0], [0, CROP_SIZE], [CROP_SIZE, CROP_SIZE], [CROP_SIZE, 0]], np.float32)  # in itself

_RAISING = 1.0  # of the finest detail, for the loss: so a shifted photo keeps the variance of its Laplacian
_GRAIN = 3.0  # in medians of the photo's finest detail: what is weaker is grain, and new things get it too
_STRIP = 2**20  # pixels worked on at a time, which keeps the memory small


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
    """Raise BadSetting unless `face` may have been cut out of this photo."""
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise BadSetting(f"A photo is uint8 [H, W, 3]; this is {photo.dtype} {list(photo.shape)}.")
    if face.crop is None or face.quad is None:
        raise BadSetting("No photo is behind this face, so it cannot go back into one. Choose a face from a photo.")
    height, width = photo.shape[:2]
    if face.photo_size is not None and face.photo_size != (width, height):
        raise BadSetting(
            f"This face was cut out of a photo of {face.photo_size[0]} x {face.photo_size[1]} pixels; this one has "
            f"{width} x {height}. Choose the photo that the face came from."
        )
    check_inside(face.quad, width, height)


def _paste_one(photo: np.ndarray, quad: np.ndarray, change: Change) -> None:
    to_photo, to_crop = crop_to_photo(quad, 1), photo_to_crop(quad, 1)
    maps = _sized(change, math.hypot(*to_photo[:, 0]))
    left, top, right, bottom = _reached(maps, to_photo, photo.shape)
    if left >= right or top >= bottom:
        return
    margin = math.ceil(float((np.abs(to_photo[:, :2]) @ change.move.abs().amax(dim=(1, 2)).numpy()).max())) + 3
    x0, y0 = max(left - margin, 0), max(top - margin, 0)
    source = as_tensor(photo[y0 : bottom + margin, x0 : right + margin])
    grain, raising = _texture(source)
    rows = max(_STRIP // (right - left), 1)
    x = torch.arange(left, right) + 0.5
    for first in range(top, bottom, rows):
        part = photo[first : min(first + rows, bottom), left:right]
        y = (torch.arange(first, first + len(part)) + 0.5)[:, None]
        drawn = _sampled(maps, [2 * (row[0] * x + row[1] * y + row[2]) - 1 for row in to_crop], "bilinear", "zeros")
        added, faded, move, reached = drawn.split((3, 1, 2, 1))
        shifts = [row[0] * move[0] + row[1] * move[1] for row in to_photo]
        places = [(2 * (x - x0 + shifts[0]) / source.shape[2]) - 1, (2 * (y - y0 + shifts[1]) / source.shape[1]) - 1]
        new = _sampled(source, places, "bicubic", "border")
        fine = _fine(new)
        gain = (1 + raising * _between(shifts[0])) * (1 + raising * _between(shifts[1]))
        new += fine * (gain - 1)
        new = new.lerp((fine * gain).clamp(-grain, grain), faded) + added
        new = (new * 255).round_().clamp_(0, 255).byte()
        part[...] = torch.where(reached > 0, new, torch.from_numpy(part).permute(2, 0, 1)).permute(1, 2, 0).numpy()


def _fine(image: Tensor) -> Tensor:
    """What is finer in an image [3, H, W] than a pixel's neighbourhood (weights 1 2 1 both ways)."""
    around = functional.pad(image[None], (1, 1, 1, 1), mode="replicate")[0]
    around = around[:, :-2] + around[:, 2:] + 2 * around[:, 1:-1]
    return image - (around[..., :-2] + around[..., 2:] + 2 * around[..., 1:-1]) / 16


def _texture(image: Tensor) -> tuple[float, float]:
    """Of an image [3, H, W]: how strong its grain can be, and by how much its finest detail must be raised half-way
    between two pixels, where interpolation loses most of it.
    """
    middle = image[:, image.shape[1] // 3 : -(image.shape[1] // 3), image.shape[2] // 3 : -(image.shape[2] // 3)]
    near, far = middle[..., 1:-2] + middle[..., 2:-1], middle[..., :-3] + middle[..., 3:]
    fine = _fine(middle)
    left = _fine(0.59375 * near - 0.09375 * far).square().mean()  # grid_sample's cubic half-way between
    loss = float((fine.square().mean() / left.clamp(min=1e-9)).sqrt()) - 1
    return _GRAIN * float(fine.abs().median()), min(max(_RAISING * loss, 0.0), 1.0)


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


def _reached(maps: Tensor, to_photo: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the photo's pixels that a change can reach."""
    used = maps[-1].nonzero()
    if not len(used):
        return 0, 0, 0, 0
    low, high = (used.amin(dim=0) - 1).tolist(), (used.amax(dim=0) + 2).tolist()
    corners = np.array([(x, y) for x in (low[1], high[1]) for y in (low[0], high[0])]) / maps.shape[-1]
    corners = corners @ to_photo[:, :2].T + to_photo[:, 2]
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (shape[1], shape[0]))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (shape[1], shape[0]))
    return int(left), int(top), int(right), int(bottom)


def _sampled(image: Tensor, places: list[Tensor], mode: str, padding: str) -> Tensor:
    """An image [C, H, W] at places x and y [h, w], in -1 to 1 over the image."""
    grid = torch.stack(torch.broadcast_tensors(*places), dim=-1).to(image.dtype)[None]
    return functional.grid_sample(image[None], grid, mode=mode, padding_mode=padding, align_corners=False)[0]
