"""Which portraits show a face clearly (instance selection, DeVries et al. 2020, by what can be named).

A generator of few weights spends them, and breaks, on what is rare and covers a face. The paper leaves out what lies
far from the mean of a network's features; among portraits those are also people of whom there are few pictures. So the
reader says here what hides a face. Who that leaves out is no even draw either: of CelebA-HQ's train split 7 %, of its
men and its older people 13 %, of the 15 % with the darkest cheeks, shadows of hats and lenses among them, 18 %.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.files import read_or_make
from facelab.identity import FaceReader, load_reader, reader_sha256
from facelab.studio import best_device
from facelab.training.data import Pictures
from facelab.training.lenses import see_through

MOST_YAW = 40  # degrees. The landmarks' Frechet distance to val: 0.002 with all, 0.004 with these, 0.025 with 30
BATCH = 64


def only_clear(pictures: Pictures, *, cache: Path) -> Pictures:
    """The pictures whose face is neither turned by more than 40 degrees nor under a hat or behind dark glasses.

    What the reader saw is kept in `cache`. Raises BadSetting where no face is left.
    """
    name = Path(getattr(pictures.images, "filename", None) or "pictures").stem

    def look() -> bytes:
        buffer = io.BytesIO()
        np.save(buffer, shows_clearly(load_reader(device=best_device()), pictures))
        return buffer.getvalue()

    clear = read_or_make(
        cache / f"clear-{name}-{reader_sha256()[:12]}.npy",
        lambda data: np.load(io.BytesIO(data), allow_pickle=False),
        look,
    )
    if not clear.any():
        raise BadSetting("The reader sees no clear face in these pictures. Leave out --clear, or align the faces.")
    return Pictures(pictures.images, rows=np.flatnonzero(clear))


def shows_clearly(reader: FaceReader, pictures: Pictures) -> np.ndarray:
    """Of which pictures the reader says that the face can be seen: bool [N]."""
    device, count = next(reader.parameters()).device, len(pictures.images)
    parts = (pictures.tensor(slice(first, first + BATCH)).to(device) for first in range(0, count, BATCH))
    read = [reader.read(part, batch=BATCH) for part in parts]
    yaw = torch.cat([part.pose[:, 0] for part in read]).cpu().numpy()
    seen = torch.cat([part.attributes for part in read]).cpu().numpy() > 0
    hat, glasses = (seen[:, ATTRIBUTES.index(name)] for name in ("Wearing_Hat", "Eyeglasses"))
    dark = glasses & ~see_through(pictures.images, glasses)
    return (np.abs(yaw) <= MOST_YAW) & ~hat & ~dark
