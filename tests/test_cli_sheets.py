"""Commands that give many faces at once: walk, crossover-grid, neighbours; sample is in test_cli."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.face import Face
from facelab.media import contact_sheet
from facelab.page.examples import load_examples
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio("faces128", device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three faces; behind the first one is a photo."""
    folder = tmp_path_factory.mktemp("faces")
    first, *others = list(load_examples().values())[:3]
    quad = np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32)
    embedded = dataclasses.replace(first.face, crop=first.as_photo(), quad=quad, photo_size=(512, 512))
    for name, face in zip("abc", [embedded, *(each.face for each in others)], strict=True):
        face.save(folder / f"{name}.npz")
    return {name: folder / f"{name}.npz" for name in "abc"}


def shown(path):
    return np.asarray(Image.open(path).convert("RGB"))


def alike(one, other):
    """Whether two pictures are the same but for what bfloat16 rounds differently in another batch."""
    return one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 0.75


def test_a_walk_is_a_strip_a_film_or_the_face_at_its_end(facelab, files, studio, tmp_path):
    command = ["walk", files["a"], "--attribute", "smile", "--reach", -1.5, "--frames", 4, "--steps", 40, "--json"]
    way = studio.walk(Face.load(files["a"]), "smile", -1.5, frames=4, steps=40)
    for ending in ("png", "gif", "npz"):
        status, out, err = facelab(*command, "--size", 64, "--out", tmp_path / "new" / f"way.{ending}")
        answer = json.loads(out)
        assert status == 0 and err == "" and answer["frames"] == 5
        assert answer["operations"] == ["embed", "walk smile -1.5"]
    strip = Image.open(tmp_path / "new" / "way.png")
    assert "compositeWithTrainedAlgorithmicMedia" in strip.text["XML:com.adobe.xmp"]
    assert alike(np.asarray(strip), contact_sheet(studio.render_many(way, 64), columns=5)), "all of the way"
    film = Image.open(tmp_path / "new" / "way.gif")
    assert film.n_frames == 5 and film.size == (64, 64) and film.info["duration"] == 120
    assert torch.equal(Face.load(tmp_path / "new" / "way.npz").latent.values, way[-1].latent.values)


def test_a_long_film_is_drawn_as_it_is_written(facelab, files, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        Studio,
        "render_many",
        lambda self, faces, size: drawn.append(len(faces)) or [np.zeros((size, size, 3), np.uint8) for _ in faces],
    )
    walk = ["walk", files["a"], "--attribute", "smile", "--frames", 40, "--size", 64, "--out", tmp_path / "x.mp4"]
    assert facelab(*walk)[0] == 0 and sum(drawn) == 41 and max(drawn) <= 16


def test_a_walk_takes_what_is_held_and_which_layers_move(facelab, files, studio, tmp_path):
    face, target = Face.load(files["b"]), tmp_path / "x.npz"
    for flags, options in (
        ([], {}),
        (["--keep", "none"], {"keep": []}),
        (["--keep", "gender", "--layers", "0-3"], {"keep": ["gender"], "rows": slice(0, 4)}),
        (["--everywhere"], {"everywhere": True}),
    ):
        command = ["walk", files["b"], "--attribute", "beard", "--steps", 30, *flags, "--out", target]
        assert facelab(*command)[0] == 0
        wanted = studio.walk(face, "beard", 2, steps=30, **options)[-1]
        assert torch.equal(Face.load(target).latent.values, wanted.latent.values)


def test_a_grid_shows_every_content_in_every_style(facelab, files, studio, tmp_path):
    a, b, c = (Face.load(path) for path in files.values())
    faces = ["--content", files["a"], "--content", files["b"], "--style", files["c"], "--style", files["a"]]
    target = tmp_path / "grid.png"
    command = ["crossover-grid", *faces, "--layers", "fine", "--strength", 0.5, "--size", 64]
    status, out, _ = facelab(*command, "--out", target, "--json")
    answer = json.loads(out)
    assert status == 0 and (answer["contents"], answer["styles"], answer["rows"]) == (2, 2, [8, 12])
    sheet = shown(target)
    assert sheet.shape == (3 * 68 - 4, 3 * 68 - 4, 3) and (sheet[:64, :64] == 255).all()
    assert alike(sheet[:64, 68:132], studio.render(c, 64)), "styles above the columns"
    assert alike(sheet[136:, :64], studio.render(b, 64)), "contents before the rows"
    wanted = studio.crossover_grid([a, b], [c, a], rows=slice(8, 12), strength=0.5, size=64)
    for row, pictures in enumerate(wanted, 1):
        for column, picture in enumerate(pictures, 1):
            assert alike(sheet[68 * row : 68 * row + 64, 68 * column : 68 * column + 64], picture)
    assert "compositeWithTrainedAlgorithmicMedia" in Image.open(target).text["XML:com.adobe.xmp"]


def test_neighbours_are_a_sheet_or_faces(facelab, files, studio, tmp_path):
    face = Face.load(files["b"])
    command = ["neighbours", files["b"], "--count", 11, "--radius", 0.5, "--seed", 3, "--json", "--out"]
    answer = json.loads(facelab(*command, tmp_path / "near.png", "--size", 32)[1])
    assert (answer["count"], answer["radius"], answer["seed"]) == (11, 0.5, 3)
    wanted = studio.neighbours(face, 11, radius=0.5, seed=3)
    assert alike(shown(tmp_path / "near.png"), contact_sheet(studio.render_many(wanted, 32), columns=9))
    answer = json.loads(facelab(*command, tmp_path / "near.npz")[1])
    assert answer["files"] == [str(tmp_path / f"near-{number}.npz") for number in range(1, 12)]
    for path, each in zip(answer["files"], wanted, strict=True):
        assert torch.equal(Face.load(path).latent.values, each.latent.values)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["walk", "{a}", "--out", "{folder}/x.png"], "--attribute"),
        (["walk", "{a}", "--attribute", "wings", "--out", "{folder}/x.png"], "no attribute 'wings'"),
        (["walk", "{a}", "--attribute", "smile", "--reach", "99", "--out", "{folder}/x.png"], "between -5 and 5"),
        (["walk", "{a}", "--attribute", "smile", "--reach", "nan", "--out", "{folder}/x.png"], "between -5 and 5"),
        (["walk", "{a}", "--attribute", "smile", "--steps", "5", "--out", "{folder}/x.png"], "no more frames"),
        (["walk", "{a}", "--attribute", "smile", "--out", "{folder}/x.jpg"], ".npz, .png, .gif"),
        (["crossover-grid", "--content", "{a}", "--out", "{folder}/x.png"], "--style"),
        (["crossover-grid", "--content", "{a}", "--style", "{b}", "--out", "{folder}/x.gif"], ".png"),
        (
            ["crossover-grid", "--content", "{a}", "--style", "{b}", "--layers", "9-99", "--out", "{folder}/x.png"],
            "0 to",
        ),
        (["neighbours", "{a}", "--out", "{folder}/x.gif"], ".png or .npz"),
        (["neighbours", "{a}", "--count", "0", "--out", "{folder}/x.png"], "--count"),
        (["neighbours", "{a}", "--count", "999", "--size", "1024", "--out", "{folder}/x.png"], "too many to be held"),
        (
            ["walk", "{a}", "--attribute", "smile", "--frames", "600", "--size", "4096", "--out", "{folder}/x.gif"],
            "600 pictures of 4096 x 4096 pixels are too many",
        ),
        (["morph", "{a}", "{b}", "--strip", "--size", "4096", "--out", "{folder}/x.png"], "too many to be held"),
        (["neighbours", "{folder}/none.npz", "--out", "{folder}/x.png"], "none.npz"),
        (["sample", "--out", "{folder}/x.jpg"], ".png or .npz"),
    ],
)
def test_what_cannot_be_is_one_line(facelab, files, tmp_path, command, said):
    status, out, err = facelab(*(part.format(**files, folder=tmp_path) for part in command))
    assert status not in (0, None) and out == "" and err.count("\n") == 1
    assert said in err and "Traceback" not in err and not list(tmp_path.iterdir())
