"""A face in the style of any picture: its w+ latent under a style loss, as one iterator (Image2StyleGAN, figure 6).

The style is the Gram matrix of one layer's features (Gatys, Ecker and Bethge 2016, equations 3 and 4). What a face is
stays by where the search begins, its own latent, by the rows that are free, and by a pull towards its own picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facelab.edits.crossover import checked_rows
from facelab.embedding import Descent, learning_rate_at
from facelab.embedding_settings import PERCEPTUALS
from facelab.errors import BadSetting
from facelab.face import Delta, Latent
from facelab.generators.base import Generator
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import fast_dtype
from facelab.perceptual import Distance, Vgg16
from facelab.pixels import as_pixels

Extract = Callable[[Tensor], list[Tensor]]
BETAS, EPSILON = (0.9, 0.999), 1e-8  # Image2StyleGAN's Adam
DEPTH = 3  # halvings of the picture before VGG-16's conv4_2, and blocks of a discriminator


@dataclass(frozen=True, kw_only=True)
class StyliseSettings:
    """How to stylise.

    steps, learning_rate: of Adam, with a warm-up and a cosine decay. content_weight: how much likeness to the face's
    own picture counts beside the style. rows: (start, stop), the rows of w+ that are free, or None for all from the
    third on, which leave pose and outline. features: whose see the style, "discriminator", "vgg16", or None for
    VGG-16's where its weights are. preview_every: steps between pictures, 0 for none but the last.
    Raises BadSetting for a value outside its range.
    """

    steps: int = 80
    learning_rate: float = 0.07
    content_weight: float = 0.15
    rows: tuple[int, int] | None = None
    features: str | None = None
    preview_every: int = 5

    def __post_init__(self) -> None:
        if self.features not in (None, *PERCEPTUALS):
            raise BadSetting(f"features must be one of {', '.join(PERCEPTUALS)}, not {self.features!r}.")
        for name, low, high in (
            ("steps", 1, 10_000),
            ("learning_rate", 1e-6, 10),
            ("content_weight", 0, 1e4),
            ("preview_every", 0, 10_000),
        ):
            if not low <= getattr(self, name) <= high:  # False for nan, too
                raise BadSetting(f"{name} must be between {low:g} and {high:g}, not {getattr(self, name)}.")


@dataclass(frozen=True, eq=False)
class StyliseStep:
    """What one step found.

    step: counted from 1, of total. losses: "total", "style" and "content" of this step's picture, before their weights;
    each is 0 for no difference and about 1 for an unrelated picture. latent: w+, after the step, and rows: (start,
    stop), those that are searched. image: uint8 [R, R, 3] on preview steps, else None. done: whether it is the last.
    """

    step: int
    total: int
    losses: dict[str, float]
    latent: Latent
    rows: tuple[int, int]
    image: np.ndarray | None
    done: bool


def stylise(
    generator: Generator,
    content: Tensor,
    style: Tensor,
    extract: Extract,
    settings: StyliseSettings,
    *,
    delta: Delta | None = None,
) -> Iterator[StyliseStep]:
    """Move a w+ latent, float32 [L, D] on the generator's device, until its picture has a style.

    style: the picture that has it, [1, 3, R, R] in [-1, 1]. extract: the layers that see it and the face's own picture.
    delta: what the generator was tuned by for this face. Closing the iterator stops.
    Raises BadSetting for rows that the model does not have.
    """
    rows = checked_rows(slice(*(settings.rows or (2, None))), generator.num_layers)
    dtype, deltas = fast_dtype(content.device), None if delta is None else [delta]

    def render(values: Tensor) -> Tensor:
        whole = torch.cat([content[: rows.start], values, content[rows.stop :]])
        return generator.synthesize(whole[None], deltas, dtype=dtype)

    with torch.no_grad():
        to_content = content_distance(extract, render(content[rows]))
    to_style = style_distance(extract, style)
    descent = Descent.at(content[rows])
    for step in range(1, settings.steps + 1):
        with torch.enable_grad():
            values = descent.values.detach().requires_grad_()
            picture = render(values)
            terms = to_style(picture).sum(), to_content(picture).sum()
            total = terms[0] + settings.content_weight * terms[1]
            (gradient,) = torch.autograd.grad(total, values)
        rate = learning_rate_at(step - 1, settings.steps, peak=settings.learning_rate, schedule="cosine", warm_up=0.05)
        descent = descent.step(gradient, learning_rate=rate, betas=BETAS, epsilon=EPSILON)
        done = step == settings.steps
        shown = done or (settings.preview_every and step % settings.preview_every == 0)
        if done:
            with torch.no_grad():
                picture = render(descent.values)
        whole = torch.cat([content[: rows.start], descent.values, content[rows.stop :]])
        numbers = torch.stack([total, *terms]).tolist()
        yield StyliseStep(
            step=step,
            total=settings.steps,
            losses=dict(zip(("total", "style", "content"), numbers, strict=True)),
            latent=Latent(whole.detach().cpu(), "w+", generator.name),
            rows=(rows.start, rows.stop),
            image=as_pixels(picture)[0] if shown else None,
            done=done,
        )


def gram(features: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, C]: the products of all pairs of channels, averaged over the places."""
    flat = features.float().flatten(2)
    return flat @ flat.mT / flat.shape[2]


def style_distance(extract: Extract, target: Tensor) -> Distance:
    """Distance to the style of `target` [1, 3, H, W]: of the layers' Gram matrices, the squared difference by the
    target's square, averaged over the layers. 0 for the same style. Returns float32 [N].
    """
    with torch.no_grad():
        goals = [gram(features) for features in extract(target)]

    def distance(images: Tensor) -> Tensor:
        terms = [
            (gram(features) - goal).square().sum(dim=(1, 2)) / goal.square().sum().clamp_min(1e-12)
            for features, goal in zip(extract(images), goals, strict=True)
        ]
        return torch.stack(terms).mean(dim=0)

    return distance


def content_distance(extract: Extract, target: Tensor) -> Distance:
    """Distance to what `target` [1, 3, H, W] shows: of the layers' features, the squared difference by the target's
    square, averaged over the layers (Gatys, equation 1). 0 for the same picture. Returns float32 [N].
    """
    with torch.no_grad():
        goals = [features.float() for features in extract(target)]

    def distance(images: Tensor) -> Tensor:
        terms = [
            (features.float() - goal).square().sum(dim=(1, 2, 3)) / goal.square().sum().clamp_min(1e-12)
            for features, goal in zip(extract(images), goals, strict=True)
        ]
        return torch.stack(terms).mean(dim=0)

    return distance


def vgg16_layer(network: Vgg16) -> Extract:
    """The layer that the paper takes the style from: conv4_2."""
    return lambda images: network(images)[-1:]


def discriminator_layers(discriminator: Discriminator) -> Extract:
    """The discriminator's blocks as far as the depth of conv4_2, an eighth of the picture's size. The last one alone
    sees too little of the colours: it was trained to tell faces.
    """
    return lambda images: discriminator.features(images)[:DEPTH]


def style_picture(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle square of a picture, uint8 [H, W, 3], at a generator's resolution: uint8 [side, side, 3]."""
    height, width = pixels.shape[:2]
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    square = Image.fromarray(np.ascontiguousarray(pixels[top : top + edge, left : left + edge]))
    return np.array(square.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0))
