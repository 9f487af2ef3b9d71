"""The tab Circle in a browser: a photo and a face as vectors, edited, met and verified on the sphere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect
from visitor import add_examples, another_picture, choose, download, open_tab, picture

from facelab.page.examples import load_examples
from facelab.studio import Studio

expect.set_options(timeout=60_000)  # continuous integration has slow machines


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A face that does not exist, as a photo."""
    Image.fromarray(next(iter(load_examples().values())).as_photo()).save(tmp_path / "stranger.png")
    return tmp_path / "stranger.png"


def test_a_face_goes_round_the_circle(visit, photo: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    open_tab(page, "Circle")
    before = picture(page, "circle")
    caption = page.locator("#fl-viewer-circle .fl-view-caption")
    expect(caption).to_have_text("Smile +1.00 on the sphere")
    expect(page.locator(".fl-vector")).to_have_count(2)
    expect(page.locator(".fl-vector rect")).to_have_count(256)
    page.get_by_label("Feature").click()
    page.get_by_role("option", name="Moustache").click()
    expect(caption).to_have_text(f"Moustache {Studio().circle_reach('mustache'):+.2f} on the sphere")
    page.get_by_label("Feature").click()
    page.get_by_role("option", name="Smile").click()
    expect(caption).to_have_text("Smile +1.00 on the sphere")
    page.get_by_label("Onto the face").check()
    before = another_picture(page, "circle", before)
    page.get_by_role("button", name="Draw the way").click()
    film = page.locator("#fl-film-circle")
    expect(film.locator(".fl-film-frames img")).to_have_count(11)
    saved = download(page, film.get_by_role("button", name="GIF"), tmp_path)
    assert Image.open(saved).n_frames == 11
    page.set_input_files("#fl-circle input[type=file]", str(photo))
    expect(page.locator(".fl-face")).to_have_count(7)
    expect(page.locator("#fl-picker-circle-one [aria-checked=true]")).to_have_attribute("title", "Stranger")
    before = another_picture(page, "circle", before)
    page.get_by_label("Verify").check()
    expect(page.locator(".fl-vector-rows dt")).to_have_text(["Distance", "Great circle"])
    page.get_by_label("Average", exact=True).locator("visible=true").check()
    choose(page, "circle-many", "Mara", "Otto", "Nina")
    average = re.compile("^Average of [34] faces on the sphere$")  # the photo's face chooses itself, soon or too late
    expect(caption).to_have_text(average)
    expect(page.locator(".fl-vector-rows dt")).to_have_text(["Plain mean"])
    page.get_by_role("button", name="Draw both means").click()
    cells = page.locator("#fl-sheet-circle .fl-sheet-cell")
    expect(cells).to_have_count(2)
    cells.nth(1).click()
    expect(caption).to_contain_text("Plain mean, 0.9")
    page.get_by_label("Neighbours", exact=True).locator("visible=true").check()
    page.get_by_role("button", name="Draw the neighbours").click()
    expect(cells).to_have_count(63)
    cells.nth(5).click()
    expect(caption).to_have_text("Neighbour 6 on the sphere")
    page.locator("#fl-viewer-circle").get_by_role("button", name="Keep in library").click()
    expect(page.locator(".fl-face")).to_have_count(8)


def test_other_ways_on_the_sphere_and_another_decoder(visit):
    page = visit()
    add_examples(page)
    open_tab(page, "Circle")
    before = picture(page, "circle")
    caption = page.locator("#fl-viewer-circle .fl-view-caption")
    page.get_by_label("Until it is sure").check()
    expect(caption).to_have_text(re.compile(r"^Smile \+\d\.\d\d on the sphere, sure after \d+ steps$"))
    before = another_picture(page, "circle", before)
    page.get_by_label("BEGAN, 64 px").locator("visible=true").check()
    before = another_picture(page, "circle", before)
    page.get_by_label("Between", exact=True).locator("visible=true").check()
    choose(page, "circle-first", "Mara")
    choose(page, "circle-second", "Otto")
    expect(caption).to_have_text("50% of the way to Otto")
    before = another_picture(page, "circle", before)
    page.get_by_role("button", name="Draw the way").click()
    expect(page.locator("#fl-film-circle .fl-film-frames img")).to_have_count(11)
    page.get_by_label("Arithmetic", exact=True).locator("visible=true").check()
    choose(page, "circle-many", "Mara", "Otto", "Nina")
    page.locator("#fl-circle-sum textarea, #fl-circle-sum input").fill("A + 0.5 B - 0.5 C")
    page.keyboard.press("Enter")
    expect(caption).to_contain_text("0.5")
    another_picture(page, "circle", before)


def test_a_photo_without_a_face_is_refused_where_it_was_chosen(visit, tmp_path: Path):
    page = visit()
    add_examples(page)
    open_tab(page, "Circle")
    picture(page, "circle")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "grey.png")
    page.set_input_files("#fl-circle input[type=file]", str(tmp_path / "grey.png"))
    expect(page.locator(".fl-circle p.bad")).to_contain_text("No face was found")
