"""The page for everyone: keyboard, screen readers, phones, dark rooms, and no stranger listening."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import expect
from visitor import PHONE, absent, upload, use_example, wait_for_state, wait_for_step

CUT_OFF = """() => [...document.querySelectorAll("#fl-main *")]
  .filter((each) => each.getClientRects().length && !each.closest(".fl-hidden, .visually-hidden"))
  .filter((each) => !each.closest("[role=tablist], .fl-faces, .fl-view-steps"))  // these scroll
  .filter((each) => !each.closest(".fl-film-box, .fl-sheet-scroll"))
  .filter((each) => getComputedStyle(each).position !== "absolute")
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.className || each.tagName)"""


def findings(page) -> list[str]:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        absent("axe-playwright-python is not installed: pip install -r requirements-dev.txt")
    page.wait_for_timeout(400)  # colours fade in
    return [
        f"{each['impact']} {each['id']}: {each['nodes'][0]['html'][:120]}"
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(visit, shared_photos: Path, dark: bool):
    page = visit(dark=dark)
    assert not findings(page)
    upload(page, shared_photos / "several_faces.jpg")
    page.get_by_role("button", name="Advanced").first.click()
    assert not findings(page)
    page.get_by_role("button", name="Embed this face").click()
    wait_for_step(page, 2)
    assert not findings(page)
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, "stopped")
    page.get_by_role("button", name="Advanced").last.click()
    page.get_by_role("button", name="Delete Several faces").click()
    assert not findings(page)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_cut_off_on_a_phone(visit, dark: bool):
    page = visit(viewport=PHONE, dark=dark)
    assert page.evaluate(CUT_OFF) == []
    use_example(page)
    assert page.evaluate(CUT_OFF) == []
    expect(page.locator("#fl-lead-on")).to_be_in_viewport()
    page.get_by_role("button", name="Embed this face").click()
    wait_for_step(page, 1)
    expect(page.get_by_role("button", name="Stop")).to_be_in_viewport()
    expect(page.locator(".fl-pair")).to_be_in_viewport()
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, "stopped")
    page.get_by_role("button", name="Advanced").last.click()
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_alone_is_enough(visit):
    page = visit()

    def tab_to(name: str) -> None:
        for _ in range(120):  # once round the page at least: a button that goes takes the focus with it
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(document.activeElement.getAttribute('aria-label') || document.activeElement.textContent).trim()"
            )
            if focused.startswith(name):
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", (
                    "no focus ring"
                )
                return
        raise AssertionError(f"Tab never reached {name!r}")

    tab_to("Choose a photo")
    tab_to("Use example")
    page.keyboard.press("Enter")
    page.wait_for_selector(".fl-crop-picture:not([hidden])")
    tab_to("Move the frame right")
    page.keyboard.press("Space")
    tab_to("Embed this face")
    page.keyboard.press("Enter")
    wait_for_step(page, 1)
    tab_to("Stop")
    page.keyboard.press("Enter")
    wait_for_state(page, "stopped")
    tab_to("Advanced")
    page.keyboard.press("Enter")
    page.get_by_label("Fast").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Paper")).to_be_checked()
    expect(page.get_by_label("number input for Steps", exact=True)).to_have_value("5000")


def test_light_and_dark_are_remembered(visit):
    page = visit()
    assert "dark" not in page.evaluate("document.body.className")
    page.get_by_role("button", name="Dark colours").click()
    assert "dark" in page.evaluate("document.body.className")
    page.reload()
    page.wait_for_selector(".fl-dropzone button")
    assert "dark" in page.evaluate("document.body.className")
    assert "dark" in visit(dark=True).evaluate("document.body.className")


def test_no_request_leaves_the_machine_and_nothing_of_a_photo_stays_in_the_browser(visit, site, shared_photos: Path):
    page = visit()
    hosts = set()
    page.on("request", lambda request: hosts.add(urlparse(request.url).netloc))
    page.reload()
    page.wait_for_selector(".fl-dropzone button")
    upload(page, shared_photos / "astronaut.png")
    page.get_by_role("tab", name="Embed").click()
    page.wait_for_timeout(500)
    assert hosts - {""} <= {urlparse(site.url).netloc}
    stored = page.evaluate(
        "async () => ({local: Object.keys(localStorage), session: Object.keys(sessionStorage),"
        " data: (await indexedDB.databases()).map(each => each.name)})"
    )
    assert not stored["data"] and not [key for key in stored["local"] if "run" in key or "history" in key], stored
