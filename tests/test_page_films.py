"""Films of the page: what they say of themselves, whose they are, and how those that fail end."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest

from tests.page_visitor import Visitor, chosen, told_of, told_until_it_fails


def test_a_film_that_fails_leaves_no_stop_button_behind(visitor: Visitor) -> None:
    values = {
        "fl-picker-morph-first": chosen(visitor.add()),
        "fl-picker-morph-second": chosen(visitor.add("vae64")),
    }
    told = told_until_it_fails(visitor.do("on_make", "fl-film-morph", values), "“Faces, 128 px”")
    assert [each["fl-film-morph"]["state"] for each in told] == ["running", "kept"]


def test_a_film_says_whose_it_is_and_goes_with_its_face(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add()
    values = {"fl-picker-morph-first": chosen(one), "fl-picker-morph-second": chosen(other), "Frames": 10}
    *_, last = map(told_of, visitor.do("on_make", "fl-film-morph", values))
    assert last["fl-film-morph"]["text"].startswith("Faces128 to faces128 2 · 10 frames")
    assert last["fl-film-morph"]["of"] == {"morph-first": one.id, "morph-second": other.id}
    visitor.do("on_save", "fl-film-morph", kind="gif")
    visitor.do("on_remove", "fl-library", id=other.id)
    with pytest.raises(gr.Error, match="not there any more"):
        visitor.do("on_save", "fl-film-morph", kind="gif")


@pytest.mark.parametrize(
    ("tab", "handler", "pickers", "values"),
    [
        ("morph", "on_make", ["morph-first", "morph-second"], {"Frames": 10}),
        ("attributes", "on_walk", ["attributes-face"], {}),
        ("circle", "on_act", ["circle-one"], {}),
    ],
)
def test_films_are_of_the_face_that_was_clicked(visitor: Visitor, tab, handler, pickers, values) -> None:
    one, other = visitor.add(), visitor.add()
    made = {}
    for when in ("before", "after"):
        picked = {f"fl-picker-{name}": chosen(face) for name, face in zip(pickers, (one, other), strict=False)}
        updates = visitor.do(handler, f"fl-film-{tab}", {**picked, **values})
        next(updates)
        if when == "after":
            visitor.edit(one, smile=3.0, hair_blond=3.0)
        list(updates)
        made[when] = visitor.session.clips[tab].frames
    assert all(np.abs(a.astype(float) - b).mean() < 1 for a, b in zip(made["before"], made["after"], strict=True))


def test_a_film_says_that_a_photo_is_behind_one_of_its_faces(visitor: Visitor) -> None:
    visitor.open_photo()
    names = ("target", "neutral", "expressive")
    faces = dict(zip(names, [visitor.add(), visitor.cut("Ann"), visitor.cut("Ben")], strict=True))
    values = {f"fl-picker-expression-{name}": chosen(face) for name, face in faces.items()}
    list(visitor.do("on_make", "fl-film-expression", values))
    assert not faces["target"].history.from_photo and visitor.session.clips["expression"].provenance.from_photo


def test_a_film_of_an_expression_at_strength_0_is_not_made(visitor: Visitor) -> None:
    pickers = ("fl-picker-expression-target", "fl-picker-expression-neutral", "fl-picker-expression-expressive")
    values = {picker: chosen(visitor.add()) for picker in pickers}
    with pytest.raises(gr.Error, match="strength 0"):
        next(visitor.do("on_make", "fl-film-expression", {**values, "Strength": 0}))
