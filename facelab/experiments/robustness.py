"""What faces withstand: moves and turns (Table 1), and parts cut out (Table 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from facelab.embedding import signal_to_noise
from facelab.experiments import paper
from facelab.experiments.batch import Embedded, squared_error
from facelab.experiments.figures import sheet
from facelab.experiments.lab import Lab
from facelab.experiments.pictures import Picture
from facelab.experiments.results import Claim, Figure, Result, Table, mean, ratio
from facelab.template import TEMPLATE_LANDMARKS

PLAIN = "as it is"
# What is cut out, in landmarks of the template, with a margin in fractions of the side.
PARTS = {"eyes": (slice(36, 48), 0.035), "nose": (slice(27, 36), 0.04), "mouth": (slice(48, 60), 0.03)}


def transform(image: np.ndarray, name: str) -> np.ndarray:
    """A picture [R, R, 3] moved, zoomed or turned by a row of the paper's Table 1, black where nothing is left."""
    side = len(image)
    moved = np.zeros_like(image)
    if name == "right by 140 px":
        shift = round(140 * side / paper.SIDE)
        moved[:, shift:] = image[:, : side - shift]
    elif name == "left by 160 px":
        shift = round(160 * side / paper.SIDE)
        moved[:, : side - shift] = image[:, shift:]
    elif name == "zoom out 2 x":
        small = Image.fromarray(image).resize((side // 2, side // 2), Image.Resampling.BOX)
        moved[side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = np.asarray(small)
    elif name == "zoom in 2 x":
        box = (side / 4, side / 4, side * 3 / 4, side * 3 / 4)
        moved = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC, box=box))
    elif name == "turned by 90°":
        moved = np.rot90(image).copy()
    elif name == "turned by 180°":
        moved = np.rot90(image, 2).copy()
    else:
        raise ValueError(f"transform knows {', '.join(paper.TRANSFORMS)}, not {name!r}")
    return moved


def hole(side: int, parts: Sequence[str]) -> np.ndarray:
    """Where parts of an aligned face are cut out: bool [side, side]."""
    cut = np.zeros((side, side), bool)
    for part in parts:
        points, margin = PARTS[part]
        low, high = TEMPLATE_LANDMARKS[points].min(axis=0) - margin, TEMPLATE_LANDMARKS[points].max(axis=0) + margin
        (left, top), (right, bottom) = np.floor(low * side).astype(int), np.ceil(high * side).astype(int)
        cut[top:bottom, left:right] = True
    return cut


def transforms(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """Each face moved, zoomed and turned, embedded from the mean latent."""
    people = [picture for picture in pictures if picture.is_face]
    targets = {PLAIN: people} | {name: _changed(people, name, transform) for name in paper.TRANSFORMS}
    found = _embed_all(lab, targets)
    kinds = dict.fromkeys(picture.kind for picture in people)
    tables = tuple(
        _table(found, people, kind, {PLAIN: None, **paper.TRANSFORMS}, paper.STARTS["face", "mean"]) for kind in kinds
    )
    loss = {name: mean([each.loss for each in some], 4) for name, some in found.items()}
    best, worst = (choose(paper.TRANSFORMS, key=loss.__getitem__) for choose in (min, max))
    return Result(
        name="transforms",
        title="Moved, zoomed and turned faces",
        source="Table 1 and Fig. 2",
        text=f"Moves are those of the paper at {lab.card.resolution} px; what they leave empty is black (the paper "
        "does not say). Ratios are over the untouched face: ours over the same faces, the paper's over Table 2's face.",
        tables=tables,
        claims=(
            Claim(
                "A face that was moved, zoomed or turned is harder to embed, in the mean.",
                mean([loss[name] for name in paper.TRANSFORMS], 9) > loss[PLAIN],
                f"loss {loss[PLAIN]} untouched, {loss[best]} ({best}) to {loss[worst]} ({worst}) else",
            ),
            Claim(
                "A move to the right is the worst.",
                worst == "right by 140 px",
                f"the highest loss is of {worst}",
                why="The paper does not say what fills the edge that a move leaves; black, as here, is what faces "
                "before a dark wall have there.",
            ),
        ),
        figures=(_pairs(lab, targets, found, "transforms", "Top of each pair: the picture; below: embedded."),),
    )


def defects(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """Each face with parts cut out, embedded from the mean latent."""
    people = [picture for picture in pictures if picture.is_face]
    cuts = {name: _parts_of(name) for name in paper.DEFECTS}
    side = lab.card.resolution

    def cut(image: np.ndarray, name: str) -> np.ndarray:
        return np.where(hole(side, cuts[name])[..., None], 0, image).astype(np.uint8)

    targets = {name: _changed(people, name, cut) if cuts[name] else people for name in paper.DEFECTS}
    found = _embed_all(lab, targets)
    tables = tuple(
        _table(found, people, kind, paper.DEFECTS, paper.DEFECTS["none"])
        for kind in dict.fromkeys(picture.kind for picture in people)
    )
    inside = {
        name: tuple(_inside(found[name], goals, hole(side, cuts[name])) for goals in (targets[name], people))
        for name in paper.DEFECTS
        if cuts[name]
    }
    away = {name: mean([each.away for each in some], 2) for name, some in found.items()}
    return Result(
        name="defects",
        title="Faces with parts cut out",
        source="Table 3 and Fig. 3",
        text="Parts are black boxes around the template's landmarks. Ratios are over the whole face.",
        tables=(
            *tables,
            Table(
                ("cut out", "PSNR to the hole, dB", "PSNR to the face that was there, dB"),
                tuple((name, *values) for name, values in inside.items()),
                "Inside the hole: whether what was embedded is nearer to the hole or to the face.",
            ),
        ),
        claims=(
            Claim(
                "Defective faces lie farther from the mean face.",
                all(away[name] > away["none"] for name in inside),
                f"{away['none']} whole, {', '.join(f'{away[name]} ({name})' for name in inside)}",
            ),
            Claim(
                "Nothing is made up: the hole is embedded as a hole.",
                all(to_hole > to_face for to_hole, to_face in inside.values()),
                f"inside, {min(values[0] for values in inside.values())} dB or more to the hole, "
                f"{max(values[1] for values in inside.values())} dB or less to the face that was there",
            ),
        ),
        figures=(_pairs(lab, targets, found, "defects", "Top of each pair: the picture; below: embedded."),),
    )


def _inside(found: Sequence[Embedded], goals: Sequence[Picture], cut: np.ndarray) -> float:
    """The mean PSNR of what was embedded to its goals, of the pixels that were cut out."""
    errors = [squared_error(each.image, goal.image, cut) for each, goal in zip(found, goals, strict=True)]
    return mean([signal_to_noise(error) for error in errors], 1)


def _changed(people: Sequence[Picture], name: str, change: object) -> list[Picture]:
    return [replace(picture, image=change(picture.image, name)) for picture in people]


def _parts_of(name: str) -> list[str]:
    return [part for part in PARTS if part in name]


def _embed_all(lab: Lab, targets: Mapping[str, Sequence[Picture]]) -> dict[str, list[Embedded]]:
    """All in as few batches as may be."""
    found = iter(lab.embed([picture for some in targets.values() for picture in some], "w+"))
    return {name: [next(found) for _ in some] for name, some in targets.items()}


def _table(
    found: Mapping[str, Sequence[Embedded]],
    people: Sequence[Picture],
    kind: str,
    printed: Mapping[str, tuple[float, float] | None],
    base: tuple[float, float],
) -> Table:
    """Loss and distance of each change for one kind, and their ratios to the first row beside the paper's to `base`."""
    some = {
        name: [each for each, picture in zip(all_found, people, strict=True) if picture.kind == kind]
        for name, all_found in found.items()
    }
    loss = {name: mean([each.loss for each in those], 9) for name, those in some.items()}
    away = {name: mean([each.away for each in those], 9) for name, those in some.items()}
    first = next(iter(printed))
    rows = tuple(
        (
            name,
            round(loss[name], 4),
            ratio(loss[name], loss[first]),
            theirs and ratio(theirs[0], base[0]),
            round(away[name], 2),
            ratio(away[name], away[first]),
            theirs and ratio(theirs[1], base[1]),
            mean([each.psnr for each in some[name]], 1),
        )
        for name, theirs in printed.items()
    )
    columns = ("", "loss", "ratio", "ratio, paper", "‖w*−w̄‖", "ratio", "ratio, paper", "PSNR, dB")
    return Table(columns, rows, f"{len(some[first])} {kind}s:")


def _pairs(
    lab: Lab,
    targets: Mapping[str, Sequence[Picture]],
    found: Mapping[str, Sequence[Embedded]],
    name: str,
    caption: str,
) -> Figure:
    """Two faces: what was given above what was embedded."""
    rows = []
    for at, picture in enumerate(next(iter(targets.values()))):
        if picture.shown and len(rows) < 4:
            rows.append((picture.name, [some[at].image for some in targets.values()]))
            rows.append(("embedded", [some[at].image for some in found.values()]))
    return Figure(f"{name}.jpg", caption, sheet(rows, list(targets), model=lab.card.name, done=name))
