"""The tab Compare: faces, figures and a map of the latent space, from which faces are kept and morphed."""

from __future__ import annotations

import re
import zipfile
from itertools import product
from math import dist

from playwright.sync_api import expect
from test_browser_access import CUT_OFF, findings
from visitor import PHONE, download, open_tab

from facelab.page import latent_map

FEW = 48  # faces on the map: a test need not wait for a thousand
PICKED = "() => [...document.querySelectorAll('.fl-map-slot.there')].length"


def test_models_are_compared_mapped_and_reported(visit, tmp_path, monkeypatch):
    monkeypatch.setattr(latent_map, "MAPPED", FEW)
    page = visit()
    panel = open_tab(page, "Compare")
    sheet = panel.locator(".fl-lineup-sheet[data-model=faces128] img")
    expect(sheet).to_have_attribute("src", re.compile("^data:image/jpeg"), timeout=60_000)
    expect(panel.locator(".fl-losses h3")).not_to_have_count(0)
    open_tab(page, "Mix")
    open_tab(page, "Compare")
    page.wait_for_timeout(1000)
    expect(panel.locator(".fl-losses h3")).not_to_have_count(0)  # opened again, all is there still
    before = sheet.get_attribute("src")
    box = panel.get_by_label("number input for Truncation", exact=True)
    box.fill("0.2")
    box.press("Tab")
    expect(sheet).not_to_have_attribute("src", before, timeout=60_000)

    speed = panel.get_by_role("row", name="Images a second").get_by_role("cell").first
    panel.get_by_label("number input for Faces to measure", exact=True).fill("16")
    panel.get_by_label("number input for Faces to measure", exact=True).press("Tab")
    panel.get_by_role("button", name="Measure here").click()
    expect(speed.locator(".fl-here")).to_have_text(re.compile(r"^\d[\d,.]*$"), timeout=120_000)

    panel.get_by_role("button", name="Draw the map").click()
    page.wait_for_selector(".fl-map[data-state=done]")
    plane = panel.get_by_role("application", name=f"Map of {FEW} faces")
    plane.focus()
    for key in ("ArrowRight", "Enter", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate(PICKED) == 2
    expect(panel.locator(".fl-map-tip")).to_contain_text("Smiling")
    assert not findings(page)
    panel.get_by_role("button", name="Keep face").first.click()
    expect(page.locator(".fl-face")).to_have_count(1, timeout=60_000)
    panel.get_by_role("button", name="Morph A into B").click()
    expect(panel.locator("#fl-film-map .fl-film-picture")).to_be_in_viewport(ratio=0.99, timeout=60_000)
    film = download(page, panel.get_by_role("button", name="MP4"), tmp_path)
    assert film.stat().st_size > 10_000

    report = download(page, panel.get_by_role("button", name="Download the report"), tmp_path)
    names = zipfile.ZipFile(report).namelist()
    assert {"comparison/report.md", "comparison/sheet-faces128.png", "comparison/map-faces128.png"} <= set(names)


def test_faces_of_the_map_are_seen_by_pointing_and_two_clicks_choose_a_morph(visit, monkeypatch):
    monkeypatch.setattr(latent_map, "MAPPED", FEW)
    page = visit()
    panel = open_tab(page, "Compare")
    panel.get_by_role("button", name="Draw the map").click()
    page.wait_for_selector(".fl-map[data-state=done]")
    plane, tip = panel.get_by_role("application", name=f"Map of {FEW} faces"), panel.locator(".fl-map-tip")
    plane.scroll_into_view_if_needed()
    box, clicked = plane.bounding_box(), []
    for place in product(range(20, int(box["width"]), 20), range(20, int(box["height"]), 20)):
        page.mouse.move(box["x"] + place[0], box["y"] + place[1])
        if tip.is_visible() and all(dist(place, other) > 60 for other in clicked):
            expect(tip).to_contain_text("Smiling")
            page.mouse.down()
            page.mouse.up()
            clicked.append(place)
        if len(clicked) == 2:
            break
    assert page.evaluate(PICKED) == 2
    expect(panel.get_by_role("button", name="Morph A into B")).to_be_enabled()


def test_measuring_can_be_stopped_and_nothing_is_cut_off_on_a_phone(visit):
    page = visit(viewport=PHONE)
    panel = open_tab(page, "Compare")
    expect(panel.locator(".fl-lineup-sheet img").first).to_be_visible(timeout=60_000)
    panel.get_by_role("button", name="Measure here").click()
    stop = panel.locator(".fl-figures").get_by_role("button", name="Stop")
    stop.click()
    expect(panel.locator(".fl-figures .fl-progress-text")).to_have_text("Stopped.", timeout=60_000)
    assert page.evaluate(CUT_OFF.replace(".fl-sheet-scroll", ".fl-sheet-scroll, .fl-figures-scroll")) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
