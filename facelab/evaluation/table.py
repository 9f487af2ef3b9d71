"""The table of a comparison: what was saved beside the models, what was measured here, and what cards say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facelab.checkpoints.cards import Card
from facelab.evaluation.comparison import Comparison, Row
from facelab.evaluation.inception import ABSENT

MEASURE = "Not measured yet: measure it here."
NEEDS_PHOTOS = (
    "Needs photos, which are not in the repository: `python -m facelab evaluate MODEL... --data PHOTOS --save`."
)


@dataclass(frozen=True)
class Figure:
    """A figure that models are compared by: a field of Row, and how it is told.

    digits: after the point. better: 1 where more is better, -1 where less is, 0 where neither. absent: why there may be
    none. machine: whether it is the machine's, so that what was measured here is nearer than what was saved.
    """

    key: str
    title: str
    help: str
    digits: int = 0
    better: int = 0
    absent: str = MEASURE
    machine: bool = False


FIGURES = (
    Figure("face_score", "Face score", "The Inception Score of faces: the mean over 40 attributes of the binary score "
           "by the judge. 1 where all faces are alike or unclear, 2 at most.", 3, 1),
    Figure("inception_score", "Inception Score", "By ImageNet's classes, as papers report it.", 2, 1, absent=ABSENT),
    Figure("sharpness", "Sharpness", "Variance of the Laplacian of 8-bit grey. Noise counts as sharp, too.", 0),
    Figure("sharpness_ratio", "Sharpness to real", "That over real faces'; 1 is as sharp as photos.", 2,
           absent=NEEDS_PHOTOS),
    Figure("frechet", "Fréchet distance", "Between identity vectors of drawn and of real faces, in dlib's space; lower "
           "is nearer.", 3, -1, absent=NEEDS_PHOTOS),
    Figure("psnr", "Reconstruction", "PSNR in dB of photos that were carried into the model and back, median.", 1, 1,
           absent=NEEDS_PHOTOS + " Add `--reconstruct 100`."),
    Figure("identity", "Reconstructed identity", "dlib's distance to the photo, median; the same person below 0.6.",
           2, -1, absent=NEEDS_PHOTOS + " Add `--reconstruct 100`."),
    Figure("diversity", "Diversity", "Mean identity distance of pairs of drawn faces; low where all look alike.", 3, 1,
           absent="Not measured yet, or dlib found fewer than two faces."),
    Figure("found", "Faces found", "The share of drawn pictures in which dlib finds a face.", 3, 1),
    Figure("parameters", "Parameters", "Numbers learned; of an auto-encoder, its encoder's as well."),
    Figure("images_per_second", "Images a second", "Drawn at the model's own size, on the machine of the measurement.",
           1, 1, machine=True),
    Figure("training_images", "Training images", "How many pictures training has seen, repeats and all.",
           absent="Not on every model's card."),
    Figure("training_hours", "Training hours", "On the machine it was trained on.", 2,
           absent="Not on every model's card."),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One figure of one model. value: the one to show, or None. here: whether it was measured here. other: what was
    measured here beside a saved one.
    """

    value: float | None
    here: bool = False
    other: float | None = None


@dataclass(frozen=True)
class Line:
    """One figure of all models. best: places of the best. real: that of real faces. why: why some models have none."""

    figure: Figure
    cells: tuple[Cell, ...]
    best: frozenset[int]
    real: float | None = None
    why: str = ""


def build_table(
    cards: Sequence[Card], saved: Comparison | None, here: Mapping[str, Row], *, side: int
) -> tuple[Line, ...]:
    """A line for each of FIGURES. here: rows measured on this machine by model, at `side` pixels."""
    rows = [saved and saved.row(card) for card in cards]
    real = saved and saved.real
    lines = []
    for figure in FIGURES:
        cells = tuple(
            _cell(figure, card, row, here.get(card.name), real if saved and saved.side == side else None)
            for card, row in zip(cards, rows, strict=True)
        )
        missing = any(cell.value is None for cell in cells)
        best = best_of([cell.value for cell in cells], figure)
        of_real = getattr(real, figure.key, None) if real and figure.key not in ("frechet", "sharpness_ratio") else None
        lines.append(Line(figure, cells, frozenset(best), of_real, figure.absent if missing else ""))
    return tuple(lines)


def _cell(figure: Figure, card: Card, row: Row | None, here: Row | None, real: Row | None) -> Cell:
    told = {"training_images": card.training.get("images"), "training_hours": card.training.get("hours")}
    if figure.key in told:
        return Cell(told[figure.key])
    saved, fresh = getattr(row, figure.key, None), getattr(here, figure.key, None)
    if figure.key == "sharpness_ratio" and here and real:
        fresh = round(here.sharpness / real.sharpness, 3)
    if saved is None or (figure.machine and fresh is not None):
        return Cell(fresh, here=fresh is not None)
    return Cell(saved, other=fresh if fresh != saved else None)


def in_words(value: Any, figure: Figure) -> str:
    """A figure as people read it: 0.973, 3,414,531, or a dash."""
    return "–" if value is None else f"{value:,.{figure.digits}f}"


def best_of(values: Sequence[float | None], figure: Figure) -> set[int]:
    """Where the best of several models' values stand, as they are told; none where there is nothing to choose."""
    told = {place: round(value, figure.digits) for place, value in enumerate(values) if value is not None}
    if not figure.better or len(told) < 2 or len(set(told.values())) < 2:
        return set()
    best = max(told.values(), key=lambda value: figure.better * value)
    return {place for place, value in told.items() if value == best}


def markdown(cards: Sequence[Card], lines: Sequence[Line]) -> str:
    """The table as Markdown, models as columns, real faces last where something is known of them; best ones bold."""
    real = any(line.real is not None for line in lines)
    rows = [["", *(card.title for card in cards), *(["Real faces"] if real else [])]]
    rows.append(["---", *(["---:"] * (len(rows[0]) - 1))])
    for line in lines:
        told = [in_words(cell.value, line.figure) + (" *" if cell.here else "") for cell in line.cells]
        bold = [f"**{text}**" if place in line.best else text for place, text in enumerate(told)]
        rows.append([line.figure.title, *bold, *([in_words(line.real, line.figure)] if real else [])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_json(cards: Sequence[Card], lines: Sequence[Line]) -> dict[str, Any]:
    """The table as plain values: {"models": [...], "figures": {key: {"title", "values", "here", "real", "absent"}}}."""
    names = [card.name for card in cards]
    return {
        "models": names,
        "figures": {
            line.figure.key: {
                "title": line.figure.title,
                "values": {name: cell.value for name, cell in zip(names, line.cells, strict=True)},
                "here": [name for name, cell in zip(names, line.cells, strict=True) if cell.here],
                "real": line.real,
                "absent": line.why,
            }
            for line in lines
        },
    }
