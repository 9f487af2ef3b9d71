"""A direction of one's own is the same one on every machine, and its file lets nothing else in."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.errors import BadFaceFile, BadSetting, LatentMismatch
from facelab.face import Recipe
from facelab.own_directions import by_id, load_direction, make_direction, save_direction
from facelab.recipes import attribute_steps
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio("faces128", device="cpu")


@pytest.fixture(scope="module")
def faces(studio) -> list:
    return [face for face, _ in studio.sample(4, seed=2)]


@pytest.fixture(scope="module")
def freckles(studio, faces):
    return studio.new_direction("  Freckles ", faces[:2], faces[2:])


def stored(direction) -> io.BytesIO:
    buffer = io.BytesIO()
    save_direction(direction, buffer)
    buffer.seek(0)
    return buffer


def test_a_direction_comes_back_as_it_was_saved(freckles, tmp_path):
    save_direction(freckles, tmp_path / "freckles.npz")
    again = load_direction(tmp_path / "freckles.npz")
    assert (again.id, again.hash, again.title, again.model) == (freckles.id, freckles.hash, "Freckles", "faces128")
    assert torch.equal(again.difference, freckles.difference) and torch.equal(again.normal, freckles.normal)
    assert (tmp_path / "freckles.npz").stat().st_size < 20_000


def test_the_same_faces_make_the_same_direction_and_others_another(studio, faces, freckles):
    assert studio.new_direction("Other name", faces[:2], faces[2:]).hash == freckles.hash
    assert studio.new_direction("Freckles", faces[1:2], faces[2:]).hash != freckles.hash
    tensors = [torch.stack([face.latent.values.expand(12, -1) for face in some]) for some in (faces[:2], faces[2:])]
    elsewhere = make_direction("Freckles", *tensors, model="faces9", model_sha256="")
    assert elsewhere.hash != freckles.hash, "a direction belongs to one model"


def test_a_direction_of_two_faces_leads_to_faces_at_its_far_end(studio, faces):
    mine = studio.new_direction("Cap", faces[:1], faces[1:2])
    whole = studio.new_direction("Cap", faces[:1], faces[1:2], longest=math.inf)
    offsets = studio.generator.sample(64, seed=1)[:, 0] - studio.generator.mean_latent()
    usual = float(offsets.norm(dim=1).median()) * 12**0.5
    assert float(mine.difference.norm()) == pytest.approx(usual / 3, rel=0.1) and whole.difference.norm() > usual / 2
    assert torch.allclose(mine.normal, whole.normal, atol=1e-6), "it is shorter, and leads the same way"
    alike = [replace(faces[1], latent=studio.morph(faces[0], faces[1], share).latent) for share in (0.0, 0.1)]
    parts = [studio.new_direction("Cap", alike[:1], alike[1:], longest=each) for each in (1 / 3, math.inf)]
    assert parts[0].hash == parts[1].hash, "what is short stays as it is"


def test_faces_that_do_not_differ_and_no_name_are_refused(studio, faces):
    for title, some, others in (("Hat", faces[:1], faces[:1]), ("Hat", faces[:1], []), (" ", faces[:1], faces[1:])):
        with pytest.raises(BadSetting):
            studio.new_direction(title, some, others)


@pytest.mark.parametrize(
    "change",
    [
        {"format": np.array("facelab-face/1")},
        {"difference": np.zeros((12, 256), np.float32)},
        {"difference": np.full((12, 256), np.nan, np.float32)},
        {"difference": np.full((12, 256), 1e6, np.float32)},
        {"difference": np.ones(256, np.float32)},
        {"difference": np.ones((65, 8), np.float32)},
        {"difference": np.array([{"a": 1}], dtype=object)},
        {"difference": np.zeros((1, 2**21), np.float32)},
        {"title": np.array("  ")},
    ],
)
def test_a_hostile_or_damaged_file_is_refused(freckles, change):
    buffer = io.BytesIO()
    with np.load(stored(freckles)) as arrays:
        np.savez(buffer, **{**arrays, **change})
    buffer.seek(0)
    with pytest.raises(BadFaceFile, match="not a direction"):
        load_direction(buffer)
    with pytest.raises(BadFaceFile):
        load_direction(io.BytesIO(stored(freckles).getvalue()[:-40]))


def test_a_recipe_finds_the_direction_on_another_machine(studio, faces, freckles):
    own = by_id([freckles])
    wanted = studio.edit(faces[0], {freckles.id: 0.7, "smile": 1}, own=own, method="mean")
    steps = attribute_steps({freckles.id: 0.7, "smile": 1}, own, method="mean")
    recipe = Recipe("faces128", tuple(steps))
    elsewhere = by_id([load_direction(stored(freckles))])
    done = studio.apply(faces[0], recipe, elsewhere)
    assert torch.equal(done.latent.values, wanted.latent.values), "both in one call, as they were made"
    assert done.operations == ["sample", "attribute own 0.7", "attribute smile 1"]


def test_a_recipe_says_kindly_which_direction_it_misses(studio, faces, freckles):
    steps = attribute_steps({freckles.id: 0.7}, by_id([freckles]), method="linear")
    recipe = Recipe("faces128", tuple(steps))
    other = replace(studio.new_direction("Freckles", faces[:1], faces[2:]), id=freckles.id)
    for others in ({}, by_id([other]), {freckles.id: faces[0]}):
        with pytest.raises(BadSetting, match=rf"“Freckles” \({freckles.id}\), which is not here.*--direction"):
            studio.apply(faces[0], recipe, others)


@pytest.mark.parametrize("shape", [(3, 7), (12, 7), (7,)])
def test_a_direction_of_another_size_is_refused(studio, faces, freckles, shape):
    wrong = replace(freckles, difference=torch.ones(shape), normal=torch.ones(shape))
    with pytest.raises(LatentMismatch, match="“Freckles” is not of the size"):
        studio.edit(faces[0], {wrong.id: 1}, own=by_id([wrong]))


def test_a_direction_of_another_version_of_the_model_is_refused(studio, faces, freckles):
    old = replace(freckles, model_sha256="0" * 64)
    with pytest.raises(LatentMismatch, match="“Freckles” was made for another model"):
        studio.edit(faces[0], {old.id: 1}, own=by_id([old]))
