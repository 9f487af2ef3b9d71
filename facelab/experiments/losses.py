"""What is compared: the terms of the loss (Fig. 9), the size it looks at (Fig. 12), and noise (Fig. 16)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facelab.experiments.batch import Embedded
from facelab.experiments.figures import sheet
from facelab.experiments.lab import PLAIN, Lab, Setup
from facelab.experiments.pictures import Picture, examples
from facelab.experiments.results import CLEAR, Claim, Figure, Result, Table, mean, nearer

Choice = tuple[Setup, dict[str, Any]]


def ablation(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """Pixels alone, each layer alone, pixels and one layer, all layers, and pixels with all of them."""
    middle = lab.layers[lab.middle_layer]
    choices: dict[str, Choice] = {"pixels only": (PLAIN, {"perceptual_weight": 0.0})}
    for place, layer in enumerate(lab.layers):
        choices[f"{layer} only"] = (Setup(layers=(place,)), {"pixel_weight": 0.0})
    choices[f"pixels and {middle}"] = (Setup(layers=(lab.middle_layer,)), {})
    choices["all layers"] = (PLAIN, {"pixel_weight": 0.0})
    choices["pixels and all layers"] = (PLAIN, {})
    chosen = _chosen(pictures)
    found = _embed(lab, chosen, choices)
    seen = {name: _measures(lab, chosen, some) for name, some in found.items()}
    all_of, alone = seen["pixels and all layers"], [seen[f"{layer} only"] for layer in lab.layers]
    pixels, rest = seen["pixels only"], min_of([each for each in seen.values() if each is not all_of], 2)
    sharpest = max(each[0] for each in seen.values())
    return Result(
        name="ablation",
        title="Terms of the loss",
        source="Fig. 9 and Fig. 22",
        text=f"The paper's columns, with {middle} for its conv3_2, and every other layer alone. A loss that was gone "
        "down is no judge of itself: the columns measure all results alike, dlib's identity distance (faces only, "
        "same person below 0.6) by a network that takes no part.",
        tables=(_table(seen, found),),
        claims=(
            Claim(
                "Several layers are better than one.",
                None if all_of[2] is None else nearer(seen["all layers"][2], min(each[2] for each in alone)),
                f"identity distance {seen['all layers'][2]} against {min_of(alone, 2)} of the best single layer",
            ),
            Claim(
                "Pixels alone smooth faces.",
                all_of[1] < pixels[1],
                f"perceptual distance {pixels[1]} against {all_of[1]} with all layers; identity distance {pixels[2]} "
                f"against {all_of[2]}",
            ),
            Claim(
                "Pixels with all layers are the best.",
                None if all_of[2] is None else nearer(all_of[2], rest),
                f"identity distance {all_of[2]} against {rest} of the best of the others",
                why=f"Of all losses it comes nearest in pixels, {all_of[0]} dB." * (all_of[0] == sharpest),
            ),
        ),
        figures=(_figure(lab, chosen, found, "ablation", "Embedded by each loss."),),
    )


def sizes(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """The perceptual network looks at pictures of half, the same and twice their size."""
    side = lab.card.resolution
    choices: dict[str, Choice] = {
        f"{share} ({round(side * factor)} px)": (Setup(side=None if factor == 1 else round(side * factor)), {})
        for share, factor in (("half", 0.5), ("own size", 1), ("twice", 2))
    }
    chosen = _chosen(pictures)
    found = _embed(lab, chosen, choices)
    seen = {name: _measures(lab, chosen, some) for name, some in found.items()}
    own = f"own size ({side} px)"
    best = None if seen[own][2] is None else min(seen, key=lambda name: seen[name][2])
    told = None if best is None else nearer(seen[own][2], min(each[2] for name, each in seen.items() if name != own))
    return Result(
        name="sizes",
        title="Size that the perceptual loss looks at",
        source="Fig. 12",
        text="The paper shrinks 1024 px to the 256 px that VGG-16 was trained near. Our perceptual network is the "
        f"discriminator, trained at {side} px: the same blocks, at matched depths, look at pictures of other sizes."
        if lab.settings.perceptual == "discriminator"
        else "VGG-16 looks at pictures of other sizes than the model's own.",
        tables=(_table(seen, found),),
        claims=(
            Claim(
                "The size that the network was trained at is the best one to look at.",
                told,
                f"least identity distance at {best}" if best else "pictures are too small for identity distances",
                why="The paper shrinks its pictures to what its network knows; ours was trained on just this size.",
            ),
        ),
        figures=(_figure(lab, chosen, found, "sizes", "Embedded with the loss at each size."),),
    )


def noise(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """The generator's noise constant, constant but another, and drawn anew at every step."""
    choices: dict[str, Choice] = {
        "constant": (PLAIN, {}),
        "constant, another": (Setup(network="other noise"), {}),
        "resampled": (PLAIN, {"noise": "resampled"}),
    }
    chosen = _chosen(pictures)
    found = _embed(lab, chosen, choices)
    seen = {name: _measures(lab, chosen, some) for name, some in found.items()}
    strongest = max(
        float(value.abs().max()) for name, value in lab.generator.named_parameters() if name.endswith("noise_strength")
    )
    constant, other, resampled = (mean([each.psnr for each in some], 2) for some in found.values())
    return Result(
        name="noise",
        title="Noise",
        source="Fig. 16",
        text="Results are drawn with the constant noise that they were found with; resampled ones with the model's.",
        tables=(_table(seen, found),),
        claims=(
            Claim(
                "Another constant noise gives similar results.",
                abs(constant - other) < CLEAR,
                f"PSNR {constant} and {other} dB",
            ),
            Claim(
                "Resampled noise is significantly worse.",
                resampled < constant - CLEAR,
                f"PSNR {resampled} against {constant} dB",
                why=f"The strengths of this model's noise are {strongest:.2f} at most.",
            ),
        ),
        figures=(_figure(lab, chosen, found, "noise", "Embedded with each noise."),),
    )


def min_of(rows: Sequence[tuple[float | None, ...]], place: int) -> float | None:
    """The least value of a column, None where one is missing."""
    values = [row[place] for row in rows]
    return None if None in values else min(values)


def _chosen(pictures: Sequence[Picture]) -> list[Picture]:
    return [*examples(pictures), *[picture for picture in pictures if picture.kind == "photo"][:2]]


def _embed(lab: Lab, chosen: Sequence[Picture], choices: Mapping[str, Choice]) -> dict[str, list[Embedded]]:
    return {name: lab.embed(chosen, name, setup=setup, **changes) for name, (setup, changes) in choices.items()}


def _measures(
    lab: Lab, chosen: Sequence[Picture], found: Sequence[Embedded]
) -> tuple[float, float, float | None, float]:
    """PSNR, perceptual distance by all layers, identity distance of faces, and ||w* - w_mean||: means."""
    unlike = lab.unlikeness([picture.image for picture in chosen], [each.image for each in found])
    people = [(picture.image, each.image) for picture, each in zip(chosen, found, strict=True) if picture.is_face]
    identity = lab.identity(*zip(*people, strict=True)) if people else None
    return (
        mean([each.psnr for each in found], 2),
        mean(unlike, 4),
        None if identity is None else mean(identity, 3),
        mean([each.away for each in found], 2),
    )


def _table(seen: Mapping[str, tuple], found: Mapping[str, Sequence[Embedded]]) -> Table:
    columns = ("", "PSNR, dB", "perceptual distance", "identity distance of faces", "‖w*−w̄‖")
    count = len(next(iter(found.values())))
    return Table(columns, tuple((name, *values) for name, values in seen.items()), f"Means of {count} pictures:")


def _figure(
    lab: Lab, chosen: Sequence[Picture], found: Mapping[str, Sequence[Embedded]], name: str, caption: str
) -> Figure:
    rows = [
        (picture.name, [picture.image, *(some[at].image for some in found.values())])
        for at, picture in enumerate(chosen)
        if picture.shown
    ]
    columns = ["picture", *(label.replace(" and ", "\nand ").replace(" (", "\n(") for label in found)]
    return Figure(f"{name}.jpg", caption, sheet(rows, columns, model=lab.card.name, done=name))
