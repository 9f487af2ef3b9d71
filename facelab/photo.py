"""Photos in: any picture that a phone or a browser makes, as one upright RGB array; the rest as a clear refusal."""

from __future__ import annotations

import io
import os
import re
import stat
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from facelab.errors import UnreadablePhoto

MAX_BYTES = 60 * 2**20
MAX_PIXELS = 8192 * 6144  # what phones sell as 50 megapixels
MIN_SIDE = 64
MAX_SCANS = 100  # of a JPEG; encoders write about ten, and each is a pass over the whole picture
ROUNDING = 2  # of 255: as much do the tables of sRGB profiles differ
AT_A_TIME = 4  # photos that are decoded: each may take half a gigabyte while it is

# The only decoders that are ever tried; GIF, WebP, AVIF, PNG and TIFF give their first frame.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "GIF")
_ACCEPTED = "JPEG, PNG, WebP, HEIC, AVIF, BMP, TIFF or GIF"
_ORIENTATION_TAG = 0x0112
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # of a segment; in coded data 0xFF stands before 0 or a restart
_DNG_VERSION_TAG = 50706
_UPRIGHT = {  # EXIF 2.3, tag 0x0112: what turns the stored picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_KNOWN_STRANGERS = (  # (offset, magic bytes, what people call it), for a message that names the mistake
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"\x1f\x8b", "a compressed archive"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\x00\x00\x01\x00", "an icon file"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"ID3", "a sound file"),
    (8, b"WAVE", "a sound file"),
    (8, b"AVI ", "a video"),
    (4, b"ftypqt", "a video"),
    (4, b"ftypmp4", "a video"),
    (4, b"ftypiso", "a video"),
    (4, b"ftypM4V", "a video"),
    (4, b"ftyp3gp", "a video"),
    (4, b"ftypcrx", "a camera's raw file"),
    (8, b"CR\x02\x00", "a camera's raw file"),
    (0, b"FUJIFILM", "a camera's raw file"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (0, b"qoif", "a QOI file"),
    (0, b"DDS ", "a DDS texture"),
)

_decoders = threading.BoundedSemaphore(AT_A_TIME)


def read_photo(source: bytes | str | os.PathLike | BinaryIO, *, min_side: int = MIN_SIDE) -> np.ndarray:
    """Read a photo as uint8 [H, W, 3] sRGB, upright.

    source: the file's bytes, its path, or an open binary file. The format is known by its content, never by its name.
    min_side: pixels of the shortest side.
    EXIF orientation is applied, an embedded colour profile is converted to sRGB (a broken one is ignored), alpha lies
    over white, 16 bit is scaled to 8, grey and CMYK become RGB.
    Limits: min_side, 50 megapixels, 60 MB; checked before anything is decoded.
    Raises UnreadablePhoto, whose message says what is wrong and what to do.
    """
    data = _read_bytes(source)
    with _decoders:
        return _decode(data, min_side)


def _decode(data: bytes, min_side: int) -> np.ndarray:
    image = _open(data)
    _check_size(image.size, min_side)
    if image.format in ("JPEG", "MPO") and _scans(data) > MAX_SCANS:
        raise UnreadablePhoto(
            f"This JPEG file is stored in more than {MAX_SCANS} passes, which no camera makes, and would take "
            "very long to read. Save it anew as JPEG or PNG."
        )
    # A decoder fed with damaged bytes may raise nearly anything (OSError, SyntaxError, struct.error, zlib.error, ...),
    # and each of them means the same to the person who sent the file.
    try:
        image.load()
    except Exception as cause:
        raise UnreadablePhoto(
            f"This {_format_name(image)} file is damaged or ends too early, so it could not be read. "
            "Copy or download it again, or save it anew as JPEG or PNG."
        ) from cause
    _check_size(image.size, min_side)
    try:
        return np.array(_upright(_to_rgb(image), _orientation(image)))  # a copy: PIL's own view is read-only
    except Exception as cause:
        raise UnreadablePhoto(
            f"The colours of this {_format_name(image)} file (mode {image.mode}) could not be read. "
            "Save it anew as an 8-bit JPEG or PNG."
        ) from cause


def _scans(data: bytes) -> int:
    """How many scans a JPEG has, as far as they matter: one more than MAX_SCANS at most, and none of what phones append
    to a picture, such as a second one or a video (JPEG, B.1 and B.2).
    """
    place, scans = 2, 0
    while scans <= MAX_SCANS and (found := _MARKER.search(data, place)) and found[0] != _END_OF_IMAGE:
        scans += found[0] == _START_OF_SCAN
        place = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")  # past its segment
    return scans


def check_bytes(size: int) -> None:
    """Raise UnreadablePhoto for a file of more bytes than a photo may have, so that it need not be read."""
    if size > MAX_BYTES:
        raise UnreadablePhoto(_too_many_bytes(size))


def _read_bytes(source: bytes | str | os.PathLike | BinaryIO) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
    elif isinstance(source, (str, os.PathLike)):
        data = _read_path(Path(source))
    else:
        try:
            data = source.read(MAX_BYTES + 1)
        except (OSError, ValueError) as cause:
            raise UnreadablePhoto("This file could not be read to its end. Choose it again.") from cause
        if not isinstance(data, bytes):
            raise UnreadablePhoto("This file was opened as text. Open it in binary mode, or pass its path.")
    if not data:
        raise UnreadablePhoto("This file is empty (zero bytes). Copy or download it again.")
    if len(data) > MAX_BYTES:
        raise UnreadablePhoto(_too_many_bytes())
    return data


def _read_path(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device would never end
            raise UnreadablePhoto(f"{path.name or path} is not a file. Choose a photo.")
        check_bytes(status.st_size)
        with path.open("rb") as file:
            return file.read((status.st_size or MAX_BYTES) + 1)  # some file systems say 0 of what is not yet here
    except FileNotFoundError as cause:
        raise UnreadablePhoto(f"There is no file {path.name}. Check the path.") from cause
    except (OSError, ValueError) as cause:  # ValueError: a null byte in the path
        raise UnreadablePhoto("This file could not be opened. Check its path and permissions.") from cause


def _too_many_bytes(size: int | None = None) -> str:
    found = f"is {size / 2**20:.0f} MB" if size else f"has more than {MAX_BYTES // 2**20} MB"
    return f"This file {found}; photos of up to {MAX_BYTES // 2**20} MB can be opened. Save it as a smaller JPEG."


def _open(data: bytes) -> Image.Image:
    """Read the header only; no pixel is decoded yet."""
    _register_heif()
    stranger = next((name for offset, magic, name in _KNOWN_STRANGERS if data[offset:].startswith(magic)), None)
    if stranger is None and data[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        stranger = "a web page (the link leads to a page, not to the picture)"
    if stranger is None and b"<svg" in data[:1024].lower():
        stranger = "an SVG drawing"
    if stranger is not None:
        raise UnreadablePhoto(f"This is {stranger}, not a photo. Choose a photo as {_ACCEPTED}.")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as cause:
        raise UnreadablePhoto(_too_many_pixels()) from cause
    except Image.UnidentifiedImageError as cause:
        raise UnreadablePhoto(
            f"This is no picture that can be read, or it is damaged or incomplete. Choose a photo as {_ACCEPTED}."
        ) from cause
    except Exception as cause:  # as in read_photo: damaged headers raise nearly anything
        raise UnreadablePhoto(
            f"The header of this picture is damaged. Save it anew, or choose another photo as {_ACCEPTED}."
        ) from cause
    if image.format == "TIFF" and _DNG_VERSION_TAG in image.tag_v2:  # its first image is only a thumbnail
        raise UnreadablePhoto(f"This is a camera's raw file, not a photo. Export it as {_ACCEPTED}.")
    return image


def _register_heif() -> None:
    if "HEIF" not in Image.OPEN:
        from pillow_heif import register_heif_opener

        Image.init()
        register_heif_opener(thumbnails=False)


def _format_name(image: Image.Image) -> str:
    return {"MPO": "JPEG", "HEIF": "HEIC", "WEBP": "WebP"}.get(image.format or "", image.format or "picture")


def _too_many_pixels(size: tuple[int, int] | None = None) -> str:
    found = f"is {size[0]} x {size[1]} pixels" if size else "has more than 100 megapixels"
    return f"This picture {found}; photos of up to 50 megapixels can be opened. Scale it down first."


def _check_size(size: tuple[int, int], min_side: int) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(_too_many_pixels(size))
    if min(width, height) < min_side:
        raise UnreadablePhoto(
            f"This picture is {width} x {height} pixels; a photo needs at least {min_side} on its shortest side. "
            "Choose a larger one."
        )


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # EXIF is written by thousands of programs; a broken one must not cost the photo
        return 1
    return value if isinstance(value, int) else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGB: 16 bit scaled, palette looked up, profile converted, alpha over white."""
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    elif image.mode in ("P", "PA", "1") or "transparency" in image.info:
        alpha = "transparency" in image.info or image.mode == "PA"
        image = image.convert("RGBA" if alpha else "RGB" if image.mode == "P" else "L")
    if image.mode in ("RGBA", "LA"):
        colours = _to_srgb(image.convert(image.mode[:-1]), profile)
        paper = Image.new("RGB", image.size, "white")
        paper.paste(colours, mask=image.getchannel("A"))
        return paper
    return _to_srgb(image, profile)


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Grey values of 16 or 32 bits or of floats as uint8, by the scale that their largest value tells."""
    if values.dtype == np.uint16:
        return (values >> 8).astype(np.uint8)
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max(initial=0.0))
    scale = next((scale for scale in (1.0, 255.0, 65535.0) if largest <= scale), largest)
    return np.clip(values * (255.0 / scale) + 0.5, 0, 255).astype(np.uint8)


def _changes_little(source: ImageCms.ImageCmsProfile, srgb: ImageCms.ImageCmsProfile) -> bool:
    """Whether a profile's colours are sRGB's, so that pixels need not be rounded once more. Names do not tell: there is
    "Display P3 Gamut with sRGB Transfer".
    """
    colours = np.stack(np.meshgrid(*[np.linspace(0, 255, 6).astype(np.uint8)] * 3), axis=-1).reshape(6, 36, 3)
    seen = np.asarray(ImageCms.profileToProfile(Image.fromarray(colours), source, srgb, outputMode="RGB"))
    return int(np.abs(seen.astype(int) - colours).max()) <= ROUNDING


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded profile; without one, or with one that is broken or of another colour space, plainly."""
    srgb = ImageCms.createProfile("sRGB")
    if image.mode == "LAB" and not profile:
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), srgb, outputMode="RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if image.mode != "RGB" or not _changes_little(source, srgb):
                return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return image if image.mode == "RGB" else image.convert("RGB")
