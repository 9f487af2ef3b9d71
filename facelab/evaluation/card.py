"""A model's card for people: what its JSON says and what was measured of it, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facelab.checkpoints.cards import Card
from facelab.checkpoints.directions import load_directions
from facelab.embedding_settings import PRESETS
from facelab.evaluation.measured import Measured, embedding_kind, load_measured

FRECHET = {"identity": "dlib's vectors", "shape": "landmark shapes", "judge": "the judge's features"}
STAGES = {
    "encoder": "encoder alone",
    "latent": f"{PRESETS['fast'].steps} steps in w+",
    "recover": "latent recovery",
    "refine": f"refined, {PRESETS['fast'].refine_steps} steps",
}
EARLIER = "Measured of earlier weights of this model; measure again with --save."


def as_markdown(card: Card) -> str:
    """The card as Markdown, a table for each kind of figures that there is. Raises BadWeights for a damaged file."""
    facts = {
        "Data": card.data,
        "Licence": card.licence,
        "Training": " ".join(_training(card.training)),
        "Latent spaces": ", ".join(card.spaces),
        "Limits": card.limits,
    }
    parts = [f"# Model card: {card.name}", f"{card.title}: {card.family}, {card.resolution} px."]
    parts += [f"**{name}.** {text}" for name, text in facts.items() if text]
    parts += _samples(card.quality)
    embedded = load_measured(embedding_kind("w+" if "w+" in card.spaces else card.spaces[-1]), card.name)
    if embedded is not None:
        parts += _embeddings(embedded)
    directions = load_measured("directions", card.name)
    if directions is not None and "directions" in card.companions:
        parts += _directions(directions, {id: each.title for id, each in load_directions(card.name).items()})
    return "\n\n".join(parts) + "\n"


def _training(training: Mapping[str, Any]) -> list[str]:
    seen = [f"{training['images']:,} images."] if "images" in training else []
    return [*seen, training["note"]] if "note" in training else seen


def _samples(quality: Mapping[str, Any]) -> list[str]:
    """Random faces beside the floor, by their Frechet distances to val."""
    if not quality.get("frechet"):
        return []
    kinds = [kind for kind in FRECHET if kind in quality["frechet"]]
    rows = [("random faces", quality["frechet"]), ("train portraits", quality.get("frechet_floor", {}))]
    lines = [[name, *(_rounded(distances[kind]) for kind in kinds)] for name, distances in rows if distances]
    told = f"{quality['samples']:,}; dlib finds a face in {quality['found']:.1%} of them."
    return [f"**Random faces**, {told}", _table(["faces", *(FRECHET[kind] for kind in kinds)], lines)]


def _embeddings(measured: Measured) -> list[str]:
    """How near embeddings come, by stage and by group."""
    figures = measured.figures
    lines = [
        [
            STAGES.get(stage, stage),
            f"{found['same_person']:.1%}",
            f"{found['identity_median']:.2f}",
            f"{found['psnr_median']:.1f} dB",
        ]
        for stage, found in figures["embedding"].items()
    ]
    parts = [
        f"**Embedding**, {figures['embedded']} val portraits, into {figures['space']}. {_source(measured)}",
        _table(["stage", "same person (under 0.6)", "identity distance, median", "PSNR, median"], lines),
    ]
    groups = {name: group for name, group in figures.get("groups", {}).items() if {"latent", "refine"} <= group.keys()}
    if groups:
        lines = [
            [
                name,
                f"{group['faces']}",
                f"{group['latent']['same_person']:.0%}",
                f"{group['refine']['same_person']:.0%}",
                f"{group['refine']['identity_median']:.2f}",
                f"{group['refine']['psnr_median']:.1f} dB",
            ]
            for name, group in groups.items()
        ]
        parts.append(_table(["group", "faces", "same person in w+", "refined", "identity distance", "PSNR"], lines))
    return parts


def _directions(measured: Measured, titles: Mapping[str, str]) -> list[str]:
    """What the judge and dlib see of edits; gender's change in brackets is that of the plain difference of means."""
    lines = []
    for id, ways in measured.figures["directions"].items():
        found = ways["default"]
        if not found.get("faces"):
            continue
        gender = f"{found['changes']['gender']:+.2f}"
        if "plain" in ways:
            gender += f" ({ways['plain']['changes']['gender']:+.2f})"
        shares = [f"{found[share]:.0%}" for share in ("flipped", "kept", "both")]
        lines.append([titles.get(id, id), f"{found['strength']:g}", f"{found['faces']}", *shares, gender])
    head = ["direction", "strength", "faces", "flipped", "kept", "both", "gender"]
    return [f"**Directions.** {_source(measured)}", _table(head, lines)]


def _source(measured: Measured) -> str:
    return f"By `{measured.command}`." + (f" {EARLIER}" if measured.earlier else "")


def _rounded(distance: float) -> str:
    return f"{round(distance, 4):g}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(row)} |" for row in (head, *lines)]
    return "\n".join([rows[0], "|" + "---|" * len(head), *rows[1:]])
