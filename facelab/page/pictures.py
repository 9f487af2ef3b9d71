"""Pictures on their way to the browser: inside the page's own messages, so that no photo lies in a served folder."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

PHOTO_SIDE = 1400  # longest side of the photo as it is shown; the crop is cut from the full one
THUMB_SIDE = 96
CRISP_SIDE = 256


def png_uri(pixels: np.ndarray) -> str:
    """uint8 [H, W, 3] as a data URI, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return _uri(buffer.getvalue(), "image/png")


def png_file_uri(data: bytes) -> str:
    """A finished PNG file, metadata and all, as a data URI."""
    return _uri(data, "image/png")


def jpeg_file_uri(data: bytes) -> str:
    """A finished JPEG file, metadata and all, as a data URI."""
    return _uri(data, "image/jpeg")


def gif_file_uri(data: bytes) -> str:
    """A finished GIF file as a data URI."""
    return _uri(data, "image/gif")


def jpeg_uri(pixels: np.ndarray, *, side: int | None = None, quality: int = 90) -> str:
    """uint8 [H, W, 3] as a data URI, with a longest side of at most `side` pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels if side is None else within(pixels, side)).save(
        buffer, "JPEG", quality=quality, subsampling=0
    )
    return _uri(buffer.getvalue(), "image/jpeg")


def within(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 [H, W, 3], made smaller where its longest side has more than `side` pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(image)


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """A picture of fewer than 128 pixels, uint8 [R, R, 3], at 256 (Lanczos): browsers would blur it more."""
    if len(pixels) >= CRISP_SIDE // 2:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((CRISP_SIDE, CRISP_SIDE), Image.Resampling.LANCZOS))


def thumb_uri(pixels: np.ndarray, box: np.ndarray | None = None) -> str:
    """A small picture of a photo's box (left, top, right, bottom), or of the whole."""
    if box is not None:
        height, width = pixels.shape[:2]
        margin = 0.2 * (box[2] - box[0])
        left, top = np.clip(box[:2] - margin, 0, (width - 1, height - 1)).astype(int)
        right, bottom = np.clip(box[2:] + margin, (left + 1, top + 1), (width, height)).astype(int)
        pixels = np.ascontiguousarray(pixels[top:bottom, left:right])
    return jpeg_uri(pixels, side=2 * THUMB_SIDE, quality=85)


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
