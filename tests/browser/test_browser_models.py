"""The menu of models: faces of models with one latent are encoded, recovered, drawn, mixed and kept beside others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect
from visitor import (
    DESKTOP,
    PHONE,
    add_examples,
    another_picture,
    choose,
    mix_by,
    open_tab,
    picture,
    use_example,
    wait_for_state,
)

from facelab.checkpoints import cards
from tests.tiny_models import put_models

expect.set_options(timeout=60_000)  # continuous integration has slow machines


@pytest.fixture(scope="module")
def address(needs_chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page of its own, whose catalogue has tiny untrained models of every family beside the shipped one."""
    from facelab.page.page import build_page, launch_options
    from facelab.studio import Studio
    from facelab.visitors import Sessions
    from facelab.worker import Worker

    folder, patch = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_models(folder)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    worker = Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=Sessions(grace=0.5))
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield url
    page.close()
    worker.close()
    patch.undo()


@pytest.fixture
def visit(address: str, browser: object) -> Iterator[Callable]:
    """Open that page as a new visitor. Errors in the page's scripts fail the test."""
    contexts, failures = [], []

    def open_page(*, viewport: dict = DESKTOP) -> object:
        contexts.append(browser.new_context(viewport=viewport, accept_downloads=True))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(address)
        page.wait_for_selector(".fl-dropzone button")
        return page

    yield open_page
    for context in contexts:
        with suppress(Exception):
            context.close()
    assert not failures, f"errors in the page's scripts: {failures}"


def choose_model(page: object, name: str) -> None:
    page.get_by_label("Model for new faces", exact=True).select_option(name)


def draw_and_keep(page: object, model: str, *numbers: int) -> list[str]:
    """Random faces of a model, some of them kept; returns their names."""
    choose_model(page, model)
    open_tab(page, "Mix")
    mix_by(page, "Random", "Draw faces").click()
    cells = page.locator("#fl-sheet-mix .fl-sheet-cell")
    expect(cells).to_have_count(27)
    names, before = [], ""
    for number in numbers:
        count = page.locator(".fl-face").count()
        cells.nth(number).click()
        before = another_picture(page, "mix", before)
        page.locator("#fl-viewer-mix").get_by_role("button", name="Keep in library").click()
        expect(page.locator(".fl-face")).to_have_count(count + 1)
        names.append(f"Random face 1.{number + 1}" + ("" if count < len(numbers) else " 2"))
    return names


def test_a_photo_is_encoded_recovered_and_opened_again(visit):
    page = visit()
    choose_model(page, "tinyvae")
    use_example(page)
    open_tab(page, "Embed")
    expect(page.get_by_role("radio", name="Encode")).to_be_checked()
    expect(page.get_by_label("number input for Refinement steps", exact=True)).to_have_count(0)
    page.locator("#fl-start").click()
    wait_for_state(page, "done")
    expect(page.locator(".fl-progress-text")).to_have_text("Done · step 1 of 1")
    page.get_by_role("radio", name="Recover").check(force=True)
    page.get_by_role("button", name="Advanced").last.click()
    steps = page.get_by_label("number input for Recovery steps", exact=True)
    for _ in range(20):  # the page may still be drawing its answer to the preset
        steps.fill("250")
        steps.press("Tab")
        page.wait_for_timeout(300)
        if steps.input_value() == "250":
            break
    page.locator("#fl-start").click()
    wait_for_state(page, "running")
    wait_for_state(page, "done")
    expect(page.locator(".fl-progress-text")).to_have_text("Done · step 250 of 250")
    expect(page.locator(".fl-strip li span")).to_have_text(["0", "100", "200", "250"])
    assert page.locator(".fl-plot .other").count() == 8, "a curve for each restart"
    expect(page.locator(".fl-face")).to_have_count(2)
    choose_model(page, "faces128")
    expect(page.get_by_role("radio", name="Fast")).to_be_checked()
    page.locator(".fl-face").first.locator("img").first.click()
    expect(page.get_by_label("Model for new faces", exact=True)).to_have_value("tinyvae")


def test_faces_of_one_latent_are_morphed_combined_and_not_crossed(visit):
    page = visit()
    first, second = draw_and_keep(page, "tinyprogan", 0, 5)
    combine = mix_by(page, "Combine two", "Combine them")
    for name in (first, second):
        pick = page.locator(f"#fl-picker-mix-several .fl-pick[data-name='{name}']")
        if pick.get_attribute("aria-checked") != "true":
            pick.click()
    page.get_by_label("From several recoveries").check()
    combine.click()
    cells = page.locator("#fl-sheet-mix .fl-sheet-cell")
    expect(cells).to_have_count(9, timeout=240_000)
    cells.nth(3).click()
    expect(page.locator("#fl-viewer-mix .fl-view-caption")).to_contain_text("Combination 4")
    open_tab(page, "Morph")
    choose(page, "morph-second", second)
    picture(page, "morph")
    open_tab(page, "Style crossover")
    expect(page.locator("#fl-viewer-crossover")).to_contain_text("no layers to cross")


def test_the_sliders_are_those_of_the_faces_model(visit):
    page = visit()
    (name,) = draw_and_keep(page, "tinycvae", 2)
    add_examples(page)
    panel = open_tab(page, "Attributes")
    choose(page, "attributes-face", "Mara")
    picture(page, "attributes")
    page.get_by_role("button", name="Walk").click()
    walk = panel.get_by_role("button", name="Draw the walk")
    expect(walk).to_be_enabled()
    panel.get_by_role("button", name="Advanced").click()
    panel.get_by_label("These").check()
    panel.get_by_role("checkbox", name="Gender").check()
    choose(page, "attributes-face", name)
    sliders = page.locator(".fl-sliders input[type=range]")
    expect(sliders).to_have_count(1)
    expect(walk).to_be_disabled()  # no classifier to walk by
    expect(panel.get_by_role("checkbox", name="Smile")).to_be_visible()
    expect(panel.get_by_role("checkbox", name="Gender")).to_have_count(0)
    before = picture(page, "attributes")
    slider = page.get_by_label("Smile: serious to smiling")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    another_picture(page, "attributes", before)
    expect(page.locator("#fl-viewer-attributes .fl-step").last).to_have_text("Smile +0.50")


def test_the_menu_fits_a_phone(visit):
    page = visit(viewport=PHONE)
    menu = page.get_by_label("Model for new faces", exact=True)
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] and box["height"] >= 40
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_page_with_one_model_has_no_menu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from facelab.page.models_menu import build_models_menu
    from facelab.studio import Studio

    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, tmp_path)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    assert build_models_menu(Studio(device="cpu")) is None
