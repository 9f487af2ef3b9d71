"""Studio.edit and Studio.walk with the directions that ship."""

import numpy as np
import pytest
import torch

from facelab import Recipe, Studio, regions
from facelab.errors import BadSetting
from facelab.recipes import attribute_steps


def everywhere(face):
    """All that edits have done to a face's latent, also to a region only."""
    return regions.everywhere(face.latent.values, face.delta)


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def face(studio):
    return studio.sample(1, seed=3)[0][0]


def test_the_attributes_that_people_ask_for_are_there(studio):
    asked = {
        "gender",
        "smile",
        "mouth_open",
        "beard",
        "mustache",
        "nose_size",
        "age",
        "lips",
        "eyes",
        "mouth_size",
        "attractive",
        "makeup",
        "glasses",
        "bangs",
        "hair_dark",
        "hair_blond",
        "hair_grey",
        "bald",
        "chubby",
        "yaw",
        "brows",
    }
    directions = studio.directions()
    assert asked <= set(directions)
    for direction in directions.values():
        assert direction.title and direction.low and direction.high
        assert direction.group in ("expression", "features", "person", "hair")
        assert set(direction.held) <= set(directions)
    for name in ("beard", "mustache", "makeup", "age", "glasses"):
        assert "gender" in directions[name].held


@pytest.mark.parametrize("method", ["mean", "linear", "gradient"])
def test_an_edit_changes_the_picture_and_zero_does_not(studio, face, method):
    assert np.array_equal(studio.render(studio.edit(face, {"smile": 0}, method=method)), studio.render(face))
    changed = studio.render(studio.edit(face, {"smile": 1}, method=method))
    assert np.abs(changed.astype(int) - studio.render(face)).mean() > 1


def test_several_attributes_are_edited_at_once(studio, face):
    both = studio.edit(face, {"smile": 1, "age": 0.5}, keep=())
    one = studio.edit(studio.edit(face, {"smile": 1}, keep=()), {"age": 0.5}, keep=())
    assert np.allclose(everywhere(both), everywhere(one), atol=1e-5)


def test_what_is_held_can_be_chosen(studio, face):
    def beard(**options):
        return everywhere(studio.edit(face, {"beard": 1}, **options))

    for method in ("mean", "linear", "gradient"):
        assert not np.allclose(beard(method=method, keep=()), beard(method=method, keep=["gender"]))
    assert np.allclose(beard(method="mean"), beard(method="mean", keep=["gender"])), "as the direction asks"
    twice = beard(method="mean", keep=["gender"] * 2)
    assert np.array_equal(beard(method="mean", keep=["gender"]), twice), "what is said twice is held once"
    assert np.allclose(beard(), beard(method="linear", keep=())), "the regression has held the others already"


def test_what_stays_at_zero_can_be_held(studio, face):
    held = [
        studio.edit(face, strengths, method="mean", keep=["gender"])
        for strengths in ({"beard": 1}, {"beard": 1, "gender": 0})
    ]
    assert torch.equal(everywhere(held[0]), everywhere(held[1]))


def test_a_walk_has_the_face_itself_first(studio, face):
    path = studio.walk(face, "smile", 1.0, frames=3, steps=30)
    assert len(path) == 4
    assert np.array_equal(studio.render(path[0]), studio.render(face))
    assert not np.array_equal(studio.render(path[1]), studio.render(path[3]))


def test_a_recipe_edits_together_what_was_edited_together(studio, face):
    strengths = {"beard": 1.0, "gender": 0.5}  # by the difference of the means a beard holds gender, but not here
    together = studio.edit(face, strengths, method="mean")
    steps = attribute_steps(strengths, {}, method="mean")
    assert torch.equal(everywhere(studio.apply(face, Recipe("faces128", tuple(steps)))), everywhere(together))
    apart = studio.edit(studio.edit(face, {"beard": 1}, method="mean"), {"gender": 0.5}, method="mean")
    assert not torch.allclose(everywhere(together), everywhere(apart), atol=1e-4)
    gender_again = (*steps, *attribute_steps({"gender": 0.5}, {}, method="mean"))
    twice = studio.edit(together, {"gender": 0.5}, method="mean")
    again = studio.apply(face, Recipe("faces128", gender_again))
    assert torch.allclose(everywhere(again), everywhere(twice), atol=1e-6), "named twice, it is done twice"


def test_a_direction_of_one_s_own_can_be_used(studio, face):
    smiling = [studio.edit(face, {"smile": 1})]
    own = studio.new_direction("Grin", smiling, [face])
    back = studio.edit(smiling[0], {own.id: -1}, own={own.id: own})
    assert np.allclose(everywhere(back), face.latent.values.expand_as(everywhere(back)), atol=1e-4)


@pytest.mark.parametrize(
    ("strengths", "options", "words"),
    [
        ({"horns": 1}, {}, "Known ones"),
        ({"smile": float("nan")}, {}, "strength of smile"),
        ({"smile": 99}, {}, "strength of smile"),
        ({"smile": "1"}, {}, "strength of smile must lie between -5 and 5, not 1"),
        ({"smile": None}, {}, "strength of smile"),
        ({"smile": 1}, {"method": "magic"}, "method"),
        ({}, {"method": "magic"}, "method"),
        ({"horns": 0}, {"method": "circle"}, "no feature 'horns'"),
        ({"smile": "1"}, {"method": "circle"}, "strength"),
        ({"smile": 1}, {"keep": ["horns"]}, "Known ones"),
    ],
)
def test_what_cannot_be_done_is_said(studio, face, strengths, options, words):
    with pytest.raises(BadSetting, match=words):
        studio.edit(face, strengths, **options)
