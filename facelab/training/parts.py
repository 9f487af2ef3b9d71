"""Teaches a StyleGAN2's Parts what pixels show, by what is known of every aligned picture: nobody labels anything.

What lies in the upper corners is behind the head, the face is the person, and above the forehead there is hair. Where
these have different colours in a picture, colours tell the rest of it; what maps look like where they do is what they
look like everywhere. (Of 200 faces of faces128, heads so found share nine tenths of their area with those that
MediaPipe's selfie segmentation finds.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.generators.parts import BEHIND, HAIR, PARTS, PERSON, SIDE, Parts, pointing
from facelab.generators.stylegan2 import StyleGAN2

SAMPLES, TRUNCATION = 256, 0.9
PIXELS = 20_000  # of each part at most
CONTRAST = 0.3  # between the mean colours of two parts in [-1, 1], to tell others by them
NEARER = 0.5  # a pixel is of a part where its colour lies at most that many times as far from it as from the others'
FEW = 0.3  # share of the pixels told by colour to be behind that teach: as many as there are in the corners
CLOTHED = 0.8  # of the height: below it colours may be those of clothes


class Places(NamedTuple):
    """Where aligned pictures (template.py) show what, bool [S, S] each: behind nearly every head; the crown above
    nearly every forehead; cheeks; eyes, nose and mouth; the neck; where there are no clothes.
    """

    corners: np.ndarray
    crown: np.ndarray
    cheeks: np.ndarray
    face: np.ndarray
    neck: np.ndarray
    bare: np.ndarray


def places(side: int) -> Places:
    """The places in pictures of `side` pixels."""
    middles = (np.arange(side) + 0.5) / side
    xs, ys = np.meshgrid(middles, middles)
    away = abs(xs - 0.5)
    return Places(
        corners=(away > 0.40) & (ys < 0.30),
        crown=(away < 0.18) & (ys > 0.15) & (ys < 0.24),
        cheeks=np.hypot(away / 0.20, (ys - 0.64) / 0.12) < 1,
        face=(np.hypot(away / 0.22, (ys - 0.68) / 0.28) < 1) & (ys > 0.44),
        neck=(away < 0.15) & (ys > 0.93),
        bare=ys < CLOTHED,
    )


@torch.inference_mode()
def find_parts(generator: StyleGAN2, *, seed: int = 0) -> Parts | None:
    """The Parts of a generator of aligned faces, found on random ones; the same for the same seed. None where its
    pictures are too small.
    """
    from sklearn.linear_model import LogisticRegression

    if generator.resolution < SIDE:
        return None
    maps, pictures = _draw(generator, seed)
    scale = maps.std(dim=(0, 2, 3))
    pixels = pointing(maps, scale).permute(0, 2, 3, 1).cpu().numpy()
    draw = np.random.default_rng(seed)
    told = told_parts(pictures.permute(0, 2, 3, 1).cpu().numpy())
    told[BEHIND][:] &= places(SIDE).corners | (draw.random(told[BEHIND].shape) < FEW)
    samples = [draw.permutation(pixels[each])[:PIXELS] for each in told]
    truth = np.repeat(range(len(told)), [len(each) for each in samples])
    model = LogisticRegression(C=10.0, max_iter=1000).fit(np.concatenate(samples), truth)
    return Parts(scale, *(torch.from_numpy(value).to(scale) for value in (model.coef_, model.intercept_)))


def told_parts(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pixels of pictures, float [N, S, S, 3] in [-1, 1], are surely of each of PARTS: bool [N, S, S] each."""
    known = places(pictures.shape[1])
    means = [pictures[:, place].mean(axis=1) for place in (known.corners, known.cheeks, known.crown)]
    far = [np.linalg.norm(pictures - mean[:, None, None], axis=-1) for mean in means]

    def differ(part: int, other: int) -> np.ndarray:
        return (np.linalg.norm(means[part] - means[other], axis=-1) > CONTRAST)[:, None, None]

    def nearest(part: int) -> np.ndarray:
        others = [other for other in range(len(PARTS)) if other != part]
        return np.logical_and.reduce(
            [(far[part] < NEARER * far[other]) & differ(part, other) for other in others],
        )

    behind, person, hair = nearest(BEHIND) & known.bare, nearest(PERSON), nearest(HAIR) & known.bare
    person |= known.face | known.neck
    behind = (behind & ~(known.face | known.crown)) | known.corners
    hair |= known.crown & differ(HAIR, PERSON)
    return behind, person, hair & ~person & ~known.corners


def _draw(generator: StyleGAN2, seed: int) -> tuple[Tensor, Tensor]:
    """Maps [N, C, S, S] and pictures [N, 3, S, S] of random faces."""
    maps, pictures = [], []
    for ws in generator.sample(SAMPLES, seed=seed, truncation=TRUNCATION).split(32):
        maps.append(generator.synthesis.maps(ws.expand(-1, generator.num_layers, -1), SIDE))
        pictures.append(F.interpolate(generator.synthesize(ws).clamp(-1, 1), (SIDE, SIDE), mode="area"))
    return torch.cat(maps), torch.cat(pictures)
