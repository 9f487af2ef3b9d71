"""What is known of our models without measuring anything: their cards, and the figures that commands have kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facelab.checkpoints.cards import Card, catalogue
from facelab.errors import BadWeights
from facelab.evaluation.comparison import REAL, Comparison, Row, load_comparison
from facelab.evaluation.measured import Measured, load_measured

EXPERIMENTS = Path("image2stylegan") / "image2stylegan.json"
NO_INCEPTION = "needs Inception's weights"
NO_MACHINE = "a machine that no card names"

# Our systems, in the order in which they are told: how each is called, and the command that trains it.
SYSTEMS = {
    "vae": ("VAE", "train vae --data DATA --out RUN"),
    "cvae": ("Conditional VAE", 'train vae --attributes "Male Smiling Eyeglasses" --data DATA --out RUN'),
    "vaegan": ("VAE/GAN", "train vaegan --data DATA --out RUN"),
    "dcgan": ("GAN (DCGAN)", "train dcgan --data DATA --out RUN"),
    "began": ("BEGAN", "train began --data DATA --out RUN"),
    "progan": ("PGGAN", "train progan --data DATA --out RUN"),
    "stylegan2": ("StyleGAN2", "train stylegan2 --data DATA --out RUN"),
}

# What measures a kind of figures, in the size in which they are worth telling.
MEASURES = {
    "circle": "evaluate {model} --data DATA --circle --faces 200 --save",
    "circle-speed": "evaluate {model} --data DATA --circle --faces 0 --save",
    "combinations": "recovery {model} --targets 0 --combinations 200 --save",
    "directions": "evaluate {model} --data DATA --samples 0 --embed 100 --directions --save",
    "embedding-w": "evaluate {model} --data DATA --samples 0 --embed 100 --space w --save",
    "embedding-wplus": "evaluate {model} --data DATA --samples 0 --embed 100 --space w+ --save",
    "embedding-z": "evaluate {model} --data DATA --samples 0 --embed 100 --space z --save",
    "recovery": "recovery {model} --targets 100 --restarts 8 --save",
    "recovery-encoder": "recovery {model} --targets 100 --restarts 8 --start encoder --save",
    "run": "evaluate {model} --data DATA --samples 1500 --run RUN --save",
    "runs": "evaluate {model} --data DATA --samples 1500 --run RUN --run RUN --save",
}


@dataclass(frozen=True)
class Command:
    """A command line. machine: where it was run; "" where it is still to be run."""

    text: str
    machine: str = ""


@dataclass(frozen=True)
class Finding:
    """One figure of ours. value: None where nobody has measured it yet. command: what measured it, or would. earlier:
    whether it is of weights that have been replaced since. why: what measuring needs besides.
    """

    value: Any
    command: Command
    earlier: bool = False
    why: str = ""


@dataclass(frozen=True)
class Evidence:
    """All that is known. cards: by system, of SYSTEMS, the first by name where there are several. experiments: what
    `experiments image2stylegan` wrote, or None.
    """

    cards: Mapping[str, tuple[Card, ...]]
    comparison: Comparison | None
    experiments: Mapping[str, Any] | None

    def card(self, system: str) -> Card | None:
        """The model of a system, or None while there is none."""
        return next(iter(self.cards.get(system, ())), None)

    @property
    def models(self) -> list[Card]:
        """All models, in the order of SYSTEMS."""
        return [card for system in SYSTEMS for card in self.cards.get(system, ())]

    @property
    def circles(self) -> list[Card]:
        """The models that a circle leads to, BEGAN's first, as in the paper."""
        having = [card for card in self.models if "circle" in card.companions]
        return sorted(having, key=lambda card: card.family != "began")

    def compared(self, system: str, key: str) -> Finding:
        """A field of comparison.Row, of a system's model or of "real" faces."""
        card = self.card(system)
        if card is None and system != "real":
            return untrained(system)
        name = REAL if card is None else card.name
        row: Row | None = next(
            (row for row in (self.comparison.rows if self.comparison else ()) if row.name == name), None
        )
        value = None if row is None else getattr(row, key)
        if value is None and (row is None or key != "inception_score"):
            return Finding(None, self.comparing)
        measured = Command(self.comparison.command, self.comparison.machine)
        if value is None:
            return Finding(None, measured, why=NO_INCEPTION)
        return Finding(value, measured, card is not None and self.comparison.weights.get(name) != card.sha256)

    @property
    def comparing(self) -> Command:
        """What compares all models that are here."""
        names = " ".join(card.name for card in self.models)
        return Command(
            f"python -m facelab evaluate {names} --data DATA --samples 5000 --side 64 --reconstruct 100 --save"
        )

    def kept(self, kind: str, card: Card, *path: str) -> Finding:
        """A figure that a command kept of a model, by its place in them; all of them without a place."""
        found = load_measured(kind, card.name) or _of_card(kind, card)
        if found is None:
            return Finding(None, Command(f"python -m facelab {MEASURES[kind].format(model=card.name)}"))
        value: Any = found.figures
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None:
            return Finding(None, Command(f"python -m facelab {MEASURES[kind].format(model=card.name)}"))
        return Finding(value, Command(found.command, found.machine), found.earlier)


def collect(docs: Path) -> Evidence:
    """Read cards and figures. docs: where the reports of experiments lie. Raises BadWeights for a damaged file."""
    cards: dict[str, list[Card]] = {}
    for card in catalogue().values():
        cards.setdefault("cvae" if card.conditions else card.family, []).append(card)
    path = docs / EXPERIMENTS
    try:
        experiments = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except ValueError as cause:
        raise BadWeights(f"{path} is damaged. Make it again: python -m facelab experiments image2stylegan.") from cause
    return Evidence({system: tuple(each) for system, each in cards.items()}, load_comparison(), experiments)


def untrained(system: str) -> Finding:
    """The finding of a system that has no model yet."""
    return Finding(None, Command(f"python -m facelab {SYSTEMS[system][1]}"), why="no model yet")


def _of_card(kind: str, card: Card) -> Measured | None:
    """Figures that a card states, where no command has kept any since."""
    circle = card.companions.get("circle", {})
    if kind != "circle" or "val" not in circle:
        return None
    figures = dict(circle["val"])
    figures["edits"] = {"decoded": figures.pop("decoded", None), **figures.get("edits", {})}
    return Measured(kind, card.name, f"{circle.get('measured_by', 'not told')} --data DATA", NO_MACHINE, {}, figures)
