"""Which glasses can be seen through. Of those in CelebA half are sunglasses: a direction found on all of them tints."""

from __future__ import annotations

import numpy as np

from facelab.template import TEMPLATE_LANDMARKS

BELOW = 7 / 128  # of a side, from the eyes' middles down to where a lens shows skin
CHEEK = 0.38  # of the way from an eye's middle to the mouth's corner: as near as thick frames reach, which may be dark
RADIUS = 4 / 128  # of the squares in which light is measured
DARKEST = 0.1  # of the people without glasses are as dark there as lenses may be


def lens_squares(side: int) -> tuple[list[tuple[slice, slice]], list[tuple[slice, slice]]]:
    """Where aligned faces of `side` pixels show skin through lenses, and where on the cheeks: rows and columns."""
    points, radius = TEMPLATE_LANDMARKS, round(RADIUS * side)
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    below = [eye + np.array([0, BELOW]) for eye in eyes]
    cheeks = [eye + CHEEK * (corner - eye) for eye, corner in zip(eyes, (points[48], points[54]), strict=True)]

    def square(place: np.ndarray) -> tuple[slice, slice]:
        x, y = (place * side).round().astype(int)
        return slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1)

    return [square(place) for place in below], [square(place) for place in cheeks]


def see_through(images: np.ndarray, wearing: np.ndarray) -> np.ndarray:
    """Who of those `wearing` glasses, bool [N], is as light behind them as people without are below the eyes: bool [N].

    images: aligned faces, uint8 [N, R, R, 3]. Light is that of the cheeks below, so that it is nobody's skin.
    """
    lenses, cheeks = (
        np.mean([images[:, rows, columns].mean(axis=(1, 2, 3)) for rows, columns in squares], axis=0)
        for squares in lens_squares(images.shape[1])
    )
    light = lenses / np.maximum(cheeks, 1)
    if wearing.all():
        return wearing
    return wearing & (light >= np.quantile(light[~wearing], DARKEST))
