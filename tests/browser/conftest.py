"""The real page in a real browser: one server for all tests, a fresh visitor for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from visitor import DESKTOP, FLAGS, PATIENCE, absent


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
    from facelab.studio import Studio
    from facelab.visitors import Sessions
    from facelab.worker import Worker

    sessions, worker = Sessions(grace=0.5), Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=sessions)
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield Site(url, sessions)
    page.close()
    worker.close()


@pytest.fixture(scope="session")
def launch(needs_chromium: str) -> Iterator[Callable]:
    """Start a Chromium with more flags than usual: launch("--flag")."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *more: playwright.chromium.launch(executable_path=needs_chromium, args=[*FLAGS, *more])


@pytest.fixture(scope="session")
def browser(launch: Callable) -> Iterator[object]:
    chromium = launch()
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


@pytest.fixture(scope="session")
def portrait(shared_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait that was embedded in a few steps, as the face file that a visitor brings again."""
    from facelab.embedding_settings import PRESETS
    from facelab.photo import read_photo
    from facelab.studio import Studio

    studio = Studio(device="cpu")
    photo = read_photo((shared_photos / "astronaut.png").read_bytes())
    aligned = studio.align(photo, studio.find_faces(photo)[0])
    *_, last = studio.embed(aligned, replace(PRESETS["fast"], steps=20, refine_steps=10))
    path = tmp_path_factory.mktemp("faces") / "Eileen.npz"
    studio.to_face(last, aligned).save(path)
    return path
