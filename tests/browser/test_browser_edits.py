"""Every edit, done in the page to a portrait, and every result saved."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from visitor import (
    add_examples,
    another_picture,
    bring,
    choose,
    download,
    fill_number,
    make_own_direction,
    open_tab,
    picture,
    upload,
)

from facelab.embedding_settings import PRESETS
from facelab.face import Face
from facelab.page.examples import load_examples
from facelab.photo import read_photo

expect.set_options(timeout=60_000)  # continuous integration has slow machines


@pytest.fixture(scope="module")
def portrait(shared_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait that was embedded in a few steps, as the face file that a visitor brings again."""
    from facelab.studio import Studio

    studio = Studio(device="cpu")
    photo = read_photo((shared_photos / "astronaut.png").read_bytes())
    aligned = studio.align(photo, studio.find_faces(photo)[0])
    *_, last = studio.embed(aligned, replace(PRESETS["fast"], steps=20, refine_steps=10))
    path = tmp_path_factory.mktemp("faces") / "Eileen.npz"
    studio.to_face(last, aligned).save(path)
    return path


def set_slider(page, label: str, value: float) -> None:
    fill_number(page.get_by_label(f"number input for {label}", exact=True).locator("visible=true"), value)


def check_png(path: Path, *, side: int | None = 512, said: str = "") -> None:
    image = Image.open(path)
    assert image.format == "PNG" and (side is None or image.size == (side, side))
    assert "Made with AI" in image.text["Comment"] and said in image.text["Comment"], image.text["Comment"]


def check_film(path: Path, *, frames: int) -> None:
    image = Image.open(path)
    assert image.n_frames == frames and image.size == (256, 256)


def save_picture(page, tab: str, folder: Path) -> Path:
    viewer = page.locator(f"#fl-viewer-{tab}")
    return download(page, viewer.get_by_role("button", name="Download the picture"), folder)


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
    expect(page.get_by_role("tab", name="Own")).to_have_count(0)
    page.set_input_files(".fl-shelf input[type=file]", str(saved))
    expect(page.get_by_role("tab", name="Own")).to_have_count(1)


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
    with_detail = picture(page, "crossover")
    viewer = page.locator("#fl-viewer-crossover")
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


def test_morph_scrubs_and_becomes_a_film(visit, portrait: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    bring(page, portrait)
    open_tab(page, "Morph")
    choose(page, "morph-first", "Eileen")
    choose(page, "morph-second", "Sami")
    before = picture(page, "morph")
    set_slider(page, "Position", 0.8)
    another_picture(page, "morph", before)
    expect(page.locator("#fl-viewer-morph .fl-view-caption")).to_have_text("Morph, 80% Sami")
    check_png(save_picture(page, "morph", tmp_path), said="morph 0.8")
    page.get_by_role("button", name="Film settings").click()
    set_slider(page, "Frames", 20)
    page.get_by_role("button", name="Make the film").click()
    film = page.locator("#fl-film-morph")
    expect(film.locator("img")).to_be_visible()
    check_film(download(page, film.get_by_role("button", name="GIF"), tmp_path), frames=20)
    check_film(download(page, film.get_by_role("button", name="WebP"), tmp_path), frames=20)
    assert download(page, film.get_by_role("button", name="MP4"), tmp_path).read_bytes()[4:8] == b"ftyp"
    check_png(download(page, film.get_by_role("button", name="PNG strip"), tmp_path), side=None)


def test_crossover_takes_ranges_and_draws_its_grid(visit, portrait: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    bring(page, portrait)
    open_tab(page, "Style crossover")
    choose(page, "crossover-content", "Eileen")
    choose(page, "crossover-style", "Ivy")
    expect(page.locator("#fl-viewer-crossover .fl-view-caption")).to_have_text("Style of Ivy, layers 6-11")
    before = picture(page, "crossover")
    page.get_by_label("Fine").check()
    before = another_picture(page, "crossover", before)
    expect(page.locator("#fl-viewer-crossover .fl-view-caption")).to_have_text("Style of Ivy, layers 8-11")
    check_png(save_picture(page, "crossover", tmp_path), said="crossover 1")
    page.get_by_role("button", name="Grid of several faces").click()
    choose(page, "crossover-contents", "Nina", "Eileen")
    choose(page, "crossover-styles", "Ivy", "Otto", "Leo")
    page.get_by_role("button", name="Draw the grid").click()
    sheet = page.locator("#fl-sheet-crossover")
    expect(sheet.locator(".fl-sheet-cell")).to_have_count(6)
    sheet.get_by_role("button", name="Take Nina in the style of Leo").click()
    another_picture(page, "crossover", before)
    path = download(page, sheet.get_by_role("button", name="Save all as one picture"), tmp_path)
    sheet_file = Image.open(path)
    assert sheet_file.size[0] > 3 * 128
    assert "compositeWithTrainedAlgorithmicMedia" in sheet_file.text["XML:com.adobe.xmp"], (
        "a photo is behind one of them"
    )


def test_expression_goes_from_face_to_face(visit, portrait: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    bring(page, portrait)
    open_tab(page, "Expression")
    choose(page, "expression-target", "Eileen")
    choose(page, "expression-neutral", "Leo")
    choose(page, "expression-expressive", "Ivy")
    before = picture(page, "expression")
    set_slider(page, "Strength", -1)
    another_picture(page, "expression", before)
    check_png(save_picture(page, "expression", tmp_path), said="express -1")
    page.get_by_role("button", name="Make a film").click()
    film = page.locator("#fl-film-expression")
    expect(film.locator(".fl-film-picture")).to_be_visible()
    expect(film.locator(".fl-film-frames img")).to_have_count(10)
    check_png(download(page, film.get_by_role("button", name="PNG strip"), tmp_path), side=None, said="express -1")
    check_film(download(page, film.get_by_role("button", name="GIF"), tmp_path), frames=48)


def test_mixes_of_every_kind(visit, portrait: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    bring(page, portrait)
    open_tab(page, "Mix")
    choose(page, "mix-several", "Eileen", "Mara", "Otto")
    page.get_by_role("button", name="Average them").click()
    caption = page.locator("#fl-viewer-mix .fl-view-caption")
    expect(caption).to_have_text("Average of 3 faces")
    before = picture(page, "mix")
    page.get_by_label("Arithmetic").check()
    page.locator("#fl-sum :is(input, textarea)").fill("A + 0.5 B - 0.5 C")
    page.get_by_role("button", name="Calculate").click()
    another_picture(page, "mix", before)
    expect(caption).to_have_text("A + 0.5*B - 0.5*C")
    check_png(save_picture(page, "mix", tmp_path), said="mix")
    page.locator("#fl-sum :is(input, textarea)").fill("A + __import__('os')")
    page.get_by_role("button", name="Calculate").click()
    expect(page.locator(".toast-body")).to_be_visible()
    page.get_by_label("Combine two").check()
    page.get_by_role("button", name="Combine them").click()
    expect(page.get_by_text("Choose exactly two faces")).to_be_visible()
    page.get_by_label("Neighbours").check()
    page.get_by_role("button", name="Draw the neighbours").click()
    cells = page.locator("#fl-sheet-mix .fl-sheet-cell")
    expect(cells).to_have_count(63)
    cells.nth(40).click()
    expect(caption).to_have_text("Neighbour 41")
    page.get_by_label("Random").check()
    set_slider(page, "How many", 9)
    page.get_by_role("button", name="Draw faces").click()
    expect(cells).to_have_count(9)
    cells.nth(3).click()
    expect(caption).to_have_text("Random face 4 of seed 1")
    before = picture(page, "mix")
    page.get_by_label("Use in another tab").locator("visible=true").select_option("Attributes")
    expect(page.get_by_role("tab", name="Attributes")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".fl-face")).to_have_count(8)
    assert picture(page, "attributes") is not None
    expect(page.locator("#fl-picker-attributes-face [aria-checked=true]")).to_have_attribute("title", "Random face 1.4")


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


def test_faces_meet_on_the_circle(visit, tmp_path: Path):
    """Morph and Mix on the sphere of identities, and an average of many beside its plain means."""
    page = visit()
    add_examples(page)
    open_tab(page, "Morph")
    choose(page, "morph-first", "Mara")
    choose(page, "morph-second", "Otto")
    before = picture(page, "morph")
    page.get_by_role("button", name="Advanced").locator("visible=true").click()
    page.get_by_label("Circle", exact=True).locator("visible=true").check()
    another_picture(page, "morph", before)
    expect(page.locator("#fl-viewer-morph .fl-view-caption")).to_have_text("Morph, 50% Otto on the sphere")
    check_png(save_picture(page, "morph", tmp_path), said="slerp 0.5")
    open_tab(page, "Mix")
    caption, cells = page.locator("#fl-viewer-mix .fl-view-caption"), page.locator("#fl-sheet-mix .fl-sheet-cell")
    choose(page, "mix-several", "Mara", "Otto", "Nina")
    page.get_by_label("Circle", exact=True).locator("visible=true").check()
    page.get_by_role("button", name="Average them").click()
    expect(caption).to_have_text("Average of 3 faces on the sphere")
    expect(cells).to_have_count(3)
    cells.nth(2).click()
    expect(caption).to_have_text("Plain mean of latents, of 3 faces")
    set_slider(page, "Random faces besides", 9)
    expect(page.get_by_label("Seed").locator("visible=true")).to_be_visible()
    page.get_by_role("button", name="Average them").click()
    expect(caption).to_have_text("Average of 12 faces on the sphere")
    page.get_by_label("The model's own", exact=True).locator("visible=true").check()
    page.get_by_role("button", name="Average them").click()
    expect(caption).to_have_text("Average of 12 faces")
    page.get_by_label("Arithmetic").locator("visible=true").check()
    page.get_by_label("Circle", exact=True).locator("visible=true").check()
    page.get_by_role("button", name="Calculate").click()
    expect(caption).to_have_text("A + B - C on the sphere")


def test_the_edited_face_goes_back_into_the_photo(visit, portrait: Path, shared_photos: Path, tmp_path: Path):
    page = visit()
    upload(page, shared_photos / "astronaut.png")
    bring(page, portrait)
    open_tab(page, "Back into the photo")
    untouched = picture(page, "paste")
    expect(page.locator("#fl-viewer-paste .fl-view-caption")).to_contain_text("no face edited yet")
    button = page.get_by_role("button", name="Download the photo")
    photo = np.asarray(Image.open(shared_photos / "astronaut.png").convert("RGB"))
    assert np.array_equal(np.asarray(Image.open(download(page, button, tmp_path))), photo)
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
    before = picture(page, "attributes")
    smile = page.get_by_label("Smile: serious to smiling")
    smile.fill("1.5")
    edited = another_picture(page, "attributes", before)
    expect(page.locator("#fl-viewer-attributes .fl-step")).to_have_text(["Original", "Smile +1.50"])
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
    page.get_by_role("button", name="Make a film").click()
    expect(page.get_by_text("Choose a face under “Target”")).to_be_visible()
