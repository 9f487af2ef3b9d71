"""What the page does where work fails, ends or is not wanted any more: its handlers, called as Gradio calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.blocks import Block
from gradio.utils import get_upload_folder
from PIL import Image

from facelab.alignment import quad_from_eyes
from facelab.embedding import EmbedStep
from facelab.history import History
from facelab.page.examples import load_examples
from facelab.page.page import build_page
from facelab.page.video import Footage
from facelab.recovery import RecoverySettings
from facelab.sessions import LibraryFace, Photo, Session, Sessions
from facelab.studio import Studio
from facelab.template import TEMPLATE_EYES
from facelab.worker import Worker

WAYS_TO_END = {
    "stylise": ("stylised", "fl-stylise", {"Steps": 20}),
    "mix": ("combinations", "fl-sheet-mix", {"What to do": "combine", "From several recoveries": True}),
}
SHORT_API = {"preset": "fast", "steps": 2, "refine_steps": 1}
SHORT = {"Steps": 3, "Refine the generator for this face": False}


@dataclass(frozen=True)
class Visitor:
    """Somebody at the page: what is theirs, and what they do there."""

    page: gr.Blocks
    studio: Studio
    worker: Worker
    session: Session
    name: str

    def do(self, handler: str, part: str, values: dict[str, Any] | None = None, **event: Any) -> Any:
        """Call the handler that has this part among its inputs, outputs and triggers.

        values: of inputs, by label or id; the others have those that the page begins with. event: what it says.
        """
        fn = next(each for each in self.page.fns.values() if each.name == handler and part in self._parts(each))
        given = {each: (values or {}).get(_called(each), getattr(each, "value", None)) for each in fn.inputs}
        inputs = iter([given] if fn.inputs_as_dict else given.values())
        told = {"gr.EventData": SimpleNamespace(**event), "gr.Request": SimpleNamespace(session_hash=self.name)}
        kinds = [each.annotation for each in signature(fn.fn).parameters.values()]
        return fn.fn(*(told[kind] if kind in told else next(inputs) for kind in kinds))

    def _parts(self, fn: Any) -> set[str]:
        triggers = [self.page.blocks[id] for id, _ in fn.targets if id in self.page.blocks]
        return {_called(each) for each in (*fn.inputs, *fn.outputs, *triggers)}

    def add(self, model: str = "faces128") -> LibraryFace:
        """Put a random face into the library."""
        [face] = self.studio.of(model).random_faces(1, seed=1)
        return self.session.add_history(History.begin(face, self.studio.render(face)), name=model)

    def open_photo(self) -> None:
        """Open an example as a photo, and align it."""
        photo = self.session.photo = Photo(next(iter(load_examples().values())).as_photo(), "Mara")
        photo.aligned = self.studio.align(photo.pixels, quad_from_eyes(*(TEMPLATE_EYES * 512)))

    def embed(self) -> tuple[LibraryFace, Iterator[dict[Any, Any]]]:
        """Begin to embed a photo: the likeness that the encoder sees, in the library, and the updates after it."""
        self.open_photo()
        updates = self.do("on_start", "fl-start", SHORT)
        next(updates), next(updates)
        [kept] = self.session.faces.values()
        return kept, updates

    def upload_photo(self) -> str:
        """Send an example as a photo to the server; returns its path there."""
        path = Path(get_upload_folder()) / token_hex(4) / "mara.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(next(iter(load_examples().values())).as_photo()).save(path)
        return str(path)

    def edit(self, kept: LibraryFace, **strengths: float) -> dict[str, Any]:
        """Choose a face in Attributes and move sliders, until they rest."""
        said = {"face": kept.id, "strengths": strengths, "moving": False, "stamp": 1}
        values = {"fl-picker-attributes-face": {"chosen": [kept.id]}, "fl-sliders": said}
        return _told(self.do("on_change", "fl-sliders", values))


@pytest.fixture(scope="module")
def site() -> Iterator[tuple[gr.Blocks, Studio, Worker, Sessions]]:
    studio, worker, sessions = Studio(device="cpu"), Worker(), Sessions()
    yield build_page(studio, worker=worker, sessions=sessions), studio, worker, sessions
    worker.close()


@pytest.fixture
def visitor(site: tuple[gr.Blocks, Studio, Worker, Sessions]) -> Visitor:
    page, studio, worker, sessions = site
    name = token_hex(4)
    return Visitor(page, studio, worker, sessions.of(name), name)


def _called(block: Any) -> str:
    return getattr(block, "elem_id", None) or getattr(block, "label", None) or str(getattr(block, "value", ""))


def _told(update: dict[Any, Any]) -> dict[str, Any]:
    """An update, by what its parts are called and by their properties."""
    return {_called(part): vars(new) if isinstance(new, Block) else new for part, new in update.items()}


def _until_it_fails(updates: Iterator[dict[Any, Any]], match: str) -> list[dict[str, Any]]:
    """What is told on the way to an error."""
    told: list[dict[str, Any]] = []
    with pytest.raises(gr.Error, match=match):
        told.extend(map(_told, updates))
    return told


def _chosen(*faces: LibraryFace) -> dict[str, Any]:
    return {"chosen": [each.id for each in faces]}


def test_a_film_that_fails_leaves_no_stop_button_behind(visitor: Visitor) -> None:
    values = {
        "fl-picker-morph-first": _chosen(visitor.add()),
        "fl-picker-morph-second": _chosen(visitor.add("vae64")),
    }
    told = _until_it_fails(visitor.do("on_make", "fl-film-morph", values), "faces128")
    assert [each["fl-film-morph"]["state"] for each in told] == ["running", "idle"]


def test_a_grid_that_fails_leaves_the_sheet_before_it(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add("vae64")
    picked = {"fl-picker-crossover-contents": _chosen(one), "fl-picker-crossover-styles": _chosen(one)}
    *_, before = map(_told, visitor.do("on_draw", "fl-sheet-crossover", picked))
    picked["fl-picker-crossover-styles"] = _chosen(other)
    told = _until_it_fails(visitor.do("on_draw", "fl-sheet-crossover", picked), "faces128")
    assert told[0]["fl-sheet-crossover"]["running"] and told[-1] == before


def test_neighbours_of_no_face_are_not_begun(visitor: Visitor) -> None:
    told = _until_it_fails(visitor.do("on_act", "fl-sheet-mix", {"What to do": "neighbours"}), "Choose a face")
    assert not any(each["fl-sheet-mix"].get("running") for each in told)


def test_random_faces_that_fail_leave_no_stop_button_behind(visitor: Visitor, monkeypatch) -> None:
    monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    told = _until_it_fails(visitor.do("on_act", "fl-sheet-mix", {"What to do": "random"}), "using this machine")
    assert told[0]["fl-sheet-mix"]["running"] and told[-1]["fl-sheet-mix"] == {}


@pytest.mark.parametrize("there", [True, False])
def test_a_clip_that_is_refused_leaves_the_one_before_to_be_edited(visitor: Visitor, there: bool) -> None:
    if there:
        visitor.session.clips["video"] = Footage(None, "holiday", [])
    file = Path(get_upload_folder()) / token_hex(4) / "bad.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no video")
    told = [_told(each) for each in visitor.do("on_clip", "fl-clip-video", path=file, name=file.name)]
    assert [each["fl-footage-video"]["state"] for each in told] == ["running", "refused"]
    assert told[0]["Make the video"]["interactive"] is False and told[-1]["Make the video"]["interactive"] is there
    assert ("holiday is still open" in told[-1]["fl-clip-video"]["refused"]) is there


def test_an_embedding_that_is_refused_has_not_begun(visitor: Visitor, monkeypatch) -> None:
    visitor.open_photo()
    monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    told = _until_it_fails(visitor.do("on_start", "fl-start", SHORT), "using this machine")
    assert told[0]["fl-embedding"]["value"]["state"] == "waiting" and told[-1]["fl-embedding"] == {"state": "ready"}
    assert (
        told[-1]["fl-start"]["visible"] and told[-1]["fl-start"]["interactive"] and not told[-1]["fl-stop"]["visible"]
    )
    assert not visitor.session.embedding.running and not visitor.session.faces


def test_an_embedding_that_ends_in_a_crowd_is_in_the_library(visitor: Visitor, monkeypatch) -> None:
    kept, updates = visitor.embed()
    for update in updates:
        told = _told(update)
        if visitor.session.embedding.step is not None:
            monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    assert kept.face.latent.values is visitor.session.embedding.step.latent.values
    assert told["fl-embedding"]["state"] == "done" and not told["fl-stop"]["visible"]


def test_what_fails_while_it_is_embedded_is_kept_and_can_go_on(visitor: Visitor, monkeypatch) -> None:
    _, updates = visitor.embed()
    monkeypatch.setattr(visitor.session.embedding, "record", lambda step: 1 / 0)
    told = _until_it_fails(updates, "went wrong")
    assert told[-1]["fl-embedding"]["state"] == "ready" and told[-1]["fl-start"]["interactive"]
    assert len(visitor.session.faces) == 1 and not visitor.session.embedding.running


def test_the_figures_of_a_stopped_embedding_are_the_kept_face_s(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    embedding, figures = visitor.session.embedding, []
    record = embedding.record

    def record_and_stop(step: EmbedStep) -> None:
        record(replace(step, psnr=1.0, identity_distance=1.9))
        figures.append((embedding.psnr, embedding.identity))
        embedding.stopping.set()

    embedding.record = record_and_stop
    *_, last = map(_told, updates)
    assert figures == [(1.0, 1.9)] and last["fl-embedding"]["state"] == "stopped"
    psnr, identity = visitor.studio.signal_to_noise(kept.face), visitor.studio.identity_distance(kept.face)
    numbers = last["fl-embedding"]["numbers"]
    assert numbers["psnr"] == f"{psnr:.1f} dB" != "1.0 dB" and numbers["identity"] == f"{identity:.2f}"


@pytest.mark.parametrize("strengths", [{"smile": 1.0}, {}], ids=["edited", "only looked at"])
def test_a_face_that_attributes_show_while_it_is_embedded_is_kept_as_it_became(
    visitor: Visitor, strengths: dict[str, float]
) -> None:
    kept, updates = visitor.embed()
    photo, likeness = kept.photo, kept.history.base
    if strengths:
        visitor.edit(kept, **strengths)
    else:
        visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": _chosen(kept)})
    for _ in updates:
        pass
    assert kept.history.base is not likeness
    assert visitor.session.results["attributes"].face is kept.face
    visitor.do("on_keep", "fl-viewer-attributes")
    assert len(visitor.session.faces) == 2
    new = list(visitor.session.faces.values())[-1]
    assert new.face is kept.face and new.photo is photo is not None and len(new.history.versions) == 1 + len(strengths)


def test_what_another_tab_made_of_it_is_made_again(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    other = visitor.add()
    values = {"fl-picker-morph-first": _chosen(kept), "fl-picker-morph-second": _chosen(other)}
    visitor.do("on_change", "fl-picker-morph-first", values)
    for _ in updates:
        pass
    result = visitor.session.results["morph"]
    between = (kept.face.latent.values + other.face.latent.values) / 2
    assert result.source is kept.history and (result.face.latent.values - between).abs().max() < 1e-5


def test_tabs_are_drawn_anew_after_an_embedding(visitor: Visitor) -> None:
    begun = [each._id for each in visitor.page.fns.values() if each.name in ("on_lead_on", "on_start", "on_continue")]
    after = [each.trigger_after for each in visitor.page.fns.values() if "facelab:redraw" in str(each.js)]
    assert len(begun) == 3 and set(begun) <= set(after)


def test_a_face_that_is_deleted_while_it_is_embedded_does_not_come_back(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    visitor.do("on_remove", "fl-library", id=kept.id)
    *_, last = map(_told, updates)
    assert not visitor.session.faces and last["fl-library"]["faces"] == []
    assert last["fl-embedding"]["state"] == "stopped"
    for _ in visitor.do("on_continue", "fl-continue", SHORT):
        pass
    assert len(visitor.session.faces) == 1, "who goes on with it wants it again"


def test_a_click_on_the_face_that_is_embedded_lets_it_go_on(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    other = visitor.add()
    assert set(_told(visitor.do("on_open", "fl-embedding", id=kept.id))) == {"fl-tabs"}
    assert not kept.embedding.stopping.is_set()
    visitor.do("on_open", "fl-embedding", id=other.id)
    assert kept.embedding.stopping.is_set(), "another face takes its place"
    for _ in updates:
        pass


def test_nothing_is_left_in_attributes_of_a_face_that_is_deleted(visitor: Visitor) -> None:
    kept = visitor.add()
    assert visitor.edit(kept, smile=1.0)["fl-viewer-attributes"]["history"]["at"] == 1
    visitor.do("on_remove", "fl-library", id=kept.id)
    told = _told(visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": _chosen()}))
    assert "picture" not in told["fl-viewer-attributes"]["value"] and told["fl-viewer-attributes"]["history"] is None
    assert told["fl-sliders"] == {"face": "", "strengths": {}}


def test_pictures_are_drawn_anew_in_every_tab_and_stay_of_their_kind(visitor: Visitor) -> None:
    asked = {
        visitor.page.blocks[id].elem_id
        for each in visitor.page.fns.values()
        for id, name in each.targets
        if name == "detail"
    }
    assert asked == {
        each.elem_id for each in visitor.page.blocks.values() if "fl-viewer" in str(getattr(each, "elem_id", ""))
    }
    visitor.edit(visitor.add())
    for on, kept in ((None, True), (False, False), (None, False)):
        visitor.do("on_detail", "fl-viewer-attributes", on=on)
        assert visitor.session.detail is kept


def test_a_seed_out_of_range_is_a_message(visitor: Visitor) -> None:
    seeds = [each for each in visitor.page.blocks.values() if "seed" in str(getattr(each, "label", "")).lower()]
    assert len(seeds) == 4
    for seed in seeds:
        with pytest.raises(gr.Error, match="greater than maximum"):
            seed.preprocess(10**20)


@pytest.fixture
def visitor_of_vae() -> Iterator[Visitor]:
    """Somebody at a page whose own model has one latent for the whole picture."""
    studio, worker, sessions = Studio("vae64", device="cpu"), Worker(), Sessions()
    yield Visitor(build_page(studio, worker=worker, sessions=sessions), studio, worker, sessions.of("ann"), "ann")
    worker.close()


def test_layers_are_those_of_the_face_and_imports_of_the_chosen_model(visitor_of_vae: Visitor) -> None:
    ann, ben = visitor_of_vae.add("faces128"), visitor_of_vae.add("faces128")
    picked = {"fl-picker-crossover-content": _chosen(ann), "fl-picker-crossover-style": _chosen(ben)}
    visitor_of_vae.do("on_change", "fl-picker-crossover-content", picked)
    assert visitor_of_vae.session.results["crossover"].step["rows"] == [6, 12]
    said = {"face": ann.id, "strengths": {"smile": 1.0}, "moving": False, "stamp": 1}
    chosen = {"fl-picker-attributes-face": _chosen(ann), "fl-sliders": said, "Layers": "8-11"}
    visitor_of_vae.do("on_change", "fl-sliders", chosen)
    assert ann.history.now.steps[-1]["rows"] == [8, 12]
    visitor_of_vae.session.model = "faces128"
    file = Path(get_upload_folder()) / token_hex(4) / "theirs.npy"
    file.parent.mkdir(parents=True)
    np.save(file, ann.face.latent.values.numpy())
    visitor_of_vae.do("on_bring", "fl-library", path=file, name=file.name)
    assert list(visitor_of_vae.session.faces.values())[-1].face.latent.model == "faces128"


def test_only_a_face_file_of_what_is_shown_counts_as_saved(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.edit(kept, smile=1.0)
    for kind, saved in (("png", False), ("npz", True), ("png", True)):
        visitor.do("on_download", "fl-library", id=kept.id, kind=kind)
        assert kept.saved is saved, kind
    told = _told(visitor.do("on_go", "fl-viewer-attributes", {"fl-picker-attributes-face": _chosen(kept)}, index=0))
    assert not kept.saved and not told["fl-library"]["faces"][0]["saved"], "the file holds another version"


def test_undo_while_an_edit_is_recorded_takes_that_edit_back(visitor: Visitor, monkeypatch) -> None:
    kept, under_way, go_on, draw = visitor.add(), Event(), Event(), visitor.studio.render
    visitor.edit(kept, smile=1.0)

    def render(*args: Any) -> Any:
        under_way.set()
        assert go_on.wait(60)
        return draw(*args)

    monkeypatch.setattr(visitor.studio, "render", render)
    where = {"fl-picker-attributes-face": _chosen(kept)}
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


def test_a_face_that_is_opened_in_the_library_is_embedded_rather_than_the_photo_on_the_desk(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    for _ in updates:
        pass
    visitor.open_photo()
    target = _told(visitor.do("on_open", "fl-embedding", id=kept.id))["fl-embedding"]["target"]
    assert _told(visitor.do("on_tab", "fl-embedding")) == {"fl-embedding": gr.skip()}, "the tab opens after the face"
    next(visitor.do("on_start", "fl-start", SHORT))
    assert visitor.session.embedding.aligned is kept.embedding.aligned and visitor.session.embedding.name == kept.name
    visitor.do("on_open", "fl-embedding", id=kept.id)
    visitor.do("on_eyes", "fl-stage", points=(TEMPLATE_EYES * 500).tolist())
    told = _told(visitor.do("on_tab", "fl-embedding"))["fl-embedding"]
    assert told["value"] == {"state": "ready"} and told["target"] != target, "the desk's face is wanted again"


def test_the_button_beside_the_photo_embeds_the_photo_s_face(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.open_photo()
    assert not _told(visitor.do("on_open", "fl-embedding", id=kept.id))["fl-start"]["interactive"], "it has no crop"
    next(visitor.do("on_lead_on", "fl-lead-on", SHORT))
    assert visitor.session.embedding.aligned is visitor.session.photo.aligned


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
        visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": _chosen(kept)})


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
    chosen = {"fl-picker-mix-several": _chosen(*faces), "fl-picker-crossover-content": _chosen(*faces)}
    _crowd_after(visitor, monkeypatch, work)
    *_, last = map(_told, visitor.do("on_act", part, values | chosen))
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
        (27, "on_change", "fl-picker-circle-many", {"On the sphere": "sum"}, "letters for 26"),
    ],
)
def test_more_faces_than_can_be_used_are_a_message(
    visitor: Visitor, count: int, handler: str, part: str, values: dict[str, str], said: str
) -> None:
    face = visitor.add()
    for _ in range(count - 1):
        visitor.session.add_history(face.history, name="Ann")
    chosen = _chosen(*visitor.session.faces.values())
    values = values | {"fl-picker-mix-several": chosen, "fl-picker-circle-many": chosen}
    with pytest.raises(gr.Error, match=said):
        list(visitor.do(handler, part, values))


@pytest.mark.parametrize(
    ("handler", "part"), [("on_photo", "fl-dropzone"), ("on_example", "fl-dropzone"), ("on_photo", "fl-circle")]
)
def test_a_visitor_too_many_reads_so_where_the_photo_was_chosen(
    visitor: Visitor, site: tuple[gr.Blocks, Studio, Worker, Sessions], monkeypatch, handler: str, part: str
) -> None:
    monkeypatch.setattr(site[-1], "_limit", 0)
    event = {"path": visitor.upload_photo(), "name": "mara.png", "id": next(iter(load_examples()))}
    told = _told(replace(visitor, name=token_hex(4)).do(handler, part, **event))
    assert list(told) == [part] and "visitors" in told[part]["refusal"]


def test_a_picture_whose_style_cannot_be_read_is_refused_in_its_place(visitor: Visitor) -> None:
    path = Path(visitor.upload_photo())
    path.write_bytes(b"no picture")
    told = visitor.do("on_take", "fl-stylise", path=str(path), name="waves.png")
    assert "photo" in told["refusal"] and told["state"] == "idle"


def test_a_comparison_that_was_refused_is_drawn_when_its_tab_is_opened_again(visitor: Visitor, monkeypatch) -> None:
    values = {"Models": ["faces128"]}
    with monkeypatch.context() as crowd:
        crowd.setattr(visitor.worker, "_max_jobs", 0)
        _until_it_fails(visitor.do("on_open", "fl-lineup", values), "using this machine")
    *_, last = map(_told, visitor.do("on_open", "fl-lineup", values))
    assert len(last["fl-lineup"]["sheets"]) == 1
    assert not list(visitor.do("on_open", "fl-lineup", values)), "it is there already"


def test_random_faces_are_drawn_once_some_at_a_time(visitor: Visitor, monkeypatch) -> None:
    drawn, draw = [], visitor.studio.render_many

    def render_many(faces: list[Any], *args: Any) -> Any:
        drawn.append(len(faces))
        return draw(faces, *args)

    monkeypatch.setattr(visitor.studio, "render_many", render_many)
    *_, last = map(_told, visitor.do("on_act", "fl-sheet-mix", {"What to do": "random", "How many": 18}))
    assert drawn == [9, 9] and len(last["fl-sheet-mix"]["cells"]) == 18


def test_every_setting_has_a_sentence_of_help(visitor: Visitor) -> None:
    kinds = gr.Radio | gr.CheckboxGroup | gr.Slider | gr.Checkbox | gr.Dropdown
    assert not [each.label for each in visitor.page.blocks.values() if isinstance(each, kinds) and not each.info]
