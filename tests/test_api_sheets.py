"""What gives many faces at once, as a program calls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from facelab.face import Face, Recipe
from facelab.media import contact_sheet
from facelab.page.examples import load_examples
from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio("faces128", device="cpu")


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[Client]:
    worker, sessions = Worker(), Sessions()
    page = build_page(studio, worker=worker, sessions=sessions)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield Client(url, verbose=False)
    assert len(sessions) == 0, "the API is stateless"
    page.close()
    worker.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("faces")
    for name, example in zip("abc", list(load_examples().values()), strict=False):
        example.face.save(folder / f"{name}.npz")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def faces(files: list[Path]) -> list[Face]:
    return [Face.load(path) for path in files]


def same(path: str, wanted: Face) -> bool:
    return torch.allclose(Face.load(path).latent.values, wanted.latent.values, atol=1e-6)


def alike(path: str, wanted: np.ndarray) -> bool:
    """Whether a picture is the wanted one but for what bfloat16 rounds differently in another batch."""
    shown = np.asarray(Image.open(path).convert("RGB"))
    return shown.shape == wanted.shape and np.abs(shown.astype(int) - wanted).mean() < 0.75


def test_a_walk_gives_its_strip_its_end_and_a_recipe(client, studio, files, faces):
    options = {"reach": -1, "frames": 4, "steps": 30, "keep": ["gender"], "layers": "0-7", "size": 64}
    npz, strip, report = client.predict(handle_file(files[0]), "age", options, api_name="/walk")
    way = studio.walk(faces[0], "age", -1, frames=4, steps=30, keep=["gender"], rows=slice(0, 8))
    assert same(npz, way[-1]) and alike(strip, contact_sheet(studio.render_many(way, 64), columns=5))
    assert "walk age -1" in Image.open(strip).text["Comment"]
    assert same(npz, studio.apply(faces[0], Recipe(report["model"], tuple(report["steps"]))))


def test_a_walk_is_a_film_on_demand(client, studio, files, faces):
    options = {"frames": 3, "steps": 20, "kind": "gif", "size": 64, "mark": True, "everywhere": True}
    npz, film, report = client.predict(handle_file(files[1]), "smile", options, api_name="/walk")
    assert same(npz, studio.walk(faces[1], "smile", 2, steps=20, frames=3, everywhere=True)[-1])
    assert same(npz, studio.apply(faces[1], Recipe(report["model"], tuple(report["steps"]))))
    assert Image.open(film).n_frames == 4 and b"Made with AI" in Path(film).read_bytes()


def test_a_grid_shows_every_content_in_every_style(client, studio, files, faces):
    first, second, third = map(handle_file, files)
    options = {"layers": "fine", "strength": 0.5, "size": 64}
    path, report = client.predict([first, second], [third, first], options, api_name="/crossover_grid")
    rows = studio.crossover_grid(faces[:2], [faces[2], faces[0]], rows=slice(8, 12), strength=0.5, size=64)
    a, b, c = studio.render_many(faces, 64)
    assert alike(path, contact_sheet([np.full_like(a, 255), c, a, a, *rows[0], b, *rows[1]], columns=3))
    assert report["operations"] == ["sample", "crossover 0.5"]


def test_neighbours_are_a_sheet_and_one_of_them_a_face(client, studio, files, faces):
    options = {"count": 12, "radius": 0.5, "seed": 3, "number": 11, "size": 32}
    npz, sheet, report = client.predict(handle_file(files[0]), options, api_name="/neighbours")
    near = studio.neighbours(faces[0], 12, radius=0.5, seed=3)
    assert same(npz, near[10]) and alike(sheet, contact_sheet(studio.render_many(near, 32), columns=9))
    assert same(npz, studio.apply(faces[0], Recipe(report["model"], tuple(report["steps"]))))


def test_random_faces_are_those_of_their_seed(client, studio):
    options = {"count": 5, "seed": 7, "truncation": 0.5}
    files, sheet, report = client.predict(options, api_name="/sample")
    drawn = studio.sample(5, seed=7, truncation=0.5)
    assert len(files) == 5 and all(same(path, face) for path, (face, _) in zip(files, drawn, strict=True))
    assert alike(sheet, contact_sheet([picture for _, picture in drawn]))
    assert report == {"model": "faces128", "operations": ["sample"]}
    files, _, report = client.predict({"count": 2, "model": "vae64"}, api_name="/sample")
    assert report["model"] == "vae64" and Face.load(files[1]).latent.space == "z"


@pytest.mark.parametrize(
    ("endpoint", "arguments", "said"),
    [
        ("/walk", ["a", "wings"], "no attribute 'wings'"),
        ("/walk", ["a", "smile", {"reach": 9}], "between -5 and 5"),
        ("/walk", ["a", "smile", {"frames": 0}], "at least one frame"),
        ("/walk", ["a", "smile", {"steps": 10**6}], "between 1 and 1000"),
        ("/walk", ["a", "smile", {"kind": "avi"}], "gif, mp4"),
        ("/walk", ["a", "smile", {"frames": 400, "size": 1024}], "too large"),
        ("/walk", [None, "smile"], "FACE.npz is missing"),
        ("/crossover_grid", [["a"], []], "between 1 and 100 faces"),
        ("/crossover_grid", [["a"] * 11, ["a"] * 10], "between 1 and 100 faces"),
        ("/neighbours", ["a", {"count": 1000}], "between 1 and 100 faces"),
        ("/neighbours", ["a", {"number": 64}], "between 1 and 63"),
        ("/neighbours", ["a", {"radius": -1}], "radius must lie"),
        ("/sample", [{"count": 0}], "between 1 and 100 faces"),
        ("/sample", [{"truncation": 3}], "truncation must lie"),
        ("/sample", [{"model": "faces9"}], "faces9"),
        ("/sample", [{"seed": -1}], "A seed lies between 0 and 4294967295"),
        ("/sample", [{"model": "vae64", "seed": 2**70}], "seed must lie between"),
        ("/sample", [{"size": 64}], "Known: count, seed"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(client, files, endpoint, arguments, said):
    def upload(argument):
        if isinstance(argument, list):
            return [handle_file(files[0]) for _ in argument]
        return handle_file(files[0]) if argument == "a" else argument

    with pytest.raises(AppError, match=said):
        client.predict(*map(upload, arguments), api_name=endpoint)


def test_every_endpoint_tells_what_it_takes(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    for name, gives in (("/walk", 3), ("/crossover_grid", 2), ("/neighbours", 3), ("/sample", 3)):
        assert len(described[name]["returns"]) == gives and "FACE.npz" in described[name]["description"]
