"""paste, import and project on the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facelab.alignment import align
from facelab.face import Face, Latent, Recipe
from facelab.studio import Studio


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A photo with a generated face in it, the face, what an edit has made of it, and a recipe that edits nothing."""
    folder, studio = tmp_path_factory.mktemp("paste"), Studio(device="cpu")
    (face, picture), (other, _) = studio.sample(2, seed=3)
    random = np.random.default_rng(0)
    photo = random.integers(90, 130, (500, 700, 3), np.uint8)
    photo[80:440, 200:560] = np.asarray(Image.fromarray(picture).resize((360, 360), Image.Resampling.BICUBIC))
    quad = np.array([[200, 80], [200, 440], [560, 440], [560, 80]], np.float32)
    aligned = align(photo, quad, resolution=128)
    face = replace(face, crop=aligned.crop, quad=aligned.quad, photo_size=aligned.photo_size)
    edited = replace(face, latent=Latent(face.latent.values.lerp(other.latent.values, 0.4), "w+", "faces128"))
    Image.fromarray(photo).save(folder / "photo.png")
    face.save(folder / "face.npz")
    edited.save(folder / "edited.npz")
    (folder / "nothing.json").write_text(Recipe("faces128").to_json())
    return folder


def test_paste_puts_the_edit_into_the_photo(facelab, case, tmp_path):
    command = ("paste", case / "face.npz", "--photo", case / "photo.png", "--edited", case / "edited.npz")
    status, out, _ = facelab(*command, "--out", tmp_path / "new" / "x.png", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["photo_size"] == [700, 500]
    assert 0.02 < answer["changed"] < 360 * 360 / (700 * 500), "no more than the face's quad"
    before, after = np.asarray(Image.open(case / "photo.png")), Image.open(tmp_path / "new" / "x.png")
    assert "compositeWithTrainedAlgorithmicMedia" in after.text["XML:com.adobe.xmp"]
    pixels = np.asarray(after)
    assert (
        np.array_equal(pixels[:, :200], before[:, :200])
        and (pixels[200:400, 300:460] != before[200:400, 300:460]).any()
    )


def test_a_photo_stays_one_whosever_face_is_put_into_it(facelab, case, tmp_path):
    [(stranger, _)] = Studio().sample(1, seed=3)
    stranger.save(tmp_path / "stranger.npz")
    command = ("paste", case / "face.npz", "--photo", case / "photo.png", "--edited", tmp_path / "stranger.npz")
    status, _, _ = facelab(*command, "--out", tmp_path / "x.png")
    after = Image.open(tmp_path / "x.png").text["XML:com.adobe.xmp"]
    assert status == 0 and "compositeWithTrainedAlgorithmicMedia" in after


def test_paste_without_an_edit_gives_the_photo_back(facelab, case, tmp_path):
    command = ("paste", case / "face.npz", "--photo", case / "photo.png", "--recipe", case / "nothing.json")
    status, out, _ = facelab(*command, "--out", tmp_path / "x.png", "--json")
    assert status == 0 and json.loads(out)["changed"] == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), np.asarray(Image.open(case / "photo.png")))


def test_paste_says_what_is_missing(facelab, case, tmp_path):
    start = ("paste", case / "face.npz", "--photo", case / "photo.png", "--out")
    for more, word in (
        ((tmp_path / "x.png",), "--recipe"),
        ((tmp_path / "x.jpg", "--recipe", case / "nothing.json"), ".png"),
        ((tmp_path / "x.png", "--edited", case / "edited.npz", "--edited", case / "edited.npz"), "1 faces"),
        ((tmp_path / "x.png", "--recipe", case / "photo.png"), "not a recipe"),
    ):
        status, out, err = facelab(*start, *more)
        assert status == 1 and not out and word in err and err.count("\n") == 1
    Image.new("RGB", (640, 480)).save(tmp_path / "other.png")
    command = ("paste", case / "face.npz", "--photo", tmp_path / "other.png", "--recipe", case / "nothing.json")
    status, _, err = facelab(*command, "--out", tmp_path / "x.png")
    assert status == 1 and "700 x 500" in err


def test_a_project_is_saved_shown_and_opened(facelab, case, tmp_path):
    work = tmp_path / "work.facelab"
    status, out, _ = facelab("project", "save", work, case / "face.npz", case / "edited.npz", "--json")
    assert status == 0 and json.loads(out)["faces"] == 2 and work.stat().st_size == json.loads(out)["bytes"]
    status, out, _ = facelab("project", "show", work, "--json")
    shown = json.loads(out)
    assert [face["name"] for face in shown["faces"]] == ["face", "edited"] and list(shown["models"]) == ["faces128"]
    status, out, _ = facelab("project", "open", work, "--out", tmp_path / "again", "--json")
    assert status == 0 and len(json.loads(out)["files"]) == 4
    again = Face.load(tmp_path / "again" / "02-edited.npz")
    assert again.latent.values.equal(Face.load(case / "edited.npz").latent.values)


def test_a_project_takes_faces_of_any_model(facelab, case, tmp_path):
    assert facelab("sample", "--model", "dcgan64", "--count", 1, "--out", tmp_path / "other.npz")[0] == 0
    (other,) = tmp_path.glob("other*.npz")
    assert other.name == "other.npz", "one face has no number"
    work = tmp_path / "work.facelab"
    status, _, said = facelab("project", "save", work, case / "face.npz", other)
    assert status == 0, said
    shown = json.loads(facelab("project", "show", work, "--json")[1])
    assert set(shown["models"]) == {"faces128", "dcgan64"}


def test_a_damaged_project_is_one_line(facelab, case, tmp_path):
    (tmp_path / "bad.facelab").write_bytes(b"PK\x03\x04 not really")
    for command in (("show", tmp_path / "bad.facelab"), ("open", tmp_path / "bad.facelab", "--out", tmp_path / "x")):
        status, out, err = facelab("project", *command)
        assert status == 1 and not out and "not a FaceLab project" in err and err.count("\n") == 1
    assert facelab("project", "show", tmp_path / "missing.facelab")[0] == 1
    assert facelab("project", "save", tmp_path / "a.zip", case / "face.npz")[0] == 1


def test_import_takes_latents_of_the_right_shape_only(facelab, case, tmp_path):
    rows = Face.load(case / "face.npz").latent.values.numpy()
    np.save(tmp_path / "two.npy", np.stack([rows, rows]))
    status, out, _ = facelab("import", tmp_path / "two.npy", "--out", tmp_path / "in.npz", "--json")
    answer = json.loads(out)
    assert status == 0 and answer["count"] == 2 and [name[-8:] for name in answer["files"]] == ["in-1.npz", "in-2.npz"]
    assert np.array_equal(Face.load(tmp_path / "in-2.npz").latent.values.numpy(), rows)
    np.save(tmp_path / "large.npy", np.zeros((18, 512), np.float32))
    status, _, err = facelab("import", tmp_path / "large.npy", "--out", tmp_path / "x.npz")
    assert status == 1 and "18 rows of 512" in err and "12 of 256" in err
