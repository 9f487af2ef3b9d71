"""The visible mark: "made with AI" in a corner of a picture, for those who look at no metadata."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = "made with AI"
HEIGHT = 0.045  # of the letters, in shorter sides of the picture
SMALLEST = 9  # pixels; below, nobody can read it


def stamp(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] with the mark at the bottom right; the picture that comes in stays as it is."""
    mark = _mark(max(SMALLEST, round(HEIGHT * min(image.shape[:2]))))
    picture = Image.fromarray(image)
    margin = mark.height // 3
    picture.paste(mark, (picture.width - mark.width - margin, picture.height - mark.height - margin), mark)
    return np.array(picture)


@lru_cache(maxsize=16)
def _mark(size: int) -> Image.Image:
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(WORDS)
    pad = max(2, size // 3)
    mark = Image.new("RGBA", (round(right - left) + 2 * pad, round(bottom - top) + 2 * pad), (0, 0, 0, 0))
    draw = ImageDraw.Draw(mark)
    draw.rounded_rectangle((0, 0, mark.width - 1, mark.height - 1), radius=pad, fill=(0, 0, 0, 130))
    draw.text((pad - left, pad - top), WORDS, font=font, fill=(255, 255, 255, 235))
    return mark
