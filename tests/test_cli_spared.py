"""No command writes over a file that it reads."""

import numpy as np
import pytest
from footage import ground, write_clip
from PIL import Image

from facelab.face import Recipe
from facelab.own_directions import save_direction
from facelab.studio import Studio


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Everything that commands read, by name."""
    studio, folder = Studio(device="cpu"), tmp_path_factory.mktemp("read")
    faces = studio.random_faces(2, seed=3)
    for name, face in zip(("a.npz", "b-1.npz"), faces, strict=True):
        face.save(folder / name)
    save_direction(studio.new_direction("Cap", faces[:1], faces[1:]), folder / "cap.npz")
    np.save(folder / "w.npy", faces[0].latent.values.numpy())
    (folder / "w.npy").rename(folder / "w.npz")
    Image.new("RGB", (64, 64)).save(folder / "ph.png")
    write_clip(folder / "c.mp4", [ground()] * 2)
    step = {"op": "attribute", "id": "smile", "strength": 1}
    for name in ("r.mp4", "r.png", "r.facelab"):
        (folder / name).write_text(Recipe("faces128", (step,)).to_json())
    return folder


@pytest.mark.parametrize(
    ("command", "spared"),
    [
        ("edit {a} --set smile=1 --out {a}", "a.npz"),
        ("edit {a} --set cap=1 --direction {cap} --out {cap}", "cap.npz"),
        ("direction Cap --with {a} --without {b} --out {b}", "b-1.npz"),
        ("morph {a} {b} --out {b}", "b-1.npz"),
        ("stylise {a} {ph} --out {ph}", "ph.png"),
        ("mix A+B A={a} B={b} --out {b}", "b-1.npz"),
        ("circle decode {a} --out {a}", "a.npz"),
        ("walk {a} --attribute smile --out {a}", "a.npz"),
        ("neighbours {b} --count 2 --out {folder}/b.npz", "b-1.npz"),
        ("combine {b} {b} --recoveries 2 --out {folder}/b.npz", "b-1.npz"),
        ("paste {a} --photo {ph} --edited {b} --out {ph}", "ph.png"),
        ("paste {a} --photo {ph} --recipe {folder}/r.png --out {folder}/r.png", "r.png"),
        ("import {folder}/w.npz --out {folder}/w.npz", "w.npz"),
        ("project save {folder}/r.facelab {a} --recipe {folder}/r.facelab", "r.facelab"),
        ("video {folder}/c.mp4 --set smile=1 --out {folder}/c.mp4", "c.mp4"),
        ("video {folder}/c.mp4 --recipe {folder}/r.mp4 --out {folder}/r.mp4", "r.mp4"),
        ("evaluate faces128 --data {folder} --embed 9 --directions --matrix {ph} --weights {ph}", "ph.png"),
        ("train directions --data {folder} --start {cap} --out {cap}", "cap.npz"),
    ],
)
def test_what_is_read_is_not_written_over(facelab, files, command, spared):
    named = {"a": files / "a.npz", "b": files / "b-1.npz", "cap": files / "cap.npz", "ph": files / "ph.png"}
    before = {path: path.read_bytes() for path in files.iterdir()}
    status, out, said = facelab(*(part.format(**named, folder=files) for part in command.split()))
    assert status == 1 and not out and f"over {spared}, which this command reads" in said and said.count("\n") == 1
    assert {path: path.read_bytes() for path in files.iterdir()} == before
