import io
import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from facelab.errors import BadSetting
from facelab.media import (
    KINDS,
    Provenance,
    encode_animation,
    encode_png,
    filmstrip,
    labelled_sheet,
    save_animation,
    save_png,
    stamp,
)
from facelab.media.gif import MAX_BYTES
from facelab.media.provenance import SOURCE_TYPES
from facelab.media.video import Mp4Writer
from facelab.page.examples import load_examples
from facelab.studio import Studio

SAID = Provenance("faces128", ["embed", "morph"], from_photo=True)


@pytest.fixture(scope="module")
def morph():
    """60 frames at 256 px between two faces that look as different as any."""
    faces = [example.face for example in load_examples().values()]
    return list(Studio("faces128", device="cpu").morph_frames(faces[2], faces[3]))


def psnr(frames, wanted):
    errors = [np.square(one.astype(float) - other).mean() for one, other in zip(frames, wanted, strict=True)]
    return 10 * np.log10(255**2 / np.array(errors))


def read_frames(data):
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def test_a_gif_of_a_morph_is_small_close_to_its_frames_and_loops(morph):
    data = encode_animation(morph, "gif", SAID)
    assert len(morph) == 60 and morph[0].shape == (256, 256, 3)
    assert len(data) < MAX_BYTES == 2_000_000
    frames = read_frames(data)
    assert psnr(frames, morph).min() > 30 and np.median(psnr(frames, morph)) > 34
    image = Image.open(io.BytesIO(data))
    assert image.info["loop"] == 0, "for ever"
    assert image.n_frames == 60 and image.info["duration"] == 50


def test_a_film_of_two_frames_has_the_colours_of_both():
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    warm, cold = np.zeros((2, 64, 64, 3), np.uint8)
    warm[..., 0], warm[..., 1] = ramp, ramp[:, None] // 2
    cold[..., 2], cold[..., 1] = ramp, ramp[:, None]
    assert psnr(read_frames(encode_animation([warm, cold], "gif", SAID)), [warm, cold]).min() > 30


def test_a_noisy_film_is_made_smaller_as_far_as_30_db_allow():
    random = np.random.default_rng(0)
    base = random.integers(0, 256, (8, 8, 3)).repeat(32, axis=0).repeat(32, axis=1)
    noisy = [np.clip(base + random.normal(0, 6, base.shape), 0, 255).astype(np.uint8) for _ in range(60)]
    data = encode_animation(noisy, "gif", SAID)
    assert len(data) < MAX_BYTES
    assert psnr(read_frames(data), noisy).min() > 30


@pytest.mark.parametrize("fps", [7, 20, 24, 30])
def test_a_gif_lasts_as_long_as_its_frames_a_second_say(morph, fps):
    image = Image.open(io.BytesIO(encode_animation(morph[:30], "gif", SAID, fps=fps)))
    assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(image)) == pytest.approx(30_000 / fps, abs=10)


def boxes(data):
    place, found = 0, []
    while place < len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        found.append((name.decode(), data[place : place + size]))
        place += size
    return found


def test_an_mp4_plays_in_browsers(morph, tmp_path):
    import imageio_ffmpeg

    path = tmp_path / "morph.mp4"
    save_animation(morph, path, fps=30, model="faces128", operations=["morph"])
    names = [name for name, _ in boxes(path.read_bytes())]
    assert names.index("moov") < names.index("mdat"), "its index comes first, so that it plays while it loads"
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    assert about["codec"] == "h264" and about["pix_fmt"].startswith("yuv420p")
    assert about["size"] == (256, 256) and about["fps"] == 30 and about["duration"] == pytest.approx(2, abs=0.05)
    frames = [np.frombuffer(frame, np.uint8).reshape(256, 256, 3) for frame in reader]
    assert len(frames) == 60 and psnr(frames, morph).min() > 30


def test_an_mp4_is_written_frame_by_frame(monkeypatch):
    done, add = [], Mp4Writer.add
    monkeypatch.setattr(Mp4Writer, "add", lambda writer, frame: (done.append("written"), add(writer, frame)))

    def frames():
        for shade in (0, 100, 200):
            done.append("drawn")
            yield np.full((64, 64, 3), shade, np.uint8)

    encode_animation(frames(), "mp4", SAID, mark=True)
    assert done == ["drawn", "written"] * 3


def test_odd_sides_become_even_in_an_mp4(tmp_path):
    import imageio_ffmpeg

    path = tmp_path / "odd.mp4"
    save_animation([np.full((65, 97, 3), 120, np.uint8)] * 3, path, model="faces128")
    assert next(imageio_ffmpeg.read_frames(str(path)))["size"] == (98, 66)


def test_a_webp_is_animated_and_loops(morph):
    image = Image.open(io.BytesIO(encode_animation(morph, "webp", SAID, fps=25)))
    assert image.format == "WEBP" and image.n_frames == 60 and image.info["loop"] == 0
    assert psnr(read_frames(encode_animation(morph, "webp", SAID)), morph).min() > 30


def test_a_sheet_has_its_labels_beside_the_pictures_and_never_on_them():
    grey = np.full((32, 32, 3), 128, np.uint8)
    plain = labelled_sheet([("", [grey, grey]), ("", [grey])], side=64)
    assert plain.shape == (4 + 2 * 68, 4 + 2 * 68, 3)
    assert (plain == 128).all(axis=2).sum() == 3 * 64 * 64
    named = labelled_sheet([("long name\nin two lines", [grey, grey])], columns=("one", "two\nlines"), side=64)
    assert (named == 128).all(axis=2).sum() == 2 * 64 * 64, "no letter lies on a picture"
    rows, columns = np.nonzero((named < 100).all(axis=2))
    assert rows.min() >= 0 and columns.min() > 0 and len(rows) > 50, "and the letters are there, whole"


def test_a_strip_shows_the_way_from_first_to_last(morph):
    strip = filmstrip(morph, 5)
    assert strip.shape == (256, 5 * 256 + 4 * 4, 3)
    assert np.array_equal(strip[:, :256], morph[0]) and np.array_equal(strip[:, -256:], morph[-1])
    assert filmstrip(morph[:3], 5).shape[1] == 3 * 256 + 2 * 4
    assert Image.open(io.BytesIO(encode_animation(morph, "png", SAID))).width == 10 * 256 + 9 * 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("from_photo", [True, False])
def test_every_file_says_that_it_was_made_with_ai(morph, kind, from_photo):
    said = Provenance("faces128", ["embed", "morph"], from_photo)
    data = encode_animation(morph[:4], kind, said)
    assert b"Made with AI by FaceLab, model faces128: embed, morph." in data
    source = "compositeWithTrainedAlgorithmicMedia" if from_photo else "trainedAlgorithmicMedia"
    assert f'DigitalSourceType="{SOURCE_TYPES}{source}"'.encode() in data
    assert b"FaceLab 0" in data


def test_the_metadata_is_where_programs_look_for_it(morph):
    gif = Image.open(io.BytesIO(encode_animation(morph[:2], "gif", SAID)))
    gif.load()
    assert gif.info["comment"].startswith(b"Made with AI")
    webp = Image.open(io.BytesIO(encode_animation(morph[:2], "webp", SAID)))
    assert webp.getexif()[0x0131].startswith("FaceLab") and b"DigitalSourceType" in webp.info["xmp"]
    png = Image.open(io.BytesIO(encode_png(morph[0], SAID)))
    assert png.text["Comment"].startswith("Made with AI") and png.getexif()[0x010E].startswith("Made with AI")
    assert "DigitalSourceType" in png.text["XML:com.adobe.xmp"]
    mp4 = dict(boxes(encode_animation(morph[:2], "mp4", SAID)))
    assert mp4["uuid"][8:24].hex() == "be7acfcb97a942e89c71999491e3afac" and b"DigitalSourceType" in mp4["uuid"]
    assert b"Made with AI" in mp4["moov"]


def test_a_gifs_xmp_block_can_be_skipped_by_a_reader_that_does_not_know_it(morph):
    """Walk the file block by block as the format says; the packet must lead exactly to the next block."""
    data = encode_animation(morph[:3], "gif", SAID)
    place, seen = 13 + 3 * 256, []
    while data[place : place + 1] != b";":
        if data[place] == 0x2C:
            seen.append("image")
            place += 11
        else:
            seen.append(data[place + 1])
            place += 2
        while data[place]:
            place += data[place] + 1
        place += 1
    assert place == len(data) - 1
    assert seen == [0xFF, 0xFE, 0xFF, 0xF9, "image", 0xF9, "image", 0xF9, "image"]


def test_a_model_with_a_difficult_name_breaks_no_xml(morph):
    from xml.etree import ElementTree

    text = Provenance('a "b" <c> & d', ["x"]).xmp().replace("\ufeff", "")
    assert ElementTree.fromstring(text[text.index("<x:") : text.index("<?xpacket end")]) is not None


def test_the_visible_mark_is_an_option_in_a_corner(morph):
    marked = stamp(morph[0])
    changed = (marked != morph[0]).any(axis=2)
    assert changed[128:, 128:].sum() > 500 and not changed[:128].any() and not changed[:, :100].any()
    for kind in ("gif", "webp"):
        plain, said = (read_frames(encode_animation(morph[:3], kind, SAID, mark=mark)) for mark in (False, True))
        assert psnr(said, plain).max() < 35
    buffer = io.BytesIO()
    save_png(morph[0], buffer, model="faces128", mark=True)
    assert np.array_equal(np.asarray(Image.open(buffer)), marked)
    assert stamp(np.zeros((16, 16, 3), np.uint8)).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("frames", "kind", "fps", "said"),
    [
        ([np.zeros((16, 16, 3), np.uint8)], "avi", 20, "one of gif, mp4"),
        ([np.zeros((16, 16, 3), np.uint8)], "gif", 0, "frames a second"),
        ([np.zeros((16, 16, 3), np.uint8)], "gif", float("nan"), "frames a second"),
        ([], "gif", 20, "at least one frame"),
        ([np.zeros((16, 16, 3), np.uint8), np.zeros((8, 16, 3), np.uint8)], "gif", 20, "one size"),
    ],
)
def test_an_animation_that_cannot_be_is_refused(frames, kind, fps, said):
    with pytest.raises(BadSetting, match=said):
        encode_animation(frames, kind, SAID, fps=fps)


@pytest.mark.parametrize("kind", KINDS)
def test_one_frame_of_few_colours_is_an_animation_too(kind):
    data = encode_animation([np.zeros((17, 31, 3), np.uint8)], kind, SAID)
    if kind != "mp4":
        assert Image.open(io.BytesIO(data)).size == (31, 17)
        assert np.abs(read_frames(data)[0]).max() <= 2


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A chain of a test authority and a signer, as PEM files, configured for signing."""
    pytest.importorskip("c2pa", reason="c2pa-python is not installed")
    from datetime import datetime, timedelta, timezone

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(who):
        oid = x509.NameOID
        return x509.Name([x509.NameAttribute(oid.ORGANIZATION_NAME, "Test"), x509.NameAttribute(oid.COMMON_NAME, who)])

    def issue(who, key, issuer, issuer_key, is_authority):
        usage = dict.fromkeys(
            [
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        usage |= {
            "digital_signature": not is_authority,
            "key_cert_sign": is_authority,
            "crl_sign": is_authority,
        }
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder(name(issuer), name(who), key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
        extensions = [
            (x509.BasicConstraints(is_authority, None), True),
            (x509.KeyUsage(**usage), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
        ]
        if not is_authority:
            extensions.append((x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), True))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = issue("Signer", signer, "Authority", authority, False)
    chain += issue("Authority", authority, "Authority", authority, True)
    (tmp_path / "chain.pem").write_bytes(chain)
    private = signer.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(private)
    monkeypatch.setenv("FACELAB_C2PA_CERT", str(tmp_path / "chain.pem"))
    monkeypatch.setenv("FACELAB_C2PA_KEY", str(tmp_path / "key.pem"))


@pytest.mark.parametrize("kind", KINDS)
def test_with_a_certificate_every_file_is_signed(morph, certificate, kind):
    import c2pa

    data = encode_animation(morph[:4], kind, SAID)
    report = json.loads(c2pa.Reader(KINDS[kind], io.BytesIO(data)).json())
    assert report["validation_state"] == "Valid"
    manifest = report["manifests"][report["active_manifest"]]
    [actions] = [each["data"]["actions"] for each in manifest["assertions"] if each["label"] == "c2pa.actions.v2"]
    assert actions[0]["digitalSourceType"] == SAID.source_type


def test_a_file_that_was_to_be_signed_never_leaves_without_its_signature(morph, tmp_path, monkeypatch):
    monkeypatch.setenv("FACELAB_C2PA_CERT", str(tmp_path / "chain.pem"))
    monkeypatch.setitem(sys.modules, "c2pa", None)
    target = tmp_path / "face.png"
    with pytest.raises(BadSetting, match="pip install c2pa-python"):
        save_png(morph[0], target, model="faces128")
    assert not target.exists()


def test_a_certificate_that_is_not_there_is_named(morph, certificate, monkeypatch):
    monkeypatch.setenv("FACELAB_C2PA_KEY", "/nowhere/key.pem")
    with pytest.raises(BadSetting, match=r"FACELAB_C2PA_KEY must name a PEM file.*nowhere"):
        encode_png(morph[0], SAID)


def test_importing_media_loads_neither_ffmpeg_nor_c2pa():
    code = "import sys, facelab.media; print([name for name in ('imageio_ffmpeg', 'c2pa') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
