"""What the page does where work fails, ends or is not wanted any more: its handlers, called as Gradio calls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread, current_thread
from time import sleep
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio.utils import get_upload_folder

from facelab.errors import BadSetting, Busy
from facelab.page.backstage import as_message, friendly
from facelab.page.examples import load_examples
from facelab.page.page import build_page
from facelab.page.video import Footage
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker
from tests.page_visitor import Visitor, chosen, told_of, told_until_it_fails


@pytest.mark.parametrize("data", [None, {}, {"path": None}])
def test_an_event_that_brings_nothing_is_an_event_all_the_same(data: object) -> None:
    assert friendly(lambda *args: "answered")(gr.EventData(None, data)) == "answered"


def test_a_film_that_fails_leaves_no_stop_button_behind(visitor: Visitor) -> None:
    values = {
        "fl-picker-morph-first": chosen(visitor.add()),
        "fl-picker-morph-second": chosen(visitor.add("vae64")),
    }
    told = told_until_it_fails(visitor.do("on_make", "fl-film-morph", values), "“Faces, 128 px”")
    assert [each["fl-film-morph"]["state"] for each in told] == ["running", "kept"]


def test_faces_that_do_not_go_together_are_said_in_the_picture_s_place(visitor: Visitor) -> None:
    one, two, other = visitor.add(), visitor.add(), visitor.add("vae64")
    picked = {"fl-picker-morph-first": chosen(one), "fl-picker-morph-second": chosen(two)}
    assert "picture" in told_of(visitor.do("on_change", "fl-picker-morph-first", picked))["fl-viewer-morph"]
    assert "morph" in visitor.session.results
    picked["fl-picker-morph-second"] = chosen(other)
    told = told_of(visitor.do("on_change", "fl-picker-morph-first", picked))["fl-viewer-morph"]
    assert "“Faces, 128 px”" in told["hint"] and "morph" not in visitor.session.results, "nothing older can be kept"


def test_a_widget_s_value_is_of_few_pieces(visitor: Visitor) -> None:
    """Gradio's page copies them one by one at every message of any tab."""

    def pieces(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return 1 + sum(map(pieces, inner))

    drawn = [*map(told_of, visitor.do("on_open", "fl-lineup", {"Models": ["faces128", "vae64"]}))]
    assert json.loads(drawn[0]["fl-losses"]["models"][0]["curves"])[0]["points"]
    assert json.loads(drawn[0]["fl-figures"]["lines"])[0]["cells"]
    told = [*drawn, *map(told_of, visitor.embed()[1])]
    values = [
        each[name] for each in told for name in ("fl-losses", "fl-figures", "fl-lineup", "fl-embedding") if name in each
    ]
    assert len(values) > 5 and max(map(pieces, values)) < 80


def test_a_grid_that_fails_leaves_the_sheet_before_it(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add("vae64")
    picked = {"fl-picker-crossover-contents": chosen(one), "fl-picker-crossover-styles": chosen(one)}
    *_, before = map(told_of, visitor.do("on_draw", "fl-sheet-crossover", picked))
    picked["fl-picker-crossover-styles"] = chosen(other)
    told = told_until_it_fails(visitor.do("on_draw", "fl-sheet-crossover", picked), "“Faces, 128 px”")
    assert told[0]["fl-sheet-crossover"]["running"] and told[-1] == before


def test_sheets_go_with_the_faces_that_they_are_made_of(visitor: Visitor) -> None:
    one, other, third = (visitor.add() for _ in range(3))
    picked = {"fl-picker-crossover-contents": chosen(one), "fl-picker-crossover-styles": chosen(other)}
    *_, grid = map(told_of, visitor.do("on_draw", "fl-sheet-crossover", picked))
    values = {"What to do": "neighbours", "fl-picker-mix-centre": chosen(one)}
    *_, near = map(told_of, visitor.do("on_act", "fl-sheet-mix", values))
    assert grid["fl-sheet-crossover"]["of"] == sorted([one.id, other.id]) and near["fl-sheet-mix"]["of"] == [one.id]
    visitor.session.delete_face(third.id)
    assert set(visitor.session.sheets) == {"crossover", "mix"}
    visitor.session.delete_face(other.id)
    assert set(visitor.session.sheets) == {"mix"}
    visitor.session.delete_face(one.id)
    assert not visitor.session.sheets


def test_what_is_taken_from_a_sheet_has_no_edit_that_was_made_after_it(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add()
    list(visitor.do("on_act", "fl-sheet-mix", {"What to do": "neighbours", "fl-picker-mix-centre": chosen(one)}))
    picked = {"fl-picker-crossover-contents": chosen(one), "fl-picker-crossover-styles": chosen(other)}
    list(visitor.do("on_draw", "fl-sheet-crossover", picked))
    visitor.edit(one, smile=1.0)
    for tab, last in (("mix", "Neighbour 1"), ("crossover", "Style of")):
        visitor.do("on_choose", f"fl-sheet-{tab}", index=0)
        result = visitor.session.results[tab]
        history = result.history(one.picture)
        assert [version.title for version in history.versions][:-1] == ["Original"]
        assert history.now.title.startswith(last)
        *_, replayed = visitor.studio.replay(history.base, history.recipe, history.now.others)
        assert torch.allclose(replayed.latent.values, result.face.latent.values, atol=1e-5)


def test_every_edit_is_done_in_its_turn_on_the_device(visitor: Visitor, monkeypatch) -> None:
    one, other = visitor.add(), visitor.add()
    done = {}

    def noted(name: str):
        edit = getattr(Studio, name)
        monkeypatch.setattr(
            Studio,
            name,
            lambda *args, **options: (
                done.setdefault(name, current_thread().name.rpartition("_")[0]),
                edit(*args, **options),
            )[1],
        )

    for name in ("combine", "neighbours", "express"):
        noted(name)
    several = {"What to do": "combine", "fl-picker-mix-several": chosen(one, other)}
    list(visitor.do("on_act", "fl-sheet-mix", several))
    list(visitor.do("on_act", "fl-sheet-mix", {"What to do": "neighbours", "fl-picker-mix-centre": chosen(one)}))
    parts = {"target": one, "neutral": one, "expressive": other}
    picked = {f"fl-picker-expression-{part}": chosen(face) for part, face in parts.items()}
    visitor.do("on_change", "fl-picker-expression-target", picked)
    assert done == dict.fromkeys(("combine", "neighbours", "express"), "facelab-device")


@pytest.mark.parametrize("corrected", [False, True])
def test_a_crop_aligned_by_hand_outlives_other_landmarks(visitor: Visitor, corrected: bool) -> None:
    visitor.open_photo()
    photo = visitor.session.photo
    photo.start = photo.aligned.quad
    if corrected:
        photo.faces = visitor.studio.find_faces(photo.pixels)
        photo.chosen, photo.start = 0, photo.start + 1
    by_hand = photo.aligned
    visitor.do("on_landmarks", "Landmarks", {"Landmarks": "mtcnn"})
    assert photo.aligned is by_hand and photo.faces and photo.chosen == (0 if corrected else None)
    visitor.do("on_reset", "fl-crop")
    assert np.array_equal(photo.aligned.quad, photo.start)


def test_neighbours_of_no_face_are_not_begun(visitor: Visitor) -> None:
    told = told_until_it_fails(visitor.do("on_act", "fl-sheet-mix", {"What to do": "neighbours"}), "Choose a face")
    assert not any(each["fl-sheet-mix"].get("running") for each in told)


def test_random_faces_that_fail_leave_no_stop_button_behind(visitor: Visitor, monkeypatch) -> None:
    monkeypatch.setattr(visitor.worker, "_max_jobs", 0)
    told = told_until_it_fails(visitor.do("on_act", "fl-sheet-mix", {"What to do": "random"}), "all it can serve")
    assert told[0]["fl-sheet-mix"]["running"] and told[-1]["fl-sheet-mix"] == {}


@pytest.mark.parametrize("there", [True, False])
def test_a_clip_that_is_refused_leaves_the_one_before_to_be_edited(visitor: Visitor, there: bool) -> None:
    if there:
        visitor.session.clips["video"] = Footage(None, "holiday", [])
    file = Path(get_upload_folder()) / token_hex(4) / "bad.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no video")
    told = [told_of(each) for each in visitor.do("on_clip", "fl-clip-video", path=file, name=file.name)]
    assert [each["fl-footage-video"]["state"] for each in told] == ["running", "refused"]
    assert told[0]["Make the video"]["interactive"] is False and told[-1]["Make the video"]["interactive"] is there
    assert ("“holiday” is still open" in told[-1]["fl-clip-video"]["refused"]) is there


def test_nothing_is_left_in_attributes_of_a_face_that_is_deleted(visitor: Visitor) -> None:
    kept = visitor.add()
    assert visitor.edit(kept, smile=1.0)["fl-viewer-attributes"]["history"]["at"] == 1
    visitor.do("on_remove", "fl-library", id=kept.id)
    told = told_of(visitor.do("on_change", "fl-sliders", {"fl-picker-attributes-face": chosen()}))
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
        with pytest.raises(gr.Error, match="eed must lie between 0 and"):
            seed.preprocess(10**20)


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


def test_only_a_face_file_of_what_is_shown_counts_as_saved(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.edit(kept, smile=1.0)
    for kind, saved in (("png", False), ("npz", True), ("png", True)):
        visitor.do("on_download", "fl-library", id=kept.id, kind=kind)
        assert kept.saved is saved, kind
    told = told_of(visitor.do("on_go", "fl-viewer-attributes", {"fl-picker-attributes-face": chosen(kept)}, index=0))
    assert not kept.saved and not told["fl-library"]["faces"][0]["saved"], "the file holds another version"


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


def test_a_picture_whose_style_cannot_be_read_is_refused_in_its_place(visitor: Visitor) -> None:
    path = Path(visitor.upload_photo())
    path.write_bytes(b"no picture")
    told = visitor.do("on_take", "fl-stylise", path=str(path), name="waves.png")
    assert "photo" in told["refusal"] and told["state"] == "idle"


def test_a_comparison_that_was_refused_is_drawn_when_its_tab_is_opened_again(visitor: Visitor, monkeypatch) -> None:
    values = {"Models": ["faces128"]}
    with monkeypatch.context() as crowd:
        crowd.setattr(visitor.worker, "_max_jobs", 0)
        told_until_it_fails(visitor.do("on_open", "fl-lineup", values), "all it can serve")
    *_, last = map(told_of, visitor.do("on_open", "fl-lineup", values))
    assert len(last["fl-lineup"]["sheets"]) == 1
    assert not list(visitor.do("on_open", "fl-lineup", values)), "it is there already"


def test_random_faces_are_drawn_once_some_at_a_time(visitor: Visitor, monkeypatch) -> None:
    drawn, draw = [], visitor.studio.render_many

    def render_many(faces: list[Any], *args: Any) -> Any:
        drawn.append(len(faces))
        return draw(faces, *args)

    monkeypatch.setattr(visitor.studio, "render_many", render_many)
    *_, last = map(told_of, visitor.do("on_act", "fl-sheet-mix", {"What to do": "random", "How many": 18}))
    assert drawn == [9, 9] and len(last["fl-sheet-mix"]["cells"]) == 18


def test_every_setting_has_a_sentence_of_help(visitor: Visitor) -> None:
    kinds = gr.Radio | gr.CheckboxGroup | gr.Slider | gr.Checkbox | gr.Dropdown
    assert not [each.label for each in visitor.page.blocks.values() if isinstance(each, kinds) and not each.info]


def test_of_the_versions_of_one_face_only_one_goes_back_into_the_photo(visitor: Visitor) -> None:
    visitor.open_photo()
    one, again = visitor.cut("Ann"), visitor.cut("Ann 2", dx=0.05)
    beside, drawn = visitor.cut("Ben", dx=0.4), visitor.add()
    shown = visitor.do("on_rename", "fl-library", id=one.id, name="Ann")
    assert [each["crop"] for each in shown["faces"]] == [one.id, one.id, beside.id, drawn.id]
    with pytest.raises(gr.Error, match="Ann and Ann 2 are one face"):
        visitor.do("on_fetch", "fl-picker-paste-faces", {"fl-picker-paste-faces": chosen(one, beside, again)})
    picked = {"fl-picker-paste-faces": chosen(one, beside)}
    visitor.do("on_fetch", "fl-picker-paste-faces", picked)
    [offered] = [
        each for part, each in visitor.do("on_pick", "fl-picker-paste-faces", picked).items() if part.elem_id is None
    ]
    assert not offered.interactive, "nothing is edited yet"


def test_examples_that_are_there_are_not_added_again(visitor: Visitor) -> None:
    visitor.do("on_examples", "fl-library")
    mara = next(iter(visitor.session.faces))
    visitor.edit(visitor.session.faces[mara], smile=1.0)
    visitor.do("on_remove", "fl-library", id=list(visitor.session.faces)[-1])
    names = [each["name"] for each in visitor.do("on_examples", "fl-library")["faces"]]
    assert names == [each.name for each in load_examples().values()]


def test_what_is_in_the_library_is_used_elsewhere_without_a_copy(visitor: Visitor) -> None:
    one, other = visitor.add(), visitor.add()
    visitor.edit(one, smile=1.0)
    told = told_of(visitor.do("on_use", "fl-viewer-attributes", tab="mix"))
    assert told["fl-viewer-attributes"]["goto"]["id"] == one.id and len(visitor.session.faces) == 2
    picked = {"fl-picker-morph-first": chosen(one), "fl-picker-morph-second": chosen(other)}
    visitor.do("on_change", "fl-picker-morph-first", picked)
    for _ in range(2):
        visitor.do("on_use", "fl-viewer-morph", tab="mix")
    assert len(visitor.session.faces) == 3


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


def test_the_menu_of_models_begins_with_the_largest(visitor: Visitor) -> None:
    menu = next(each for each in visitor.page.blocks.values() if getattr(each, "elem_id", "") == "fl-models")
    assert menu.props["models"][0]["name"] == "faces128" and len(menu.props["models"]) == len(visitor.studio.models())


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


def test_names_in_messages_are_text_and_no_markup() -> None:
    assert str(as_message(BadSetting("“<b>Ann</b>” & Ben"))) == repr("“&lt;b&gt;Ann&lt;/b&gt;” &amp; Ben")


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


def test_a_page_that_is_closed_while_it_embeds_keeps_no_other_visitor_waiting(visitor: Visitor, monkeypatch) -> None:
    kept, updates = visitor.embed()
    before, finish, threads = kept.history.versions[0].picture, visitor.worker.finish, []

    def noted(*args: Any, **options: Any) -> Any:
        threads.append(current_thread())
        return finish(*args, **options)

    while visitor.session.embedding.step is None:
        next(updates)
    monkeypatch.setattr(visitor.worker, "finish", noted)
    updates.close()
    while visitor.session.embedding.running:
        sleep(0.01)
    assert threads and current_thread() not in threads
    assert kept.history.versions[0].picture is not before, "and what was found is kept"


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


def test_leaving_the_field_of_layers_as_it_was_is_no_edit(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.edit(kept, smile=1.0)
    said = {"face": kept.id, "strengths": {"smile": 1.0}, "moving": False, "stamp": 2}
    values = {"fl-picker-attributes-face": chosen(kept), "fl-sliders": said, "Where": "everywhere"}
    visitor.do("on_leave", "fl-sliders", values)
    assert len(kept.history.versions) == 2
    visitor.do("on_leave", "fl-sliders", values | {"Layers": "0-3"})
    assert len(kept.history.versions) == 3


def test_what_was_drawn_for_an_earlier_choice_of_models_does_not_come_back(visitor: Visitor) -> None:
    values = {"Models": ["vae64", "dcgan64"]}
    first = visitor.do("on_models", "fl-lineup", values)
    next(first)
    second = visitor.do("on_models", "fl-lineup", values)
    next(second)
    assert not list(first) and list(second)
