"""What becomes of two faces and more, done in the page: morphs, crossovers, expressions and mixes."""

from __future__ import annotations

from pathlib import Path

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
    open_tab,
    picture,
    save_picture,
    set_slider,
)

expect.set_options(timeout=60_000)  # continuous integration has slow machines


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
    page.get_by_role("button", name="Make the film").click()
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
