"""What an edit changes in a photo, found in a small generator's pictures so that a large photo stays sharp.

With P the photo, E and F the generator's pictures of the embedded and the edited face and m the way back along which
the face has moved (from a place in F to its place in E), the edited photo is

    (1 - k) P(m) + k S(m) + F - E(m)

where S is E in the photo's broad colours. Where k is 0 that is the photo, warped, plus what the generator changed.
Where the edit paints something new (teeth, glasses, a beard) or puts something dark over a part of the face (lenses, a
fringe) k is 1 and F stands alone, or the photo's own detail would shine through it. All but P has the generator's size:
`pasting.paste` makes a change to a crop and to a photo of many megapixels alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

FLOW_SIDE = 32  # points a side where the movement is computed
_ANCHORS = 6  # a side of the crop, on its border: these do not move
_STIFFNESS = 2e-3  # of the thin plate: landmarks are whole pixels of an enlarged copy, and shake
_MAX_MOVE = 0.15  # in sides of the crop
_STILL, _MOVED = 0.008, 0.03  # mean visible change, of the range, below which nothing has moved and above which it has
_AROUND = (0.04, 0.12)  # the same around the face, where small changes are none that anybody has asked for
_OLD, _NEW = 0.08, 0.24  # new structure, of the range, from which the photo's detail fades and where it is gone
_SHADE, _COVER = 0.3, 0.7  # how much darker than the rest of the face a part of it gets: a shadow, and what covers it
_COVERING, _DARKEST = 0.02, 0.05  # sigma in sides; light below which nothing is told apart
_BROAD = 0.03  # sigma in sides: coarser differences are colours, finer ones structure
_FOREHEAD = 0.45  # how far above the brows the forehead goes, of the way from chin to brows
_GROWN = 1.06  # the face's outline, so that the feathered mask still holds the jaw
_FEATHER = 0.06  # sigma in sides of the mask's edge
_REACH = 0.08  # in sides, how far the mask goes beyond what changes: its soft edge shall take nothing from that
_HEAD, _BORDER = (0.75, 0.95), (0.85, 0.97)  # where hair's change, and all change, fade; the crop's border is at 1
_MATCHING = 0.06  # sigma in sides of the zone along the mask's edge in which colours are matched
_TONE, _PAINT = 0.05, 0.15  # difference of colours up to which it is one of tone, and from which it is hair or a beard


@dataclass(frozen=True, eq=False)
class Look:
    """How the generator draws a face: its picture uint8 [R, R, 3], and the landmarks in it, float32 [68, 2]."""

    picture: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class Change:
    """An edit's change, float32 [., R, R] in the frame of the crop, all zero where the photo stays as it is.

    added: [3, R, R] in -1 to 1, k S(m) + F - E(m). faded: [1, R, R] in 0 to 1, k. move: [2, R, R], m minus identity as
    (x, y) in sides of the crop. mask: [1, R, R] in 0 to 1, how much of the change was let through; it is in the others.
    """

    added: Tensor
    faded: Tensor
    move: Tensor
    mask: Tensor


def find_change(crop: np.ndarray, embedded: Look, edited: Look, *, whole: bool = True) -> Change | None:
    """What an edit changes in a photo's crop, uint8 [S, S, 3]; None where the generator draws the same.

    whole: whether the change may reach the crop's border; False fades it out before, for pasting into the photo.
    """
    if np.array_equal(embedded.picture, edited.picture):
        return None
    side = len(embedded.picture)
    old, new = as_tensor(embedded.picture), as_tensor(edited.picture)
    broad = _BROAD * side
    visible = blurred((new - old).abs().amax(dim=0, keepdim=True), broad)
    places = embedded.landmarks / side, edited.landmarks / side
    inside = inside_of(*places, side)
    mask = where(visible, inside, whole=whole)
    move = enlarged(movement(*places), side) * _ramp(visible, _STILL, _MOVED) * mask
    small = as_tensor(np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BOX)))
    moved_old, moved_broad = fetched(torch.cat([old, blurred(small - old, broad)]), move).split(3)
    difference = new - moved_old
    colours = blurred(difference, broad)
    structure = difference - colours
    drawn = _ramp(blurred(structure.square().mean(dim=0, keepdim=True), 0.01 * side).sqrt(), _OLD, _NEW)
    faded = torch.maximum(drawn, covered(new, moved_old, inside)) * mask
    # Squared, for half of two structures at once, the old one and the new one, is more to see than either.
    added = (colours - at_edge(colours, mask)) * mask + structure * mask.square()
    return Change(added + faded * (moved_old + moved_broad), faded, move, mask)


def weakened(change: Change, share: float) -> Change:
    """A change made by a `share` of 0 to 1 only."""
    if share >= 1:
        return change
    return Change(*(share * part for part in (change.added, change.faded, change.move, change.mask)))


def inside_of(before: np.ndarray, after: np.ndarray, side: int) -> Tensor:
    """Where a face is before or after an edit, from the jaw to the forehead: [1, side, side], 1 inside and 0 outside.

    before, after: its landmarks, float [68, 2] in sides.
    """
    face = Image.new("L", (side, side))
    for points in (before, after):
        brows, chin = points[17:27], points[8]
        forehead = brows + _FOREHEAD * (brows.mean(axis=0) - chin)
        outline = np.concatenate([points[:17], forehead[::-1]])
        middle = outline.mean(axis=0)
        outline = (middle + _GROWN * (outline - middle)) * side
        ImageDraw.Draw(face).polygon([tuple(point) for point in outline], fill=255)
    return torch.from_numpy(np.array(face)).float()[None] / 255


def where(visible: Tensor, inside: Tensor, *, whole: bool) -> Tensor:
    """Where in the crop a change counts: the face, and around it as far as something changes.

    visible: [1, R, R] in 0 to 1, how much is seen to change. inside: see `inside_of`. whole: see `find_change`.
    Returns [1, R, R] in 0 to 1, feathered, and exactly 0 outside.
    """
    side = visible.shape[-1]
    offsets = (torch.arange(side) + 0.5) / side * 2 - 1
    radius = (offsets**4 + offsets[:, None] ** 4).sqrt().sqrt()  # of a square with round corners
    around = _ramp(grown(visible, _REACH * side), *_AROUND)
    mask = torch.maximum(inside, around if whole else around * (1 - _ramp(radius, *_HEAD)))
    mask = blurred(mask, _FEATHER * side) * (1 if whole else 1 - _ramp(radius, *_BORDER))
    return ((mask - 0.01) / 0.98).clamp(0, 1)


def covered(new: Tensor, old: Tensor, inside: Tensor) -> Tensor:
    """Where something dark has come over a part of the face: [1, R, R] in 0 to 1.

    new, old: [3, R, R] in 0 to 1, in place. inside: see `inside_of`. What counts is how much more a place has darkened
    than the face's median: a darker skin covers nothing.
    """
    side = new.shape[-1]
    light, before = blurred(torch.stack([new.mean(dim=0), old.mean(dim=0)]), _COVERING * side).clamp(min=_DARKEST)
    shade = light / before
    face = shade[inside[0] > 0]
    if not len(face):
        return torch.zeros_like(inside)
    return _ramp(1 - shade / face.median().clamp(max=1), _SHADE, _COVER)[None] * blurred(inside, _COVERING * side)


def at_edge(difference: Tensor, mask: Tensor) -> Tensor:
    """What of a difference [3, R, R] would show as a step at the mask's edge: its mean there, fading to both sides.

    Of tones only: what was painted there, such as a beard at the chin, would be taken away with it.
    """
    tone = 1 - _ramp(difference.abs().amax(dim=0, keepdim=True), _TONE, _PAINT)
    zone = 4 * mask * (1 - mask) * tone
    sigma = _MATCHING * mask.shape[-1]
    total = blurred(torch.cat([difference * zone, zone]), sigma)
    return total[:3] / total[3:].clamp(min=0.25)


def movement(before: np.ndarray, after: np.ndarray, side: int = FLOW_SIDE) -> Tensor:
    """Where each place of a face has come from, as a thin plate bent by its landmarks (Bookstein 1989).

    before, after: float [68, 2] in sides of the crop. Returns float32 [2, side, side]: the old place minus the new one,
    (x, y) in sides, at the middles of side x side squares; nothing moves on the crop's border.
    """
    line = np.linspace(0, 1, _ANCHORS)
    border = [(x, y) for x in line for y in line if x in (0, 1) or y in (0, 1)]
    points = np.concatenate([after, border])
    moves = np.concatenate([np.clip(before - after, -_MAX_MOVE, _MAX_MOVE), np.zeros((len(border), 2))])
    count = len(points)
    plate = np.zeros((count + 3, count + 3))
    plate[:count, :count] = _bend(points, points)
    plate[:68, :68] += _STIFFNESS * np.eye(68)
    plate[:count, count:] = np.column_stack([np.ones(count), points])
    plate[count:, :count] = plate[:count, count:].T
    weights = np.linalg.solve(plate, np.concatenate([moves, np.zeros((3, 2))]))
    middles = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2).astype(np.float32)
    field = (
        _bend(grid, points.astype(np.float32)) @ weights[:count]
        + np.column_stack([np.ones(len(grid)), grid]) @ weights[count:]
    )
    return torch.from_numpy(field.astype(np.float32).T.reshape(2, side, side))


def fetched(image: Tensor, move: Tensor) -> Tensor:
    """An image [C, S, S] fetched from where a movement [2, S, S] says."""
    size = image.shape[-1]
    middles = (torch.arange(size) + 0.5) / size * 2 - 1
    places = torch.stack([middles.expand(size, size), middles[:, None].expand(size, size)]) + 2 * move
    return functional.grid_sample(
        image[None], places.permute(1, 2, 0)[None], mode="bicubic", padding_mode="reflection", align_corners=False
    )[0]


def enlarged(images: Tensor, side: int) -> Tensor:
    """Images [C, H, W] at side x side pixels, smoothly."""
    return functional.interpolate(images[None], (side, side), mode="bicubic", align_corners=False)[0]


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Square images [C, S, S] under a Gaussian blur of `sigma` pixels, reflected at the border."""
    blur = _blur(images.shape[-1], sigma)
    return blur @ images @ blur.T


@lru_cache(maxsize=32)
def _blur(side: int, sigma: float) -> Tensor:
    """The blur of one line as a matrix [side, side]: for such small pictures faster than a convolution."""
    reach = min(max(math.ceil(3 * sigma), 1), side - 1)
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    places = (torch.arange(side)[:, None] + offsets).abs()
    places = torch.where(places > side - 1, 2 * (side - 1) - places, places)
    return torch.zeros(side, side).scatter_add_(1, places, (weights / weights.sum()).expand(side, -1))


def grown(images: Tensor, radius: float) -> Tensor:
    """The most that images [C, S, S] have within a square of `radius` pixels around each place."""
    reach = round(radius)
    across = functional.max_pool2d(images[None], (1, 2 * reach + 1), 1, (0, reach))
    return functional.max_pool2d(across, (2 * reach + 1, 1), 1, (reach, 0))[0]


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture uint8 [S, S, 3] at `size` pixels (Lanczos)."""
    return np.array(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


def as_tensor(picture: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W] in 0 to 1."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous().float() / 255


def _bend(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    squared = np.square(first[:, :1] - second[:, 0]) + np.square(first[:, 1:] - second[:, 1])
    return 0.5 * squared * np.log(squared + np.float32(1e-12))  # r^2 log r


def _ramp(values: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, smooth between."""
    steps = ((values - low) / (high - low)).clamp(0, 1)
    return steps * steps * (3 - 2 * steps)
