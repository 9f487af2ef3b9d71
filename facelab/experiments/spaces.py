"""Which space, from where, with which weights (Fig. 5, Table 2)."""

from __future__ import annotations

from collections.abc import Sequence

from facelab.experiments import paper
from facelab.experiments.batch import Embedded
from facelab.experiments.figures import sheet
from facelab.experiments.lab import PLAIN, Lab, Setup
from facelab.experiments.pictures import Picture, examples
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
    chosen = examples(pictures)
    picked = [index for index, picture in enumerate(pictures) if picture in chosen]
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


def _of_kind(found: Sequence[Embedded], pictures: Sequence[Picture], kind: str) -> list[Embedded]:
    return [each for each, picture in zip(found, pictures, strict=True) if picture.kind == kind]


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
            why="The paper searches for 5,000 steps: fewer ones depend more on where they begin.",
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
