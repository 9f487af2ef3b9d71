"""Faces in the style of pictures, as a Studio makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from facelab.embedding import as_image
from facelab.errors import BadSetting
from facelab.face import Face
from facelab.generators.deltas import on_device
from facelab.perceptual import Vgg16, has_vgg16
from facelab.routing import by_its_model
from facelab.stylising import (
    Extract,
    StyliseSettings,
    StyliseStep,
    discriminator_layers,
    style_picture,
    stylise,
    vgg16_layer,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from facelab.checkpoints.cards import Card
    from facelab.generators.base import Generator

DEFAULTS = StyliseSettings()


class Styling:
    """What a Studio does with styles that no face has. The faces that come in are never changed."""

    card: Card
    generator: Generator
    device: torch.device
    has_layers: bool
    _rows: Callable[[Face], Tensor]
    _networks: tuple[Generator, nn.Module | None]
    _vgg16: Vgg16

    @property
    def style_features(self) -> str:
        """Whose features see a style by default: "vgg16", as in the paper, where its weights are, or
        "discriminator".
        """
        return "vgg16" if has_vgg16() else "discriminator"

    @by_its_model
    def stylise(self, face: Face, style: np.ndarray, settings: StyliseSettings = DEFAULTS) -> Iterator[StyliseStep]:
        """Give a face the style of a picture: `stylising.stylise` with this studio's models.

        style: uint8 [H, W, 3], any picture; its middle square counts. Closing the iterator stops, and `stylised` makes
        any step a face. Raises BadSetting for a model with one latent, BadWeights where VGG-16 is asked for and absent.
        """
        if not self.has_layers:
            raise BadSetting(f"{self.card.title} has no layers to style. Choose a face of a StyleGAN2.")
        extract = self._extract(settings.features or self.style_features)
        target = as_image(style_picture(style, self.card.resolution), self.generator)
        [delta] = on_device([face.delta], self.device)
        return stylise(self.generator, self._rows(face).to(self.device), target, extract, settings, delta=delta)

    @by_its_model
    def stylised(self, face: Face, step: StyliseStep) -> Face:
        """What stylising `face` has found so far, as a face."""
        found = replace(face, latent=step.latent, model_sha256=self.card.sha256)
        return found.made_by({"op": "stylise"}, of=[face])

    def _extract(self, features: str) -> Extract:
        return vgg16_layer(self._vgg16) if features == "vgg16" else discriminator_layers(self._networks[1])
