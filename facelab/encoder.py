"""Picture -> latent in one pass: the instant embedding, and the start of the optimised one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import find_card
from facelab.generators.base import Generator
from facelab.generators.single_latent import HalvingStack
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import VECTOR_SCALE, WIDTHS, FaceReader, load_reader
from facelab.trunk import Trunk

Encode = Callable[[Tensor], Tensor]  # pictures [N, 3, R, R] in [-1, 1] -> latents [N, L, D]

LOOKS = 2  # more bring the person nearer still, but blurred and farther from where edits work
HIDDEN = 160
PERSON = 64  # what the reader's vector is made of on its way to the rows
INVERTER_CHANNELS = 24  # of the finest level
INVERTER_HIDDEN = 256  # what a latent of more numbers is made of, for a picture of 64 px does not tell so many
POOLED = WIDTHS[1:4]  # maps at 32, 16 and 8 px are averaged: fine rows are about colour and texture, not places


class Encoder(nn.Module):
    """Aligned faces [N, 3, R, R] in [-1, 1], and who they are by the reader's raw vectors [N, 128] -> w+ [N, L, D] of
    one generator.

    Its outputs are deviations from the mean latent in units of w's own spread (`mean`, `spread`, [D] each).
    """

    def __init__(self, num_layers: int, dim: int) -> None:
        super().__init__()
        self.num_layers, self.dim = num_layers, dim
        self.trunk = Trunk(WIDTHS)
        self.hidden = nn.Linear(self.trunk.num_features + sum(POOLED), HIDDEN)
        self.norm = nn.BatchNorm1d(HIDDEN)
        self.shared = nn.Linear(HIDDEN, dim)
        self.rows = nn.Linear(HIDDEN, num_layers * dim)
        self.person = nn.Sequential(nn.Linear(128, PERSON), nn.SiLU(), nn.Linear(PERSON, num_layers * dim))
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))
        for rows in (self.rows, self.person[-1]):
            nn.init.zeros_(rows.weight)
            nn.init.zeros_(rows.bias)

    def deviations(self, images: Tensor, vectors: Tensor) -> Tensor:
        """How far each row lies from the mean latent, in units of w's spread: [N, L, D]."""
        maps = self.trunk.maps(images)
        pooled = [feature.mean(dim=(2, 3)) for feature in maps[1:4]]
        hidden = torch.nn.functional.silu(self.norm(self.hidden(torch.cat([maps[-1].flatten(1), *pooled], dim=1))))
        rows = self.rows(hidden) + self.person(vectors / VECTOR_SCALE)
        return self.shared(hidden)[:, None] + rows.unflatten(1, (self.num_layers, self.dim)).float()

    def forward(self, images: Tensor, vectors: Tensor) -> Tensor:
        return self.mean + self.spread * self.deviations(images, vectors)


class Inverter(nn.Module):
    """Aligned faces [N, 3, R, R] in [-1, 1] -> latents [N, 1, D] of a generator with one latent.

    The face encoder that Guo and Huang wish for (section 4): it learns from generated pictures of known latents.
    """

    def __init__(self, resolution: int, dim: int) -> None:
        super().__init__()
        self.stack = HalvingStack(resolution, INVERTER_CHANNELS)
        features = self.stack.out_features
        self.out: nn.Module = nn.Linear(features, dim)
        if dim > INVERTER_HIDDEN:
            hidden = nn.Linear(features, INVERTER_HIDDEN)
            self.out = nn.Sequential(hidden, nn.SiLU(), nn.Linear(INVERTER_HIDDEN, dim))

    def forward(self, images: Tensor) -> Tensor:
        dtype = fast_dtype(images.device)
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            return self.out(self.stack(images)[-1].flatten(1)).float()[:, None]

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Latents [N, 1, D] of pictures [N, 3, R, R] in [-1, 1], without gradients."""
        return self(images)


@torch.no_grad()
def look_closely(encoder: Encoder, generator: Generator, reader: FaceReader, images: Tensor) -> Tensor:
    """w+ [N, L, D] of pictures x [N, 3, R, R] in [-1, 1], without gradients: w <- w + E(x) - E(G(w)), from E(x) on.

    Each further look is at the face found so far, and what the encoder sees too little of in it, or the reader of the
    person, is added: iterated inversion (Alaluf et al. 2021, ReStyle), with one network that was trained through these
    looks.
    """
    ws = first = encoder(images, reader(images).vectors)
    for _ in range(LOOKS - 1):
        seen = generator.synthesize(ws, dtype=fast_dtype(images.device)).clamp(-1, 1)
        ws = ws + first - encoder(seen, reader(seen).vectors)
    return ws


def make_encoder(generator: Generator) -> Encoder | Inverter:
    """An untrained encoder into the space that a generator's faces are edited in."""
    if generator.edit_space == "w+":
        return Encoder(*generator.latent_shape("w+"))
    return Inverter(generator.resolution, generator.latent_shape(generator.edit_space)[1])


def load_encoder(generator: Generator, path: Path | None = None) -> Encoder | Inverter:
    """The encoder that ships with a generator, frozen, or the one in `path`, on the generator's device.

    Raises UnknownModel when the model ships without one and BadWeights for a damaged file.
    """
    from facelab.checkpoints.weights import load_network

    network = make_encoder(generator)
    return load_network(network, path or f"{generator.name}-encoder", device=generator.mean_latent().device)


def load_encode(generator: Generator, reader: FaceReader | None = None) -> Encode:
    """What carries pictures to latents of the space that a generator's faces are edited in, without gradients: the
    encoder that ships with it, or its own. reader: where it is loaded already.

    Raises UnknownModel when it has neither.
    """
    if "encoder" not in find_card(generator.name).companions and hasattr(generator, "encode"):
        return generator.encode
    encoder = load_encoder(generator)
    if isinstance(encoder, Inverter):
        return encoder.encode
    return partial(look_closely, encoder, generator, reader or load_reader(device=generator.mean_latent().device))
