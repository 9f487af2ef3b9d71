"""What several tests share."""

import os
import sys
from pathlib import Path

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
