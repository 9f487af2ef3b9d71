"""Figures that took long to measure, kept beside the models, so that a report can tell them without measuring again.

`--save` of a measuring command writes checkpoints/measured/KIND-MODEL.json. There is no date in it: the hashes of the
weights say whether they are still those that were measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facelab.checkpoints.cards import EYES, catalogue, checkpoint_folder, find_card
from facelab.errors import BadSetting, BadWeights
from facelab.evaluation.machine import machine
from facelab.files import write_file

FOLDER = "measured"
KINDS = (
    "circle",
    "circle-speed",
    "combinations",
    "directions",
    "embedding-w",
    "embedding-wplus",
    "embedding-z",
    "recovery",
    "recovery-encoder",
    "run",
    "runs",
    "samples",
)


@dataclass(frozen=True)
class Measured:
    """Figures of one model. kind: of KINDS. command, machine: how and where. weights: SHA-256 by the name of each file
    of weights that took part. figures: as the command prints them.
    """

    kind: str
    model: str
    command: str
    machine: str
    weights: dict[str, str]
    figures: dict[str, Any]

    @property
    def earlier(self) -> bool:
        """Whether the catalogue has other weights by now."""
        return any(stated_sha256(name) != sha256 for name, sha256 in self.weights.items())

    def save(self) -> Path:
        """Write the file; returns its path."""
        path = _path(self.kind, self.model)
        path.parent.mkdir(exist_ok=True)
        write_file((json.dumps(asdict(self), indent=2) + "\n").encode(), path)
        return path


def weights_of(model: str) -> dict[str, str]:
    """What the cards say of a model's weight file, of its companions' and of the eyes': SHA-256 by name. Raises
    UnknownModel.
    """
    card = find_card(model)
    names = (model, *(f"{model}-{part}" for part in card.companions), *EYES)
    return {name: stated_sha256(name) for name in dict.fromkeys(names)}


def keep(
    kind: str,
    model: str,
    figures: Mapping[str, Any],
    *,
    command: str,
    using: Sequence[str] = (),
    eyes: Sequence[str] = (),
    weights: Mapping[str, str] | None = None,
) -> Measured:
    """Write figures that were measured here and now. command: as it follows `python -m facelab`. using: the model's
    companions that took part, such as "circle". eyes: of EYES, those by which was seen what the figures say. weights:
    its `weights_of` when measuring began, by default now's.
    """
    known = weights_of(model) if weights is None else weights
    took_part = (model, *(f"{model}-{part}" for part in using), *eyes)
    hashes = {name: known[name] for name in took_part if name in known}
    made = Measured(kind, model, f"python -m facelab {command}", machine(), hashes, dict(figures))
    made.save()
    return made


def load_measured(kind: str, model: str) -> Measured | None:
    """What was kept, or None. Raises BadWeights where it is no such file."""
    path = _path(kind, model)
    if not path.exists():
        return None
    try:
        return Measured(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as cause:
        raise BadWeights(f"{path.name} is damaged. Delete it, or measure again with --save.") from cause


def embedding_kind(space: str) -> str:
    """The kind of figures of embeddings into a space."""
    return f"embedding-{space.replace('+', 'plus')}"


def stated_sha256(name: str) -> str:
    """What the cards say of a weight file, such as "faces128" or "faces128-circle"; "" where they know none."""
    cards = catalogue()
    if name in cards:
        return cards[name].sha256
    model, _, part = name.rpartition("-")
    return cards[model].companions.get(part, {}).get("sha256", "") if model in cards else ""


def _path(kind: str, model: str) -> Path:
    if kind not in KINDS:
        raise BadSetting(f"Kept are figures of {', '.join(KINDS)}, not of {kind!r}.")
    return checkpoint_folder() / FOLDER / f"{kind}-{model}.json"
