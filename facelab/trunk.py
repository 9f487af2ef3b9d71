"""The small convolutional trunk that the networks which look at aligned faces share: judge, reader and encoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from facelab.generators.stylegan2 import fast_dtype

INPUT_SIDE = 128  # pixels
OUTPUT_SIDE = 4  # pixels, after five halvings


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, halving the picture, and a shortcut (He et al. 2016)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False)
        self.norm0 = nn.BatchNorm2d(out_channels)
        self.conv1 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.skip = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm0(self.conv0(x)))
        return torch.relu(self.norm1(self.conv1(y)) + self.skip(x))


class Trunk(nn.Module):
    """Aligned faces [N, 3, 128, 128] in [-1, 1] -> features [N, widths[-1], 4, 4]; other sizes are resampled.

    widths: feature maps at 64, 32, 16, 8 and 4 pixels.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.ModuleList(ResidualBlock(before, after) for before, after in pairwise(widths))
        self.num_features = widths[-1] * OUTPUT_SIDE**2

    def maps(self, images: Tensor) -> list[Tensor]:
        """The feature maps at 64, 32, 16, 8 and 4 pixels, float32; convolved in the dtype the device is fastest in."""
        dtype = fast_dtype(images.device)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            maps = [torch.relu(self.norm(self.stem(at_input_side(images))))]
            for block in self.blocks:
                maps.append(block(maps[-1]))
        return [each.float() for each in maps]

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images)[-1]


def at_input_side(images: Tensor) -> Tensor:
    """images [N, 3, H, W] at the trunk's own size, averaged down or interpolated up; channels last."""
    if images.shape[-1] != INPUT_SIDE:
        images = nn.functional.interpolate(
            images, (INPUT_SIDE, INPUT_SIDE), mode="bilinear", antialias=images.shape[-1] > INPUT_SIDE
        )
    return images.contiguous(memory_format=torch.channels_last)
