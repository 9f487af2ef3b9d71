"""What the page does where a session has ended, the queue is full or a visitor is one too many: as Gradio calls it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import gradio as gr
import pytest

from facelab.page.examples import load_examples
from facelab.recovery import RecoverySettings
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker
from tests.page_visitor import Visitor, chosen, told_of

WAYS_TO_END = {
    "stylise": ("stylised", "fl-stylise", {"Steps": 20}),
    "mix": ("combinations", "fl-sheet-mix", {"What to do": "combine", "From several recoveries": True}),
}
SHORT_API = {"preset": "fast", "steps": 2, "refine_steps": 1}


def test_an_ended_session_is_told(visitor: Visitor, site: tuple[gr.Blocks, Studio, Worker, Sessions]) -> None:
    (*_, sessions), kept = site, visitor.add()
    there = visitor.do("on_rename", "fl-library", id=kept.id, name="Ann")
    assert there["session"] == visitor.session.number and visitor.do("stay", "fl-library") == gr.skip()
    sessions._sessions.pop(visitor.name)
    gone = visitor.do("stay", "fl-library")
    assert gone == {"session": "", "faces": []}, "by which the page sees that its faces are not there any more"
    for handler, event in (("on_project", {"presets": []}), ("on_download", {"id": kept.id, "kind": "npz"})):
        told = visitor.do(handler, "fl-library", **event)
        assert told["faces"] == [] and told["session"] not in ("", there["session"])
    with pytest.raises(gr.Error, match="away too long"):
        visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": chosen(kept)})


def _crowd_after(visitor: Visitor, monkeypatch, work: str) -> None:
    """From where the studio has done this on, the queue lets nobody in."""
    do = getattr(visitor.studio, work)

    def done(*args: Any) -> Any:
        monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
        return do(*args)

    monkeypatch.setattr(visitor.studio, work, done)


@pytest.mark.parametrize("job", WAYS_TO_END)
def test_long_work_that_ends_in_a_crowd_is_shown(visitor: Visitor, monkeypatch, job: str) -> None:
    work, part, values = WAYS_TO_END[job]
    monkeypatch.setattr("facelab.page.mix.RECOVERIES", RecoverySettings(steps=2, restarts=2))
    visitor.session.style = ("waves", next(iter(load_examples().values())).as_photo())
    faces = [visitor.add("vae64"), visitor.add("vae64")] if job == "mix" else [visitor.add()]
    picked = {"fl-picker-mix-several": chosen(*faces), "fl-picker-crossover-content": chosen(*faces)}
    _crowd_after(visitor, monkeypatch, work)
    *_, last = map(told_of, visitor.do("on_act", part, values | picked))
    assert last[part].get("picture") or last[part]["cells"]


def test_an_answer_that_ends_in_a_crowd_is_given(visitor: Visitor, monkeypatch) -> None:
    _crowd_after(visitor, monkeypatch, "to_face")
    npz, picture, _ = visitor.do("embed", "settings", {"photo": visitor.upload_photo(), "settings": SHORT_API})
    assert Path(npz).is_file() and Path(picture).is_file()


@pytest.mark.parametrize("endpoint", ["embed", "edit"])
def test_an_answer_that_fails_leaves_nobody_s_face_behind(
    visitor: Visitor, monkeypatch, tmp_path: Path, endpoint: str
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    if endpoint == "embed":
        part, sent = "settings", {"photo": visitor.upload_photo(), "settings": SHORT_API}
    else:
        visitor.add().face.save(tmp_path / "FACE.npz")
        part, sent = "strengths", {"first": str(tmp_path / "FACE.npz"), "strengths": {"smile": 1.0}}
    for module in ("api", "api_edits"):
        monkeypatch.setattr(f"facelab.page.{module}.save_png", lambda *args, **options: 1 / 0)
    with pytest.raises(gr.Error, match="went wrong"):
        visitor.do(endpoint, part, sent)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    ("count", "handler", "part", "values", "said"),
    [
        (64, "on_act", "fl-sheet-mix", {"What to do": "average"}, "64 faces are chosen. Choose 63 at most"),
        (27, "on_act", "fl-sheet-mix", {"What to do": "arithmetic"}, "letters for 26"),
    ],
)
def test_more_faces_than_can_be_used_are_a_message(
    visitor: Visitor, count: int, handler: str, part: str, values: dict[str, str], said: str
) -> None:
    face = visitor.add()
    for _ in range(count - 1):
        visitor.session.add_history(face.history, name="Ann")
    every = chosen(*visitor.session.faces.values())
    with pytest.raises(gr.Error, match=said):
        list(visitor.do(handler, part, values | {"fl-picker-mix-several": every}))
    values = {"On the sphere": "sum", "fl-picker-circle-many": every}
    if count == 27:  # where a picture follows what is chosen, it is said in the picture's place
        told = told_of(visitor.do("on_change", "fl-picker-circle-many", values))
        assert "letters for 26" in told["fl-viewer-circle"]["hint"]


@pytest.mark.parametrize(
    ("handler", "part"), [("on_photo", "fl-dropzone"), ("on_example", "fl-dropzone"), ("on_photo", "fl-circle")]
)
def test_a_visitor_too_many_reads_so_where_the_photo_was_chosen(
    visitor: Visitor, site: tuple[gr.Blocks, Studio, Worker, Sessions], monkeypatch, handler: str, part: str
) -> None:
    monkeypatch.setattr(site[-1], "_limit", 0)
    event = {"path": visitor.upload_photo(), "name": "mara.png", "id": next(iter(load_examples()))}
    told = told_of(replace(visitor, name=token_hex(4)).do(handler, part, **event))
    assert list(told) == [part] and "visitors" in told[part]["refusal"]
