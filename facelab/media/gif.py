"""GIF with one palette for all frames, made from all of them, and small: what hardly changes is not drawn again."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import GifImagePlugin, Image
from torch import Tensor

COLOURS = 255  # of 256; the last entry of the palette is "as before"
AS_BEFORE = 255
SAMPLES = 20_000  # pixels that the palette is made from
ROUNDS = 4  # of k-means after the median cut
CELL_BITS = 5  # of each colour channel, when a colour is looked up
# Squared distance in RGB up to which a pixel may keep the colour that it shows already. The first is invisible (over
# 35 dB); the others are taken, in this order, while the file is larger than it may be. All stay over 30 dB.
TOLERANCES = (100, 200, 400)
MAX_BYTES = 2_000_000


def encode_gif(
    frames: Sequence[np.ndarray], *, fps: float, comment: str, xmp: str, max_bytes: int = MAX_BYTES
) -> bytes:
    """Frames uint8 [H, W, 3] of one size as the bytes of a GIF that loops for ever.

    comment: for people. xmp: a read-only XMP packet. max_bytes: to be stayed under as far as 30 dB allow; 60 frames of
    a morph at 256 px do.
    """
    colours = make_palette(frames)
    nearest = _nearest_colours(colours)
    palette = colours.round().clamp(0, 255).byte().numpy()
    start, end = _header(frames[0].shape, palette, comment, xmp), b";"
    for tolerance in TOLERANCES:
        parts = [
            _control(hundredths) + _image(indices)
            for hundredths, indices in zip(
                _delays(len(frames), fps), _indexed(frames, palette, nearest, tolerance), strict=True
            )
        ]
        data = b"".join([start, *parts, end])
        if len(data) <= max_bytes:
            break
    return data


def make_palette(frames: Sequence[np.ndarray]) -> Tensor:
    """The colours that stand for those of all frames with the least squared error: float32 [255, 3].

    Median cut (Heckbert 1982) and then k-means on pixels of every frame.
    """
    pixels = np.concatenate([frame[::4, ::4].reshape(-1, 3) for frame in frames])
    pixels = np.ascontiguousarray(pixels[:: max(1, len(pixels) // SAMPLES)])
    cut = Image.fromarray(pixels[None]).quantize(COLOURS, Image.Quantize.MEDIANCUT).getpalette()[: 3 * COLOURS]
    colours = torch.zeros(COLOURS, 3)
    colours[: len(cut) // 3] = torch.tensor(cut, dtype=torch.float32).reshape(-1, 3)
    points = torch.from_numpy(pixels).float()
    for _ in range(ROUNDS):
        owner = _closest(points, colours)
        members = torch.bincount(owner, minlength=COLOURS).float()[:, None]
        sums = torch.zeros_like(colours).index_add_(0, owner, points)
        colours = torch.where(members > 0, sums / members.clamp_min(1), colours)
    return colours


def _closest(points: Tensor, colours: Tensor) -> Tensor:
    return torch.addmm(colours.square().sum(dim=1)[None], points, colours.T, alpha=-2).argmin(dim=1)


def _nearest_colours(colours: Tensor) -> np.ndarray:
    """For every cell of the RGB cube the nearest entry of the palette: uint8 [2 ** 15]."""
    step = 256 >> CELL_BITS
    middles = torch.arange(1 << CELL_BITS).float() * step + (step - 1) / 2
    return _closest(torch.cartesian_prod(middles, middles, middles), colours).byte().numpy()


def _indexed(
    frames: Sequence[np.ndarray], palette: np.ndarray, nearest: np.ndarray, tolerance: int
) -> Iterator[np.ndarray]:
    """Each frame as entries of the palette, uint8 [H, W]; a pixel that may keep its colour is AS_BEFORE."""
    shown = None
    for frame in frames:
        red, green, blue = (frame >> (8 - CELL_BITS)).astype(np.uint16).transpose(2, 0, 1)
        indices = nearest[(red << (2 * CELL_BITS)) | (green << CELL_BITS) | blue]
        colours = palette[indices]
        if shown is not None:
            change = shown.astype(np.int16) - frame
            kept = np.einsum("hwc,hwc->hw", change, change, dtype=np.int32) <= tolerance
            indices[kept] = AS_BEFORE
            colours[kept] = shown[kept]
        shown = colours
        yield indices


def _header(shape: tuple[int, ...], palette: np.ndarray, comment: str, xmp: str) -> bytes:
    screen = struct.pack("<6sHHBBB", b"GIF89a", shape[1], shape[0], 0b11110111, 0, 0)
    loop = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
    # XMP specification, part 3, section 1.1.2: the packet as it is, then bytes that lead any reader of blocks out.
    packet = b"!\xff\x0bXMP DataXMP" + xmp.encode() + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    words = comment.encode()
    blocks = (words[first : first + 255] for first in range(0, len(words), 255))
    said = b"!\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"
    return screen + palette.tobytes() + bytes(3) + loop + said + packet


def _delays(count: int, fps: float) -> list[int]:
    """Hundredths of a second for each frame, rounded so that the whole lasts as long as it should; at least 2, below
    which browsers slow down.
    """
    ends = [round(100 * (index + 1) / fps) for index in range(count)]
    return [max(2, end - before) for end, before in zip(ends, [0, *ends], strict=False)]


def _control(hundredths: int) -> bytes:
    return struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 0b00000101, hundredths, AS_BEFORE, 0)


def _image(indices: np.ndarray) -> bytes:
    """An image's descriptor and its pixels, compressed by Pillow."""
    return b"".join(GifImagePlugin.getdata(Image.fromarray(indices, "P"), interlace=0))
