"""What Upload & align does with a photo: its handlers, called as Gradio calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from facelab.alignment import quad_from_eyes
from facelab.page import upload
from facelab.page.examples import load_examples
from facelab.page.uploads import face_name
from facelab.template import TEMPLATE_EYES
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


def test_a_photo_that_cannot_be_looked_at_is_not_turned(visitor: Visitor, monkeypatch) -> None:
    visitor.open_photo()
    upright = visitor.session.photo
    monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    with pytest.raises(gr.Error, match="all it can serve"):
        visitor.do("on_turn", "fl-stage")
    assert visitor.session.photo is upright and upright.aligned is not None


@pytest.mark.parametrize(
    ("handler", "part", "event"),
    [
        ("on_adjust", "fl-crop", {"_data": {"dx": 0.1}}),
        ("on_reset", "fl-crop", {}),
    ],
)
def test_what_is_clicked_before_the_faces_are_found_is_a_message(visitor: Visitor, handler, part, event) -> None:
    visitor.open_photo()
    visitor.session.photo = visitor.session.photo.turned(1)
    with pytest.raises(gr.Error, match="no crop yet"):
        visitor.do(handler, part, **event)


@pytest.mark.parametrize(("handler", "event"), [("on_choose", {"index": 0}), ("on_eyes", {"points": TEMPLATE_EYES})])
def test_what_is_clicked_in_a_photo_that_is_being_turned_is_a_message(visitor: Visitor, handler, event) -> None:
    visitor.open_photo()
    shown = visitor.session.photo
    visitor.session.photo = shown.turned(1)
    with pytest.raises(gr.Error, match="turned meanwhile"):
        visitor.do(handler, "fl-stage", photo=shown.number, **event)
    assert visitor.session.photo.aligned is None


def test_a_photo_in_which_no_face_is_found_any_more_has_no_crop_to_go_back_to(visitor: Visitor, monkeypatch) -> None:
    visitor.do("on_photo", "fl-dropzone", path=visitor.upload_photo(), name="mara.png")
    monkeypatch.setattr(visitor.studio, "find_faces", lambda *_, **__: [])
    visitor.do("on_landmarks", "Landmarks", {"Landmarks": "mtcnn"})
    with pytest.raises(gr.Error, match="no crop yet"):
        visitor.do("on_reset", "fl-crop")


def test_a_photo_that_takes_long_to_read_gives_way_to_what_was_chosen_since(visitor: Visitor, monkeypatch) -> None:
    read, newer = upload.read_photo, list(load_examples())[1]

    def slowly(data: bytes) -> np.ndarray:
        visitor.do("on_example", "fl-dropzone", id=newer)
        return read(data)

    monkeypatch.setattr(upload, "read_photo", slowly)
    told = visitor.do("on_photo", "fl-dropzone", path=visitor.upload_photo(), name="older.png")
    assert told == {visitor.page.blocks[next(iter(told))._id]: gr.skip()}
    assert visitor.session.photo.name == load_examples()[newer].name


def test_eyes_that_are_clicked_while_other_landmarks_are_looked_for_count(visitor: Visitor, monkeypatch) -> None:
    visitor.open_photo()
    photo, find, eyes = visitor.session.photo, visitor.studio.find_faces, TEMPLATE_EYES * 400

    def slowly(*args: Any, **options: Any) -> Any:
        visitor.do("on_eyes", "fl-stage", photo=photo.number, points=eyes)
        return find(*args, **options)

    monkeypatch.setattr(visitor.studio, "find_faces", slowly)
    visitor.do("on_landmarks", "Landmarks", {"Landmarks": "mtcnn"})
    assert photo.faces and photo.chosen is None
    assert np.array_equal(photo.aligned.quad, quad_from_eyes(*eyes))


def test_a_file_that_is_refused_unread_is_off_the_disk(visitor: Visitor) -> None:
    path = visitor.upload_photo()
    with pytest.raises(gr.Error, match="Target"):
        list(visitor.do("on_clip", "fl-picker-expression-target", path=path, name="clip.mp4"))
    assert not Path(path).exists()


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


def test_a_face_is_called_after_its_photo_in_every_tab(visitor: Visitor) -> None:
    assert face_name("shea_whigham.jpg") == "Shea Whigham" and face_name("McKay-o'neil.png") == "McKay O'neil"
    assert face_name(".jpg") == ".jpg" and face_name("__.jpg") == "Face"
    visitor.do("on_photo", "fl-circle", path=visitor.upload_photo(), name="shea_whigham.png")
    assert [kept.name for kept in visitor.session.faces.values()] == ["Shea Whigham"]


def test_circle_turns_a_photo_upright_as_the_first_tab_does(visitor: Visitor) -> None:
    visitor.do("on_photo", "fl-circle", path=visitor.upload_photo(turns=1), name="mara.png")
    [kept] = visitor.session.faces.values()
    assert np.array_equal(kept.photo.pixels, next(iter(load_examples().values())).as_photo())


def test_circle_says_of_a_photo_without_a_face_what_can_be_done_there(visitor: Visitor) -> None:
    path = Path(visitor.upload_photo())
    Image.new("RGB", (200, 200), "grey").save(path)
    told = told_of(visitor.do("on_photo", "fl-circle", path=str(path), name="wall.png"))
    assert told["fl-circle"]["refusal"].endswith("in Upload & align and embed it.")
