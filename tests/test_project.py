"""A project comes back as it was saved, and nothing that is damaged or hostile gets in."""

import io
import json
import random
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.errors import BadProject
from facelab.face import Recipe
from facelab.history import History, Version
from facelab.project import Project, ProjectFace, open_project, save_project
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def project(studio):
    """Two faces: one edited twice with the other's help, the other as it is."""
    (first, picture), (second, second_picture) = studio.sample(2, seed=6)
    quad = np.array([[0, 0], [0, 300], [300, 300], [300, 0]], np.float32)
    first = replace(first, crop=np.full((512, 512, 3), 90, np.uint8), quad=quad, photo_size=(400, 300))
    history = History.begin(first, picture)
    steps = (
        {"op": "crossover", "with": "Second", "rows": [6, 12], "strength": 0.5},
        {"op": "crossover", "with": "Second", "rows": [4, 6], "strength": 1.0},
    )
    for count, title in ((1, "Crossover half"), (2, "Crossover")):
        face = studio.apply(first, Recipe("faces128", steps[:count]), {"Second": second})
        history.record(Version(title, steps[:count], face, studio.render(face), {"Second": second}))
    plain = ProjectFace.of("Second", History.begin(second, second_picture))
    return Project((ProjectFace.of("Anna Ü", history), plain))


def saved(project) -> bytes:
    buffer = io.BytesIO()
    save_project(project, buffer)
    return buffer.getvalue()


def test_a_project_comes_back_as_it_was(project, tmp_path):
    save_project(project, tmp_path / "work.facelab")
    again = open_project(tmp_path / "work.facelab")
    assert [face.name for face in again.faces] == ["Anna Ü", "Second"] and again.models == project.models
    for mine, theirs in zip(project.faces, again.faces, strict=True):
        assert mine.recipe == theirs.recipe and mine.titles == theirs.titles
        assert np.array_equal(mine.thumbnail, theirs.thumbnail)
        for one, other in ((mine.base, theirs.base), (mine.result, theirs.result)):
            assert torch.equal(one.latent.values, other.latent.values) and one.photo_size == other.photo_size
            assert (one.crop is None) == (other.crop is None)
    assert np.array_equal(again.faces[0].base.crop, project.faces[0].base.crop)


def test_a_history_comes_back_with_every_step(studio, project):
    again = open_project(io.BytesIO(saved(project)))
    history = again.faces[0].history(studio)
    assert [version.title for version in history.versions] == ["Original", "Crossover half", "Crossover"]
    assert np.abs(history.now.picture.astype(int) - project.faces[0].thumbnail).mean() < 1, "drawn in a batch, now"
    assert history.recipe == project.faces[0].recipe
    assert not np.array_equal(history.undo().picture, history.undo().picture)
    assert [version.title for version in again.faces[1].history(studio).versions] == ["Original"]


def test_a_face_that_is_named_twice_is_stored_once(project):
    names = zipfile.ZipFile(io.BytesIO(saved(project))).namelist()
    # the edited face before and after, and the second one, which the first one's steps name
    assert len([name for name in names if name.startswith("faces/")]) == 3


def altered(project, change, *, drop=(), add=()) -> io.BytesIO:
    """The project's file with its manifest changed and entries dropped or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(project))) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name == "project.json":
                manifest = json.loads(old.read(name))
                new.writestr(name, json.dumps(change(manifest) or manifest))
            elif name not in drop:
                new.writestr(name, old.read(name))
        for name, data in add:
            new.writestr(name, data)
    buffer.seek(0)
    return buffer


def test_a_newer_version_says_what_to_do(project):
    with pytest.raises(BadProject, match=r"newer FaceLab.*Update"):
        open_project(altered(project, lambda manifest: manifest.update(version=2)))


def test_bombs_are_refused_before_they_are_unpacked(project):
    with pytest.raises(BadProject, match="unpacks to"):
        open_project(altered(project, lambda manifest: None, add=[("zeros", bytes(2**30 + 1))]))
    large = altered(project, lambda m: m["faces"][0].update(base="big.npz"), add=[("big.npz", bytes(65 * 2**20))])
    with pytest.raises(BadProject, match="65 MB"):
        open_project(large)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="other"),
        lambda m: m.update(version="1"),
        lambda m: m.update(version=0),
        lambda m: m.pop("faces"),
        lambda m: m["faces"][0].pop("recipe"),
        lambda m: m["faces"][0].update(recipe={"version": 7, "model": "x", "steps": []}),
        lambda m: m["faces"][0].update(base="faces/9999.npz"),
        lambda m: m["faces"][0].update(base="thumbnails/0001.png"),
        lambda m: m["faces"][0].update(thumbnail="faces/0001.npz"),
        lambda m: m["faces"][0].update(others=[1]),
        lambda m: m.update(faces=[m["faces"][0]] * 501),
        lambda m: [m],
    ],
)
def test_a_wrong_manifest_is_refused(project, change):
    def changed(manifest):
        result = change(manifest)
        return result if isinstance(result, list) else None

    with pytest.raises(BadProject):
        open_project(altered(project, changed))


def test_damage_anywhere_is_refused_or_does_no_harm(project):
    data, random_places = saved(project), random.Random(0)
    for cut in (0, 1, 100, len(data) // 2, len(data) - 1):
        with pytest.raises(BadProject):
            open_project(io.BytesIO(data[:cut]))
    for _ in range(60):
        broken = bytearray(data)
        for place in random_places.sample(range(len(data)), 3):
            broken[place] ^= random_places.randrange(1, 256)
        try:
            open_project(io.BytesIO(bytes(broken)))
        except BadProject:
            continue
