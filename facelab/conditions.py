"""The attributes that a conditional model was trained on, as directions: each sets one number of the latent."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facelab.edits.attributes import Direction
from facelab.training.direction_list import WANTED, Wanted

_KNOWN = {each.seen.removeprefix("-"): each for each in WANTED}


def condition_directions(conditions: Sequence[str], dim: int) -> dict[str, Direction]:
    """Directions by id, of the attributes (CelebA's names) that a latent's last numbers say, 0 without to 1 with.

    dim: numbers of the whole latent. Strength 1 goes from without to with; where the page shows the opposite of the
    label, as older for Young, it goes down.
    """
    directions = {}
    for number, label in enumerate(conditions, dim - len(conditions)):
        words = _KNOWN.get(label) or Wanted(
            label.lower(), label.replace("_", " ").capitalize(), "without", "with", "person", label
        )
        difference = torch.zeros(dim)
        difference[number] = -1.0 if words.seen.startswith("-") else 1.0
        directions[words.id] = Direction(
            id=words.id,
            title=words.title,
            low=words.low,
            high=words.high,
            group=words.group,
            rows=(0, 1),
            held=(),
            strength=1.0,
            difference=difference,
            normal=difference,
        )
    return directions
