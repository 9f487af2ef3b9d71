"""How embedded pictures lie in w+: distances (Fig. 20), the way to the mean face, and morphs (Figs. 4 and 19)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from facelab.edits.interpolation import linear
from facelab.experiments.figures import heat_map, sheet
from facelab.experiments.lab import Lab
from facelab.experiments.pictures import Picture, examples
from facelab.experiments.results import Claim, Figure, Result, Table, mean

FRAMES = 7
PEOPLE = {"face": "Drawn faces", "photo": "Photos of faces"}


def distances(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """Distances of all pairs of embedded pictures, and their means within and between kinds."""
    usual, from_mean = (_apart(lab, pictures, **start) for start in ({}, {"start": "mean"}))
    kinds = [picture.kind for picture in pictures]
    tables = (
        between_kinds(usual, kinds, "Faces from the mean latent, anything else from random starts, each its own:"),
        between_kinds(from_mean, kinds, "All from the mean latent:"),
    )
    shown = [at for at, picture in enumerate(pictures) if picture.shown]
    names = [pictures[at].name for at in shown]
    return Result(
        name="distances",
        title="Distances between embedded pictures",
        source="Fig. 20",
        text="L2 over all rows of w+. Random starts lie far from each other before anything is embedded, and a search "
        "of few steps goes away from them but little; so all pictures were embedded from the mean latent, too.",
        tables=tables,
        claims=cluster(tables[0], "") + cluster(tables[1], " where all start at the mean latent"),
        figures=(
            Figure(
                "distances.png", "Distances of all pairs, starts as in the paper.", heat_map(_of(usual, shown), names)
            ),
            Figure("distances-mean.png", "Distances, all from the mean.", heat_map(_of(from_mean, shown), names)),
        ),
    )


def between_kinds(apart: np.ndarray, kinds: Sequence[str], caption: str = "") -> Table:
    """Mean distances between kinds, of distances [N, N]; within a kind no picture is compared with itself."""
    of, names = np.array(kinds), list(dict.fromkeys(kinds))

    def between(one: str, two: str) -> float | None:
        pairs = apart[np.ix_(of == one, of == two)]
        if one == two:
            pairs = pairs[~np.eye(len(pairs), dtype=bool)]
        return mean(pairs.ravel().tolist(), 1)

    return Table(("", *names), tuple((one, *(between(one, two) for two in names)) for one in names), caption)


def _apart(lab: Lab, pictures: Sequence[Picture], **changes: str) -> np.ndarray:
    rows = torch.stack([each.rows for each in lab.embed(pictures, "w+", **changes)]).flatten(1)
    return torch.cdist(rows, rows).numpy()


def _of(apart: np.ndarray, chosen: Sequence[int]) -> np.ndarray:
    return apart[np.ix_(chosen, chosen)]


def cluster(table: Table, where: str) -> tuple[Claim, ...]:
    """Whether faces, drawn ones and photos, are nearer to each other than the pictures of any other kind."""
    inside = {row[0]: row[place] for place, row in enumerate(table.rows, 1)}
    others = [value for kind, value in inside.items() if kind not in PEOPLE and value is not None]
    return tuple(
        Claim(
            f"{name} lie closer to each other than other pictures do{where}.",
            inside[kind] < min(others) if others else None,
            f"{inside[kind]} in the mean against {', '.join(map(str, others))}",
            why="The paper searches for 5,000 steps; after few ones latents still lie near where they began.",
        )
        for kind, name in PEOPLE.items()
        if inside.get(kind) is not None
    )


def walk(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """From each embedded picture straight to the mean face."""
    chosen = examples(pictures)
    mean_rows = lab.generator.mean_latent().detach().cpu().expand(lab.generator.num_layers, -1)
    pairs = [(each.rows, mean_rows) for each in lab.embed(chosen, "w+")]
    names = [picture.name for picture in chosen]
    strips = [_strip(lab, *pair) for pair in pairs]
    steps = np.linspace(0, 1, FRAMES)
    labels = ["embedded", *(f"{step:.2f}" for step in steps[1:-1]), "mean face"]
    table = _found_table(lab, names, strips, labels)
    figure = sheet(list(zip(names, strips, strict=True)), labels, model=lab.card.name, done="walk")
    first = None
    if table is not None:
        seen = [labels[row[1:].index("yes")] if "yes" in row[1:] else "none" for row in table.rows]
        first = ", ".join(f"{name} at {at}" for name, at in zip(names, seen, strict=True))
    return Result(
        name="walk",
        title="On the way to the mean face",
        source="Section 8, the paper's videos",
        text="w = (1 − t) w* + t w̄. Where dlib's detector finds a face says when one appears."
        + (f" First found: {first}." if first else ""),
        tables=() if table is None else (table,),
        figures=(Figure("walk.jpg", "From the embedded picture to the mean face.", figure),),
    )


def morphs(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """Straight lines between faces, between a face and something else, and between other things."""
    chosen = examples(pictures)
    faces = [picture for picture in chosen if picture.kind == "face"]
    others = [picture for picture in chosen if picture.kind != "face"]
    pairs = [
        *pairwise(faces),
        *zip(faces[:1], others, strict=False),
        *pairwise(others),
    ]
    known = dict(zip((picture.name for picture in chosen), lab.embed(chosen, "w+"), strict=True))
    names = [f"{one.name}\nto {two.name}" for one, two in pairs]
    strips = [_strip(lab, known[one.name].rows, known[two.name].rows) for one, two in pairs]
    labels = [f"{step:.2f}" for step in np.linspace(0, 1, FRAMES)]
    table = _found_table(lab, [name.replace("\n", " ") for name in names], strips, labels)
    figure = sheet(list(zip(names, strips, strict=True)), labels, model=lab.card.name, done="morph")
    claims = []
    if table is not None:
        inner = [({one.kind, two.kind}, row[2:-1]) for (one, two), row in zip(pairs, table.rows, strict=True)]
        whole = [set(row) == {"yes"} for kinds, row in inner if kinds == {"face"}]
        between = [row for kinds, row in inner if "face" not in kinds]
        count = sum(row.count("yes") for row in between)
        claims = [
            Claim(
                "Between two faces every picture is a face.",
                all(whole) if whole else None,
                f"dlib finds one in all frames of {sum(whole)} of {len(whole)} morphs",
            ),
            Claim(
                "Faces show through between two pictures that are none.",
                count > 0 if between else None,
                f"dlib finds one in {count} of {sum(map(len, between))} frames in between",
                why="dlib's detector wants a whole face; the paper looked at them by eye.",
            ),
        ]
    return Result(
        name="morphs",
        title="Morphs",
        source="Figs. 4, 15 and 19",
        text="w = (1 − t) w₁ + t w₂, all embedded as above.",
        tables=() if table is None else (table,),
        claims=tuple(claims),
        figures=(Figure("morphs.jpg", "Morphs between embedded pictures.", figure),),
    )


def _strip(lab: Lab, first: torch.Tensor, last: torch.Tensor) -> list[np.ndarray]:
    return lab.draw(torch.stack([linear(first, last, float(t)) for t in np.linspace(0, 1, FRAMES)]))


def _found_table(
    lab: Lab, names: Sequence[str], strips: Sequence[Sequence[np.ndarray]], labels: Sequence[str]
) -> Table | None:
    """Whether dlib finds a face in each frame."""
    found = lab.finds_face([frame for strip in strips for frame in strip])
    if found is None:
        return None
    lines = np.array(found).reshape(len(strips), -1)
    rows = tuple((name, *("yes" if each else "no" for each in line)) for name, line in zip(names, lines, strict=True))
    return Table(("dlib finds a face", *labels), rows)
