"""`python -m facelab evaluate M1 M2`: models measured alike, and beside them what is saved of others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facelab.checkpoints.cards import COMPARISON, EYES, Card, find_card
from facelab.checkpoints.weights import load_model
from facelab.commands.console import progress_bar
from facelab.errors import BadSetting
from facelab.evaluation.comparison import (
    REAL,
    Comparison,
    Row,
    compare_model,
    describe_faces,
    load_comparison,
    of_model,
    with_ratios,
)
from facelab.evaluation.figures import real_faces, spread
from facelab.evaluation.inception import load_inception
from facelab.evaluation.judge import load_judge
from facelab.evaluation.machine import machine
from facelab.evaluation.measured import stated_sha256
from facelab.evaluation.reconstruction import reconstruct
from facelab.studio import Studio
from facelab.training.data import open_pictures


def compare_models(
    models: Sequence[str],
    data: Path,
    *,
    count: int,
    seed: int,
    side: int,
    faces: int,
    steps: int,
    add: bool,
    save: bool,
    cache: Path,
) -> Comparison:
    """Rows of the models, of `count` random faces each at `side` pixels, and of `faces` val portraits carried into each
    model and back in `steps`; where they are to be saved, those of other models as well that are saved already.

    How fast they draw is measured anew of all, as it is this machine's. add: leave out what is saved of these weights.
    Raises BadSetting where what is saved was measured otherwise.
    """
    if count < 2:
        raise BadSetting("A comparison needs at least two samples of each model: say --samples.")
    cards = [find_card(model) for model in dict.fromkeys(models)]
    side = side or min(card.resolution for card in cards)
    saved = load_comparison() if add or save else None
    others = saved.others(cards) if saved and save else {}
    known = {card.name: row for card in cards if (row := saved.row(card))} if saved and add else {}
    generators = {name: load_model(name)[0] for name in (*(card.name for card in cards), *others)}
    photos = list(open_pictures(data, resolution=side, cache=cache, split="val").images)
    faces = min(faces, len(photos))
    if saved and (add or others):
        _check_alike(saved, (count, side, seed), "leave out --add" if add else f"or delete {COMPARISON} to begin anew")
        _check_reconstructed([*others.values(), *(row for row in known.values() if row.reconstructed)], faces, steps)
    network, inception, real = load_judge(), load_inception(), real_faces(data, "val", side, None, cache)
    rows = [describe_faces(REAL, photos, network, seen=real, inception=inception)]
    options = {"count": count, "side": side, "seed": seed, "inception": inception}
    for card in cards:
        row = known.get(card.name)
        if row is None:
            with progress_bar(card.name, count, "face") as told:
                row = compare_model(card, generators[card.name], network, real, **options, progress=told.update)
        if faces and row.reconstructed is None:
            row = _reconstructed(row, card, data, count=faces, steps=steps, side=side, cache=cache)
        rows.append(row)
    cards, rows = [*cards, *(find_card(name) for name in others)], [*rows, *others.values()]
    timed = [of_model(row, card, generators[card.name]) for row, card in zip(rows[1:], cards, strict=True)]
    took_part = [*EYES, *(name for card in cards for name in (card.name, f"{card.name}-encoder"))]
    said = f"evaluate {' '.join(card.name for card in cards)} --data DATA --samples {count} --seed {seed} --side {side}"
    said += f" --reconstruct {faces} --steps {steps}" if faces else ""
    return Comparison(
        samples=count,
        side=side,
        seed=seed,
        command=f"python -m facelab {said} --save",
        machine=machine(),
        weights={name: sha256 for name in took_part if (sha256 := stated_sha256(name))},
        rows=tuple(with_ratios([rows[0], *timed], rows[0])),
    )


def _check_alike(saved: Comparison, asked: tuple[int, int, int], way_out: str) -> None:
    """Raise BadSetting where what is saved is of other samples, another side or another seed than what is asked for."""
    if (saved.samples, saved.side, saved.seed) != asked:
        told = f"{saved.samples} samples at {saved.side} px, seed {saved.seed}"
        raise BadSetting(f"What was saved is of {told}. Measure alike, {way_out}.")


def _check_reconstructed(rows: Sequence[Row], faces: int, steps: int) -> None:
    """Raise BadSetting where saved rows are of other reconstructions than those that are asked for."""
    for row in rows:
        searched = re.search(r"of (\d+) steps", row.reconstructed_by or "")
        if (row.reconstructed or 0, int(searched[1]) if searched else steps) != (faces, steps):
            told = f"--reconstruct {row.reconstructed or 0}" + (f" --steps {searched[1]}" if searched else "")
            raise BadSetting(f"What was saved of {row.name} is of {told}. Say the same, or measure it with the others.")


def _reconstructed(row: Row, card: Card, data: Path, *, count: int, steps: int, side: int, cache: Path) -> Row:
    pictures = open_pictures(data, resolution=card.resolution, cache=cache, split="val").images
    chosen = [pictures[index] for index in spread(len(pictures), count)]
    with progress_bar(f"{card.name} reconstructs", len(chosen), "face") as told:
        done = reconstruct(Studio(card.name), chosen, side=side, steps=steps, progress=told.update)
    return row.with_reconstruction(done)


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows with the same keys as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [
        ["" if value is None else f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
