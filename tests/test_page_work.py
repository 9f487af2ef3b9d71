"""What the page does where work fails, ends or is not wanted any more: its handlers, called as Gradio calls them."""

from __future__ import annotations

import json
from pathlib import Path
from secrets import token_hex
from threading import current_thread
from time import sleep
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio.utils import get_upload_folder

from facelab.errors import BadSetting
from facelab.page.backstage import as_message, friendly
from facelab.page.examples import load_examples
from facelab.page.video import Footage
from facelab.studio import Studio
from tests.page_visitor import Visitor, chosen, told_of, told_until_it_fails


@pytest.mark.parametrize("data", [None, {}, {"path": None}])
def test_an_event_that_brings_nothing_is_an_event_all_the_same(data: object) -> None:
    assert friendly(lambda *args: "answered")(gr.EventData(None, data)) == "answered"


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


def test_what_was_asked_for_since_is_not_overtaken(visitor: Visitor, monkeypatch) -> None:
    """A page may send two events at once, and the older one may take longer."""
    picked = {"fl-picker-morph-first": chosen(visitor.add()), "fl-picker-morph-second": chosen(visitor.add())}
    run, newer = visitor.worker.run, []

    def slowly(*args, **options):
        if not newer:
            newer.append(None)
            newer[0] = visitor.do("on_change", "fl-picker-morph-first", {**picked, "Position": 1.0})
        return run(*args, **options)

    monkeypatch.setattr(visitor.worker, "run", slowly)
    older = visitor.do("on_change", "fl-picker-morph-first", {**picked, "Position": 0.25})
    assert older == gr.skip() and told_of(newer[0])["fl-viewer-morph"]["picture"]
    assert visitor.session.results["morph"].step["t"] == 1.0


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


def test_only_a_face_file_of_what_is_shown_counts_as_saved(visitor: Visitor) -> None:
    kept = visitor.add()
    visitor.edit(kept, smile=1.0)
    for kind, saved in (("png", False), ("npz", True), ("png", True)):
        visitor.do("on_download", "fl-library", id=kept.id, kind=kind)
        assert kept.saved is saved, kind
    told = told_of(visitor.do("on_go", "fl-viewer-attributes", {"fl-picker-attributes-face": chosen(kept)}, index=0))
    assert not kept.saved and not told["fl-library"]["faces"][0]["saved"], "the file holds another version"


def test_a_picture_whose_style_cannot_be_read_is_refused_in_its_place(visitor: Visitor) -> None:
    path = Path(visitor.upload_photo())
    path.write_bytes(b"no picture")
    told = visitor.do("on_take", "fl-stylise", path=str(path), name="waves.png")
    assert "photo" in told["refusal"] and told["state"] == "idle"


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


def test_the_menu_of_models_begins_with_the_largest(visitor: Visitor) -> None:
    menu = next(each for each in visitor.page.blocks.values() if getattr(each, "elem_id", "") == "fl-models")
    assert menu.props["models"][0]["name"] == "faces128" and len(menu.props["models"]) == len(visitor.studio.models())


def test_names_in_messages_are_text_and_no_markup() -> None:
    assert str(as_message(BadSetting("“<b>Ann</b>” & Ben"))) == repr("“&lt;b&gt;Ann&lt;/b&gt;” &amp; Ben")


def test_a_page_that_is_closed_while_it_embeds_keeps_no_other_visitor_waiting(visitor: Visitor, monkeypatch) -> None:
    kept, updates = visitor.embed()
    before, finish, threads = kept.history.versions[0].picture, visitor.worker.finish, []

    def noted(*args: Any, **options: Any) -> Any:
        threads.append(current_thread())
        return finish(*args, **options)

    monkeypatch.setattr("facelab.page.embed.FRAME_SECONDS", 0)  # a fast machine would be done before it says anything
    while visitor.session.embedding.step is None:
        next(updates)
    monkeypatch.setattr(visitor.worker, "finish", noted)
    updates.close()
    while visitor.session.embedding.running:
        sleep(0.01)
    assert threads and current_thread() not in threads
    assert kept.history.versions[0].picture is not before, "and what was found is kept"
