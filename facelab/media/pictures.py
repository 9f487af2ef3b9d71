"""Still pictures: PNG and JPEG."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from facelab.files import write_file
from facelab.media.marks import stamp
from facelab.media.provenance import Provenance
from facelab.media.signing import sign


def save_png(
    image: np.ndarray,
    target: str | os.PathLike | BinaryIO,
    *,
    model: str,
    operations: Sequence[str] = (),
    from_photo: bool = False,
    mark: bool = False,
) -> None:
    """Write uint8 [H, W, 3] RGB as a PNG whose text, EXIF and XMP say that it was made with AI.

    model, operations, from_photo: see Provenance. mark: write "made with AI" into the picture, too.
    Raises OSError where the file cannot be written.
    """
    write_file(encode_png(image, Provenance(model, operations, from_photo), mark=mark), target)


def encode_png(image: np.ndarray, provenance: Provenance, *, mark: bool = False) -> bytes:
    """uint8 [H, W, 3] RGB as the bytes of a PNG, with its provenance."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", provenance.software)
    text.add_itxt("Comment", provenance.comment)
    text.add_itxt("XML:com.adobe.xmp", provenance.xmp())
    buffer = io.BytesIO()
    picture = Image.fromarray(stamp(image) if mark else image)
    picture.save(buffer, "PNG", pnginfo=text, exif=provenance.exif())
    return sign(buffer.getvalue(), "image/png", provenance)


def encode_jpeg(image: np.ndarray, provenance: Provenance, *, quality: int = 88) -> bytes:
    """uint8 [H, W, 3] RGB as the bytes of a JPEG, with its provenance."""
    buffer = io.BytesIO()
    told = {"exif": provenance.exif(), "xmp": provenance.xmp().encode(), "comment": provenance.comment}
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, optimize=True, **told)
    return sign(buffer.getvalue(), "image/jpeg", provenance)
