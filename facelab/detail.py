"""The photo's own detail under an edit: a small generator changes a large photo without blurring it.

With P the photo, E and F the generator's pictures of the embedded and the edited face and m the way back along which
the face has moved (from a place in F to its place in E), the edited photo is

    k * P(m) + (1 - k) * S(m) + F - E(m)

where k is 1 where the photo's detail still belongs and S is the photo without detail: E with the photo's broad
colours. With k = 1 that is the warped photo plus what the generator changed; where the edit paints something new
(teeth, glasses, a beard) k goes to 0 and F stands alone, in the photo's colours. Everything but P has the generator's
size, so the same few lines serve a crop and a photo of many megapixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

FLOW_SIDE = 64  # points a side where the movement is computed
_ANCHORS = 6  # a side of the crop, on its border: these do not move
_STIFFNESS = 2e-3  # of the thin plate; dlib's landmarks are whole pixels of a 700 pixel copy, and shake
_MAX_MOVE = 0.15  # in sides of the crop
_STILL, _MOVED = 0.008, 0.03  # mean visible change, of the range, below which nothing has moved and above which it has
_OLD, _NEW = 0.05, 0.13  # new structure, of the range, from which the photo's detail fades and where it is gone
_BROAD = 0.03  # sigma in sides: coarser differences are colours, finer ones structure


@dataclass(frozen=True, eq=False)
class Look:
    """How the generator draws a face: its picture uint8 [R, R, 3], and the landmarks in it, float32 [68, 2]."""

    picture: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class Change:
    """What an edit changes in a face's picture; all of it in the frame of the crop, at R, the generator's resolution.

    added: float32 [3, R, R] in [-1, 1], (1 - k) S(m) + F - E(m). kept: float32 [1, R, R] in 0 to 1, k. move: float32
    [2, 64, 64], m minus identity, (x, y) in sides of the crop.
    """

    added: Tensor
    kept: Tensor
    move: Tensor


def find_change(crop: np.ndarray, embedded: Look, edited: Look) -> Change | None:
    """What an edit changes in a photo's crop, uint8 [512, 512, 3]; None where the generator draws the same."""
    if np.array_equal(embedded.picture, edited.picture):
        return None
    side = len(embedded.picture)
    old, new = _as_tensor(embedded.picture), _as_tensor(edited.picture)
    small = _as_tensor(np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BOX)))
    visible = blurred((new - old).abs().amax(dim=0, keepdim=True), _BROAD * side)
    move = movement(embedded.landmarks / side, edited.landmarks / side) * _resized(
        _ramp(visible, _STILL, _MOVED), FLOW_SIDE
    )
    broad = blurred(small - old, _BROAD * side)
    moved_old, moved_broad = _moved(torch.cat([old, broad]), move).split(3)
    added = new - moved_old
    structure = (added - blurred(added, _BROAD * side)).square().mean(dim=0, keepdim=True)
    kept = 1 - _ramp(blurred(structure, 0.01 * side).sqrt(), _OLD, _NEW)
    return Change(added=added + (1 - kept) * (moved_old + moved_broad), kept=kept, move=move)


def compose(crop: np.ndarray, change: Change | None) -> np.ndarray:
    """A crop uint8 [S, S, 3] with a change made to it; without one, the crop itself, copied."""
    if change is None:
        return crop.copy()
    size = len(crop)
    picture = _resized(change.kept, size) * _moved(_as_tensor(crop), change.move) + _resized(change.added, size)
    return (picture * 255).round_().clamp_(0, 255).byte().permute(1, 2, 0).numpy()


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture uint8 [S, S, 3] at `size` pixels (Lanczos)."""
    return np.array(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))


def movement(before: np.ndarray, after: np.ndarray, side: int = FLOW_SIDE) -> Tensor:
    """Where each place of a face has come from, as a thin plate bent by its landmarks (Bookstein 1989).

    before, after: float [68, 2] in sides of the crop. Returns float32 [2, side, side]: the old place minus the new one,
    (x, y) in sides, at the middles of side x side squares; nothing moves on the crop's border.
    """
    line = np.linspace(0, 1, _ANCHORS)
    border = [(x, y) for x in line for y in line if x in (0, 1) or y in (0, 1)]
    points = np.concatenate([after, border]).astype(np.float64)
    moves = np.concatenate([np.clip(before - after, -_MAX_MOVE, _MAX_MOVE), np.zeros((len(border), 2))])
    count = len(points)
    plate = np.zeros((count + 3, count + 3))
    plate[:count, :count] = _bend(points, points)
    plate[:68, :68] += _STIFFNESS * np.eye(68)
    plate[:count, count:] = np.column_stack([np.ones(count), points])
    plate[count:, :count] = plate[:count, count:].T
    weights = np.linalg.solve(plate, np.concatenate([moves, np.zeros((3, 2))]))
    middles = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    field = _bend(grid, points) @ weights[:count] + np.column_stack([np.ones(len(grid)), grid]) @ weights[count:]
    return torch.from_numpy(field.astype(np.float32).T.reshape(2, side, side))


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Images [C, H, W] under a Gaussian blur of `sigma` pixels, reflected at the border."""
    reach = max(math.ceil(2.5 * sigma), 1)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = F.pad(images[:, None], (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])[:, 0]


def _bend(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    squared = np.square(first[:, None] - second).sum(axis=-1)
    return 0.5 * squared * np.log(squared + 1e-12)  # r^2 log r


def _moved(image: Tensor, move: Tensor) -> Tensor:
    """An image [C, S, S] fetched from where the movement says."""
    size = image.shape[-1]
    middles = (torch.arange(size) + 0.5) / size * 2 - 1
    places = torch.stack([middles.expand(size, size), middles[:, None].expand(size, size)])
    places = (places + 2 * _resized(move, size)).permute(1, 2, 0)[None]
    return F.grid_sample(image[None], places, mode="bicubic", padding_mode="reflection", align_corners=False)[0]


def _resized(images: Tensor, side: int) -> Tensor:
    return F.interpolate(images[None], (side, side), mode="bicubic", align_corners=False)[0]


def _ramp(values: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high` on, smooth between."""
    steps = ((values - low) / (high - low)).clamp(0, 1)
    return steps * steps * (3 - 2 * steps)


def _as_tensor(picture: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [3, H, W] in 0 to 1."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
