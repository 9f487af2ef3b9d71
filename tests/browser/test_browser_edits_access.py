"""The editing tabs for everyone: screen readers, keyboards and phones, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from test_browser_access import CUT_OFF, findings
from visitor import PHONE, add_examples, another_picture, choose, open_tab, picture

TABS = {"Attributes": "attributes", "Morph": "morph", "Style crossover": "crossover"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_in_the_editing_tabs(visit, dark: bool):
    page = visit(dark=dark)
    for name in (*TABS, "Expression", "Mix", "Back into the photo"):
        open_tab(page, name)
        assert not findings(page), f"{name}, empty"
    add_examples(page)
    for name, tab in TABS.items():
        panel = open_tab(page, name)
        picture(page, tab)
        for accordion in panel.locator("button.label-wrap").all():
            accordion.click()
        assert not findings(page), name
    open_tab(page, "Mix")
    choose(page, "mix-several", "Ivy", "Otto")
    page.get_by_role("button", name="Average them").click()
    picture(page, "mix")
    assert not findings(page), "Mix"


def test_nothing_of_the_editing_tabs_is_cut_off_on_a_phone(visit):
    page = visit(viewport=PHONE)
    add_examples(page)
    for name, tab in TABS.items():
        panel = open_tab(page, name)
        picture(page, tab)
        expect(page.get_by_role("tab", name=name, exact=True)).to_be_in_viewport()
        for accordion in panel.locator("button.label-wrap").all():
            accordion.click()
        assert page.evaluate(CUT_OFF) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    for name in ("Expression", "Mix", "Back into the photo"):
        open_tab(page, name)
        assert page.evaluate(CUT_OFF) == [], name


def test_a_slider_stays_beside_its_picture_on_a_phone(visit):
    page = visit(viewport=PHONE)
    add_examples(page)
    open_tab(page, "Attributes")
    picture(page, "attributes")
    page.locator(".fl-slider input").last.scroll_into_view_if_needed()
    expect(page.locator("#fl-viewer-attributes .fl-view-frame")).to_be_in_viewport(ratio=0.9)


def test_pickers_and_sliders_work_by_keyboard(visit):
    page = visit()
    add_examples(page)
    open_tab(page, "Morph")
    picture(page, "morph")
    faces = page.locator("#fl-picker-morph-second .fl-pick")
    faces.nth(1).focus()
    page.keyboard.press("ArrowRight")
    expect(faces.nth(2)).to_be_focused()
    expect(faces.nth(2)).to_have_attribute("aria-checked", "true")
    expect(faces.nth(1)).to_have_attribute("aria-checked", "false")
    expect(page.locator("#fl-viewer-morph .fl-view-caption")).to_have_text("Morph, 50% Ivy")


def test_the_focus_stays_where_it_is_when_its_part_is_drawn_anew(visit):
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Attributes")
    show = page.get_by_role("button", name="Show Ivy")
    show.press("Enter")
    expect(show).to_be_focused()
    picture(page, "attributes")
    save = page.get_by_role("button", name="Save the picture of Ivy")
    with page.expect_download():
        save.press("Enter")
    expect(save).to_be_focused()
    panel.get_by_label("Smile: serious to smiling").fill("1.5")
    steps = page.locator("#fl-viewer-attributes .fl-step")
    expect(steps).to_have_count(2)
    steps.first.press("Enter")
    expect(steps.first).to_have_attribute("aria-current", "step")
    expect(steps.first).to_be_focused()
    redo = panel.get_by_role("button", name="Redo")
    redo.press("Enter")
    expect(redo).to_be_disabled()
    expect(panel.get_by_role("button", name="Undo")).to_be_focused()
    page.get_by_role("button", name="Delete Ivy").press("Enter")
    page.get_by_role("button", name="Delete Ivy for good").press("Enter")
    expect(page.locator(".fl-face")).to_have_count(5)
    expect(page.locator(".fl-face-picture:focus")).to_have_count(1)


def test_arrows_go_from_tab_to_tab_and_undo_is_heard_at_a_slider(visit):
    page = visit()
    add_examples(page)
    open_tab(page, "Attributes")
    before = picture(page, "attributes")
    slider = page.get_by_label("Smile: serious to smiling")
    slider.fill("2")
    another_picture(page, "attributes", before)
    slider.press("Control+z")
    expect(slider).to_have_value("0")
    page.get_by_role("tab", name="Attributes").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Morph")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Compare")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tabpanel", name="Upload & align")).to_be_visible()
    expect(page.locator("#fl-tabs > .tab-wrapper [role=tab][tabindex='0']")).to_have_count(1)
