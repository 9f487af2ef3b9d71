"""The page's API, called as a program calls it, and what the server keeps to itself."""

from __future__ import annotations

import gc
import json
import re
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from facelab.face import Face
from facelab.page.attributes import title_of, title_of_settings
from facelab.page.examples import SEEDS, load_examples
from facelab.page.page import build_page, launch_options
from facelab.page.uploads import UploadFile, take_upload
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker

ROOT = Path(__file__).parents[1]
SHORT = {"preset": "fast", "steps": 4, "refine_steps": 3, "pivot": 1}


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions()


@pytest.fixture(scope="module")
def url(sessions: Sessions) -> Iterator[str]:
    worker = Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=sessions)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield url
    page.close()
    worker.close()


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """A generated portrait as a photo, so that these tests need no picture of anyone."""
    example = next(iter(load_examples().values()))
    Image.fromarray(example.as_photo()).save(tmp_path / "portrait.jpg", quality=95)
    return tmp_path / "portrait.jpg"


def test_align_gives_the_crop_and_what_was_found(client: Client, portrait: Path):
    picture, report = client.predict(handle_file(portrait), 1, "dlib", api_name="/align")
    assert Image.open(picture).size == (512, 512)
    assert np.array(report["quad"]).shape == (4, 2) and report["photo_size"] == [512, 512]
    assert len(report["faces"]) >= 1 and len(report["faces"][0]["box"]) == 4


def test_embed_gives_a_face_a_picture_and_its_numbers(client: Client, portrait: Path, sessions: Sessions):
    npz, picture, report = client.predict(handle_file(portrait), 1, SHORT, api_name="/embed")
    face = Face.load(npz)
    assert face.latent.model == "faces128" and face.delta is not None
    assert Image.open(picture).size == (128, 128)
    assert report["steps"] == 7 and report["psnr"] > 0 and report["identity_distance"] > 0
    assert len(sessions) == 0, "the API is stateless"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "slow"}, "fast, paper"),
        ({"wings": 2, "steps": 5}, "not known: wings"),
        ({"steps": "many"}, "steps must be a number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"refine_rank": 2.5}, "refine_rank must be a whole number"),
        ({"refine": "no"}, "refine must be like True"),
        ({"preset": ["fast"]}, "preset must be like"),
        ({"betas": [0.9]}, "betas must be 2 numbers"),
        ({"betas": 0.9}, "JSON list"),
        ({"space": 1}, "space must be like"),
        ({"steps": 100_000}, "at most 1000"),
        ({"space": "v"}, "space must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_reason(
    client: Client, portrait: Path, settings: dict, message: str
):
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(portrait), 1, settings, api_name="/embed")


def test_a_file_that_is_no_photo_is_refused_with_a_reason(client: Client, tmp_path: Path):
    (tmp_path / "notes.jpg").write_text("no picture " * 50)
    with pytest.raises(AppError, match="Choose a photo"):
        client.predict(handle_file(tmp_path / "notes.jpg"), 1, "dlib", api_name="/align")


def test_the_same_file_sent_twice_has_two_places(client: Client, portrait: Path):
    send = {"files": (portrait.name, portrait.read_bytes())}
    places = {httpx.post(f"{client.src}gradio_api/upload", files=send).json()[0] for _ in range(2)}
    assert len(places) == 2, "or who is answered first would take the file from the other"
    assert all(Path(place).name == portrait.name for place in places)
    for place in places:
        assert take_upload(place) == portrait.read_bytes() and not Path(place).parent.exists()


def test_an_upload_that_is_broken_off_leaves_no_file():
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"half a photo")
    upload = UploadFile(file)
    assert Path(file.name).exists()
    del upload
    gc.collect()
    assert not Path(file.name).exists()


def test_a_face_that_is_not_there_is_refused(client: Client, portrait: Path):
    with pytest.raises(AppError, match="face 7 is not one of"):
        client.predict(handle_file(portrait), 7, "dlib", api_name="/align")


def test_only_the_stateless_endpoints_are_public(client: Client):
    edits = {"/edit", "/direction", "/morph", "/crossover", "/stylise", "/express", "/average", "/combine", "/mix"}
    sheets = {"/walk", "/crossover_grid", "/neighbours", "/sample"}
    circle = {"/circle", "/verify"}
    photo = {"/align", "/embed", "/paste", "/video", "/compare"}
    public = set(client.view_api(return_format="dict")["named_endpoints"])
    assert public == {*photo, *edits, *sheets, *circle}
    table = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(/\w+)` \|", table, re.MULTILINE)) == public


@pytest.mark.parametrize("path", ["/etc/passwd", "app.py", "checkpoints/faces128.json", "pyproject.toml"])
def test_no_file_of_the_server_is_served(url: str, path: str):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{url}gradio_api/file={path}", timeout=10)
    assert refusal.value.code in (403, 404)


def test_the_browser_keeps_no_history_and_nobody_counts(url: str):
    with urllib.request.urlopen(f"{url}config", timeout=10) as reply:
        config = json.load(reply)
    assert config["run_history"] is False and config["analytics_enabled"] is False


def test_a_version_is_named_by_what_is_new_in_it():
    known = Studio(device="cpu").directions()
    smile = {"op": "attribute", "id": "smile", "strength": 2.0, "method": "linear"}
    assert title_of({"smile": 2.0}, {}, known) == "Smile +2.00"
    for new, title in (
        (smile | {"method": "gradient"}, "Gradient"),
        (smile | {"keep": ["gender", "age"]}, "Keep gender, age"),
        (smile | {"keep": []}, "Keep nothing"),
        (smile | {"rows": [0, 8]}, "Layers 0-7"),
    ):
        assert title_of_settings([new], [smile], known) == title
    assert title_of_settings([smile], [smile | {"keep": []}], known) == "Keep what is recommended"
    assert title_of_settings([smile], [smile | {"rows": [0, 8]}], known) == "Each one's own layers"
    assert title_of_settings([smile | {"everywhere": True}], [smile], known) == "The whole picture"
    assert title_of_settings([smile], [smile | {"everywhere": True}], known) == "Each in its own place"
    assert title_of_settings([smile | {"strength": 1.0}], [smile], known) == "", "then it is the strength that is new"


def test_the_examples_are_faces_of_this_model():
    examples = load_examples()
    assert len(examples) == len(SEEDS) == 6
    for example in examples.values():
        assert example.face.latent.model == "faces128" and example.picture.shape == (128, 128, 3)


def test_the_examples_can_be_made_again(tmp_path: Path):
    from facelab.page.examples import make_examples

    make_examples(tmp_path)
    made, kept = load_examples(tmp_path), load_examples()
    assert made.keys() == kept.keys()
    for name, example in made.items():
        difference = np.abs(example.picture.astype(int) - kept[name].picture.astype(int)).mean()
        assert difference < 2, f"example {name} was not made with these weights: python -m facelab.page.examples"
