"""What a visitor does, as the browser tests say it."""

from __future__ import annotations

import os

import pytest

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
        box = page.get_by_label(f"number input for {label}", exact=True)
        for _ in range(20):  # the page may still be drawing its answer to the tab, and put the old value back
            box.fill(str(value))
            box.press("Tab")
            page.wait_for_timeout(300)
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
