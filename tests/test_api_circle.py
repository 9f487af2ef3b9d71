"""ISTRC's circle as a program calls it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from facelab.checkpoints import cards
from facelab.face import Face
from facelab.page.examples import load_examples
from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker
from tests.tiny_circle import put_circle

DECODER = {"model": "tinybegan"}


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[Client]:
    folder, patch = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_circle(folder)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    worker = Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=Sessions())
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield Client(url, verbose=False)
    page.close()
    worker.close()
    patch.undo()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("faces")
    for name, example in zip("abc", load_examples().values(), strict=False):
        example.face.save(folder / f"{name}.npz")
    return [folder / f"{name}.npz" for name in "abc"]


def ask(client: Client, files: list[Path], **options):
    given = [handle_file(path) for path in files]
    return client.predict(given, {**DECODER, **options}, api_name="/circle")


def test_a_face_is_edited_on_the_sphere(client: Client, files: list[Path]):
    npz, picture, report = ask(client, files[:1], op="edit", feature="beard", strength=-0.5, steps=20, size=64)
    assert Image.open(picture).size == (64, 64)
    face = Face.load(npz)
    assert face.latent.model == "tinybegan" and face.operations[-1] == "circle beard -0.5"
    assert report["steps"] == [{"op": "circle", "id": "beard", "strength": -0.5}]
    options = {"feature": "beard", "strength": -0.5, "sure": 0.9999, "steps": 5, "size": 64}
    _, _, report = ask(client, files[:1], op="edit", **options)
    assert report["steps"] == [{"op": "circle", "id": "beard", "strength": -0.05, "sure": 0.9999, "arrived": False}]
    npz, _, report = ask(client, files[:1], op="decode", size=64)
    assert np.linalg.norm(report["vector"]) == pytest.approx(1, abs=1e-3) and 0 < report["answers"]["beard"] < 1
    assert not (Face.load(npz).latent.values == face.latent.values).all()


def test_faces_meet(client: Client, files: list[Path]):
    for count, options in ((2, {"op": "slerp", "t": 0.25}), (3, {"op": "average"}), (3, {"op": "mix"})):
        npz, _, report = ask(client, files[:count], size=64, **options)
        assert Face.load(npz).latent.model == "tinybegan" and report["steps"][0]["op"] == options["op"]


def test_two_faces_are_verified(client: Client, files: list[Path]):
    found = client.predict(handle_file(files[0]), handle_file(files[2]), api_name="/verify")
    direct = Studio(device="cpu").verify(Face.load(files[0]), Face.load(files[2]))
    assert found["distance"] == pytest.approx(direct.distance, abs=1e-3)
    assert found["angle"] == pytest.approx(direct.angle, abs=1e-3)
    assert found["same_by_distance"] == direct.same_by_distance and found["same_by_angle"] == direct.same_by_angle


@pytest.mark.parametrize(
    ("count", "options", "words"),
    [
        (1, {"op": "fly"}, "op must be one of"),
        (1, {"op": "slerp"}, "slerp takes 2"),
        (1, {"op": "edit", "feature": "wings"}, "no feature"),
        (1, {"op": "edit", "steps": 5000}, "steps must lie"),
        (1, {"op": "decode", "model": "tinyvae"}, "No circle leads"),
    ],
)
def test_what_cannot_be_is_said(client: Client, files: list[Path], count: int, options: dict, words: str):
    with pytest.raises(AppError, match=words):
        ask(client, files[:count], **options)
