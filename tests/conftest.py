"""What several tests share."""

import os
import sys
from pathlib import Path
from secrets import token_hex

import pytest

from facelab.detection import FaceFinder

PHOTOS = Path(os.environ.get("FACELAB_PHOTOS", Path(__file__).parents[2] / "shared" / "photos"))


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The folder of real photos beside the checkout; they are never copied into it."""
    if PHOTOS.is_dir():
        return PHOTOS
    reason = f"no photos at {PHOTOS}: set FACELAB_PHOTOS to a folder with the photos that the tests name"
    if os.environ.get("FACELAB_CI") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    """The resident detectors, loaded once."""
    return FaceFinder()


@pytest.fixture
def facelab(monkeypatch, capsys):
    """Run a command line in this process: (exit status, stdout, stderr)."""

    from facelab import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["facelab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def site():
    """A page with its studio, its worker and its sessions: (page, studio, worker, sessions)."""

    from facelab.page.page import build_page
    from facelab.studio import Studio
    from facelab.visitors import Sessions
    from facelab.worker import Worker

    studio, worker, sessions = Studio(device="cpu"), Worker(), Sessions()
    yield build_page(studio, worker=worker, sessions=sessions), studio, worker, sessions
    worker.close()


@pytest.fixture
def visitor(site):
    """Somebody new at that page."""

    from tests.page_visitor import Visitor

    page, studio, worker, sessions = site
    name = token_hex(4)
    return Visitor(page, studio, worker, sessions.of(name), name)
