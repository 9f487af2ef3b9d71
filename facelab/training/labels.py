"""What labels.csv says of training pictures: CelebA's attributes and the head's pose, in the order of the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.training.data import names_of_split, read_label_rows

POSE = ("yaw", "pitch", "roll")


@dataclass(frozen=True, eq=False)
class Labels:
    """attributes bool [N, 40] in the order of judge.ATTRIBUTES; pose float32 [N, 3]: yaw, pitch, roll in degrees, or
    None where it was not asked for.
    """

    attributes: np.ndarray
    pose: np.ndarray | None = None

    def of(self, attribute: str) -> np.ndarray:
        """bool [N]: who has a CelebA attribute."""
        return self.attributes[:, ATTRIBUTES.index(attribute)]

    def first(self, count: int) -> Labels:
        """Those of the first `count` pictures."""
        return Labels(self.attributes[:count], None if self.pose is None else self.pose[:count])


def read_labels(source: Path, *, split: str | None = "train", pose: bool = False) -> Labels:
    """The labels of the pictures that `data.open_pictures` gives for the same source and split, in its order.

    pose: whether the head's pose is needed; other labels of CelebA go without. Raises BadSetting when there is no
    labels.csv, or it lacks a column or a picture's row, or a pose is no number.
    """
    rows = read_label_rows(source)
    if rows is None:
        columns = ", ".join(("image", *POSE) if pose else ("image",))
        raise BadSetting(f"{source} has no labels.csv with the columns {columns} and CelebA's attributes. Add one.")
    names = names_of_split(source, split)
    if missing := [name for name in names if name not in rows]:
        raise BadSetting(
            f"labels.csv in {source} has no line for {missing[0]}, one of {len(missing)} such pictures. Add them, "
            "or leave the pictures out."
        )
    chosen = [rows[name] for name in names]
    try:
        return Labels(
            np.array([[row[name] == "1" for name in ATTRIBUTES] for row in chosen]),
            np.array([_pose_of(row) for row in chosen], np.float32) if pose else None,
        )
    except KeyError as cause:
        raise BadSetting(f"labels.csv in {source} has no column {cause}, which is needed here. Add it.") from cause


def _pose_of(row: dict[str, str]) -> list[float]:
    try:
        return [float(row[name]) for name in POSE]
    except (TypeError, ValueError) as cause:  # a line that ends too early has None
        raise BadSetting(f"{', '.join(POSE)} of {row['image']} in labels.csv must be numbers of degrees.") from cause
