"""3 x 3 convolution by Winograd's minimal filtering (Lavin and Gray 2016): fewer products for more additions.

F(4 x 4, 3 x 3) takes a quarter of the products, within about 1e-5 of the values in float32. F(2 x 2, 3 x 3) takes
1 / 2.25 of them and has transforms of 0 and 1 alone, so that bfloat16 loses little. Both pay where channels are many.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Filtering:
    """Minimal filtering with `tile` x `tile` pixels of output from (tile + 2) x (tile + 2) = P of input.

    input [P, P], weight [P, 9] and output [tile * tile, P] are its transforms of flattened tiles, float32.
    """

    tile: int
    input: Tensor
    weight: Tensor
    output: Tensor


def _make(input_rows: list, weight_rows: list, output_rows: list) -> Filtering:
    rows = (torch.tensor(matrix, dtype=torch.float64) for matrix in (input_rows, weight_rows, output_rows))
    return Filtering(len(output_rows), *(torch.kron(matrix, matrix).float() for matrix in rows))


# Interpolation points 0, 1, -1 and infinity; and 2, -2 besides.
F2 = _make(
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
    [[1, 1, 1, 0], [0, 1, -1, -1]],
)
F4 = _make(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
)


def transform_weight(filtering: Filtering, weight: Tensor) -> Tensor:
    """Carry weight float32 [O, I, 3, 3] into points [P, I, O], to be done once."""
    out_channels, in_channels = weight.shape[:2]
    points = weight.reshape(-1, 9) @ filtering.weight.t()
    return points.reshape(out_channels, in_channels, -1).permute(2, 1, 0).contiguous()


def convolve(filtering: Filtering, x: Tensor, points: Tensor, *, before: Tensor, after: Tensor, bias: Tensor) -> Tensor:
    """Convolve x [N, I, H, W] with the weight that `points` [P, I, O] stand for, one zero around: [N, O, H, W].

    before [N, I] scales the channels of x, after [N, O] those of the result, to which bias [N or 1, O] is added. All
    have the dtype of x; H and W are multiples of the tile.
    """
    tile, (count, channels, height, width) = filtering.tile, x.shape
    rows, columns = height // tile, width // tile
    padded = x.new_zeros(count, height + 2, width + 2, channels)
    torch.mul(x.permute(0, 2, 3, 1), before[:, None, None, :], out=padded[:, 1:-1, 1:-1])
    of_count, of_row, of_column, of_channel = padded.stride()
    tiles = padded.as_strided(
        (tile + 2, tile + 2, count, rows, columns, channels),
        (of_row, of_column, of_count, of_row * tile, of_column * tile, of_channel),
    )
    size = (tile + 2) ** 2
    transformed = filtering.input.to(x.dtype) @ tiles.reshape(size, -1)
    products = torch.bmm(transformed.reshape(size, -1, channels), points)
    pixels = filtering.output.to(x.dtype) @ products.reshape(size, -1)
    pixels = pixels.reshape(tile, tile, count, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
    place = (slice(None), None, None, None, None)
    result = torch.addcmul(bias[place], pixels, after[place], out=x.new_empty(pixels.shape))
    return result.reshape(count, height, width, -1).permute(0, 3, 1, 2)
