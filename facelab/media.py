"""Pictures out: PNG files that say, for people and for machines, that they were made with AI by FaceLab."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

import facelab

# IPTC's digital source types (https://cv.iptc.org/newscodes/digitalsourcetype/): all of it made by a model, or a
# photo that a model has changed or remade.
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE_BY_AI = "trainedAlgorithmicMedia"
PHOTO_CHANGED_BY_AI = "compositeWithTrainedAlgorithmicMedia"

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmp:CreatorTool="{software}"
 Iptc4xmpExt:DigitalSourceType="{source_type}"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
_EXIF_DESCRIPTION, _EXIF_SOFTWARE = 0x010E, 0x0131


def save_png(
    image: np.ndarray,
    target: str | os.PathLike | BinaryIO,
    *,
    model: str,
    operations: Sequence[str] = (),
    from_photo: bool = False,
) -> None:
    """Write uint8 [H, W, 3] RGB as a PNG whose text, EXIF and XMP say that it was made with AI.

    model: the generator's name. operations: what was done, such as "embed" or "attribute smile 1.5"; never a file
    name, a latent or anything about the person. from_photo: whether a photo is behind the picture.
    Raises OSError where the file cannot be written.
    """
    software = f"FaceLab {facelab.__version__}"
    source_type = PHOTO_CHANGED_BY_AI if from_photo else MADE_BY_AI
    comment = f"Made with AI by FaceLab, model {model}" + (f": {', '.join(operations)}" if operations else "") + "."
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", software)
    text.add_itxt("Comment", comment)
    text.add_itxt("XML:com.adobe.xmp", _XMP.format(software=software, source_type=_SOURCE_TYPES + source_type))
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = software
    exif[_EXIF_DESCRIPTION] = comment.encode("ascii", "replace").decode()
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", pnginfo=text, exif=exif)
    if isinstance(target, (str, os.PathLike)):
        Path(target).write_bytes(buffer.getvalue())
    else:
        target.write(buffer.getvalue())


def contact_sheet(images: Sequence[np.ndarray], *, columns: int | None = None, gap: int = 4) -> np.ndarray:
    """Pictures of one size, uint8 [H, W, 3], as a grid on white, row by row; about square unless `columns` says."""
    columns = columns or max(1, round(len(images) ** 0.5))
    rows = -(-len(images) // columns)
    height, width = images[0].shape[:2]
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
