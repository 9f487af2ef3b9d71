"""`python -m facelab circle`: vectors decoded, edited, averaged, mixed and verified, from files of any model."""

import json
import shutil

import pytest
import torch
from PIL import Image

from facelab.checkpoints import cards
from facelab.face import Face
from facelab.page.examples import load_examples
from facelab.studio import Studio
from tests.tiny_circle import put_circle


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory):
    folder, patch, threads = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch(), torch.get_num_threads()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_circle(folder)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture
def files(tmp_path):
    """Three of the examples as files."""
    paths = []
    for example in list(load_examples().values())[:3]:
        example.face.save(tmp_path / f"{example.name}.npz")
        paths.append(tmp_path / f"{example.name}.npz")
    return paths


@pytest.fixture
def circle(facelab):
    """Run a command of the circle that leads to the tiny model; its answer."""

    def run(command, *arguments):
        status, out, said = facelab("circle", command, *arguments, "--model", "tinybegan", "--json")
        assert status == 0, said
        return json.loads(out)

    return run


def test_a_face_is_decoded_and_edited_in_frames(circle, files, tmp_path):
    seen = circle("decode", files[0], "--out", tmp_path / "seen.npz")
    assert seen["operations"] == ["sample", "circle"]
    assert 0 < seen["answers"]["gender"] < 1 and len(seen["vector"]) == 128
    assert Face.load(tmp_path / "seen.npz").latent.model == "tinybegan"
    figures = circle("edit", files[0], "--set", "smile=1", "--steps", 20, "--out", tmp_path / "smile.npz")
    assert figures["operations"][-1] == "circle smile 1"
    options = ["--set", "age=-0.5", "--steps", 20, "--frames", 4]
    film = circle("edit", files[0], *options, "--keep", "none", "--out", tmp_path / "way.gif")
    assert Image.open(tmp_path / "way.gif").n_frames == film["frames"] == 5
    circle("edit", files[0], *options, "--strip", "--size", 32, "--out", tmp_path / "way.png")
    assert Image.open(tmp_path / "way.png").size[0] >= 5 * 32
    far, gender = tmp_path / "far.gif", seen["answers"]["gender"]
    walked = circle("edit", files[0], "--set", "smile=1", "--sure", 0.9999, "--steps", 6, "--out", far)
    assert walked["walked"] == 6 and walked["strength"] == 0.06 and walked["arrived"] is False
    assert Image.open(far).n_frames == walked["frames"] == 7
    done = circle("edit", files[0], "--set", f"gender={gender - 0.5}", "--sure", 0.5, "--out", far)
    assert done["walked"] == 0 and done["arrived"] is True, "said already"
    own = tmp_path / "seen.npz"
    figures = circle("edit", own, "--set", "smile=1", "--steps", 9, "--carry", "--out", tmp_path / "carried.png")
    assert Image.open(tmp_path / "carried.png").size == (512, 512)


def test_faces_meet_on_the_sphere(circle, files, tmp_path):
    figures = circle("average", *files, "--out", tmp_path / "mean.png")
    assert figures["count"] == 3 and 0.8 < figures["plain_norm"] < 1
    circle("slerp", *files[:2], "--t", 0.3, "--out", tmp_path / "between.npz")
    assert Face.load(tmp_path / "between.npz").operations[-1] == "slerp 0.3"
    circle("slerp", *files[:2], "--frames", 6, "--out", tmp_path / "way.gif")
    assert Image.open(tmp_path / "way.gif").n_frames == 6
    named = [f"{letter}={path}" for letter, path in zip("ABC", files, strict=True)]
    circle("mix", "A + B - C", *named, "--out", tmp_path / "sum.npz")
    circle("neighbours", files[0], "--count", 12, "--angle", 0.2, "--out", tmp_path / "near.png")
    assert "tinybegan" in str(Image.open(tmp_path / "near.png").info), "the model that drew them"
    assert Image.open(tmp_path / "near.png").size[0] > Image.open(tmp_path / "near.png").size[1]


def test_the_edits_take_the_circle(facelab, files, tmp_path):
    """--method circle and --space circle of the edits, by the circle of the faces' own model."""

    def run(*arguments):
        status, out, said = facelab(*arguments, "--json")
        assert status == 0, said
        return json.loads(out)

    studio, faces = Studio("faces128", device="cpu"), [Face.load(path) for path in files]
    done = run("edit", files[0], "--set", "smile=0.5", "--method", "circle", "--out", tmp_path / "edit.npz")
    assert done["operations"][-1] == "circle smile 0.5" and done["recipe"]["steps"][0]["method"] == "circle"
    run("morph", *files[:2], "--space", "circle", "--t", 0.25, "--out", tmp_path / "morph.npz")
    run("average", *files, "--space", "circle", "--out", tmp_path / "average.npz")
    letters = [f"{letter}={path}" for letter, path in zip("AB", files, strict=False)]
    run("mix", "2*A - B", *letters, "--space", "circle", "--out", tmp_path / "mix.npz")
    wanted = {
        "edit": studio.edit(faces[0], {"smile": 0.5}, method="circle"),
        "morph": studio.circle_between(*faces[:2], [0.25])[0],
        "average": studio.circle_average(faces).face,
        "mix": studio.circle_mix("2*A - B", dict(zip("AB", faces, strict=False))),
    }
    for name, face in wanted.items():
        made = Face.load(tmp_path / f"{name}.npz")
        assert torch.allclose(made.latent.values, face.latent.values, atol=1e-4), name


def test_two_faces_are_verified(facelab, files):
    status, out, _ = facelab("circle", "verify", files[0], files[0], "--json")
    same = json.loads(out)
    assert status == 0 and same["distance"] == 0 and same["same_by_distance"] and same["same_by_angle"]
    status, out, _ = facelab("circle", "verify", files[0], files[2])
    assert status == 0 and "great circle" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["edit", "FACE", "--set", "wings=1", "--out", "x.png"], "no feature 'wings'"),
        (["edit", "FACE", "--set", "smile=much", "--out", "x.png"], "not a number"),
        (["edit", "FACE", "--set", "smile=1", "--strip", "--out", "x.gif"], "--strip makes a .png"),
        (["edit", "FACE", "--set", "smile=1", "--carry", "--out", "x.png"], "carried only to faces of"),
        (["average", "FACE", "--out", "x.gif"], "must end in .npz or .png"),
        (["mix", "A", "FACE", "--out", "x.png"], "not of the kind A=a.npz"),
        (["mix", "A", "A=a.npz", "A=b.npz", "--out", "x.png"], "A is given twice"),
        (["neighbours", "FACE", "--out", "x.npz"], "must end in .png"),
    ],
)
def test_bad_input_is_one_line(facelab, files, tmp_path, arguments, words):
    given = [str(files[0]) if each == "FACE" else each.replace("x.", f"{tmp_path}/x.") for each in arguments]
    status, out, said = facelab("circle", *given, "--model", "tinybegan")
    assert status == 1 and not out and words in said and said.count("\n") == 1


def test_a_model_without_a_circle_is_refused(facelab, files, tmp_path):
    status, _, said = facelab("circle", "decode", files[0], "--out", tmp_path / "x.png", "--model", "tinyvae")
    assert status == 1 and "tinybegan" in said
