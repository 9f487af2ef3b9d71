"""A project comes back as it was saved, and nothing that is damaged or hostile gets in."""

import io
import json
import random
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.errors import BadProject, BadSetting
from facelab.face import Recipe
from facelab.history import History, Version
from facelab.project import Preset, Project, ProjectFace, SavedVersion
from facelab.project_file import open_project, save_project
from facelab.recipes import attribute_steps
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def project(studio):
    """Two faces: one edited three times with the other's help and one step taken back, the other as it is."""
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
    own = studio.new_direction("Freckles", [first], [second])
    last = (*steps, *attribute_steps({"smile": 1.0, own.id: 0.5}, {own.id: own}, method="linear"))
    face = studio.apply(first, Recipe("faces128", last), {"Second": second, own.id: own})
    history.record(Version("Cheerful", last, face, studio.render(face), {"Second": second, own.id: own}))
    history.go(history.at - 1)
    plain = ProjectFace.of("Second", History.begin(second, second_picture))
    unused = studio.new_direction("Hat", [second], [first])
    presets = (Preset("Mine", {"smile": 1.5, own.id: -0.5}),)
    return Project((ProjectFace.of("Anna Ü", history), plain), (unused,), presets)


def saved(project) -> bytes:
    buffer = io.BytesIO()
    save_project(project, buffer)
    return buffer.getvalue()


def whole(histories) -> History:
    *_, history = histories
    return history


def test_a_project_comes_back_as_it_was(project, tmp_path):
    save_project(project, tmp_path / "work.facelab")
    again = open_project(tmp_path / "work.facelab")
    assert [face.name for face in again.faces] == ["Anna Ü", "Second"] and again.models == project.models
    for mine, theirs in zip(project.faces, again.faces, strict=True):
        assert mine.recipe == theirs.recipe and mine.versions == theirs.versions and mine.at == theirs.at
        assert np.array_equal(mine.thumbnail, theirs.thumbnail)
        for one, other in ((mine.base, theirs.base), (mine.result, theirs.result)):
            assert torch.equal(one.latent.values, other.latent.values) and one.photo_size == other.photo_size
            assert (one.crop is None) == (other.crop is None)
    assert np.array_equal(again.faces[0].base.crop, project.faces[0].base.crop)


def test_a_history_comes_back_with_every_step(studio, project):
    again = open_project(io.BytesIO(saved(project)))
    history = whole(again.faces[0].history(studio))
    assert [version.title for version in history.versions] == ["Original", "Crossover half", "Crossover", "Cheerful"]
    assert history.at == 2, "what was taken back can be done again"
    assert np.abs(history.now.picture.astype(int) - project.faces[0].thumbnail).mean() < 1
    assert history.recipe == project.faces[0].recipe
    assert history.go(history.at + 1).face.operations[-2:] == ["attribute smile 1", "attribute own 0.5"]
    assert not np.array_equal(history.go(history.at - 1).picture, history.go(history.at - 1).picture)
    assert [version.title for version in whole(again.faces[1].history(studio)).versions] == ["Original"]


def test_a_history_is_made_again_step_by_step_and_each_step_once(studio, project, monkeypatch):
    crossed = []
    monkeypatch.setattr(studio, "crossover", lambda face, *more, **how: crossed.append(how) or face)
    grown = [len(history.versions) for history in replace(project.faces[0], at=3).history(studio)]
    assert grown == [1, 2, 2, 2, 3, 4, 4], "a turn for each step and one for each picture"
    assert len(crossed) == 2, "what the second version has in common with the first is not done again"


def test_walks_of_all_histories_count_together_when_saved_and_when_opened(project, monkeypatch):
    steps = tuple({"op": "walk", "id": "smile", "strength": 1, "steps": 5000} for _ in range(3))
    versions = tuple(SavedVersion("Walk", steps[:count]) for count in (1, 2, 3))
    long = Project((replace(project.faces[1], versions=versions), project.faces[1]))
    monkeypatch.setattr("facelab.project_file.MAX_PROJECT_WALKED", 15_000)
    file = saved(long)
    assert len(open_project(io.BytesIO(file)).faces) == 2
    monkeypatch.setattr("facelab.project_file.MAX_PROJECT_WALKED", 14_999)
    with pytest.raises(BadSetting, match=r"15,000 small steps.*two projects"):
        saved(long)
    with pytest.raises(BadProject, match="small steps"):
        open_project(io.BytesIO(file))


def test_a_history_of_more_steps_than_are_read_is_refused_when_saved(project):
    many = SavedVersion("Many", ({"op": "combine", "with": "x"},) * 1001)
    with pytest.raises(BadSetting, match="Second was edited in more steps"):
        saved(Project((replace(project.faces[1], versions=(many,)),)))


def test_a_face_that_is_named_twice_is_stored_once(project):
    names = zipfile.ZipFile(io.BytesIO(saved(project))).namelist()
    # the edited face before and after, and the second one, which the first one's steps name
    assert len([name for name in names if name.startswith("faces/")]) == 3


def test_directions_and_presets_come_back(project):
    again = open_project(io.BytesIO(saved(project)))
    assert [each.title for each in again.directions] == ["Hat", "Freckles"], "also one that only a step names"
    assert again.presets == project.presets
    assert {each.hash for each in again.directions} == {
        project.directions[0].hash,
        next(step["hash"] for step in project.faces[0].versions[-1].steps if "hash" in step),
    }


def test_a_version_whose_direction_is_gone_is_left_out(studio, project):
    again = open_project(altered(project, lambda manifest: manifest.update(directions=[])))
    history = whole(again.faces[0].history(studio))
    assert [version.title for version in history.versions] == ["Original", "Crossover half", "Crossover"]


def as_first_version(manifest):
    """The manifest as project version 1 wrote it."""
    for entry, steps, titles in (
        (manifest["faces"][0], manifest["faces"][0]["versions"][1]["steps"], ["Crossover half", "Crossover"]),
        (manifest["faces"][1], [], []),
    ):
        entry.update(recipe={"version": 1, "model": "faces128", "steps": steps}, titles=titles)
        for name in ("versions", "at"):
            del entry[name]
    manifest["version"] = 1
    del manifest["directions"], manifest["presets"]


def without_operations(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with np.load(io.BytesIO(data)) as arrays:
        np.savez(buffer, **{name: arrays[name] for name in arrays.files if name not in ("operations", "photo_behind")})
    return buffer.getvalue()


def test_a_project_of_the_first_version_is_opened(studio, project):
    """Its faces did not say how they were made, and of its history it knew one recipe."""
    file = zipfile.ZipFile(io.BytesIO(saved(project)))
    faces = [name for name in file.namelist() if name.startswith("faces/")]
    plain = [(name, without_operations(file.read(name))) for name in faces]
    again = open_project(altered(project, as_first_version, drop=faces, add=plain))
    assert again.directions == () and again.presets == ()
    history = whole(again.faces[0].history(studio))
    assert [version.title for version in history.versions] == ["Original", "Crossover half", "Crossover"]
    assert torch.equal(history.now.face.latent.values, project.faces[0].result.latent.values)
    assert again.faces[0].result.operations == ["embed", "crossover 0.5", "crossover 1"]
    assert [version.title for version in whole(again.faces[1].history(studio)).versions] == ["Original"]


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


def test_names_that_no_page_could_be_told_are_cleaned(project):
    def rename(manifest):
        manifest["faces"][0]["name"] = "An\ud800n"
        manifest["faces"][0]["versions"][0]["title"] = "Smile\n\udfff +1"

    [face, *_] = open_project(altered(project, rename)).faces
    assert face.name == "Ann" and face.versions[0].title == "Smile +1"


def test_a_newer_version_says_what_to_do(project):
    with pytest.raises(BadProject, match=r"newer FaceLab.*Update"):
        open_project(altered(project, lambda manifest: manifest.update(version=3)))


def test_bombs_are_refused_before_they_are_unpacked(project):
    with pytest.raises(BadProject, match="unpacks to"):
        open_project(altered(project, lambda manifest: None, add=[("zeros", bytes(2**30 + 1))]))
    large = altered(project, lambda m: m["faces"][0].update(base="big.npz"), add=[("big.npz", bytes(65 * 2**20))])
    with pytest.raises(BadProject, match="65 MB"):
        open_project(large)


def test_pictures_count_and_one_that_is_named_often_is_held_once(project, monkeypatch):
    def alike(manifest):
        for each in manifest["faces"]:
            each["thumbnail"] = manifest["faces"][0]["thumbnail"]

    taken: list[int] = []
    monkeypatch.setattr("facelab.project_file._Reader._take", lambda self, size: taken.append(size))
    one, other = open_project(altered(project, alike)).faces
    assert one.thumbnail is other.thumbnail and taken.count(one.thumbnail.nbytes) == 1


def test_what_is_saved_can_be_opened_or_is_refused_at_once(project, monkeypatch):
    size = zipfile.ZipFile(io.BytesIO(saved(project))).getinfo("project.json").file_size
    monkeypatch.setattr("facelab.project_file.MAX_MANIFEST_BYTES", size)
    assert len(open_project(io.BytesIO(saved(project))).faces) == 2
    monkeypatch.setattr("facelab.project_file.MAX_MANIFEST_BYTES", size - 1)
    with pytest.raises(BadSetting, match="two projects"):
        saved(project)


def test_what_the_faces_unpack_to_counts_together(project, monkeypatch):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, zeros=np.zeros(2**20, np.uint8))
    names = [f"{number}.npz" for number in range(9)]

    def name_them(manifest):
        manifest["faces"][0]["others"] = {name: name for name in names}
        manifest["faces"][0]["versions"].append({"title": "All", "steps": [{"op": "average", "with": names}]})

    bomb = altered(project, name_them, add=[(name, buffer.getvalue()) for name in names])
    with pytest.raises(BadProject, match="damaged"):  # they are no faces
        open_project(bomb)
    monkeypatch.setattr("facelab.project_file.MAX_PROJECT_BYTES", 2**21 // 2)
    with pytest.raises(BadProject, match="unpacks to more"):
        open_project(bomb)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(format="other"),
        lambda m: m.update(version="1"),
        lambda m: m.update(version=0),
        lambda m: m.pop("faces"),
        lambda m: m["faces"][0].pop("versions"),
        lambda m: m["faces"][0].update(versions=[{"title": "x", "steps": "none"}]),
        lambda m: m["faces"][0].update(versions=m["faces"][0]["versions"] * 40),
        lambda m: m["faces"][0]["versions"][0].update(steps=[{"op": "attribute"}]),
        lambda m: m["faces"][0]["versions"][0].update(steps=[{"op": "attribute", "id": "smile", "strength": "much"}]),
        lambda m: m["faces"][0]["versions"][0].update(steps=[{"op": "attribute", "id": "smile", "strength": 10**400}]),
        lambda m: m["faces"][0].update(at=4),
        lambda m: m["faces"][0].update(at="1"),
        lambda m: m.update(directions=["faces/0001.npz"]),
        lambda m: m.update(directions=m["directions"] * 300),
        lambda m: m.update(presets=[{"name": "x", "strengths": {"smile": 99}}]),
        lambda m: m.update(presets=[{"name": "x", "strengths": {"smile": "much"}}]),
        lambda m: m.update(presets=[{"name": "", "strengths": {}}]),
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


def test_faces_that_no_step_names_are_not_even_read(project):
    strangers = altered(project, lambda m: m["faces"][0]["others"].update(nobody="nowhere.npz"))
    assert "nobody" not in open_project(strangers).faces[0].others
