"""What each pixel of a picture shows while it is being generated: what is behind the person, the person, or hair.

A generator's maps separate the parts of its pictures (Collins et al. 2020, "Editing in Style"), so that one weight a
channel and part tells them apart. Taught by training/parts.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 32  # pixels of the maps that are read
PARTS = ("behind", "person", "hair")  # person: face and neck without the hair; clothes count as either
BEHIND, PERSON, HAIR = range(len(PARTS))
_PREFIX = "parts."  # of its tensors in a file of directions
_SHARPNESS = 4.0  # gives back what the mean over neighbours takes from the borders, and leaves less in between


class Parts(nn.Module):
    """Maps [N, C, S, S] -> how much of each pixel is each of PARTS, float32 [N, 3, S, S] in 0 to 1, their sum 1.

    A logistic regression on the direction in which a pixel's channels point. scale [C]: their deviations. weight
    [3, C], bias [3]. The tensors belong to a generator as its directions do, and are no part of its state dict.
    """

    def __init__(self, scale: Tensor, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        for name, value in (("scale", scale), ("weight", weight), ("bias", bias)):
            self.register_buffer(name, value.detach().float(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        logits = torch.einsum("nchw,kc->nkhw", pointing(maps, self.scale), self.weight) + self.bias[:, None, None]
        steady = F.avg_pool2d(logits, 3, stride=1, padding=1, count_include_pad=False)
        return torch.softmax(_SHARPNESS * steady, dim=1)

    def fits(self, generator: nn.Module) -> bool:
        """Whether a generator has the maps that are read here."""
        block = getattr(getattr(generator, "synthesis", None), f"b{SIDE}", None)
        return block is not None and block.conv1.weight.shape[0] == len(self.scale)

    def tensors(self) -> dict[str, Tensor]:
        """What `read_parts` reads."""
        return {_PREFIX + name: value for name, value in self.named_buffers()}


def read_parts(tensors: Mapping[str, Tensor]) -> Parts | None:
    """The Parts among a file's tensors, or None where it has none."""
    found = [tensors.get(_PREFIX + name) for name in ("scale", "weight", "bias")]
    return None if any(value is None for value in found) else Parts(*found)


def pointing(maps: Tensor, scale: Tensor) -> Tensor:
    """Maps [N, C, H, W] in deviations [C], each pixel of length 1, in float32."""
    return F.normalize(maps.float() / scale[:, None, None], dim=1)
