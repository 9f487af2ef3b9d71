"""The judge: CelebA's attributes as seen in the pixels of an aligned face.

It measures what an edit did to a picture, and so it takes no part in making any: no direction, no encoder and no
generator is trained with it. Shapes (nose, lips, eyes, mouth) are measured on landmarks instead: see geometry.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import JUDGE
from facelab.pixels import as_images
from facelab.trunk import Trunk

# In the order of CelebA's list (Liu et al. 2015).
# fmt: off
ATTRIBUTES = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips",
    "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin",
    "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open",
    "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline",
    "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
]
# fmt: on
WIDTHS = (16, 32, 64, 128, 160)


class Judge(nn.Module):
    """Aligned faces [N, 3, R, R] in [-1, 1] -> logits [N, 40], one per attribute of ATTRIBUTES; above 0 is yes."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(WIDTHS)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(self.trunk.num_features, len(ATTRIBUTES))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.drop(self.trunk(images).flatten(1)))


def load_judge(path: Path | None = None) -> Judge:
    """The judge that ships, frozen, or the one in `path`. Raises BadWeights for a damaged file."""
    from facelab.checkpoints.weights import load_network

    return load_network(Judge(), path or JUDGE)


@torch.inference_mode()
def judge(network: Judge, images: Tensor, *, batch: int = 32) -> Tensor:
    """Logits [N, 40] of any number of pictures [N, 3, R, R] in [-1, 1], in batches."""
    return torch.cat([network(part) for part in images.split(batch)])


@torch.inference_mode()
def features(network: Judge, images: Sequence[np.ndarray], *, batch: int = 32) -> np.ndarray:
    """What the judge looks at before it decides, float32 [N, 160]: its last feature maps, averaged over the places, of
    uint8 [R, R, 3] each.

    Nothing that makes faces was taught by it, so a Frechet distance of these is one that no training can flatter.
    """
    seen = []
    for first in range(0, len(images), batch):
        seen.append(network.trunk(as_images(images[first : first + batch])).mean(dim=(2, 3)).numpy())
    return np.concatenate(seen)
