"""The catalogue: one JSON card beside each weight file, saying what the model is and where it comes from."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from facelab.errors import BadWeights, UnknownModel
from facelab.files import write_file

log = logging.getLogger("facelab.checkpoints")
FOLDER_VARIABLE = "FACELAB_CHECKPOINTS"
EYES = JUDGE, READER = ("faces128-judge", "faces128-identity")  # the companions that look at every model's faces
COMPARISON = "comparison.json"  # what `evaluate M1 M2 --save` measured, beside the cards


@dataclass(frozen=True)
class Card:
    """What is known of a model.

    config: arguments of the family's networks. downsample: a StyleGAN2 discriminator's, "fir" or "average". sha256: of
    the weight file. training: images seen, epochs, hours, and what is worth knowing about how it was made; "losses" is
    the table of losses beside the card, "beside" the sha256 of what only further training needs. conditions: CelebA's
    names of the attributes that the latent's last numbers stand for, of a conditional model. companions: the small
    networks and directions that belong to it, by the end of their file's name: sha256 and what was measured.
    """

    name: str
    title: str
    family: str
    resolution: int
    spaces: tuple[str, ...]
    alignment: str
    downsample: str
    data: str
    licence: str
    sha256: str
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    companions: dict[str, dict[str, Any]] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    limits: str = ""

    @property
    def path(self) -> Path:
        """Where the weight file lies."""
        return checkpoint_folder() / f"{self.name}.safetensors"

    def to_json(self) -> str:
        """The card as it is written beside the weights."""
        return json.dumps(asdict(self), indent=2) + "\n"


def checkpoint_folder() -> Path:
    """`checkpoints/` beside the package, or the folder that FACELAB_CHECKPOINTS names."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path(__file__).resolve().parents[2] / "checkpoints"


def read_card(path: Path) -> Card:
    """Read a card. Raises BadWeights when it is no card."""
    known = {entry.name for entry in fields(Card)}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values = {name: value for name, value in values.items() if name in known}
        lists = {name: tuple(values[name]) for name in ("spaces", "conditions") if name in values}
        return Card(**{**values, **lists})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as cause:
        raise BadWeights(f"{path.name} is not a model card. Restore it from the repository.") from cause


def losses_path(card: Card) -> Path | None:
    """The table of losses that ships with a model; None where its card names none, or one elsewhere."""
    path = checkpoint_folder() / str(card.training.get("losses", ""))
    here = path.suffix == ".csv" and path.parent == checkpoint_folder() and path.is_file()
    return path if here else None


def training_path(name: str) -> Path:
    """Where what only further training of a model needs lies, if it is kept."""
    return checkpoint_folder() / "training" / f"{name}.safetensors"


def read_losses(card: Card) -> list[dict[str, str]]:
    """The rows of that table, as text by column; none where there is none."""
    path = losses_path(card)
    if path is None:
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _catalogue(folder: Path) -> dict[str, Card]:
    cards: dict[str, Card] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            if path.name != COMPARISON:
                card = read_card(path)
                cards[card.name] = card
        except BadWeights as error:  # one file that does not belong here must not take all models away
            log.warning("%s It is left out.", error)
    return cards


def catalogue() -> dict[str, Card]:
    """All models with a card, by name."""
    return dict(_catalogue(checkpoint_folder()))


def write_card(card: Card) -> None:
    """Write a card beside its weights, at once or not at all; from now on the catalogue has it."""
    write_file(card.to_json().encode(), checkpoint_folder() / f"{card.name}.json")
    _catalogue.cache_clear()


def write_companion(model: str, part: str, told: dict[str, Any]) -> None:
    """Put what is known of a companion into its model's card, as the card is now: another command may have written it
    since this one began. Raises UnknownModel.
    """
    _catalogue.cache_clear()
    card = find_card(model)
    write_card(replace(card, companions={**card.companions, part: told}))


def find_card(name: str) -> Card:
    """The card of a model. Raises UnknownModel, listing the known names."""
    cards = catalogue()
    if name not in cards:
        raise UnknownModel(f"There is no model {name!r}. Known models: {', '.join(cards) or 'none'}.")
    return cards[name]


def title_of(name: str) -> str:
    """What a model is called; of one without a card, its name."""
    card = catalogue().get(name)
    return name if card is None else card.title


def fingerprint(model: str) -> str:
    """What a model's latents of portraits depend on, in short: its weights, its encoder's and those of the reader,
    which is looked through while latents are searched for. Raises UnknownModel.
    """
    from facelab.identity import reader_sha256

    card = find_card(model)
    encoder = card.companions.get("encoder", {}).get("sha256", "")
    return hashlib.sha256(f"{card.sha256} {encoder} {reader_sha256()}".encode()).hexdigest()[:16]


def find_companion(name: str) -> tuple[Path, str]:
    """The file and the SHA-256 of a model's companion, such as "faces128-judge". Raises UnknownModel."""
    model, _, part = name.rpartition("-")
    card = find_card(model)
    if part not in card.companions:
        raise UnknownModel(
            f"{card.title} ships without {part}. It has: {', '.join(card.companions) or 'nothing more'}."
        )
    return checkpoint_folder() / f"{name}.safetensors", card.companions[part]["sha256"]
