"""The tab Attributes: what sliders, undo and layers do, and what stays of edits that were made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.utils import get_upload_folder

from facelab.circle import feature_of
from facelab.errors import Busy
from facelab.page.attribute_words import groups_of
from facelab.page.page import build_page
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker
from tests.page_visitor import Visitor, chosen, told_of


def test_nothing_is_left_in_attributes_of_a_face_that_is_deleted(visitor: Visitor) -> None:
    kept = visitor.add()
    assert visitor.edit(kept, smile=1.0)["fl-viewer-attributes"]["history"]["at"] == 1
    visitor.do("on_remove", "fl-library", id=kept.id)
    told = told_of(visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": chosen()}))
    assert "picture" not in told["fl-viewer-attributes"]["value"] and told["fl-viewer-attributes"]["history"] is None
    assert told["fl-sliders"] == {"face": "", "strengths": {}}


@pytest.fixture
def visitor_of_vae() -> Iterator[Visitor]:
    """Somebody at a page whose own model has one latent for the whole picture."""
    studio, worker, sessions = Studio("vae64", device="cpu"), Worker(), Sessions()
    yield Visitor(build_page(studio, worker=worker, sessions=sessions), studio, worker, sessions.of("ann"), "ann")
    worker.close()


def test_layers_are_those_of_the_face_and_imports_of_the_chosen_model(visitor_of_vae: Visitor) -> None:
    ann, ben = visitor_of_vae.add("faces128"), visitor_of_vae.add("faces128")
    picked = {"fl-picker-crossover-content": chosen(ann), "fl-picker-crossover-style": chosen(ben)}
    visitor_of_vae.do("on_change", "fl-picker-crossover-content", picked)
    assert visitor_of_vae.session.results["crossover"].step["rows"] == [6, 12]
    said = {"face": ann.id, "strengths": {"smile": 1.0}, "moving": False, "stamp": 1}
    values = {"fl-picker-attributes-face": chosen(ann), "fl-sliders": said, "Layers": "8-11"}
    visitor_of_vae.do("on_change", "fl-sliders", values)
    assert ann.history.now.steps[-1]["rows"] == [8, 12]
    visitor_of_vae.session.model = "faces128"
    file = Path(get_upload_folder()) / token_hex(4) / "theirs.npy"
    file.parent.mkdir(parents=True)
    np.save(file, ann.face.latent.values.numpy())
    visitor_of_vae.do("on_bring", "fl-library", path=file, name=file.name)
    assert list(visitor_of_vae.session.faces.values())[-1].face.latent.model == "faces128"


def test_sliders_go_on_from_an_edit_before_them_that_the_history_has_forgotten(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add("faces128")
    other.history.now.face.latent.values.add_(0.2)
    picked = {"fl-picker-crossover-content": chosen(one), "fl-picker-crossover-style": chosen(other)}
    visitor.do("on_change", "fl-picker-crossover-content", picked)
    visitor.do("on_keep", "fl-viewer-crossover")
    mixed = list(visitor.session.faces.values())[-1]
    visitor.edit(mixed, smile=1.0)
    known = visitor.edit(mixed, smile=2.0) and mixed.face.latent.values
    [crossed] = [each for each in mixed.history.versions if len(each.steps) == 1]
    mixed.history.versions.remove(crossed)
    mixed.history.at -= 1
    visitor.edit(mixed, smile=1.0)
    visitor.edit(mixed, smile=2.0)
    assert (mixed.face.latent.values - known).abs().max() < 1e-5 and len(mixed.history.now.steps) == 2


def test_undo_while_an_edit_is_recorded_takes_that_edit_back(visitor: Visitor, monkeypatch) -> None:
    kept, under_way, go_on, draw = visitor.add(), Event(), Event(), visitor.studio.render
    visitor.edit(kept, smile=1.0)

    def render(*args: Any) -> Any:
        under_way.set()
        assert go_on.wait(60)
        return draw(*args)

    monkeypatch.setattr(visitor.studio, "render", render)
    where = {"fl-picker-attributes-face": chosen(kept)}
    editing = Thread(target=visitor.edit, args=(kept,), kwargs={"smile": 1.0, "age": 1.0})
    undoing = Thread(target=visitor.do, args=("on_go", "fl-viewer-attributes", where), kwargs={"by": -1})
    editing.start()
    assert under_way.wait(60)
    undoing.start()
    undoing.join(0.5)
    go_on.set()
    editing.join(60), undoing.join(60)
    assert [each.title for each in kept.history.versions] == ["Original", "Smile +1.00", "Age +1.00"]
    assert kept.history.at == 1 and visitor.session.results["attributes"].title == "Smile +1.00"


def test_what_was_taken_stays_when_a_chosen_face_is_edited_elsewhere(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add()
    picked = {f"fl-picker-crossover-{name}": chosen(face) for name, face in (("content", one), ("style", other))}
    picked |= {f"fl-picker-crossover-{name}": chosen(one, other) for name in ("contents", "styles")}
    visitor.do("on_change", "fl-picker-crossover-style", picked)
    followed = visitor.session.results["crossover"]
    visitor.do("on_change", "fl-picker-crossover-style", picked)
    assert visitor.session.results["crossover"] is not followed, "what is of the faces chosen is made anew"
    list(visitor.do("on_draw", "fl-sheet-crossover", picked))
    visitor.do("on_choose", "fl-sheet-crossover", index=1)
    taken = visitor.session.results["crossover"]
    visitor.do("on_change", "fl-picker-crossover-style", picked)
    assert visitor.session.results["crossover"] is taken
    visitor.do("on_detail", "fl-viewer-crossover", on=None)
    visitor.do("on_change", "fl-picker-crossover-style", picked)
    assert visitor.session.results["crossover"] is taken
    picked["fl-picker-crossover-style"] = chosen(other) | {"picked": 1}
    visitor.do("on_change", "fl-picker-crossover-style", picked)
    assert visitor.session.results["crossover"] is not taken, "who chooses the same face again wants to see it"


def test_a_picture_that_was_refused_by_a_busy_device_is_drawn_at_the_next_edit(visitor: Visitor, monkeypatch) -> None:
    one, other = visitor.add(), visitor.add()
    picked = {"fl-picker-morph-first": chosen(one), "fl-picker-morph-second": chosen(other)}
    monkeypatch.setattr(visitor.worker, "run", lambda *args, **options: (_ for _ in ()).throw(Busy("Busy.")))
    with pytest.raises(gr.Error, match="Busy"):
        visitor.do("on_change", "fl-picker-morph-first", picked)
    monkeypatch.undo()
    assert told_of(visitor.do("on_change", "fl-picker-morph-first", picked))["fl-viewer-morph"]["value"]["picture"]


def test_an_edit_is_kept_where_another_face_is_chosen_before_it_rests(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add()
    said = {"face": one.id, "strengths": {"smile": 1.0}, "moving": True, "stamp": 1}
    told = told_of(
        visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": chosen(other), "fl-sliders": said})
    )
    assert [each.steps[0]["strength"] for each in one.history.versions[1:]] == [1.0] and len(
        other.history.versions
    ) == 1
    assert told["fl-sliders"]["face"] == other.id and told["fl-library"]
    said = {
        "face": one.id,
        "strengths": {"smile": 2.0},
        "stamp": 1,
    }  # as the server has answered: nothing is to be kept
    visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": chosen(other), "fl-sliders": said})
    assert len(one.history.versions) == 2


def test_an_edit_under_way_on_the_circle_stays_on_it_where_a_face_of_another_model_is_chosen(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add("vae64")
    said = {"face": one.id, "strengths": {"smile": 1.0}, "moving": True, "stamp": 1}
    values = {"fl-picker-attributes-face": chosen(other), "fl-sliders": said, "Method": "circle"}
    visitor.do("on_change", "fl-sliders", values)
    [step] = one.history.now.steps
    assert step["op"] == "circle" or step["method"] == "circle"


def test_leaving_the_field_of_layers_as_it_was_is_no_edit(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.edit(kept, smile=1.0)
    said = {"face": kept.id, "strengths": {"smile": 1.0}, "moving": False, "stamp": 2}
    values = {"fl-picker-attributes-face": chosen(kept), "fl-sliders": said, "Where": "everywhere"}
    visitor.do("on_leave", "fl-sliders", values)
    assert len(kept.history.versions) == 2
    visitor.do("on_leave", "fl-sliders", values | {"Layers": "0-3"})
    assert len(kept.history.versions) == 3


def test_a_slider_that_seldom_shows_says_how_seldom(visitor: Visitor) -> None:
    known = Studio().directions()
    said = {slider["id"]: slider["help"] for group in groups_of(known) for slider in group["sliders"]}
    seen = known["hair_wavy"].quality["flipped"]
    assert 0 < seen < 0.5, "this one is weak"
    told = f"Puts waves into the hair. Weak: shows on about {round(10 * seen)} of 10 faces."
    assert said["hair_wavy"] == told and said["smile"] == "Raises the corners of the mouth."
    round_the_circle = [slider for group in groups_of(known, circle=True) for slider in group["sliders"]]
    assert not any("Weak" in slider["help"] for slider in round_the_circle), "measured was another method"
    assert {slider["id"] for slider in round_the_circle if slider["off"]} == {i for i in known if feature_of(i) is None}
    values = {"fl-picker-attributes-face": chosen(visitor.add("vae64"))}
    redrawn = told_of(visitor.do("on_change", "fl-sliders", values))["fl-sliders"]["groups"]
    assert any("Weak" in slider["help"] for group in redrawn for slider in group["sliders"]), "of another model, too"
