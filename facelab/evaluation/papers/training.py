"""How long our models were trained beside what the papers trained, and when their losses came to rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facelab.checkpoints.cards import Card
from facelab.evaluation.papers.document import as_table
from facelab.evaluation.papers.evidence import SYSTEMS, Evidence
from facelab.evaluation.papers.trainers import trained_by
from facelab.evaluation.published import BEGAN_EPOCHS, BEGAN_PICTURES, CELEBA, EPOCHS
from facelab.training.families import FAMILIES
from facelab.training.plot import curve, smooth
from facelab.training.run import PROGRESS
from facelab.training.settings import PaperSettings

AT_REST = 0.1  # of a loss's whole range: so near to its end it has come to rest
TAIL = 0.1  # of a training, whose mean is a loss's end
SWING = 4.0  # deviations of a loss around its trend at the end: noise seldom goes farther
RESTED = 0.2  # of a training: what rests for less may still be on its way
NO_LOSSES = (*PROGRESS, "k", "ada_p")  # what steers a training

# What the papers trained, in pictures seen. Of PGGAN the paper takes published weights.
THEIRS = {
    **{system: (epochs, epochs * CELEBA) for system, epochs in EPOCHS.items()},
    "began": (BEGAN_EPOCHS, BEGAN_EPOCHS * BEGAN_PICTURES),
}


def doses(evidence: Evidence) -> str:
    """A table of all systems: what was trained, what was meant to be and what the papers trained; and the commands."""
    rows = [("system", "model", "weights", "pictures seen", "epochs", "of the dose meant", "theirs", "hours", "by")]
    for system, (title, _) in SYSTEMS.items():
        theirs = "–"
        if system in THEIRS:
            theirs = f"{THEIRS[system][0]} epochs, {THEIRS[system][1]:,} pictures"
        for card in evidence.cards.get(system, (None,)):
            rows.append(
                (title, *(_dose(card) if card else ("none yet", *["–"] * 4)), theirs, _hours(card), f"{len(rows)}")
            )
    short = shortfalls(evidence, tuple(SYSTEMS)).strip()
    notes = [f"{card.name}: {card.training['note']}" for card in evidence.models if card.training.get("note")]
    return "\n\n".join([as_table(rows), trained_by(evidence), *([short] if short else []), *notes])


def meant(card: Card) -> int | None:
    """How many pictures a model was meant to see: as many as its family's training sees by default, for the papers'
    families, or more where its own was told so; None where nobody says.
    """
    wanted = card.training.get("wanted")
    settings = FAMILIES[card.family].settings
    return max(wanted or 0, settings().images) if issubclass(settings, PaperSettings) else wanted


def shortfall(card: Card, system: str) -> str:
    """What a model lacks of the dose that was meant for it and of the paper's, as a clause; "" for nothing."""
    told, wanted, clauses = card.training, meant(card), []
    if wanted and told.get("images", 0) < wanted:
        clauses.append(f"{told.get('images', 0):,} of the {wanted:,} pictures that were meant")
    if system in THEIRS and told.get("epochs", THEIRS[system][0]) < THEIRS[system][0]:
        clauses.append(f"{told['epochs']:g} of the paper's {THEIRS[system][0]} epochs")
    return f"{card.name} has seen {' and '.join(clauses)}" if clauses else ""


def shortfalls(evidence: Evidence, systems: Sequence[str]) -> str:
    """The shortfalls of several systems as a sentence, "" where there are none."""
    clauses = [shortfall(card, system) for system in systems for card in evidence.cards.get(system, ())]
    clauses = [clause for clause in clauses if clause]
    return f" Training falls short: {'; '.join(clauses)}." if clauses else ""


def at_rest(rows: Sequence[Mapping[str, str]]) -> int | None:
    """After how many pictures all losses stay near their end, smoothed: within a tenth of their range, or within what
    they still swing there. None for a table without losses, and where one has not rested for a fifth of the training.
    """
    columns = [name for name in (rows[0] if rows else ()) if name not in NO_LOSSES and not name.endswith("_sign")]
    places = []
    for column in columns:
        points = curve(rows, column)
        if len(points) < 3:
            continue
        values = smooth(points[:, 1])
        tail, end = (values[-max(1, round(share * len(values))) :] for share in (TAIL, RESTED))
        span = np.ptp(values)
        if not span:
            continue
        swing = _around_its_trend(end).std()
        away = np.flatnonzero(np.abs(values - tail.mean()) > max(AT_REST * span, SWING * swing))
        first = away[-1] + 1 if len(away) else 0
        if first > (1 - RESTED) * len(points):
            return None
        places.append(points[first, 0])
    return int(max(places)) if places else None


def _around_its_trend(values: np.ndarray) -> np.ndarray:
    places = np.arange(len(values))
    return values - np.polyval(np.polyfit(places, values, min(1, len(values) - 1)), places)


def epochs(card: Card, images: int) -> float | None:
    """Pictures seen as epochs of what the model was trained on, where its card says how many these were."""
    told = card.training
    return images * told["epochs"] / told["images"] if told.get("epochs") and told.get("images") else None


def _dose(card: Card) -> tuple[str, ...]:
    told = card.training
    images, wanted = told.get("images"), meant(card)
    share = f"{100 * images / wanted:.0f} % of {wanted:,}" if images and wanted else "–"
    rounds = f"{told['epochs']:g}" if "epochs" in told else "–"
    return card.name, card.sha256[:8], f"{images:,}" if images else "–", rounds, share


def _hours(card: Card | None) -> str:
    return f"{card.training['hours']:g}" if card and "hours" in card.training else "–"
