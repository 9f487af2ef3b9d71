"""How the loss falls (Fig. 10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facelab.experiments import paper
from facelab.experiments.figures import plot_curves
from facelab.experiments.geometry import PEOPLE
from facelab.experiments.lab import Lab
from facelab.experiments.pictures import Picture
from facelab.experiments.results import Claim, Figure, Result, Table, mean

NEAR = 1.1  # a curve has converged where it stays within this factor of its lowest
PLAIN = "Our drawings are plain shapes over a gradient; the paper has paintings instead, the hardest of its pictures."


def loss_curves(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """The loss of each step in w+, by kind, from the start that suits the kind."""
    found = lab.embed(pictures, "w+")
    curves: dict[str, list[np.ndarray]] = {}
    for picture, each in zip(pictures, found, strict=True):
        curves.setdefault(picture.kind, []).append(each.curve)
    rows = tuple(
        (
            kind,
            len(some),
            mean([float(curve[0]) for curve in some], 3),
            mean([float(curve.min()) for curve in some], 4),
            round(mean([converged(curve) for curve in some], 1)),
            paper.CONVERGED.get(kind),
        )
        for kind, some in curves.items()
    )
    columns = ("kind", "pictures", "first loss", "lowest loss", "converged at", "converged at, paper")
    table = Table(columns, rows)
    figure = plot_curves(curves, xlabel="step", ylabel="loss")
    return Result(
        name="loss-curves",
        title="Loss against steps",
        source="Fig. 10",
        text=f"w+; faces from the mean latent, anything else at random. Converged: the first step from which the loss "
        f"stays within {NEAR - 1:.0%} of its lowest. The rate falls along a cosine in searches of fewer than 1,000 "
        "steps, and the loss with it, so that step says little there; the paper's rate is constant.",
        tables=(table,),
        claims=compare_ends(table, constant=lab.settings.schedule == "constant"),
        figures=(Figure("loss-curves.png", "Loss against steps, by kind: mean and range.", figure),),
    )


def compare_ends(table: Table, *, constant: bool) -> tuple[Claim, ...]:
    """Whether faces, drawn ones and photos, converge before the pictures of any other kind, and end lower.

    table: as of `loss_curves`. constant: whether the rate is; of a falling one, the step says little.
    """
    of = {row[0]: row for row in table.rows}
    people = {kind: name for kind, name in PEOPLE.items() if kind in of}
    others = {kind: row for kind, row in of.items() if kind not in PEOPLE}
    steps, losses = ([row[place] for row in others.values()] for place in (4, 3))
    plain = PLAIN if others and min(others, key=lambda kind: others[kind][3]) == "drawing" else ""
    first = [
        Claim(
            f"{name} converge first.",
            of[kind][4] <= min(steps) if steps and constant else None,
            f"step {of[kind][4]} against {', '.join(map(str, steps))}",
            why="" if constant else "A rate that falls in so few steps ends all searches at about the same one.",
        )
        for kind, name in people.items()
    ]
    lowest = [
        Claim(
            f"{name} end lowest.",
            of[kind][3] < min(losses) if losses else None,
            f"{of[kind][3]} against {', '.join(map(str, losses))}",
            why=plain,
        )
        for kind, name in people.items()
    ]
    return (*first, *lowest)


def converged(curve: np.ndarray) -> int:
    """The first step, counted from 1, from which the loss [steps] stays within NEAR of its lowest."""
    above = np.flatnonzero(curve > NEAR * curve.min())
    return 1 if not len(above) else min(int(above[-1]) + 2, len(curve))
