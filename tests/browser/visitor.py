"""What a visitor does, as the browser tests say it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 120_000  # ms; continuous integration has slow machines
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def absent(reason: str) -> None:
    """Skip, but fail in continuous integration, where nothing may be left out unseen."""
    if os.environ.get("FACELAB_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def upload(page: object, path: object) -> None:
    """Give a photo to the page and wait until it is aligned."""
    page.set_input_files(".fl-dropzone input[type=file]", str(path))
    page.wait_for_selector(".fl-crop-picture:not([hidden])")


def use_example(page: object, number: int = 0) -> None:
    """Choose an example face and wait until it is aligned."""
    page.locator(".fl-example").nth(number).click()
    page.wait_for_selector(".fl-crop-picture:not([hidden])")


def set_steps(page: object, *, steps: int, refine_steps: int) -> None:
    """Make the next embedding short, through Advanced."""
    page.get_by_role("tab", name="Embed").click()
    if not page.get_by_label("number input for Steps", exact=True).is_visible():
        page.get_by_role("button", name="Advanced").last.click()
    for label, value in (("Steps", steps), ("Refinement steps", refine_steps)):
        fill_number(page.get_by_label(f"number input for {label}", exact=True), value)


def fill_number(box: object, value: float) -> None:
    """Put a number into a field until it stays: the page may still be drawing it, and put the old value back."""
    for _ in range(20):
        box.fill(str(value))
        box.press("Tab")
        box.page.wait_for_timeout(300)
        if box.input_value() == str(value):
            break


def step_of(page: object) -> int:
    """The step that the progress line tells."""
    words = page.locator(".fl-progress-text").text_content().split()
    return int(words[words.index("step") + 1]) if "step" in words else 0


def wait_for_step(page: object, step: int) -> None:
    page.wait_for_function(
        "step => Number(document.querySelector('.fl-progress-text')?.textContent.match(/step (\\d+)/)?.[1]) >= step",
        arg=step,
    )


def wait_for_state(page: object, state: str) -> None:
    page.wait_for_selector(f".fl-embedding[data-state={state}]")


def mix_by(page: object, way: str, button: str) -> object:
    """Choose what Mix does, once more if a tab that is just being drawn has put its first choice back; returns the
    button that then does it.
    """
    shown = page.get_by_role("button", name=button)
    for _ in range(5):
        page.get_by_role("radio", name=way).check(force=True)
        for _ in range(PATIENCE // 2500):
            if shown.is_visible():
                return shown
            page.wait_for_timeout(500)
        page.get_by_role("radio", name="Average").check(force=True)
    return shown


def bring(page: object, *paths: object) -> None:
    """Open saved faces from files in the library."""
    for path in paths:
        count = page.locator(".fl-face").count()
        page.set_input_files(".fl-library input[type=file]", str(path))
        page.wait_for_function("count => document.querySelectorAll('.fl-face').length > count", arg=count)


def add_examples(page: object) -> None:
    """Put the six example faces into the library."""
    page.evaluate("facelab.addExamples()")
    page.wait_for_function("document.querySelectorAll('.fl-face').length >= 6")


def open_tab(page: object, name: str) -> object:
    """Open a tab; returns its panel."""
    page.get_by_role("tab", name=name, exact=True).click()
    return page.get_by_role("tabpanel", name=name)


def choose(page: object, picker: str, *names: str) -> None:
    """Choose faces in a picker by their names."""
    for name in names:
        page.locator(f"#fl-picker-{picker} .fl-pick[data-name='{name}']").click()


AT_REST = """([tab, before]) => {
  const viewer = document.querySelector(`#fl-viewer-${tab} .fl-viewer`);
  const picture = viewer?.querySelector(".fl-view-after");
  if (!picture?.offsetParent || !picture.src.startsWith("data:") || picture.src === before) return false;
  return !viewer.querySelector(".fl-view-act button").disabled;
}"""


def picture(page: object, tab: str, *, other_than: str = "") -> str:
    """What a tab's main picture shows at rest, as soon as it does."""
    page.wait_for_function(AT_REST, arg=[tab, other_than])
    return page.locator(f"#fl-viewer-{tab} .fl-view-after").get_attribute("src")


def another_picture(page: object, tab: str, before: str) -> str:
    """Wait until a tab's main picture at rest is another one."""
    return picture(page, tab, other_than=before)


def download(page: object, button: object, folder: object) -> object:
    """Press a button that saves a file; returns the file's path."""
    with page.expect_download() as started:
        button.click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def make_own_direction(page: object, title: str) -> None:
    """Make a direction from four of the examples, and open its group of sliders in Attributes."""
    page.get_by_role("button", name="New direction").click()
    choose(page, "own-with", "Mara", "Ivy")
    choose(page, "own-without", "Otto", "Leo")
    page.get_by_placeholder("Freckles").fill(title)
    page.get_by_role("button", name="Make the direction").click()
    page.wait_for_selector(".fl-shelf-items li")
    page.get_by_role("tabpanel", name="Attributes").get_by_role("tab", name="Own").click()


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
