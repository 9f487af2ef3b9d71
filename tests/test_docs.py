"""docs/python.md says nothing that does not run."""

import re
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path):
    """The code blocks of a page, each at its own lines, so that a traceback points into the page."""
    text = path.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, found.start(1)) + found.group(1) for found in BLOCK.finditer(text)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The names that the page's blocks leave, and the folder that they wrote into."""
    folder = tmp_path_factory.mktemp("notebook")
    names = {"__name__": "notebook"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in blocks(DOCS / "python.md"):
            exec(compile(block, str(DOCS / "python.md"), "exec"), names)
    return names, folder


def test_every_block_of_the_python_page_runs(run):
    assert len(blocks(DOCS / "python.md")) >= 9
    assert run[0]["done"].latent.space == "w+"


def test_the_page_writes_the_files_that_it_names(run):
    named = set(re.findall(r'"(\w+\.(?:png|gif|mp4|webp|npz))"', (DOCS / "python.md").read_text(encoding="utf-8")))
    assert named == {path.name for path in run[1].iterdir()}
    assert Image.open(run[1] / "morph.gif").n_frames == 60
    assert (run[1] / "morph.gif").stat().st_size < 2_000_000


def test_every_public_edit_of_the_studio_is_on_the_page():
    from facelab.attribute_editing import AttributeEditing
    from facelab.editing import Editing

    text = (DOCS / "python.md").read_text(encoding="utf-8")
    public = {name for room in (AttributeEditing, Editing) for name in vars(room) if not name.startswith("_")}
    shown = {name for name in public if f"studio.{name}(" in text}
    assert not public - shown, "tell in docs/python.md how it is used"
