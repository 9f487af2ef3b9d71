"""How the loss falls (Fig. 10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facelab.experiments import paper
from facelab.experiments.figures import plot_curves
from facelab.experiments.lab import Lab
from facelab.experiments.pictures import Picture
from facelab.experiments.results import Claim, Figure, Result, Table, mean

NEAR = 1.1  # a curve has converged where it stays within this factor of its lowest


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
    share = {row[0]: row[4] for row in rows}
    others = [share[kind] for kind in share if kind not in ("face", "photo")]
    lower = [row[3] for row in rows if row[0] not in ("face", "photo")]
    end = next(row[3] for row in rows if row[0] == "face")
    figure = plot_curves(curves, xlabel="step", ylabel="loss")
    return Result(
        name="loss-curves",
        title="Loss against steps",
        source="Fig. 10",
        text=f"w+; faces from the mean latent, anything else at random. Converged: the first step from which the loss "
        f"stays within {NEAR - 1:.0%} of its lowest. The rate falls along a cosine in searches of fewer than 1,000 "
        "steps, and the loss with it, so that step says little there; the paper's rate is constant.",
        tables=(Table(("kind", "pictures", "first loss", "lowest loss", "converged at", "converged at, paper"), rows),),
        claims=(
            Claim(
                "Faces converge first.",
                share["face"] <= min(others) if others and lab.settings.schedule == "constant" else None,
                f"step {share['face']} against {', '.join(map(str, others))}",
                why="A rate that falls in so few steps ends all searches at about the same one.",
            ),
            Claim(
                "Faces end lowest.",
                end < min(lower) if lower else None,
                f"{end} against {', '.join(map(str, lower))}",
            ),
        ),
        figures=(Figure("loss-curves.png", "Loss against steps, by kind: mean and range.", figure),),
    )


def converged(curve: np.ndarray) -> int:
    """The first step, counted from 1, from which the loss [steps] stays within NEAR of its lowest."""
    above = np.flatnonzero(curve > NEAR * curve.min())
    return 1 if not len(above) else min(int(above[-1]) + 2, len(curve))
