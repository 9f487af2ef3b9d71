"""Grids of pictures: plain, and with a label before each row and above each column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP, LETTERS = 4, 12  # pixels
INK = (60, 66, 74)


def contact_sheet(images: Sequence[np.ndarray], *, columns: int | None = None, gap: int = GAP) -> np.ndarray:
    """Pictures of one size, uint8 [H, W, 3], as a grid on white, row by row; about square unless `columns` says."""
    columns = columns or max(1, round(len(images) ** 0.5))
    rows = -(-len(images) // columns)
    height, width = images[0].shape[:2]
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def framed_sheet(
    pictures: Sequence[np.ndarray], *, heads: Sequence[np.ndarray], sides: Sequence[np.ndarray]
) -> np.ndarray:
    """Pictures of one size, row by row, with a picture above each column and one before each row, as figures show what
    is crossed with what.
    """
    columns = len(heads)
    cells = [np.full_like(heads[0], 255), *heads]
    for row, side in enumerate(sides):
        cells += [side, *pictures[row * columns : (row + 1) * columns]]
    return contact_sheet(cells, columns=columns + 1)


def labelled_sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], *, columns: Sequence[str] = (), side: int = 96
) -> np.ndarray:
    """Rows of square pictures, uint8 [R, R, 3] each, behind their labels, as one picture on white.

    columns: labels above. side: of each picture as it is shown, in pixels. A label may have several lines.
    """
    font = ImageFont.load_default(LETTERS)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    names = [ruler.multiline_textbbox((0, 0), label, font) for label, _ in rows if label]
    above = [ruler.multiline_textbbox((0, 0), label, font) for label in columns]
    left = GAP + max((round(box[2]) + 2 * GAP for box in names), default=0)
    top = GAP + max((round(box[3]) + 2 * GAP for box in above), default=0)
    width = left + max(len(pictures) for _, pictures in rows) * (side + GAP)
    page = Image.new("RGB", (width, top + len(rows) * (side + GAP)), "white")
    draw = ImageDraw.Draw(page)
    for place, label in enumerate(columns):
        middle = left + place * (side + GAP) + side / 2
        draw.multiline_text((middle, top - GAP), label, INK, font, anchor="md", align="center")
    for line, (label, pictures) in enumerate(rows):
        y = top + line * (side + GAP)
        draw.multiline_text((left - 2 * GAP, y + side / 2), label, INK, font, anchor="rm", align="right")
        for place, picture in enumerate(pictures):
            shown = Image.fromarray(picture)
            if len(picture) != side:
                shown = shown.resize((side, side), Image.Resampling.LANCZOS)
            page.paste(shown, (left + place * (side + GAP), y))
    return np.asarray(page)
