"""Every edit of one face, done in the page to a portrait, and every result saved."""

from __future__ import annotations

import re
import time
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect
from visitor import (
    add_examples,
    another_picture,
    bring,
    check_film,
    check_png,
    choose,
    download,
    make_own_direction,
    open_tab,
    picture,
    save_picture,
    set_slider,
    upload,
)

from facelab.face import Face
from facelab.page.examples import load_examples
from facelab.studio import Studio

expect.set_options(timeout=60_000)  # continuous integration has slow machines


def test_attributes_live_with_history_presets_and_a_file(visit, portrait: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    bring(page, portrait)
    open_tab(page, "Attributes")
    choose(page, "attributes-face", "Eileen")
    expect(page.locator("#fl-viewer-attributes .fl-view-caption")).to_have_text("Original")
    start = picture(page, "attributes")
    make_own_direction(page, "Lightness")
    slider = page.get_by_label("Lightness: without to with")
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    moved = another_picture(page, "attributes", start)
    steps = page.locator("#fl-viewer-attributes .fl-step")
    expect(steps).to_have_text(["Original", "Lightness +0.40"])
    check_png(save_picture(page, "attributes", tmp_path), said="attribute own")
    page.get_by_role("button", name="Undo").click()
    assert another_picture(page, "attributes", moved) == start, "with no edit it is the photo's crop again"
    expect(slider).to_have_value("0")
    choose(page, "attributes-face", "Eileen")  # the server is told of the sliders once more
    page.wait_for_timeout(1500)
    expect(slider).to_have_value("0")
    page.get_by_role("button", name="Redo").click()
    assert another_picture(page, "attributes", start) == moved
    page.get_by_role("button", name="Save as preset").click()
    page.get_by_label("Name of the preset").fill("Brighter")
    page.keyboard.press("Enter")
    choose(page, "attributes-face", "Nina")
    expect(slider).to_have_value("0")
    nina = picture(page, "attributes")
    page.get_by_label("Apply a preset").select_option("Brighter")
    another_picture(page, "attributes", nina)
    expect(slider).to_have_value("0.4")
    expect(steps).to_have_text(["Original", "Brighter"])
    page.get_by_role("button", name="Keep as a new face").click()
    expect(page.locator(".fl-face")).to_have_count(8)
    saved = download(page, page.get_by_role("button", name="Save Lightness as a file"), tmp_path)
    page.get_by_role("button", name="Delete Lightness").click()
    page.get_by_role("button", name="Delete Lightness for good").click()
    expect(page.get_by_role("tab", name="Own")).to_have_count(0)
    page.set_input_files(".fl-shelf input[type=file]", str(saved))
    expect(page.get_by_role("tab", name="Own")).to_have_count(1)


def test_sliders_that_are_moved_while_the_machine_is_at_work_all_count(visit, tmp_path: Path, monkeypatch):
    quick = Studio.edit

    def slow(*args, **options):
        time.sleep(1.5)
        return quick(*args, **options)

    monkeypatch.setattr(Studio, "edit", slow)
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Attributes")
    picture(page, "attributes")
    panel.get_by_label("Smile: serious to smiling").fill("1")
    page.wait_for_timeout(2000)  # the slider has come to rest, and what that gives is under way
    panel.get_by_label("Turn: to the left to to the right").fill("1")
    expect(page.locator("#fl-viewer-attributes .fl-step").last).to_have_text(re.compile("^(Turn .*|2 attributes)$"))
    check_png(save_picture(page, "attributes", tmp_path), said="attribute smile 1, attribute yaw 1")


def test_an_edit_stays_in_its_place_until_it_is_let_out(visit):
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Attributes")
    first = picture(page, "attributes")
    choose(page, "attributes-face", "Nina")
    start = another_picture(page, "attributes", first)
    panel.get_by_role("tab", name="Person").click()
    panel.get_by_label("Glasses: without to with").fill("2")
    placed = another_picture(page, "attributes", start)
    panel.get_by_role("button", name="Advanced").click()
    panel.get_by_label("The whole picture").check()
    everywhere = another_picture(page, "attributes", placed)
    expect(page.locator("#fl-viewer-attributes .fl-step").last).to_have_text("The whole picture")

    def changed(shown):
        """How much the hair and the chin differ from what they were."""
        before, after = (np.asarray(Image.open(BytesIO(b64decode(each.split(",")[1]))), int) for each in (start, shown))
        side = len(before)
        return np.abs(after - before)[[*range(side // 8), *range(7 * side // 8, side)]].mean()

    assert 4 * changed(placed) < changed(everywhere)


def test_a_walk_is_drawn_as_a_strip(visit, tmp_path: Path):
    page = visit()
    add_examples(page)
    open_tab(page, "Attributes")
    picture(page, "attributes")
    page.get_by_role("button", name="Walk").click()
    page.get_by_role("button", name="Draw the walk").click()
    film = page.locator("#fl-film-attributes")
    frames = film.locator(".fl-film-frames img")
    expect(frames).to_have_count(11)
    width = page.evaluate("document.querySelector('#fl-work').clientWidth")
    boxes = frames.evaluate_all("all => all.map((each) => each.getBoundingClientRect().toJSON())")  # while it scrolls
    assert {box["y"] for box in boxes} == {boxes[0]["y"]}, "all of the way is seen, in one row"
    assert boxes[0]["width"] > 70 and boxes[-1]["x"] + boxes[-1]["width"] - boxes[0]["x"] > 0.9 * width
    check_film(download(page, film.get_by_role("button", name="GIF"), tmp_path), frames=11)
    assert Image.open(download(page, film.get_by_role("button", name="PNG strip"), tmp_path)).size[0] >= 11 * 256


def test_the_main_picture_is_compared_held_and_toggled(visit, portrait: Path):
    page = visit()
    add_examples(page)
    bring(page, portrait)
    open_tab(page, "Style crossover")
    choose(page, "crossover-content", "Eileen")
    choose(page, "crossover-style", "Otto")
    viewer = page.locator("#fl-viewer-crossover")
    expect(viewer.locator(".fl-view-caption")).to_contain_text("Style of Otto")
    with_detail = picture(page, "crossover")
    viewer.get_by_role("button", name="Compare before and after").click()
    divider = viewer.get_by_label("Divider between before and after")
    expect(divider).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(divider).to_have_value("49")
    assert "51%" in viewer.locator(".fl-view-before").evaluate("img => img.style.clipPath")
    viewer.get_by_role("button", name="Compare before and after").click()
    expect(viewer.locator(".fl-view-before")).to_be_hidden()
    hold = viewer.get_by_role("button", name="Hold to see")
    hold.focus()
    page.keyboard.down("Space")
    expect(viewer.locator(".fl-view-before")).to_be_visible()
    page.keyboard.up("Space")
    expect(viewer.locator(".fl-view-before")).to_be_hidden()
    viewer.get_by_role("radio", name="Generator").click()
    another_picture(page, "crossover", with_detail)
    viewer.get_by_role("radio", name="Photo").click()
    page.wait_for_function(
        "before => document.querySelector('#fl-viewer-crossover .fl-view-after').src === before", arg=with_detail
    )


def test_attributes_are_edited_on_the_circle(visit):
    """What the circle knows moves on it; what it does not know is off and says why, and what was set of it is left."""
    page = visit()
    add_examples(page)
    open_tab(page, "Attributes")
    before = picture(page, "attributes")
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    page.get_by_label("Circle", exact=True).locator("visible=true").check()
    turn = page.locator(".fl-slider[data-id=yaw]").locator("visible=true")
    expect(turn.locator("input")).to_be_disabled()
    expect(turn).to_contain_text("No classifier on the circle")
    smile = page.locator(".fl-slider[data-id=smile] input").locator("visible=true")
    smile.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    another_picture(page, "attributes", before)
    expect(page.locator("#fl-viewer-attributes .fl-step").last).to_have_text("Smile +0.40")
    page.get_by_label("Linear", exact=True).locator("visible=true").check()
    expect(turn.locator("input")).to_be_enabled()
    expect(page.locator("#fl-viewer-attributes .fl-step").last).to_have_text("Linear")


def test_the_edited_face_goes_back_into_the_photo(visit, portrait: Path, shared_photos: Path, tmp_path: Path):
    page = visit()
    upload(page, shared_photos / "astronaut.png")
    bring(page, portrait)
    open_tab(page, "Back into the photo")
    untouched = picture(page, "paste")
    expect(page.locator("#fl-viewer-paste .fl-view-caption")).to_contain_text("No face edited yet")
    button = page.get_by_role("button", name="Download the photo")
    expect(button).to_be_disabled()
    photo = np.asarray(Image.open(shared_photos / "astronaut.png").convert("RGB"))
    add_examples(page)
    open_tab(page, "Attributes")
    choose(page, "attributes-face", "Eileen")
    make_own_direction(page, "Lightness")
    before = picture(page, "attributes")
    page.get_by_label("Lightness: without to with").fill("2")
    another_picture(page, "attributes", before)
    open_tab(page, "Back into the photo")
    shown = Image.open(BytesIO(b64decode(another_picture(page, "paste", untouched).split(",")[1])))
    assert b"compositeWithTrainedAlgorithmicMedia" in shown.info["xmp"], "what a phone shares says it, too"
    path = download(page, button, tmp_path)
    check_png(path, side=None, said="paste")
    result = np.asarray(Image.open(path))
    changed = (result != photo).any(axis=2)
    left, top, right, bottom = (lambda q: (*q.min(axis=0), *q.max(axis=0)))(Face.load(portrait).quad)
    inside = np.zeros_like(changed)
    inside[int(max(top, 0)) : int(bottom) + 1, int(max(left, 0)) : int(right) + 1] = True
    assert result.shape == photo.shape and changed.any() and not (changed & ~inside).any()


def test_the_library_is_saved_as_a_project_and_opened_again(visit, portrait: Path, tmp_path: Path):
    page = visit()
    bring(page, portrait)
    add_examples(page)
    open_tab(page, "Attributes")
    choose(page, "attributes-face", "Eileen")
    page.get_by_label("Smile: serious to smiling").fill("1.5")  # at once, while the face is still to come
    expect(page.locator("#fl-viewer-attributes .fl-step")).to_have_text(["Original", "Smile +1.50"])
    edited = picture(page, "attributes")
    path = download(page, page.get_by_role("button", name="Save all as a project"), tmp_path)
    assert path.name == "faces.facelab"
    again = visit()
    again.set_input_files(".fl-library input[type=file]", str(path))
    expect(again.locator(".fl-face")).to_have_count(7)
    open_tab(again, "Attributes")
    choose(again, "attributes-face", "Eileen")
    expect(again.locator("#fl-viewer-attributes .fl-step")).to_have_text(["Original", "Smile +1.50"])
    assert picture(again, "attributes") == edited, "the face with its history is as it was"
    expect(again.get_by_label("Smile: serious to smiling")).to_have_value("1.5")


def test_pictures_are_marked_for_the_eye_on_demand(visit, tmp_path: Path):
    page = visit()
    add_examples(page)
    plain = {}
    for tab in ("Attributes", "Morph"):
        open_tab(page, tab)
        plain[tab] = picture(page, tab.lower())
    page.get_by_label("Write “made with AI” on what I save").check()
    another_picture(page, "morph", plain["Morph"])
    open_tab(page, "Attributes")
    another_picture(page, "attributes", plain["Attributes"])


def test_a_page_that_is_loaded_again_keeps_its_faces(visit, site, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(site.sessions, "_grace", 60.0)
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Attributes")
    make_own_direction(page, "Freckled")
    page.get_by_role("button", name="Delete Ivy").click()
    page.get_by_role("button", name="Delete Ivy for good").click()
    expect(page.locator(".fl-face")).to_have_count(5)
    page.once("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator(".fl-face")).to_have_count(5)
    bring(page, download(page, page.get_by_role("button", name="Save all as a project"), tmp_path))
    expect(page.locator(".fl-face")).to_have_count(10)
    open_tab(page, "Attributes")
    panel.get_by_role("button", name="New direction").click()
    expect(panel.get_by_role("button", name="Delete Freckled")).to_be_visible()
    choose(page, "attributes-face", "Leo")
    picture(page, "attributes")
    expect(panel.get_by_role("tab", name="Own")).to_be_visible()


def test_nothing_is_left_in_attributes_of_a_face_that_is_deleted(visit, tmp_path: Path):
    next(iter(load_examples().values())).face.save(tmp_path / "Mara.npz")
    page = visit()
    bring(page, tmp_path / "Mara.npz")
    panel = open_tab(page, "Attributes")
    before = picture(page, "attributes")
    smile = panel.get_by_label("Smile: serious to smiling")
    smile.fill("2")
    another_picture(page, "attributes", before)
    expect(panel.locator(".fl-step")).to_have_text(["Original", "Smile +2.00"])
    page.get_by_role("button", name="Delete Mara").click()
    page.get_by_role("button", name="Delete Mara for good").click()
    expect(panel.get_by_text("Choose a face, then move a slider")).to_be_visible()
    expect(panel.locator(".fl-view-steps")).to_be_hidden()
    expect(panel.get_by_role("button", name="Undo")).to_be_hidden()
    expect(smile).to_have_value("0")


def test_what_is_missing_is_said(visit):
    page = visit()
    for tab, hint in (("Morph", "every face between"), ("Expression", "neutral and an expressive")):
        open_tab(page, tab)
        expect(page.get_by_text(hint).locator("visible=true")).to_be_visible()
    page.get_by_role("button", name="Make the film").click()
    expect(page.get_by_text("Choose a face under “Target”")).to_be_visible()


def test_a_page_that_was_away_too_long_says_so(visit, site):
    page = visit()
    add_examples(page)
    site.sessions._sessions.clear()
    page.get_by_role("button", name="Save the picture of Ivy").click()
    expect(page.locator(".fl-library-said")).to_contain_text("away too long")
    expect(page.locator(".fl-face")).to_have_count(0)
    add_examples(page)
    expect(page.locator(".fl-library-said")).to_be_empty()


def test_one_version_of_each_face_of_a_photo_is_chosen_to_go_back(visit):
    page = visit()
    page.evaluate("""() => {
      const face = (id, crop, edits) => ({ id, name: id, picture: "", edits, photo: true, of: "photo", crop });
      facelab.faces = [face("Ann", "ann", 0), face("Ann 2", "ann", 1), face("Ben", "ben", 1), face("Ben 2", "ben", 2)];
    }""")
    open_tab(page, "Back into the photo")
    ticked = page.locator("#fl-picker-paste-faces .fl-pick[aria-checked=true]")
    titles = "all => all.map((each) => each.title)"
    expect(ticked).to_have_count(2)
    assert ticked.evaluate_all(titles) == ["Ann 2", "Ben 2"]
    choose(page, "paste-faces", "Ann")
    assert ticked.evaluate_all(titles) == ["Ann", "Ben 2"]


def test_a_second_face_is_another_one_of_the_same_model_or_asked_for(visit):
    page = visit()
    show = """(models) => {
      facelab.faces = models.map((model, index) => ({ id: `${index}`, name: `${index}`, picture: "", model }));
      facelab.subject = "0";
      document.dispatchEvent(new Event("facelab:faces"));
    }"""
    open_tab(page, "Morph")
    second = page.locator("#fl-picker-morph-second")
    for models, name in ((["a"], None), (["a", "b"], None), (["a", "b", "a"], "2")):
        page.evaluate(show, models)
        expect(second.get_by_text("A second face is needed")).to_be_visible(visible=name is None)
        expect(second.get_by_role("button", name="Add the examples")).to_be_visible(visible=name is None)
        picks = second.locator(".fl-pick[aria-checked=true]")
        ticked = picks.evaluate_all("all => all.map((each) => each.dataset.name)")
        assert ticked == ([] if name is None else [name])
    choose(page, "morph-first", "2")
    expect(second.locator(".fl-pick[data-name='0']")).to_have_attribute("aria-checked", "true")


def test_the_examples_can_be_added_beside_one_s_own_face(visit, portrait: Path):
    page = visit()
    bring(page, portrait)
    page.locator(".fl-library-head").get_by_role("button", name="Add the examples").click()
    expect(page.locator(".fl-face")).to_have_count(7)
    expect(page.locator(".fl-library [role=status]")).to_have_text("6 faces were added to the library.")


def test_a_tab_shows_a_face_as_it_was_edited_since(visit):
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Attributes")
    choose(page, "attributes-face", "Leo")
    was = picture(page, "attributes")
    open_tab(page, "Morph")
    before = picture(page, "morph")
    open_tab(page, "Attributes")
    panel.get_by_role("tab", name="Person").click()
    panel.get_by_label("Glasses: without to with").fill("2")
    another_picture(page, "attributes", was)
    open_tab(page, "Morph")
    another_picture(page, "morph", before)


def test_a_result_that_is_used_in_mix_is_chosen_there_beside_the_others(visit):
    page = visit()
    add_examples(page)
    open_tab(page, "Mix")
    choose(page, "mix-several", "Leo")
    open_tab(page, "Attributes")
    choose(page, "attributes-face", "Otto")
    picture(page, "attributes")
    page.locator("#fl-viewer-attributes").get_by_label("Use in another tab").select_option("mix")
    expect(page.locator("#fl-picker-mix-several .fl-pick[data-name='Otto']")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#fl-picker-mix-several .fl-pick[data-name='Leo']")).to_have_attribute("aria-checked", "true")
    expect(page.locator(".fl-face")).to_have_count(6)


def test_a_film_of_other_faces_than_are_chosen_says_so_and_goes_with_its_face(visit):
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Morph")
    picture(page, "morph")
    panel.get_by_role("button", name="Make the film").click()
    film = panel.locator("#fl-film-morph .fl-film")
    expect(film.locator(".fl-progress-text")).to_have_text(re.compile("^Mara to Leo · 60 frames, [0-9.]+ s$"))
    choose(page, "morph-second", "Otto")
    expect(film.locator(".fl-progress-text")).to_have_text(re.compile("other faces are chosen now$"))
    expect(film).to_have_class(re.compile("other"))
    page.get_by_role("button", name="Film settings").click()
    set_slider(page, "Frames", 180)  # long enough to be stopped
    panel.get_by_role("button", name="Make the film").click()
    panel.get_by_role("button", name="Stop").click()
    expect(film.locator(".fl-progress-text")).to_have_text(
        re.compile("^Stopped at frame [0-9]+. This is the film before.")
    )
    expect(film.locator(".fl-film-picture")).to_be_visible()
    expect(film.get_by_role("button", name="GIF")).to_be_visible()
    page.get_by_role("button", name="Delete Leo").click()
    page.get_by_role("button", name="Delete Leo for good").click()
    expect(film).to_be_hidden()
