"""What the page does with a face while it is embedded, and what other tabs and visitors make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import pytest
import torch

from facelab.embedding import EmbedStep
from facelab.embedding_settings import PRESETS
from facelab.face import Face
from facelab.history import Version
from facelab.page.embed_controls import build_controls
from facelab.template import TEMPLATE_EYES
from tests.page_visitor import SHORT, Visitor, chosen, told_of, told_until_it_fails


def test_an_embedding_that_is_refused_has_not_begun(visitor: Visitor, monkeypatch) -> None:
    visitor.open_photo()
    monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    told = told_until_it_fails(visitor.do("on_start", "fl-start", SHORT), "all it can serve")
    assert told[0]["fl-embedding"]["value"]["state"] == "waiting" and told[-1]["fl-embedding"] == {"state": "ready"}
    assert (
        told[-1]["fl-start"]["visible"] and told[-1]["fl-start"]["interactive"] and not told[-1]["fl-stop"]["visible"]
    )
    assert not visitor.session.embedding.running and not visitor.session.faces


def test_an_embedding_that_ends_in_a_crowd_is_in_the_library(visitor: Visitor, monkeypatch) -> None:
    kept, updates = visitor.embed()
    for update in updates:
        told = told_of(update)
        if visitor.session.embedding.step is not None:
            monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    assert kept.face.latent.values is visitor.session.embedding.step.latent.values
    assert told["fl-embedding"]["state"] == "done" and not told["fl-stop"]["visible"]


def test_what_fails_while_it_is_embedded_is_kept_and_can_go_on(visitor: Visitor, monkeypatch) -> None:
    _, updates = visitor.embed()
    monkeypatch.setattr(visitor.session.embedding, "record", lambda step: 1 / 0)
    told = told_until_it_fails(updates, "went wrong")
    assert told[-1]["fl-embedding"]["state"] == "ready" and told[-1]["fl-start"]["interactive"]
    assert len(visitor.session.faces) == 1 and not visitor.session.embedding.running


def test_the_figures_of_a_stopped_embedding_are_the_kept_face_s(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    embedding, figures = visitor.session.embedding, []
    record = embedding.record

    def record_and_stop(step: EmbedStep, seconds: float) -> None:
        record(replace(step, psnr=1.0, identity_distance=1.9), seconds)
        figures.append((embedding.psnr, embedding.identity))
        embedding.stopping.set()

    embedding.record = record_and_stop
    *_, last = map(told_of, updates)
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
        visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": chosen(kept)})
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
    values = {"fl-picker-morph-first": chosen(kept), "fl-picker-morph-second": chosen(other)}
    visitor.do("on_change", "fl-picker-morph-first", values)
    for _ in updates:
        pass
    result = visitor.session.results["morph"]
    between = (kept.face.latent.values + other.face.latent.values) / 2
    assert result.source is kept.history and (result.face.latent.values - between).abs().max() < 1e-5


def test_edits_that_versions_begin_with_alike_are_done_once(visitor: Visitor, monkeypatch) -> None:
    kept, updates = visitor.embed()
    smile = {"op": "attribute", "id": "smile", "strength": 1.0}
    older = {"op": "attribute", "id": "age", "strength": 1.0, "method": "mean"}
    for steps in ((smile,), (smile, older)):
        kept.history.record(Version("Edit", steps, kept.face, kept.picture))
    done, edit = [], visitor.studio.edit

    def counted(face: Face, strengths: dict[str, float], **how: Any) -> Face:
        done.append(strengths)
        return edit(face, strengths, **how)

    monkeypatch.setattr(visitor.studio, "edit", counted)
    for _ in updates:
        pass
    assert done[-2:] == [{"smile": 1.0}, {"age": 1.0}] and len(done) % 2 == 0, "twice, as the likeness comes first"
    smiling = edit(kept.history.base, {"smile": 1.0})
    assert torch.equal(kept.history.versions[1].face.latent.values, smiling.latent.values)
    assert torch.equal(kept.face.latent.values, edit(smiling, {"age": 1.0}, method="mean").latent.values)


def test_a_photo_that_is_being_turned_is_not_embedded_and_nor_is_the_one_before(visitor: Visitor) -> None:
    _, updates = visitor.embed()
    for _ in updates:
        pass
    visitor.open_photo()
    visitor.session.photo = visitor.session.photo.turned(1)
    assert not told_until_it_fails(visitor.do("on_lead_on", "fl-lead-on"), "no crop yet")
    assert len(visitor.session.faces) == 1
    assert visitor.do("on_leading", "fl-lead-on") == gr.skip(), "the eyes to be clicked are here"
    visitor.open_photo()
    assert visitor.do("on_leading", "fl-lead-on").selected == "embed"


def test_tabs_are_drawn_anew_after_an_embedding(visitor: Visitor) -> None:
    begun = [each._id for each in visitor.page.fns.values() if each.name in ("on_lead_on", "on_start", "on_continue")]
    after = [each.trigger_after for each in visitor.page.fns.values() if "facelab:redraw" in str(each.js)]
    assert len(begun) == 3 and set(begun) <= set(after)


def test_a_face_that_is_deleted_while_it_is_embedded_does_not_come_back(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    visitor.do("on_remove", "fl-library", id=kept.id)
    *_, last = map(told_of, updates)
    assert not visitor.session.faces and last["fl-library"]["faces"] == []
    assert last["fl-embedding"]["state"] == "stopped"
    for _ in visitor.do("on_continue", "fl-continue", SHORT):
        pass
    assert len(visitor.session.faces) == 1, "who goes on with it wants it again"


def test_a_click_on_the_face_that_is_embedded_lets_it_go_on(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    other = visitor.add()
    assert set(told_of(visitor.do("on_open", "fl-embedding", id=kept.id))) == {"fl-tabs"}
    assert not kept.embedding.stopping.is_set()
    visitor.do("on_open", "fl-embedding", id=other.id)
    assert kept.embedding.stopping.is_set(), "another face takes its place"
    for _ in updates:
        pass


def test_a_face_that_was_left_and_is_still_stopping_is_shown(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    visitor.session.stop_everything()  # as when its page is loaded anew
    told = told_of(visitor.do("on_open", "fl-embedding", id=kept.id))
    assert told["fl-embedding"]["value"]["picture"] and told["fl-edit"]["visible"]
    for _ in updates:
        pass


def test_a_face_that_is_opened_in_the_library_is_embedded_rather_than_the_photo_on_the_desk(visitor: Visitor) -> None:
    kept, updates = visitor.embed()
    for _ in updates:
        pass
    visitor.open_photo()
    target = told_of(visitor.do("on_open", "fl-embedding", id=kept.id))["fl-embedding"]["target"]
    assert told_of(visitor.do("on_tab", "fl-embedding")) == {"fl-embedding": gr.skip()}, "the tab opens after the face"
    next(visitor.do("on_start", "fl-start", SHORT))
    assert visitor.session.embedding.aligned is kept.embedding.aligned and visitor.session.embedding.name == kept.name
    visitor.do("on_open", "fl-embedding", id=kept.id)
    photo = visitor.session.photo.number
    visitor.do("on_eyes", "fl-stage", photo=photo, points=(TEMPLATE_EYES * 500).tolist())
    told = told_of(visitor.do("on_tab", "fl-embedding"))["fl-embedding"]
    assert told["value"] == {"state": "ready"} and told["target"] != target, "the desk's face is wanted again"


def test_embed_makes_no_face_of_another_model_of_one_that_is_in_the_library(visitor: Visitor) -> None:
    visitor.open_photo()
    kept = visitor.cut("Ann")  # a likeness that no search has begun for
    visitor.do("on_open", "fl-embedding", id=kept.id)
    visitor.session.model = "vae64"
    for _ in visitor.do("on_start", "fl-start", SHORT):
        pass
    models = {each.name: each.face.latent.model for each in visitor.session.faces.values()}
    assert kept.face.latent.model == "faces128" and "vae64" in models.values() and len(models) == 2


def test_the_button_beside_the_photo_embeds_the_photo_s_face(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.open_photo()
    assert not told_of(visitor.do("on_open", "fl-embedding", id=kept.id))["fl-start"]["interactive"], "it has no crop"
    next(visitor.do("on_lead_on", "fl-lead-on", SHORT))
    assert visitor.session.embedding.aligned is visitor.session.photo.aligned


def test_another_face_is_embedded_while_one_is_and_that_one_is_kept(visitor: Visitor) -> None:
    first, updates = visitor.embed()
    assert list(visitor.do("on_lead_on", "fl-lead-on", SHORT)) == [gr.skip()], "the same face goes on"
    assert not first.embedding.stopping.is_set()
    visitor.open_photo()
    others = visitor.do("on_lead_on", "fl-lead-on", SHORT)
    next(others)
    last = [told_of(each) for each in updates]
    assert all(set(each) == {"fl-library"} for each in last), "the other one is seen by now"
    for _ in others:
        pass
    assert len(visitor.session.faces) == 2 and first.embedding.step.step < visitor.session.embedding.step.step


@pytest.fixture
def without_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facelab.page.embed_controls.has_vgg16", lambda: False)


def test_vgg_is_not_offered_without_its_weights_and_costs_nothing_when_asked_for(without_vgg, visitor: Visitor) -> None:
    with gr.Blocks():
        eyes = build_controls(PRESETS["fast"])["perceptual"]
    assert eyes.interactive is False and "weights are not in the checkpoints folder" in eyes.info
    visitor.open_photo()
    with pytest.raises(gr.Error, match="weights are not in"):
        next(visitor.do("on_start", "fl-start", {**SHORT, "Perceptual network": "vgg16"}))
    assert not visitor.session.faces
