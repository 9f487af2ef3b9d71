"""What Upload & align does with a photo: its handlers, called as Gradio calls them."""

from __future__ import annotations

import numpy as np

from facelab.page.examples import load_examples
from tests.page_visitor import Visitor, told_of


def test_a_photo_on_its_side_is_turned_upright_and_says_so(visitor: Visitor) -> None:
    update = visitor.do("on_photo", "fl-dropzone", path=visitor.upload_photo(turns=1), name="mara.png")
    note = told_of(update)["fl-stage"]["value"]["note"]
    assert note == "One face found. The photo was turned a quarter to the left."
    assert np.array_equal(visitor.session.photo.pixels, next(iter(load_examples().values())).as_photo())


def test_a_photo_is_turned_by_hand_and_its_earlier_face_keeps_it_as_it_was(visitor: Visitor) -> None:
    visitor.open_photo()
    upright, kept = visitor.session.photo, visitor.cut("Ann")
    told = told_of(visitor.do("on_turn", "fl-stage"))
    assert "turned a quarter to the right" in told["fl-stage"]["value"]["note"] and told["fl-stage"]["photo"]
    assert visitor.session.photo.aligned is None and kept.photo is upright
    for _ in range(3):
        told = told_of(visitor.do("on_turn", "fl-stage"))
    assert told["fl-stage"]["value"]["note"] == "One face found."  # all the way round


def test_a_file_that_is_no_photo_leaves_the_one_before_on_the_desk(visitor: Visitor) -> None:
    visitor.open_photo()
    told = told_of(visitor.do("on_photo", "fl-dropzone", path="nowhere", name="notes.jpg"))
    assert (
        list(told) == ["fl-dropzone"] and told["fl-dropzone"]["compact"] and "again" in told["fl-dropzone"]["refusal"]
    )


def test_no_click_on_a_face_of_the_photo_is_lost(visitor: Visitor) -> None:
    [chosen] = [
        each for each in visitor.page.fns.values() if each.name == "on_choose" and "fl-stage" in visitor.parts(each)
    ]
    assert chosen.trigger_mode == "multiple", "of others that wait what was clicked is lost"
