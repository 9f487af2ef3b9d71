"""The real page in a real browser: one server for all tests, a fresh visitor for each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 120_000  # ms; continuous integration has slow machines


def absent(reason: str) -> None:
    """Skip, but fail in continuous integration, where nothing may be left out unseen."""
    if os.environ.get("FACELAB_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def needs_chromium() -> str:
    """The path of Chromium."""
    pytest.importorskip("playwright", reason="playwright is not installed: pip install -r requirements-dev.txt")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        absent("no Chromium on the PATH: apt-get install chromium")
    return path


@dataclass
class Site:
    """The running page: its address and its sessions."""

    url: str
    sessions: object


@pytest.fixture(scope="session")
def site(needs_chromium: str) -> Iterator[Site]:
    from facelab.page.page import build_page, launch_options
    from facelab.sessions import Sessions
    from facelab.studio import Studio
    from facelab.worker import Worker

    sessions, worker = Sessions(grace=0.5), Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=sessions)
    _, url, _ = page.queue(default_concurrency_limit=None).launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options()
    )
    yield Site(url, sessions)
    page.close()
    worker.close()


@pytest.fixture(scope="session")
def browser(needs_chromium: str) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=needs_chromium, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(site: Site, browser: object) -> Iterator[Callable]:
    """Open the page as a new visitor: visit(viewport=PHONE, dark=True). Errors in the page's scripts fail the test."""
    contexts, failures = [], []

    def open_page(*, viewport: dict = DESKTOP, dark: bool = False) -> object:
        context = browser.new_context(
            viewport=viewport, color_scheme="dark" if dark else "light", permissions=[], accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(site.url)
        page.wait_for_selector(".fl-dropzone button")
        return page

    yield open_page
    for context in contexts:
        with suppress(Exception):
            context.close()
    assert not failures, f"errors in the page's scripts: {failures}"


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
        box.fill(str(value))
        box.press("Tab")


def step_of(page: object) -> int:
    """The step that the progress line tells."""
    words = page.locator(".fl-progress-text").inner_text().split()
    return int(words[words.index("step") + 1]) if "step" in words else 0


def wait_for_step(page: object, step: int) -> None:
    page.wait_for_function(
        "step => Number(document.querySelector('.fl-progress-text').textContent.match(/step (\\d+)/)?.[1]) >= step", arg=step
    )


def wait_for_state(page: object, state: str) -> None:
    page.wait_for_selector(f".fl-embedding[data-state={state}]")
