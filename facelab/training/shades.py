"""Hair of another colour: what it would look like, so that a direction can be tuned towards that picture.

Asked for grey hair, what reads attributes is content with a yellow gleam. How hair of a colour looks is known, though,
from those whose hair has it; light and shade stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.encoder import Encode
from facelab.evaluation.figures import spread
from facelab.generators.parts import SIDE
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.regions import region_mask
from facelab.training.data import Pictures
from facelab.training.direction_list import WANTED
from facelab.training.labels import Labels

SHADING = 0.4, 1.8  # of a pixel's light to the hair's mean light, at least and at most
LEAST = 0.02  # of the picture is hair, where its colour is asked for
SEEN = 128  # portraits with and without each colour
BEYOND = 1.4  # of the way from one mean colour to the other: between lamps and neighbours' colours, means are pale
UNSEEN = "Bald", "Receding_Hairline", "Wearing_Hat"  # those whose skin or hat shows where others have hair
BATCH = 32


def hair_of(generator: StyleGAN2, latents: Tensor) -> Tensor:
    """How much of each pixel of the pictures of w+ [N, L, D] is hair: float32 [N, 1, SIDE, SIDE] in 0 to 1."""
    synthesis = generator.synthesis
    maps = synthesis.maps(latents, SIDE, dtype=fast_dtype(latents.device))
    return region_mask("hair", SIDE, parts=synthesis.parts(maps))


def mean_colour(pictures: Tensor, hair: Tensor) -> Tensor:
    """The mean colour of hair [N, 1, S, S] in pictures [N, 3, R, R] in [-1, 1]: [N, 3] in 0 to 1."""
    return (_small(pictures, hair) * hair).sum(dim=(2, 3)) / hair.sum(dim=(2, 3)).clamp_min(1e-6)


def recoloured(pictures: Tensor, hair: Tensor, colour: Tensor) -> Tensor:
    """The pictures, small, with hair of a mean colour [N, 3], as light and dark as it was: [N, 3, S, S] in 0 to 1.

    hair: [N, 1, S, S]. What is no hair has no meaning in them.
    """
    small = _small(pictures, hair)
    light = small.mean(dim=1, keepdim=True)
    mean = mean_colour(pictures, hair).mean(dim=1)[:, None, None, None]
    shading = (light / mean.clamp_min(1e-3)).clamp(*SHADING)
    return (colour[:, :, None, None] * shading).clamp(0, 1)


def changed_outside(hair: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """The squared change of a pixel of pictures [N, 3, R, R], mean over all that is no hair [N, 1, S, S] of them."""
    rest = 1 - F.interpolate(hair, after.shape[-2:], mode="bilinear")
    return ((after - before).square().sum(dim=1, keepdim=True) * rest).sum() / rest.sum().clamp_min(1e-6)


@dataclass(frozen=True, eq=False)
class Shades:
    """The colour of hair, [3] in 0 to 1, that tells those with an attribute from those without it."""

    with_it: Tensor
    without: Tensor

    def missing(self, before: Tensor, after: Tensor, hair: Tensor, sign: Tensor) -> Tensor:
        """How far the hair in pictures `after` is from that of `before` in the other colour, squared, mean over all of
        it. sign [N]: 1 for faces that are to have the attribute, -1 for those that are to lose it.
        """
        colour = torch.where(sign[:, None] > 0, self.with_it.to(sign), self.without.to(sign))
        apart = _small(after, hair) - recoloured(before, hair, colour)
        return (apart.square().sum(dim=1, keepdim=True) * hair).sum() / hair.sum().clamp_min(1e-6)


@torch.no_grad()
def find_shades(generator: StyleGAN2, encode: Encode, pictures: Pictures, labels: Labels) -> dict[str, Shades]:
    """The colours of hair of WANTED, by direction: of the hair in portraits, which lies where their likenesses have it,
    a little farther apart than their means are.

    Those are left out that labels know of nobody, or of everybody, whose hair is seen.
    """
    clear = ~np.any([labels.of(name) for name in UNSEEN], axis=0)
    found = {}
    for wanted in WANTED:
        if not wanted.shade:
            continue
        has = labels.of(wanted.seen)
        sides = [np.flatnonzero(side & clear) for side in (has, ~has)]
        with_it, without = (
            _colours_of(generator, encode, pictures, places[spread(len(places), SEEN)]) for places in sides
        )
        if len(with_it) and len(without):
            with_it, without = with_it.mean(dim=0), without.mean(dim=0)
            apart = (BEYOND - 1) * (with_it - without)
            found[wanted.id] = Shades((with_it + apart).clamp(0, 1), (without - apart).clamp(0, 1))
    return found


def _colours_of(generator: StyleGAN2, encode: Encode, pictures: Pictures, places: np.ndarray) -> Tensor:
    """The mean colours [N, 3] of the hair in some of the pictures, of those that have any."""
    colours = [torch.empty(0, 3)]
    for first in range(0, len(places), BATCH):
        portraits = pictures.tensor(places[first : first + BATCH])
        hair = hair_of(generator, encode(portraits)).cpu()
        colours.append(mean_colour(portraits, hair)[hair.mean(dim=(1, 2, 3)) > LEAST])
    return torch.cat(colours)


def _small(pictures: Tensor, hair: Tensor) -> Tensor:
    return F.interpolate((pictures + 1) / 2, hair.shape[-2:], mode="area")
