"""A second discriminator that looks through the eyes of a network which knows faces (Sauer et al. 2021, Projected GANs;
Kumari et al. 2022, vision-aided GANs): small heads on the frozen feature maps of the FaceReader's trunk.

A discriminator learns late what a face is from few pictures; these features know, and training pays off sooner.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facelab.generators.layers import LRELU_SLOPE
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import WIDTHS, FaceReader
from facelab.trunk import Trunk

FIRST_MAP = 1  # of the trunk's maps at 64, 32, 16, 8 and 4 pixels: all but the finest
WIDTH = 96


class Eyes(nn.Module):
    """Images [N, 3, R, R] in [-1, 1] -> logits [N * K, 1], one a picture and feature map."""

    def __init__(self, reader: FaceReader) -> None:
        super().__init__()
        self._trunk: list[Trunk] = [reader.trunk]  # in a list: neither trained nor saved with the heads
        self.heads = nn.ModuleList(_head(width) for width in WIDTHS[FIRST_MAP:])

    def forward(self, images: Tensor) -> Tensor:
        maps = self._trunk[0].maps(images)[FIRST_MAP:]
        dtype = fast_dtype(images.device)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            logits = [head(each).float().mean(dim=(2, 3)) for head, each in zip(self.heads, maps, strict=True)]
        return torch.cat(logits)


def _head(width: int) -> nn.Module:
    """Judges each neighbourhood of a feature map; the last layer is free to say how sure it is."""
    norm = nn.utils.parametrizations.spectral_norm
    return nn.Sequential(
        norm(nn.Conv2d(width, WIDTH, 1)),
        nn.LeakyReLU(LRELU_SLOPE),
        norm(nn.Conv2d(WIDTH, WIDTH, 3, padding=1)),
        nn.LeakyReLU(LRELU_SLOPE),
        nn.Conv2d(WIDTH, 1, 3, padding=1),
    )
