"""The commands that train what ships, with all that is known of its runs: from cards, networks and tables of losses."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from typing import Any

from facelab.checkpoints.cards import Card, read_losses
from facelab.evaluation.papers.evidence import NO_MACHINE, SYSTEMS, Command, Evidence
from facelab.training.families import FAMILIES
from facelab.training.publish import NOTED
from facelab.training.settings import PaperSettings

SETTINGS = {"channel_max": "channels"}  # what a card's config calls otherwise than the settings that it is made from
TWO_RATES = re.compile(r"learning rate ([\d.]+) up to ([\d,]+) pictures, ([\d.]+) since")  # of a card's note
ABOUT = (
    "Trained by these commands, which say all that cards, networks and tables of losses tell of the runs. What none of "
    "them tells, such as other learning rates, other weights of losses and the seed, is left to the trainer's "
    "defaults; nor is it known on which machines, and whether what went on did so by `--resume` or by `--start`."
)


def trained_by(evidence: Evidence) -> str:
    """A numbered list of commands, in the order of the table of all systems."""
    lines = []
    for system, (_, untrained) in SYSTEMS.items():
        for card in evidence.cards.get(system, (None,)):
            if card is None:
                lines.append(f"`python -m facelab {untrained}`, not run yet")
            else:
                lines.append(", then ".join(f"`{each}`" for each in train_model(card)) + _unlike(card))
    return "\n\n".join([ABOUT, "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))])


def train_model(card: Card) -> list[str]:
    """The command lines that train a model as it ships, as far as is known; two where its rate changed on the way."""
    known, images = _known(card), card.training.get("images")
    two = TWO_RATES.search(_note(card))
    if two is None or not images:
        return [_line(card.family, known | ({"images": images} if images else {}))]
    first, until, since = two.groups()
    begun = _line(card.family, known | {"learning_rate": float(first), "images": int(until.replace(",", ""))})
    rest = f"--resume --learning-rate {since} --images {images} --data DATA --out RUN"
    return [begun, f"python -m facelab train {card.family} {rest}"]


def train_part(family: str, card: Card, part: str) -> Command:
    """What trains the companion `part` of a model, on as much as its card tells. Of a circle, this adds up the runs
    that went on from each other.
    """
    images = card.companions.get(part, {}).get("images")
    known = f" --images {images}" if images else ""
    told = "; nor does any tell its other settings"
    if images and family == "circle":
        told = "; the number is of all its runs together, of which no card tells more"
    text = f"python -m facelab train {family} --model {card.name}{known} --data DATA --out RUN"
    return Command(text, NO_MACHINE + told)


def _unlike(card: Card) -> str:
    """What a command leaves out of a StyleGAN2's training, which is of more than one run."""
    if issubclass(FAMILIES[card.family].settings, PaperSettings):
        return ""
    below = "only what its note below tells is known" if _note(card) else "its card tells nothing"
    return f" trains such a model anew, in one run; of how {card.name} itself was trained {below}"


def _known(card: Card) -> dict[str, Any]:
    """Settings by name: the shape of the networks, what the note tells, and the batch."""
    config = {SETTINGS.get(name, name): value for name, value in card.config.items()}
    known = {"resolution": card.resolution, **config, "attributes": " ".join(card.conditions)}
    settings = FAMILIES[card.family].settings
    for name in NOTED.get(card.family, ()):
        told = re.search(rf"(?:^|[,;] ){name.replace('_', ' ')} (\S*[^\s,;.])", _note(card), re.IGNORECASE)
        if told is not None:
            text = isinstance(settings.__dataclass_fields__[name].default, str)
            known[name] = told[1] if text else float(told[1].replace(",", ""))
    rows = read_losses(card)
    if rows and issubclass(settings, PaperSettings):
        known["batch"] = round(float(rows[-1]["images"]) / max(1.0, float(rows[-1]["step"])))
    return known


def _line(family: str, known: dict[str, Any]) -> str:
    """A command line with an option for each known setting that is not as by default."""
    asked = {field.name: field for field in fields(FAMILIES[family].settings)}
    batch = known.get("batch", asked["batch"].default)
    options = [
        _option(field, known[name])
        for name, field in asked.items()
        if name in known and not _as_by_default(field, known[name], batch)
    ]
    return " ".join(["python -m facelab train", family, *options, "--data DATA --out RUN"])


def _as_by_default(field: Field, value: Any, batch: int) -> bool:
    """Whether the command line needs no option for it; a run ends with the batch that brings the last picture."""
    usual = field.default if field.metadata["command"] is None else field.metadata["command"]
    return usual <= value < usual + batch if field.name == "images" else value == usual


def _option(field: Field, value: Any) -> str:
    told = f"{value:.10g}" if not isinstance(value, str) else f'"{value}"' if " " in value else value
    return f"--{field.metadata['name'] or field.name.replace('_', '-')} {told}"


def _note(card: Card) -> str:
    return card.training.get("note", "")
