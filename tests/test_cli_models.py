"""The command line with models of one latent: encoded, recovered, drawn, combined, and refused where it must be."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.checkpoints import cards
from facelab.face import Face
from facelab.page.examples import load_examples
from tests.tiny_models import put_models


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory):
    """The shipped model and tiny ones of each family."""
    folder, patch, threads = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch(), torch.get_num_threads()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_models(folder)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    """A face that does not exist, as a photo."""
    path = tmp_path_factory.mktemp("photo") / "mara.png"
    Image.fromarray(next(iter(load_examples().values())).as_photo()).save(path)
    return path


def test_a_photo_is_encoded_and_recovered(facelab, portrait, tmp_path):
    seen, found = tmp_path / "seen.npz", tmp_path / "found.npz"
    status, out, said = facelab("embed", portrait, "--model", "tinyvae", "--out", seen, "--json")
    assert status == 0, said
    assert json.loads(out)["steps"] == 1
    face = Face.load(seen)
    assert (face.latent.model, face.latent.space) == ("tinyvae", "z") and face.crop is not None
    options = ["--preset", "recover", "--steps", 60, "--restarts", 3, "--limit", 2.5]
    status, out, said = facelab("embed", portrait, "--model", "tinyvae", "--out", found, "--json", *options)
    assert status == 0, said
    figures = json.loads(out)
    assert figures["steps"] == 60 and len(figures["restarts"]) == 3 and figures["loss"] == min(figures["restarts"])
    assert Image.open(found.with_suffix(".png")).size == (16, 16)
    edited = tmp_path / "edited.png"
    status, _, said = facelab("morph", seen, found, "--out", edited, "--t", 0.5)
    assert status == 0, said
    assert Image.open(edited).size == (512, 512)


def test_faces_are_drawn_as_files_and_combined(facelab, tmp_path):
    status, out, said = facelab("sample", "--model", "tinyprogan", "--count", 2, "--out", tmp_path / "f.npz", "--json")
    assert status == 0, said
    paths = json.loads(out)["files"]
    one, two = (Face.load(path).latent.values for path in paths)
    assert facelab("combine", *paths, "--out", tmp_path / "both.npz")[0] == 0
    both = Face.load(tmp_path / "both.npz")
    torch.testing.assert_close(both.latent.values / both.latent.values.norm(), (one + two) / (one + two).norm())
    sheet = tmp_path / "several.png"
    status, out, said = facelab("combine", *paths, "--recoveries", 3, "--steps", 20, "--out", sheet, "--json")
    assert status == 0, said
    figures = json.loads(out)
    assert len(figures["psnr"]) == 2 and figures["recoveries"] == 3 and Image.open(sheet).size[0] > 3 * 16
    status, out, said = facelab(
        "combine", *paths, "--recoveries", 2, "--steps", 5, "--out", tmp_path / "c.npz", "--json"
    )
    assert status == 0, said
    first, second = (Face.load(path).latent.values for path in json.loads(out)["files"])
    assert not np.allclose(first, second)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "tinydcgan", "--preset", "encode"], "tinydcgan embeds by recover"),
        (["--model", "tinyvae", "--space", "w+"], "--space means nothing to tinyvae"),
        (["--model", "tinyvae", "--no-refine"], "--refine means nothing"),
        (["--model", "faces128", "--restarts", "4"], "--restarts means nothing to faces128"),
        (["--model", "faces128", "--preset", "recover"], "faces128 embeds by fast or paper"),
        (["--model", "tinyvae", "--preset", "recover", "--restarts", "900"], "restarts must be between 1 and 64"),
        (["--model", "vae63"], "Known models: .*tinyvae"),
    ],
)
def test_what_a_model_cannot_do_is_said_in_a_line(facelab, portrait, tmp_path, options, words):

    status, out, said = facelab("embed", portrait, "--out", tmp_path / "x.npz", *options)
    assert status == 1 and out == "" and re.search(words, said) and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_layers_are_refused_where_there_are_none(facelab, tmp_path):
    assert facelab("sample", "--model", "tinyvae", "--count", 2, "--out", tmp_path / "f.npz")[0] == 0
    status, _, said = facelab("crossover", tmp_path / "f-1.npz", tmp_path / "f-2.npz", "--out", tmp_path / "x.png")
    assert status == 1 and "one latent for the whole picture" in said
    status, _, said = facelab(
        "combine", tmp_path / "f-1.npz", tmp_path / "f-2.npz", "--recoveries", 99, "--out", tmp_path / "x.png"
    )
    assert status == 2 and "64" in said
