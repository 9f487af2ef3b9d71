"""/paste as a program calls it."""

from dataclasses import replace

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from facelab.alignment import align
from facelab.face import Latent
from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker


@pytest.fixture(scope="module")
def client():
    worker = Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=Sessions())
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield Client(url, verbose=False)
    page.close()
    worker.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """photo.png with a generated face in it, face.npz as embedded, edited.npz."""
    folder, studio = tmp_path_factory.mktemp("paste"), Studio(device="cpu")
    (face, picture), (other, _) = studio.sample(2, seed=3)
    photo = np.full((400, 500, 3), 120, np.uint8)
    photo[60:360, 100:400] = np.asarray(Image.fromarray(picture).resize((300, 300), Image.Resampling.BICUBIC))
    aligned = align(photo, np.array([[100, 60], [100, 360], [400, 360], [400, 60]], np.float32), resolution=128)
    face = replace(face, crop=aligned.crop, quad=aligned.quad, photo_size=aligned.photo_size)
    Image.fromarray(photo).save(folder / "photo.png")
    face.save(folder / "face.npz")
    latent = Latent(face.latent.values.lerp(other.latent.values, 0.4), "w+", "faces128")
    replace(face, latent=latent).save(folder / "edited.npz")
    (folder / "bad.npz").write_bytes(b"no face")
    return {path.stem: handle_file(str(path)) for path in folder.iterdir()}


def test_paste_returns_the_photo_with_its_edit(client, files):
    path, report = client.predict(files["photo"], [files["face"]], [files["edited"]], None, api_name="/paste")
    assert report == {"model": "faces128", "operations": ["embed", "paste"], "photo_size": [500, 400]}
    before, after = np.asarray(Image.open(files["photo"]["path"])), np.asarray(Image.open(path))
    assert np.array_equal(after[:, :100], before[:, :100]) and (after != before).any(axis=2).mean() > 0.05


def test_a_face_that_stays_as_it_is_can_be_named_twice(client, files):
    twice = client.submit(
        files["photo"], [files["face"]] * 2, [files["face"], files["edited"]], None, api_name="/paste"
    )
    assert Image.open(twice.result()[0]).size == (500, 400)


def test_two_edits_of_one_face_are_refused(client, files):
    given = (files["photo"], [files["face"]] * 2, [files["edited"]] * 2, None)
    with pytest.raises(Exception, match="one face of the photo"):
        client.predict(*given, api_name="/paste")


def test_the_report_of_an_edit_is_a_recipe_of_it(client, files):
    edited, _, report = client.predict(files["face"], {"smile": 2, "hair_dark": -1}, None, None, api_name="/edit")
    by_face, _ = client.predict(files["photo"], [files["face"]], [handle_file(edited)], None, api_name="/paste")
    by_recipe, _ = client.predict(files["photo"], [files["face"]], None, report, api_name="/paste")
    one, other = (np.asarray(Image.open(path)).astype(int) for path in (by_face, by_recipe))
    before = np.asarray(Image.open(files["photo"]["path"])).astype(int)
    assert np.abs(one - other).max() <= 1 and np.abs(one - before).max() > 20


def test_a_recipe_without_steps_gives_the_photo_back(client, files):
    recipe = {"version": 1, "model": "faces128", "steps": []}
    path, _ = client.predict(files["photo"], [files["face"]], None, recipe, api_name="/paste")
    assert np.array_equal(np.asarray(Image.open(files["photo"]["path"])), np.asarray(Image.open(path)))


def test_a_pasted_photo_is_marked_for_the_eye_on_demand(client, files):
    recipe = {"version": 1, "model": "faces128", "steps": []}
    given = (files["photo"], [files["face"]], None, recipe, None, {"mark": True})
    path, _ = client.predict(*given, api_name="/paste")
    changed = (np.asarray(Image.open(files["photo"]["path"])) != np.asarray(Image.open(path))).any(axis=2)
    assert changed[-50:, -250:].any() and not changed[:-50].any()


def test_paste_says_what_is_missing(client, files):
    for given, word in (
        ((files["photo"], [files["face"]], None, None), "recipe"),
        ((files["photo"], [files["face"]], [files["edited"]] * 2, None), "1 faces"),
        ((files["photo"], [files["bad"]], [files["edited"]], None), "face file"),
    ):
        with pytest.raises(AppError, match=word):
            client.predict(*given, api_name="/paste")
