"""Labelled rows of generated faces as one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facelab.media import Provenance, encode_jpeg

GAP, LETTERS = 4, 12  # pixels
INK = (60, 66, 74)


def strips(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    *,
    provenance: Provenance,
    columns: Sequence[str] = (),
    side: int = 96,
) -> bytes:
    """A JPEG of rows of pictures, uint8 [R, R, 3] each, behind their labels. columns: labels above. side: of each
    picture as it is shown, in pixels.
    """
    font = ImageFont.load_default(LETTERS)
    left = GAP + max((round(font.getlength(label)) for label, _ in rows), default=0)
    left += 2 * GAP if left > GAP else 0
    top = GAP + (LETTERS + 2 * GAP if columns else 0)
    width = left + max(len(pictures) for _, pictures in rows) * (side + GAP)
    page = Image.new("RGB", (width, top + len(rows) * (side + GAP)), "white")
    draw = ImageDraw.Draw(page)
    for place, label in enumerate(columns):
        draw.text((left + place * (side + GAP) + side / 2, GAP), label, INK, font, anchor="ma")
    for line, (label, pictures) in enumerate(rows):
        y = top + line * (side + GAP)
        draw.text((left - 2 * GAP, y + side / 2), label, INK, font, anchor="rm")
        for place, picture in enumerate(pictures):
            shown = Image.fromarray(picture)
            if len(picture) != side:
                shown = shown.resize((side, side), Image.Resampling.LANCZOS)
            page.paste(shown, (left + place * (side + GAP), y))
    return encode_jpeg(np.asarray(page), provenance)
