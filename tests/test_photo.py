"""Any photo that a phone or a browser makes comes in as the same upright RGB array."""

import io
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener

from facelab.errors import UnreadablePhoto
from facelab.photo import AT_A_TIME, MAX_PIXELS, MIN_SIDE, read_photo

register_heif_opener()
WIDTH, HEIGHT = 192, 128
ORIENTATION = 0x0112


def scene() -> np.ndarray:
    """A smooth picture without symmetry: red grows rightwards, green downwards, a blue corner at the top left."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([40 + x, 60 + y, np.full_like(x, 90)], axis=2)
    pixels[:40, :40, 2] = 200
    return pixels.astype(np.uint8)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def stored_as(orientation: int) -> Image.Image:
    """The scene as a camera stores it under an EXIF orientation."""
    back = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2)}
    back |= {6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, -1)}
    return Image.fromarray(np.ascontiguousarray(back.get(orientation, lambda a: a)(scene())))


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def difference(photo: np.ndarray, expected: np.ndarray) -> float:
    assert photo.dtype == np.uint8 and photo.shape == expected.shape
    return float(np.abs(photo.astype(int) - expected.astype(int)).mean())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "BMP", "TIFF", "GIF"])
def test_every_format_gives_the_same_picture(format):
    assert difference(read_photo(encoded(Image.fromarray(scene()), format)), scene()) < 5


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(format, orientation):
    data = encoded(stored_as(orientation), format, exif=exif(orientation))
    assert difference(read_photo(data), scene()) < 5


@pytest.mark.parametrize(
    "tags",
    [
        b"Exif\x00\x00garbage",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02\x00\x00\x00\x04top\x00\x00\x00\x00\x00",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x87\x69\x00\x04\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x08",
        exif(0),
        exif(9),
        exif(65535),
    ],
    ids=["garbage", "far offset", "orientation as text", "a loop", "0", "9", "65535"],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_broken_exif_does_not_cost_the_photo(tags):
    assert difference(read_photo(encoded(Image.fromarray(scene()), "JPEG", exif=tags)), scene()) < 5


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_content_decides_and_not_the_name(format, tmp_path):
    path = tmp_path / "photo.pdf"
    path.write_bytes(encoded(Image.fromarray(scene()), format))
    assert difference(read_photo(path), scene()) < 5
    assert difference(read_photo(str(path)), scene()) < 5
    with path.open("rb") as file:
        assert difference(read_photo(file), scene()) < 5


@pytest.mark.parametrize(
    ("mode", "format"), [("L", "PNG"), ("L", "JPEG"), ("1", "PNG"), ("I;16", "PNG"), ("I;16", "TIFF")]
)
def test_grey_of_any_depth_becomes_grey_rgb(mode, format):
    ramp = np.tile(np.linspace(0, 255, WIDTH), (HEIGHT, 1))
    if mode == "1":
        ramp = np.where(ramp > 127, 255, 0)
    image = (
        Image.fromarray(ramp.astype(np.uint8)).convert("1") if mode == "1" else Image.fromarray(ramp.astype(np.uint8))
    )
    if mode == "I;16":
        image = Image.fromarray((ramp * 257).astype(np.uint16))
    photo = read_photo(encoded(image, format))
    assert difference(photo, np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)) < 1
    assert (photo == photo[..., :1]).all()


def test_sixteen_bit_colour_is_scaled():
    rows = np.concatenate([np.zeros((HEIGHT, 1), ">u2"), (scene().astype(">u2") * 257).reshape(HEIGHT, -1)], axis=1)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    body = b"".join(b"\0" + row[1:].tobytes() for row in rows)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    assert difference(read_photo(png), scene()) < 1


@pytest.mark.parametrize("largest", [1.0, 255.0, 65535.0])
def test_float_and_32_bit_tiff_keep_their_scale(largest):
    ramp = np.tile(np.linspace(0, largest, WIDTH, dtype=np.float32), (HEIGHT, 1))
    expected = np.repeat((ramp / largest * 255).astype(np.uint8)[..., None], 3, axis=2)
    ramp[0, 0] = np.nan
    assert difference(read_photo(encoded(Image.fromarray(ramp), "TIFF")), expected) < 1
    if largest > 1:
        assert difference(read_photo(encoded(Image.fromarray(ramp[1:].astype(np.int32)), "TIFF")), expected[1:]) < 1


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "TIFF", "HEIF"])
def test_alpha_lies_over_white(format):
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, 96:], alpha[:, 144:] = 128, 0
    image = Image.fromarray(np.dstack([scene(), alpha]))
    share = alpha[..., None] / 255
    expected = (scene() * share + 255 * (1 - share)).astype(np.uint8)
    assert difference(read_photo(encoded(image, format)), expected) < 5
    assert (read_photo(encoded(image, "PNG"))[:, 150:] == 255).all()


def test_transparent_palettes_and_grey_lie_over_white():
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.paste(0, (0, 0, 96, HEIGHT))
    for format in ("GIF", "PNG"):
        photo = read_photo(encoded(image, format, transparency=0))
        assert (photo[:, :96] == 255).all() and (photo[:, 96:] == (200, 10, 10)).all()
    grey = Image.new("LA", (WIDTH, HEIGHT), (0, 0))
    assert (read_photo(encoded(grey, "PNG")) == 255).all()
    assert (read_photo(encoded(Image.new("L", (WIDTH, HEIGHT), 7), "PNG", transparency=7)) == 255).all()


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(format):
    photo = read_photo(encoded(Image.fromarray(scene()).convert("CMYK"), format))
    assert difference(photo, scene()) < 8


def test_lab_becomes_rgb():
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(Image.fromarray(scene()), to_lab)
    assert difference(read_photo(encoded(lab, "TIFF")), scene()) < 3


def test_an_embedded_profile_is_converted_to_srgb():
    plain = encoded(Image.fromarray(scene()), "PNG")
    profiled = encoded(Image.fromarray(scene()), "PNG", icc_profile=linear_profile())
    brighter = read_photo(profiled).astype(int) - read_photo(plain).astype(int)
    assert brighter.mean() > 20  # linear light of 0.25 is 0.54 in sRGB


def test_a_profile_is_known_by_its_colours_and_not_by_its_name():
    """Phones name theirs "Display P3 Gamut with sRGB Transfer", GIMP "GIMP built-in Linear sRGB"."""
    named = linear_profile().replace(b"l\0i\0n\0e", b"s\0R\0G\0B").replace(b"line", b"sRGB")
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(named)))
    image = Image.fromarray(scene())
    assert read_photo(encoded(image, "PNG", icc_profile=named)).mean() > scene().mean() + 20
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"s\0R\0G\0B", b"n\0a\0m\0e")
    assert difference(read_photo(encoded(image, "PNG", icc_profile=plain)), scene()) == 0, "not rounded once more"


def test_a_broken_or_unfitting_profile_is_ignored():
    image = Image.fromarray(scene())
    grey = image.convert("L")
    for profile in (b"no profile", b"\0" * 200, linear_profile()[:150]):
        assert difference(read_photo(encoded(image, "PNG", icc_profile=profile)), scene()) == 0
    photo = read_photo(encoded(grey, "PNG", icc_profile=linear_profile()))  # made for RGB
    assert difference(photo, np.repeat(np.asarray(grey)[..., None], 3, axis=2)) == 0


def test_animations_give_their_first_frame():
    frames = [Image.new("RGB", (100, 80), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    for format in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        photo = read_photo(encoded(frames[0], format, save_all=True, append_images=frames[1:]))
        assert difference(photo, np.full((80, 100, 3), (250, 0, 0), np.uint8)) < 5


def test_a_multi_picture_jpeg_of_a_phone_gives_its_main_picture():
    main, gain = Image.fromarray(scene()), Image.new("RGB", (64, 64))
    assert difference(read_photo(encoded(main, "MPO", save_all=True, append_images=[gain])), scene()) < 5


def test_what_a_phone_appends_to_a_jpeg_does_not_count_as_its_scans():
    scans = b"\xff\xda" * 1000
    photo = encoded(Image.fromarray(scene()), "JPEG", progressive=True, comment=scans) + scans  # such as a short video
    assert difference(read_photo(photo), scene()) < 3


def test_the_limits_are_inclusive():
    smallest = encoded(Image.new("RGB", (MIN_SIDE, MIN_SIDE), "red"), "PNG")
    assert read_photo(smallest).shape == (MIN_SIDE, MIN_SIDE, 3)
    with pytest.raises(UnreadablePhoto, match="at least 64"):
        read_photo(encoded(Image.new("RGB", (MIN_SIDE, MIN_SIDE - 1), "red"), "PNG"))
    side = 7000
    assert 49e6 == side * side < MAX_PIXELS
    assert read_photo(encoded(Image.new("L", (side, side)), "PNG")).shape == (side, side, 3)


def test_the_array_is_writable_and_the_source_untouched():
    data = encoded(Image.fromarray(scene()), "PNG")
    photo = read_photo(bytearray(data))
    photo[:] = 0
    assert difference(read_photo(data), scene()) == 0


def test_threads_may_read_at_once():
    data, seen = encoded(Image.fromarray(scene()), "HEIF"), []
    threads = [threading.Thread(target=lambda: seen.append(difference(read_photo(data), scene()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and max(seen) < 5


def linear_profile() -> bytes:
    """The sRGB profile with its three tone curves made linear (ICC.1: a curve of no entries is the identity)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        entry = profile.index(name)
        (offset,) = struct.unpack(">I", profile[entry + 4 : entry + 8])
        profile[offset : offset + 12] = b"curv" + bytes(8)
    return bytes(profile).replace(b"s\0R\0G\0B", b"l\0i\0n\0e").replace(b"sRGB", b"line")


def test_only_so_many_are_decoded_at_a_time(monkeypatch):
    under_way, most = [], []

    def watched(image, *args):
        under_way.append(image)
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.pop()
        return image.convert("RGB")

    monkeypatch.setattr("facelab.photo._to_rgb", watched)
    data = encoded(Image.new("RGB", (64, 64)), "PNG")
    with ThreadPoolExecutor(3 * AT_A_TIME) as pool:
        assert len(list(pool.map(read_photo, [data] * (3 * AT_A_TIME)))) == 3 * AT_A_TIME
    assert 1 < max(most) <= AT_A_TIME
