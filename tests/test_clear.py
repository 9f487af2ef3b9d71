"""Which portraits a training is told to leave out because something hides the face."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.identity import Reading
from facelab.training import clear
from facelab.training.clear import only_clear, shows_clearly
from facelab.training.data import Pictures
from facelab.training.lenses import lens_squares

PLAIN, HAT, GLASSES, TURNED, FAR = 0, 60, 90, 120, 150  # what the reader below takes the first pixel's red for
YAW = {TURNED: -39.0, FAR: -41.0}


class FakeReader(nn.Module):
    """Reads in the first pixel what the picture is of."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.weight = nn.Parameter(torch.zeros(1))

    def read(self, images: torch.Tensor, *, batch: int) -> Reading:
        self.looks += len(images)
        kinds = ((images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
        attributes, pose = torch.full((len(kinds), 40), -1.0), torch.zeros(len(kinds), 3)
        for row, kind in enumerate(kinds):
            pose[row, 0] = YAW.get(kind, 0.0)
            for name, wanted in (("Wearing_Hat", HAT), ("Eyeglasses", GLASSES)):
                attributes[row, ATTRIBUTES.index(name)] = 1.0 if kind == wanted else -1.0
        return Reading(torch.zeros(len(kinds), 128), torch.zeros(len(kinds), 68, 2), attributes, pose)


def portraits(kinds: list[int], *, dark: tuple[int, ...] = ()) -> Pictures:
    """Grey faces, 128 px, each as the fake reader is to read it; those of `dark` dark below their eyes."""
    images = np.full((len(kinds), 128, 128, 3), 150, np.uint8)
    for row in dark:
        for rows, columns in lens_squares(128)[0]:
            images[row, rows, columns] = 20
    images[:, 0, 0, 0] = kinds
    return Pictures(images)


def test_hats_dark_glasses_and_heads_turned_far_hide_a_face():
    pictures = portraits([PLAIN, HAT, GLASSES, GLASSES, TURNED, FAR, PLAIN], dark=(3, 6))
    shown = shows_clearly(FakeReader(), pictures)
    assert shown.tolist() == [True, False, True, False, True, False, True], "shadows without glasses hide nothing"


def test_batches_are_of_clear_faces_alone_and_the_reader_looks_once(tmp_path, monkeypatch):
    reader = FakeReader()
    monkeypatch.setattr(clear, "load_reader", lambda device: reader)
    pictures = portraits([PLAIN, HAT, PLAIN, FAR, TURNED] * 2)
    chosen = only_clear(pictures, cache=tmp_path)
    again = only_clear(pictures, cache=tmp_path)
    assert len(chosen) == len(again) == 6 and reader.looks == 10
    batch, indices = chosen.batch_with_indices(0, size=6, seed=0)
    assert sorted(indices.tolist()) == [0, 2, 4, 5, 7, 9], "every one once, by its place among all"
    kinds = ((batch[:, 0, 0] + 1) * 127.5).round().int()  # mirrored, the first pixel is the last
    assert set(kinds[:, [0, -1]].flatten().tolist()) <= {PLAIN, TURNED, 150}


def test_without_a_clear_face_there_is_nothing_to_learn_from(tmp_path, monkeypatch):
    monkeypatch.setattr(clear, "load_reader", lambda device: FakeReader())
    with pytest.raises(BadSetting, match="no clear face"):
        only_clear(portraits([HAT, FAR]), cache=tmp_path)


def test_a_stylegan2_run_looks_for_clear_faces_where_it_is_told_to(tmp_path, monkeypatch):
    from PIL import Image

    from facelab.training.families import FAMILIES

    monkeypatch.setattr(clear, "load_reader", lambda device: FakeReader())
    folder = tmp_path / "faces"
    folder.mkdir()
    for name, picture in zip("abc", portraits([PLAIN, HAT, TURNED]).images, strict=True):
        Image.fromarray(picture).save(folder / f"{name}.png")
    family = FAMILIES["stylegan2"]

    def seen(*, told: bool) -> int:
        return len(family.open_batches(Path(folder), family.settings(clear=told), tmp_path / "run"))

    assert (seen(told=False), seen(told=True)) == (3, 2)
