"""Whatever is uploaded, the answer is a photo or one clear message: never another exception."""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from facelab.errors import UnreadablePhoto
from facelab.photo import MAX_BYTES, read_photo

register_heif_opener()


def picture(mode: str = "RGB", size: tuple[int, int] = (160, 120)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)  # does not compress away
    return Image.fromarray(noise).convert(mode)


def encoded(format: str, image: Image.Image | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, format, **options)
    return buffer.getvalue()


def cut(format: str, share: float) -> bytes:
    whole = encoded(format)
    return whole[: int(len(whole) * share)]


def overwritten(format: str, start: int, stop: int) -> bytes:
    whole = encoded(format)
    return whole[:start] + bytes(stop - start) + whole[stop:]


def passes() -> bytes:
    """A JPEG whose last scan is there a thousand times more."""
    whole = encoded("JPEG", Image.new("L", (64, 64)), progressive=True)
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + 1000 * scan + whole[-2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *more: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    bomb = b"Comment\x00\x00" + zlib.compress(bytes(64 * 2**20))
    return png(100, 100, chunk(b"zTXt", bomb), chunk(b"IDAT", zlib.compress(bytes(301 * 100))))


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"\x3b"


def animated_gif_bomb() -> bytes:
    frame = Image.new("P", (9000, 9000))
    return encoded("GIF", frame, save_all=True, append_images=[frame] * 3)


def tiff(width: int, height: int, *more: tuple[int, int, int, int]) -> bytes:
    tags = sorted(
        [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), *more]
    )
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + body + bytes(4)


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("photo.jpg", encoded("JPEG"))
    return buffer.getvalue()


def jpeg_of(width: int, height: int) -> bytes:
    whole = bytearray(encoded("JPEG"))
    at = whole.index(b"\xff\xc0") + 5
    whole[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(whole)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "zero bytes": (lambda: b"", "empty"),
    "one byte": (lambda: b"\xff", "no picture"),
    "only zeros": (lambda: bytes(5000), "no picture"),
    "random bytes": (lambda: np.random.default_rng(1).bytes(5000), "no picture"),
    "more than 60 MB": (lambda: encoded("JPEG") + bytes(MAX_BYTES), "60 MB"),
    # truncated
    "JPEG of a thousand passes": (passes, "more than 100 passes"),
    "JPEG cut at 95 percent": (lambda: cut("JPEG", 0.95), "JPEG.*damaged or ends too early"),
    "JPEG cut in half": (lambda: cut("JPEG", 0.5), "JPEG.*damaged or ends too early"),
    "JPEG of its first bytes only": (lambda: encoded("JPEG")[:11], "damaged"),
    "PNG cut in half": (lambda: cut("PNG", 0.5), "PNG.*damaged or ends too early"),
    "PNG of its signature only": (lambda: encoded("PNG")[:8], "damaged"),
    "PNG without its data": (lambda: png(100, 100), "PNG.*damaged"),
    "WebP cut in half": (lambda: cut("WEBP", 0.5), "damaged"),
    "HEIC cut in half": (lambda: cut("HEIF", 0.5), "damaged"),
    "AVIF cut in half": (lambda: cut("AVIF", 0.5), "damaged"),
    "BMP cut in half": (lambda: cut("BMP", 0.5), "BMP.*damaged or ends too early"),
    "TIFF cut in half": (lambda: cut("TIFF", 0.5), "damaged"),
    "GIF cut in half": (lambda: cut("GIF", 0.5), "GIF.*damaged or ends too early"),
    "GIF without a frame": (lambda: gif(100, 100), "damaged"),
    # damaged inside
    "JPEG whose tables are overwritten": (lambda: overwritten("JPEG", 25, 600), "damaged"),
    "PNG whose data is overwritten": (lambda: overwritten("PNG", 5000, 5100), "damaged"),
    "PNG whose header checksum is wrong": (lambda: overwritten("PNG", 29, 33), "damaged"),
    "PNG of an impossible colour type": (lambda: png(100, 100, colour=5), "damaged"),
    "WebP whose frame header is overwritten": (lambda: overwritten("WEBP", 20, 30), "damaged"),
    "HEIC whose boxes are overwritten": (lambda: overwritten("HEIF", 32, 400), "damaged"),
    "AVIF whose boxes are overwritten": (lambda: overwritten("AVIF", 32, 400), "damaged"),
    "TIFF whose directory lies beyond the end": (lambda: b"II*\x00\xff\xff\xff\x7f" + bytes(100), "damaged"),
    "TIFF whose directory is a loop": (lambda: b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00", "damaged"),
    "TIFF without pixels": (lambda: tiff(100, 100), "damaged"),
    # bomb-sized
    "PNG of 30,000 x 30,000": (lambda: png(30000, 30000), "megapixels"),
    "PNG of 2 billion pixels a side": (lambda: png(2**31 - 1, 2**31 - 1), "megapixels"),
    "PNG of 8,000 x 8,000": (lambda: png(8000, 8000), "8000 x 8000.*50 megapixels"),
    "PNG whose text unpacks to 64 MB": (png_text_bomb, "damaged"),
    "JPEG of 65,000 x 65,000": (lambda: jpeg_of(65000, 65000), "megapixels"),
    "BMP of 40,000 x 40,000": (lambda: bmp(40000, 40000), "megapixels"),
    "GIF of 60,000 x 60,000": (lambda: gif(60000, 60000), "megapixels|damaged"),
    "animated GIF of 9,000 x 9,000": (animated_gif_bomb, "9000 x 9000.*50 megapixels"),
    "TIFF of 100,000 x 100,000": (lambda: tiff(100000, 100000), "megapixels"),
    # too small
    "one pixel": (lambda: encoded("PNG", picture(size=(1, 1))), "1 x 1 pixels.*at least 64"),
    "a line of 5,000 x 1": (lambda: encoded("PNG", picture(size=(5000, 1))), "at least 64"),
    "63 pixels": (lambda: encoded("PNG", picture(size=(63, 200))), "63 x 200"),
    # renamed: something else under a photo's name
    "PDF": (lambda: encoded("PDF"), "PDF document"),
    "PostScript": (lambda: encoded("EPS"), "PostScript"),
    "icon": (lambda: encoded("ICO"), "icon"),
    "ZIP archive": (archive, "ZIP archive"),
    "web page": (lambda: b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "SVG": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "plain text": (lambda: b"This is my photo.", "no picture"),
    "JSON": (lambda: b'{"photo": "a.jpg"}', "no picture"),
    "program": (lambda: b"\x7fELF" + bytes(4000), "no picture"),
    "video": (lambda: b"\x00\x00\x00\x20ftypisom" + bytes(4000), "video"),
    "sound": (lambda: b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(4000), "sound"),
    "Photoshop file": (lambda: b"8BPS\x00\x01" + bytes(4000), "Photoshop"),
    "JPEG 2000": (lambda: encoded("JPEG2000"), "JPEG 2000"),
    "TGA": (lambda: encoded("TGA"), "no picture"),
    "PPM": (lambda: encoded("PPM"), "no picture"),
    "camera raw (DNG)": (lambda: tiff(256, 171, (50706, 1, 4, 0x00000401)), "raw"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_upload_is_refused_with_a_clear_message(name):
    make, expected = REFUSED[name]
    with warnings.catch_warnings(), pytest.raises(UnreadablePhoto, match=f"(?s){expected}") as refusal:
        warnings.simplefilter("ignore")  # Pillow warns about bombs as well
        read_photo(make())
    message = str(refusal.value)
    assert 30 < len(message) < 300
    assert message[0].isupper() and message.rstrip().endswith(".")
    for jargon in ("Traceback", "Error", "<_io", "0x", "None", "Exception"):
        assert jargon not in message


def test_the_table_has_forty_cases_or_more():
    assert len(REFUSED) >= 40


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "GIF"])
def test_no_byte_flip_or_cut_escapes_as_another_exception(format):
    whole, chance = encoded(format, picture(size=(80, 72))), np.random.default_rng(2)
    for _ in range(60):
        broken = bytearray(whole)
        for at in chance.integers(0, min(len(broken), 600), 4):
            broken[at] = chance.integers(0, 256)
        try:
            photo = read_photo(bytes(broken[: chance.integers(len(broken) // 2, len(broken) + 1)]))
        except UnreadablePhoto:
            continue
        assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("the bomb was decoded"))
    with pytest.raises(UnreadablePhoto):
        read_photo(png(8000, 8000, chunk(b"IDAT", zlib.compress(bytes(10**6)))))


def test_a_path_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "big.jpg").write_bytes(b"")
    with (tmp_path / "big.jpg").open("r+b") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: costs no disk
    for path, message in ((tmp_path / "none.jpg", "no file none.jpg"), (tmp_path, "not a file"), ("a\0b", "path")):
        with pytest.raises(UnreadablePhoto, match=message):
            read_photo(path)
    with pytest.raises(UnreadablePhoto, match="60 MB"):
        read_photo(tmp_path / "big.jpg")
    with pytest.raises(UnreadablePhoto, match="binary"):
        read_photo(io.StringIO("text"))
