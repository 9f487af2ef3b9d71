"""Which way drawn faces are turned on average: as the pictures are, which mirroring made a generator forget.

People turn one cheek to a camera more often than the other: CelebA-HQ's portraits by 1.4 degrees in the mean. What is
trained on pictures and their mirrors draws both sides alike. Here the mapping's last bias moves by the latents' own
covariance with the turn. What a latent looks like stays as it is; only which latents are drawn changes, and `w_avg`,
which encoders begin at, stays where it was.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from facelab.generators.layers import ACTIVATION_GAIN, LRELU_SLOPE, FullyConnected
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.identity import FaceReader
from facelab.training.data import Pictures

LOOKED_AT = 8192  # drawn faces, and pictures, at most
ROUNDS = 6  # at most: each leaves some of the way, as not all of the turn is linear in w
NEAR = 0.05  # degrees from the pictures' turn: near enough
BATCH = 64
SEED = 300


@torch.inference_mode()
def restore_turn(generator: StyleGAN2, reader: FaceReader, pictures: Pictures, *, count: int = LOOKED_AT) -> float:
    """Move the mapping of a generator until its faces are turned, in the mean, as the pictures are; returns that turn
    in degrees.

    count: of how many faces, and of how many pictures at most, the turn is measured.
    """
    places = np.linspace(0, len(pictures.images) - 1, min(count, len(pictures.images))).astype(int)
    parts = np.array_split(places, max(1, len(places) // BATCH))
    device = generator.mapping.w_avg.device
    wanted = turns(reader, (pictures.tensor(part).to(device) for part in parts)).mean()
    for _ in range(ROUNDS):
        latents = generator.sample(count, seed=SEED)
        drawn = (generator.synthesize(part, dtype=fast_dtype(device)).float() for part in latents.split(BATCH))
        turn, w = turns(reader, (part.clamp(-1, 1) for part in drawn)), latents[:, 0].float()
        if abs(wanted - turn.mean()) < NEAR:
            break
        # what of w goes with a degree, in the mean over all faces
        slope = ((turn - turn.mean())[:, None] * (w - w.mean(dim=0))).mean(dim=0) / turn.var().clamp(min=1e-6)
        _shift(_last_layer(generator), (wanted - turn.mean()) * slope, w)
    return float(wanted)


def turns(reader: FaceReader, images: Iterable[Tensor]) -> Tensor:
    """The yaw of faces in batches of pictures [N, 3, R, R], in degrees, [all]: half of the difference to that of the
    mirrored picture, so that a reader that errs to one side does not count.
    """
    return torch.cat([(_yaw(reader, part) - _yaw(reader, part.flip(3))) / 2 for part in images])


def _yaw(reader: FaceReader, images: Tensor) -> Tensor:
    return reader.read(images, batch=BATCH).pose[:, 0].float()


def _last_layer(generator: StyleGAN2) -> FullyConnected:
    return getattr(generator.mapping, f"fc{generator.mapping.num_layers - 1}")


def _shift(layer: FullyConnected, offset: Tensor, w: Tensor) -> None:
    """Move what a layer with a leaky rectifier gives, [N, W] so far, by an offset [W] in the mean."""
    passed = torch.where(w > 0, 1.0, LRELU_SLOPE).mean(dim=0) * ACTIVATION_GAIN
    layer.bias += (offset / (passed * layer.bias_gain)).to(layer.bias)
