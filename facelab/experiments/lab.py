"""The bench that experiments share: the networks, the budget, and a memory of what was embedded already."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.checkpoints.cards import find_card
from facelab.checkpoints.weights import build_networks, load_model
from facelab.embedding_settings import PRESETS, EmbedSettings
from facelab.errors import BadSetting
from facelab.evaluation.portraits import describe
from facelab.experiments.batch import Embedded, embed_batch
from facelab.experiments.pictures import Picture
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import SynthesisLayer, fast_dtype
from facelab.perceptual import Distance, discriminator_distance, load_vgg16, vgg16_distance
from facelab.pixels import as_images, as_pixels

BATCH = 12
LONG = 1000  # steps from which the paper's constant rate gets anywhere
SMALLEST_FACE = 64  # pixels in which dlib's network sees who it is
MEAN_OF = 4096  # draws whose mean is w_mean of a random network


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What differs from the plain embedding. network: "trained", "random" (weights as they are before any training) or
    "other noise" (trained, its constant noise drawn anew). layers: of the perceptual network, 0 the finest; None for
    all. side: pixels of the pictures that it compares, None for their own.
    """

    network: str = "trained"
    layers: tuple[int, ...] | None = None
    side: int | None = None


PLAIN = Setup()


class Lab:
    """One model on one device. A picture that was embedded by some settings is not embedded so again.

    steps: of every search. perceptual: "discriminator" or "vgg16". progress: told a few words and the share done of
    the batch under way. Raises UnknownModel, BadWeights, and BadSetting for a model without w+ or discriminator.
    """

    def __init__(
        self,
        model: str = "faces128",
        *,
        steps: int,
        seed: int = 0,
        perceptual: str = "discriminator",
        device: torch.device | str = "cpu",
        progress: Callable[[str, float], None] = lambda words, share: None,
    ) -> None:
        self.card, self.device = find_card(model), torch.device(device)
        if "w+" not in self.card.spaces:
            raise BadSetting(f"{model} has no w+, which these experiments are about. Choose another --model.")
        self.generator, self.discriminator = load_model(model, device=device)
        self.settings = plain_settings(steps, seed, perceptual)
        self.progress = progress
        self._vgg16 = load_vgg16(device=device) if perceptual == "vgg16" else None
        if perceptual == "discriminator" and self.discriminator is None:
            raise BadSetting(
                f"{model} ships without its discriminator, which compares pictures. Choose another --model."
            )
        if self.discriminator is not None:
            self.discriminator.compute_dtype = fast_dtype(self.device)
        self._known: dict[tuple, Embedded] = {}

    @property
    def layers(self) -> list[str]:
        """The names of the perceptual network's layers, the finest first."""
        if self._vgg16 is not None:
            return ["conv1_1", "conv1_2", "conv3_2", "conv4_2"]
        return [f"{size // 2} px" for size in self.discriminator.block_resolutions]

    @property
    def middle_layer(self) -> int:
        """What stands for the paper's conv3_2, whose maps have a quarter of the picture's side."""
        return 2 if self._vgg16 is not None else 1

    def embed(self, pictures: Sequence[Picture], words: str, *, setup: Setup = PLAIN, **changes: Any) -> list[Embedded]:
        """Each picture's embedding. changes: of `self.settings`; the start is each picture's own unless given."""
        jobs = [(picture, replace(self.settings, **{"start": picture.start, **changes})) for picture in pictures]
        keys = [(picture.image.tobytes(), settings, setup) for picture, settings in jobs]
        waiting: dict[EmbedSettings, dict[tuple, Picture]] = {}
        for key, (picture, settings) in zip(keys, jobs, strict=True):
            if key not in self._known:
                waiting.setdefault(settings, {})[key] = picture
        parts = [
            (settings, list(each.items())[first : first + BATCH])
            for settings, each in waiting.items()
            for first in range(0, len(each), BATCH)
        ]
        for number, (settings, part) in enumerate(parts):
            found = self._run([picture for _, picture in part], settings, setup, words, number, len(parts))
            self._known |= dict(zip((key for key, _ in part), found, strict=True))
        return [self._known[key] for key in keys]

    def _run(
        self, pictures: list[Picture], settings: EmbedSettings, setup: Setup, words: str, number: int, parts: int
    ) -> list[Embedded]:
        targets = as_images([picture.image for picture in pictures]).to(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)  # of noise that is resampled
            return embed_batch(
                self.network(setup.network),
                targets,
                settings,
                seeds=[zlib.crc32(picture.image.tobytes(), settings.seed) for picture in pictures],
                distance=self.distance(targets, setup) if settings.perceptual_weight else None,
                progress=lambda step: self.progress(words, (number + step / settings.steps) / parts),
            )

    def distance(self, targets: Tensor, setup: Setup = PLAIN) -> Distance:
        """The perceptual distance of pictures to targets, both [N, 3, R, R] in [-1, 1]."""

        def sized(images: Tensor) -> Tensor:
            if setup.side is None or setup.side == images.shape[-1]:
                return images
            shape = (setup.side, setup.side)
            if setup.side < images.shape[-1]:
                return F.interpolate(images, size=shape, mode="area")
            return F.interpolate(images, size=shape, mode="bilinear", align_corners=False)

        if self._vgg16 is not None:
            distance = vgg16_distance(self._vgg16, sized(targets), layers=setup.layers)
        else:
            distance = discriminator_distance(self.discriminator, sized(targets), layers=setup.layers)
        return lambda images: distance(sized(images))

    @torch.no_grad()
    def unlikeness(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[float]:
        """The perceptual distance, all layers at their own size, of pictures uint8 [R, R, 3], pair by pair."""
        targets, images = (as_images(each).to(self.device) for each in (first, second))
        parts = [
            self.distance(goal)(image) for goal, image in zip(targets.split(BATCH), images.split(BATCH), strict=True)
        ]
        return torch.cat(parts).tolist()

    def identity(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[float] | None:
        """dlib's identity distance of faces, pair by pair; None where pictures are too small for it."""
        if self.generator.resolution < SMALLEST_FACE:
            return None
        one, two = describe(list(first)).vectors, describe(list(second)).vectors
        return np.linalg.norm(one - two, axis=1).tolist()

    def finds_face(self, images: Sequence[np.ndarray]) -> list[bool] | None:
        """Whether dlib's detector finds a face; None where pictures are too small for it."""
        return None if self.generator.resolution < SMALLEST_FACE else describe(list(images)).found.tolist()

    @torch.inference_mode()
    def draw(self, latents: Tensor) -> list[np.ndarray]:
        """The trained network's pictures of w+ latents [N, L, D]."""
        return list(as_pixels(self.generator.synthesize(latents.to(self.device))))

    def network(self, name: str) -> Generator:
        """A network of `Setup`."""
        return {"trained": self.generator, "random": self._random, "other noise": self._other_noise}[name]

    @cached_property
    def _random(self) -> Generator:
        with torch.random.fork_rng():
            torch.manual_seed(self.settings.seed)
            generator = build_networks(self.card)[0]
            draws = torch.randn(MEAN_OF, generator.latent_shape("z")[1])
        generator = generator.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        with torch.no_grad():
            generator.mapping.w_avg.copy_(generator.map(draws.to(self.device)).mean(dim=0))
        generator.name = self.generator.name
        return generator

    @cached_property
    def _other_noise(self) -> Generator:
        generator = copy.deepcopy(self.generator)
        random = torch.Generator().manual_seed(self.settings.seed + 1)
        for layer in generator.modules():
            if isinstance(layer, SynthesisLayer):
                layer.noise_const.copy_(torch.randn(layer.noise_const.shape, generator=random))
        return generator


def plain_settings(steps: int, seed: int, perceptual: str = "discriminator") -> EmbedSettings:
    """The paper's settings in w+; searches of fewer than LONG steps go at the fast preset's rate."""
    if steps >= LONG:
        return EmbedSettings(steps=steps, seed=seed, perceptual=perceptual)
    fast = PRESETS["fast"]
    rate, schedule = fast.learning_rate, fast.schedule
    return EmbedSettings(steps=steps, seed=seed, perceptual=perceptual, learning_rate=rate, schedule=schedule)
