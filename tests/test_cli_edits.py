import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.face import Delta, Face
from facelab.own_directions import by_id, load_direction
from facelab.page.examples import load_examples
from facelab.recipes import read_recipe
from facelab.refinement import delta_shapes
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio("faces128", device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory, studio):
    """a.npz: as embedding a photo leaves it, with crop and delta. b.npz and c.npz: random faces."""
    folder = tmp_path_factory.mktemp("faces")
    examples = list(load_examples().values())
    random = torch.Generator().manual_seed(1)
    shapes = delta_shapes(studio.generator, rank=2)
    embedded = dataclasses.replace(
        examples[0].face,
        delta=Delta({name: 0.02 * torch.randn(shape, generator=random) for name, shape in shapes.items()}),
        crop=examples[0].as_photo(),
        quad=np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32),
        photo_size=(512, 512),
    )
    for name, face in zip("abc", [embedded, examples[1].face, examples[2].face], strict=True):
        face.save(folder / f"{name}.npz")
    return {name: folder / f"{name}.npz" for name in "abc"}


def commands(files):
    a, b, c = files.values()
    return {
        "edit": ["edit", a, "--set", "smile=-1.5"],
        "morph": ["morph", a, b],
        "crossover": ["crossover", a, b],
        "express": ["express", a, b, c],
        "average": ["average", a, b, c],
        "combine": ["combine", a, b],
        "mix": ["mix", "A + B - C", f"A={a}", f"B={b}", f"C={c}"],
    }


NAMES = ["edit", "morph", "crossover", "express", "average", "combine", "mix"]


@pytest.mark.parametrize("name", NAMES)
def test_every_edit_writes_a_face_that_is_the_studios(facelab, files, studio, tmp_path, name):
    target = tmp_path / "new" / "face.npz"
    status, out, err = facelab(*commands(files)[name], "--out", target, "--json")
    answer = json.loads(out)
    assert status == 0 and out.count("\n") == 1 and err == ""
    assert answer["files"] == [str(target)] and answer["bytes"] == target.stat().st_size and answer["seconds"] > 0
    a, b, c = (Face.load(path) for path in files.values())
    wanted = {
        "edit": lambda: studio.edit(a, {"smile": -1.5}),
        "morph": lambda: studio.morph(a, b, 0.5),
        "crossover": lambda: studio.crossover(a, b),
        "express": lambda: studio.express(a, b, c),
        "average": lambda: studio.average([a, b, c]),
        "combine": lambda: studio.combine(a, b),
        "mix": lambda: studio.mix("A + B - C", {"A": a, "B": b, "C": c}),
    }[name]()
    face = Face.load(target)
    assert torch.equal(face.latent.values, wanted.latent.values)
    assert face.delta is not None and (face.crop is None) == (name in ("morph", "average", "combine", "mix"))
    assert studio.render(face).shape == (128, 128, 3)


@pytest.mark.parametrize("name", NAMES)
def test_every_edit_writes_a_picture_that_says_how_it_was_made(facelab, files, tmp_path, name):
    target = tmp_path / "face.png"
    status, out, _ = facelab(*commands(files)[name], "--out", target, "--size", 96)
    assert status == 0 and out.strip() == str(target)
    picture = Image.open(target)
    assert picture.size == (96, 96)
    assert "embed, refine" in picture.text["Comment"] and name in picture.text["Comment"].replace("attribute", "edit")
    assert "compositeWithTrainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"], "a photo is behind one of them"
    assert "npz" not in str(picture.text)


@pytest.mark.parametrize("ending", ["gif", "mp4", "webp"])
@pytest.mark.parametrize("name", ["edit", "morph", "mix"])
def test_an_edit_is_a_film_of_the_way_there(facelab, files, tmp_path, name, ending):
    target = tmp_path / f"way.{ending}"
    command = [*commands(files)[name], "--out", target, "--frames", 4, "--fps", 10, "--size", 64, "--json"]
    status, out, _ = facelab(*command)
    answer = json.loads(out)
    assert status == 0 and answer["frames"] == 4 and answer["fps"] == 10
    assert b"Made with AI" in target.read_bytes()
    if ending != "mp4":
        film = Image.open(target)
        assert film.n_frames == 4 and film.size == (64, 64) and film.info["loop"] == 0


def test_the_edited_picture_is_the_photos_crop_unless_it_shall_be_the_generators(facelab, files, studio, tmp_path):
    face = Face.load(files["a"])
    edited = studio.edit(face, {"smile": -1.5})
    for flags, wanted in (([], studio.picture(face, edited)), (["--raw"], studio.render(edited, 512))):
        assert facelab("edit", files["a"], "--set", "smile=-1.5", "--out", tmp_path / "x.png", *flags)[0] == 0
        difference = np.abs(np.asarray(Image.open(tmp_path / "x.png")).astype(int) - wanted).mean()
        assert difference < 0.5


def test_an_edit_prints_its_recipe_which_does_it_again(facelab, files, studio, tmp_path):
    target = tmp_path / "x.npz"
    command = ["edit", files["a"], "--set", "smile=-1", "--set", "age=0.5", "--method", "linear", "--keep", "none"]
    answer = json.loads(facelab(*command, "--layers", "0-7", "--out", target, "--json")[1])
    recipe = read_recipe(json.dumps(answer["recipe"]))
    assert [step["id"] for step in recipe.steps] == ["smile", "age"] and recipe.steps[0]["rows"] == [0, 8]
    again = studio.apply(Face.load(files["a"]), recipe)
    assert torch.allclose(again.latent.values, Face.load(target).latent.values, atol=1e-5)


def test_a_direction_of_ones_own_is_made_used_and_replayed(facelab, files, studio, tmp_path):
    a, b, c = files.values()
    made = tmp_path / "curly.npz"
    status, out, _ = facelab(
        "direction", "Curly hair", "--with", a, "--with", b, "--without", c, "--out", made, "--json"
    )
    direction = json.loads(out)
    assert status == 0 and direction["title"] == "Curly hair" and made.stat().st_size < 20_000
    target = tmp_path / "x.npz"
    command = ["edit", c, "--direction", made, "--set", "curly=0.5", "--set", "smile=1", "--out", target, "--json"]
    answer = json.loads(facelab(*command)[1])
    assert answer["operations"] == ["sample", "attribute own 0.5", "attribute smile 1"]
    assert answer["recipe"]["steps"][0]["hash"] == direction["hash"]
    wanted = studio.edit(Face.load(c), {direction["id"]: 0.5, "smile": 1}, own=by_id([load_direction(made)]))
    assert torch.equal(Face.load(target).latent.values, wanted.latent.values)
    (tmp_path / "r.json").write_text(json.dumps(answer["recipe"]))
    work, save = (
        tmp_path / "work.facelab",
        ["project", "save", tmp_path / "work.facelab", c, "--recipe", tmp_path / "r.json"],
    )
    status, _, err = facelab(*save)
    assert status == 1 and "“Curly hair”" in err and "--direction" in err and err.count("\n") == 1
    assert facelab(*save, "--direction", made)[0] == 0
    shown = json.loads(facelab("project", "show", work, "--json")[1])
    assert shown["directions"] == ["Curly hair"] and shown["faces"][0]["steps"][0] == "attribute own 0.5"
    assert facelab("project", "open", work, "--out", tmp_path / "again")[0] == 0
    assert torch.equal(Face.load(tmp_path / "again" / "01-c.npz").latent.values, wanted.latent.values)
    assert load_direction(tmp_path / "again" / "direction-01-Curly-hair.npz").hash == direction["hash"]


def test_a_direction_that_cannot_be_used_is_one_line(facelab, files, tmp_path):
    a, b, _ = files.values()
    command = ["edit", a, "--out", tmp_path / "x.png", "--set"]
    assert facelab("direction", "Hat", "--with", a, "--without", b, "--out", tmp_path / "smile.npz")[0] == 0
    for more, word in (
        (("hat=1", "--direction", b), "b.npz: This is not a direction"),
        (("smile=1", "--direction", tmp_path / "smile.npz"), "another name"),
        (("hat=1", "--direction", tmp_path / "none.npz"), "No such file"),
    ):
        status, out, err = facelab(*command, *more)
        assert status == 1 and not out and word in err and err.count("\n") == 1


def test_a_face_takes_the_style_of_a_picture(facelab, files, studio, tmp_path):
    stripes = np.arange(96 * 80 * 3, dtype=np.uint8).reshape(96, 80, 3)
    Image.fromarray(stripes).save(tmp_path / "style.png")
    command = ["stylise", files["a"], tmp_path / "style.png", "--steps", 4, "--layers", "4-7", "--json", "--out"]
    status, out, err = facelab(*command, tmp_path / "x.npz")
    answer, face = json.loads(out), Face.load(tmp_path / "x.npz")
    assert status == 0 and answer["step"] == 4 and answer["losses"]["style"] > 0 and "4/4" in err
    assert answer["operations"] == face.operations == ["embed", "refine", "stylise"]
    moved = (face.latent.values != Face.load(files["a"]).latent.values).any(dim=1).tolist()
    assert moved == [4 <= row <= 7 for row in range(12)]
    if answer["features"] == "discriminator":
        status, _, err = facelab(*command, tmp_path / "y.npz", "--features", "vgg16")
        assert status == 1 and "VGG-16" in err and not (tmp_path / "y.npz").exists()
    assert facelab("stylise", files["a"], files["b"], "--out", tmp_path / "z.png")[0] == 1, "a face is no picture"


def test_keep_is_what_each_attribute_asks_for_none_or_what_is_named(facelab, files, studio, tmp_path):
    face = Face.load(files["b"])
    for flags, keep in (
        ([], None),
        (["--keep", "none"], []),
        (["--keep", "gender", "--keep", "skin"], ["gender", "skin"]),
    ):
        assert facelab("edit", files["b"], "--set", "age=1", *flags, "--out", tmp_path / "x.npz")[0] == 0
        wanted = studio.edit(face, {"age": 1}, keep=keep)
        assert torch.equal(Face.load(tmp_path / "x.npz").latent.values, wanted.latent.values)


def test_a_morph_takes_a_place_an_easing_and_a_way_back(facelab, files, studio, tmp_path):
    a, b = Face.load(files["a"]), Face.load(files["b"])
    assert facelab("morph", files["a"], files["b"], "--t", 0.25, "--out", tmp_path / "x.npz")[0] == 0
    assert torch.equal(Face.load(tmp_path / "x.npz").latent.values, studio.morph(a, b, 0.25).latent.values)
    flags = ["--frames", 6, "--size", 64, "--easing", "smooth", "--there-and-back"]
    assert facelab("morph", files["a"], files["b"], *flags, "--out", tmp_path / "x.webp")[0] == 0
    film = Image.open(tmp_path / "x.webp")
    frames = []
    for index in range(6):
        film.seek(index)
        frames.append(np.asarray(film.convert("RGB")).astype(int))
    assert np.abs(frames[1] - frames[5]).mean() < 3 < np.abs(frames[0] - frames[3]).mean()


def test_a_strip_shows_the_morph_in_one_picture(facelab, files, tmp_path):
    target = tmp_path / "strip.png"
    command = ["morph", files["a"], files["b"], "--strip", "--frames", 12, "--size", 64]
    status, out, _ = facelab(*command, "--out", target, "--json")
    assert status == 0 and json.loads(out)["frames"] == 10
    assert Image.open(target).size == (10 * 64 + 9 * 4, 64)
    status, _, err = facelab(*command, "--out", tmp_path / "strip.gif")
    assert status == 1 and "--strip makes a .png" in err


def test_a_face_is_edited_again_and_again(facelab, files, tmp_path):
    first, second = tmp_path / "1.npz", tmp_path / "2.npz"
    assert facelab("edit", files["a"], "--set", "smile=1", "--out", first)[0] == 0
    assert facelab("crossover", first, files["b"], "--layers", "fine", "--strength", 0.5, "--out", second)[0] == 0
    face = Face.load(second)
    assert face.crop is not None
    assert torch.equal(face.latent.values[:8], Face.load(first).latent.values[:8])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["edit", "{a}", "--out", "{folder}/x.png"], "--set"),
        (["edit", "{a}", "--set", "smile", "--out", "{folder}/x.png"], "smile=2"),
        (["edit", "{a}", "--set", "age=1", "--set", "age=2", "--out", "{folder}/x.png"], "age is given twice"),
        (["mix", "A", "A={a}", "A={folder}", "--out", "{folder}/x.png"], "A is given twice"),
        (["edit", "{a}", "--set", "smile=much", "--out", "{folder}/x.png"], "not a number"),
        (["edit", "{a}", "--set", "smile=nan", "--out", "{folder}/x.png"], "not a number"),
        (["edit", "{a}", "--set", "smile=99", "--out", "{folder}/x.png"], "between"),
        (["edit", "{a}", "--set", "wings=1", "--out", "{folder}/x.png"], "smile"),
        (["edit", "{a}", "--set", "smile=1", "--keep", "wings", "--out", "{folder}/x.png"], "wings"),
        (["edit", "{a}", "--set", "smile=1", "--method", "magic", "--out", "{folder}/x.png"], "magic"),
        (["edit", "{a}", "--set", "smile=1", "--layers", "3-99", "--out", "{folder}/x.png"], "0 to 11"),
        (["edit", "{folder}/none.npz", "--set", "smile=1", "--out", "{folder}/x.png"], "none.npz"),
        (["edit", "{folder}/bad.npz", "--set", "smile=1", "--out", "{folder}/x.png"], "bad.npz: This is not"),
        (["edit", "{folder}/alien.npz", "--set", "smile=1", "--out", "{folder}/x.png"], "faces128"),
        (["edit", "{a}", "--set", "smile=1", "--out", "{folder}/x.jpeg"], ".npz, .png, .gif"),
        (["edit", "{a}", "--set", "smile=1", "--out", "{folder}/x.png", "--size", "9"], "--size"),
        (["morph", "{a}", "{b}", "--out", "{folder}/x.gif", "--frames", "1"], "--frames"),
        (["morph", "{a}", "{b}", "--out", "{folder}/x.gif", "--path", "spherical"], "Only z is a sphere"),
        (["morph", "{a}", "{b}", "--out", "{folder}/x.gif", "--space", "z"], "embedded in z"),
        (["morph", "{a}", "--out", "{folder}/x.gif"], "second"),
        (["crossover", "{a}", "{b}", "--layers", "x-y", "--out", "{folder}/x.png"], "6-11"),
        (["express", "{a}", "{b}", "--out", "{folder}/x.png"], "expressive"),
        (["average", "{a}", "{b}", "--weights", "1,2,3", "--out", "{folder}/x.png"], "a weight for each"),
        (["average", "{a}", "{b}", "--weights", "1,x", "--out", "{folder}/x.png"], "not a number"),
        (["mix", "A * B", "A={a}", "B={b}", "--out", "{folder}/x.png"], "multiplied"),
        (["mix", "A + C", "A={a}", "B={b}", "--out", "{folder}/x.png"], "No face is given for C"),
        (["mix", "A + B", "{a}", "--out", "{folder}/x.png"], "A=a.npz"),
        (["combine", "{a}", "{b}", "--out", "{a}/x.png"], "folder"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_a_failure(facelab, files, tmp_path, command, said):
    (tmp_path / "bad.npz").write_bytes(b"PK no face")
    alien = Face.load(files["b"])
    dataclasses.replace(alien, latent=dataclasses.replace(alien.latent, model="faces9")).save(tmp_path / "alien.npz")
    places = {**files, "folder": tmp_path}
    status, out, err = facelab(*(part.format(**places) for part in command))
    assert status not in (0, None)
    assert out == "" and err.count("\n") == 1
    assert said in err and "Traceback" not in err
    assert not [path for path in Path(tmp_path).iterdir() if path.name.startswith("x.")], "nothing half-made is left"
