"""Which space, from where, with which weights (Fig. 5, Table 2), and how the loss falls (Fig. 10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facelab.experiments import paper
from facelab.experiments.batch import Embedded
from facelab.experiments.figures import plot_curves, sheet
from facelab.experiments.lab import PLAIN, Lab, Setup
from facelab.experiments.pictures import Picture
from facelab.experiments.results import Claim, Figure, Result, Table, mean, ratio

# What is compared: the column's label, the space, the start, the network. "trained" weights unless said.
CHOICES = (
    ("z, mean", "z", "mean", PLAIN),
    ("z, random", "z", "random", PLAIN),
    ("w, random weights", "w", "mean", Setup(network="random")),
    ("w, mean", "w", "mean", PLAIN),
    ("w, random", "w", "random", PLAIN),
    ("w+, random weights", "w+", "mean", Setup(network="random")),
    ("w+, mean", "w+", "mean", PLAIN),
    ("w+, random", "w+", "random", PLAIN),
)
NEAR = 1.1  # a curve has converged where it stays within this factor of its end


def spaces(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """Each picture in z, w and w+, from the mean latent and from uniform [-1, 1], and through untrained weights."""
    found = {
        label: lab.embed(pictures, label, setup=setup, space=space, start=start)
        for label, space, start, setup in CHOICES
    }
    kinds = list(dict.fromkeys(picture.kind for picture in pictures))
    told = {(label, kind): _of_kind(found[label], pictures, kind) for label in found for kind in kinds}
    base = {kind: mean([each.loss for each in told["w+, mean", kind]], 9) for kind in kinds}
    rows = [
        (
            kind,
            label,
            mean([each.loss for each in told[label, kind]], 4),
            ratio(mean([each.loss for each in told[label, kind]], 9), base[kind]),
            mean([each.psnr for each in told[label, kind]], 1),
            mean([each.away for each in told[label, kind]], 2),
            mean([each.away_per_row for each in told[label, kind]], 2),
        )
        for kind in kinds
        for label in found
    ]
    columns = ("kind", "space and start", "loss", "loss over w+ from mean", "PSNR, dB", "‖w*−w̄‖", "mean a row")
    shown = [index for index, picture in enumerate(pictures) if picture.shown]
    picked = [index for index in shown if pictures[index].name in _examples(pictures)]
    figure = sheet(
        [(pictures[at].name, [pictures[at].image, *(found[label][at].image for label in found)]) for at in picked],
        ["picture", *(label.replace(", ", ",\n") for label in found)],
        model=lab.card.name,
        done="spaces",
    )
    return Result(
        name="spaces",
        title="Spaces, starts and weights",
        source="Fig. 5 and Table 2",
        text="Means over the pictures of a kind. ‖w*−w̄‖ is taken over all rows of w+ (the one row of w and z counts "
        "for every layer); of untrained weights it is to their own mean. z starts at the draw nearest to the mean.",
        tables=(Table(columns, tuple(rows)), _beside_the_paper(told, kinds)),
        claims=_claims(told, kinds),
        figures=(Figure("spaces.jpg", "Embedded in each space, from the mean or at random.", figure),),
    )


def loss_curves(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """The loss of each step in w+, by kind, from the start that suits the kind."""
    found = lab.embed(pictures, "w+")
    curves = {kind: [each.curve for each in some] for kind, some in _by_kind(found, pictures).items()}
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


def _of_kind(found: Sequence[Embedded], pictures: Sequence[Picture], kind: str) -> list[Embedded]:
    return [each for each, picture in zip(found, pictures, strict=True) if picture.kind == kind]


def _by_kind(found: Sequence[Embedded], pictures: Sequence[Picture]) -> dict[str, list[Embedded]]:
    return {kind: _of_kind(found, pictures, kind) for kind in dict.fromkeys(each.kind for each in pictures)}


def _examples(pictures: Sequence[Picture]) -> set[str]:
    return {picture.name for picture in examples(pictures)}


def examples(pictures: Sequence[Picture], faces: int = 2) -> list[Picture]:
    """The pictures of figures: some faces and the first of each other kind, no photo."""
    counted: dict[str, int] = {}
    kept = []
    for picture in pictures:
        counted[picture.kind] = counted.get(picture.kind, 0) + 1
        if picture.shown and counted[picture.kind] <= (faces if picture.kind == "face" else 1):
            kept.append(picture)
    return kept


def _beside_the_paper(told: dict[tuple[str, str], list[Embedded]], kinds: Sequence[str]) -> Table:
    """Random start over mean start, and each kind over faces: ratios, which compare."""

    def of(label: str, kind: str, name: str) -> float:
        return mean([getattr(each, name) for each in told[label, kind]], 9)

    rows = []
    for kind in kinds:
        rows.append(
            (
                f"{kind} (ours)",
                ratio(of("w+, random", kind, "loss"), of("w+, mean", kind, "loss")),
                ratio(of("w+, random", kind, "away"), of("w+, mean", kind, "away")),
                ratio(of("w+, mean", kind, "loss"), of("w+, mean", "face", "loss")),
                ratio(of("w+, mean", kind, "away"), of("w+, mean", "face", "away")),
            )
        )
    face_loss, face_away = paper.STARTS["face", "mean"]
    for kind in dict.fromkeys(kind for kind, _ in paper.STARTS):
        (loss, away), (random_loss, random_away) = paper.STARTS[kind, "mean"], paper.STARTS[kind, "random"]
        ratios = ratio(random_loss, loss), ratio(random_away, away), ratio(loss, face_loss), ratio(away, face_away)
        rows.append((f"{kind} (paper)", *ratios))
    columns = (
        "w+",
        "loss, random over mean start",
        "‖w*−w̄‖, random over mean start",
        "loss over faces'",
        "‖w*−w̄‖ over faces'",
    )
    return Table(columns, tuple(rows), "Ratios, beside the paper's Table 2:")


def _claims(told: dict[tuple[str, str], list[Embedded]], kinds: Sequence[str]) -> tuple[Claim, ...]:
    def of(label: str, kind: str, name: str = "loss") -> float:
        return mean([getattr(each, name) for each in told[label, kind]], 4)

    others = [kind for kind in kinds if kind not in ("face", "photo")]
    people = [kind for kind in kinds if kind in ("face", "photo")]
    claims = [
        Claim(
            f"A {kind} embeds better from the mean latent than from a random one.",
            of("w+, mean", kind) < of("w+, random", kind),
            f"loss {of('w+, mean', kind)} against {of('w+, random', kind)}",
        )
        for kind in people
    ]
    claims += [
        Claim(
            f"A {kind} embeds better from a random latent than from the mean.",
            of("w+, random", kind) < of("w+, mean", kind),
            f"loss {of('w+, random', kind)} against {of('w+, mean', kind)}",
        )
        for kind in others
    ]
    loss = {label: mean([of(label, kind) for kind in kinds], 4) for label, *_ in CHOICES}
    claims += [
        Claim(
            "w+ embeds what w and z do not.",
            loss["w+, mean"] < min(loss["w, mean"], loss["z, mean"]),
            f"mean loss {loss['w+, mean']} in w+, {loss['w, mean']} in w, {loss['z, mean']} in z",
        ),
        Claim(
            "Learned weights matter.",
            loss["w+, mean"] < loss["w+, random weights"],
            f"mean loss {loss['w+, mean']} against {loss['w+, random weights']} through untrained ones, in w+",
        ),
    ]
    return tuple(claims)
