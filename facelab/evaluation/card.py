"""A model's card for people: what its JSON says and what was measured of it, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from facelab.checkpoints.cards import Card
from facelab.checkpoints.directions import load_directions
from facelab.edits.attributes import Direction
from facelab.embedding_settings import PRESETS
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.measured import Measured, embedding_kind, load_measured

FRECHET = {"identity": "dlib's vectors", "shape": "landmark shapes", "judge": "the judge's features"}
STAGES = {
    "encoder": "encoder alone",
    "latent": f"{PRESETS['fast'].steps} steps in w+",
    "recover": "latent recovery",
    "refine": f"refined, {PRESETS['fast'].refine_steps} steps",
}
LEAST = 10  # faces of a group whose shares are told
MOVED = 0.5  # deviations among people, by which what nobody asked for is worth telling
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
    drawn = load_measured("samples", card.name)
    if drawn is not None:
        parts += _samples(drawn)
    embedded = load_measured(embedding_kind("w+" if "w+" in card.spaces else card.spaces[-1]), card.name)
    if embedded is not None:
        parts += _embeddings(embedded)
    directions = load_measured("directions", card.name)
    if directions is not None and "directions" in card.companions:
        parts += _directions(directions, load_directions(card.name))
    parts += _eyes(card.companions)
    return "\n\n".join(parts) + "\n"


def _training(training: Mapping[str, Any]) -> list[str]:
    seen = [f"{training['images']:,} images."] if "images" in training else []
    return [*seen, training["note"]] if "note" in training else seen


def _samples(measured: Measured) -> list[str]:
    """Random faces beside the floor, by their Frechet distances to val."""
    figures = measured.figures
    rows = [("random faces", figures["frechet"]), ("train portraits", figures.get("frechet_floor"))]
    lines = [[name, *(_rounded(distances[kind]) for kind in FRECHET)] for name, distances in rows if distances]
    told = f"{figures['samples']:,}; dlib finds a face in {figures['found']:.1%} of them. {_source(measured)}"
    if "copies" in figures:
        told += f" Too near to a training face: {figures['copies']['share']:.1%}."
    return [f"**Random faces**, {told}", _table(["faces", *FRECHET.values()], lines)]


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


def _directions(measured: Measured, known: Mapping[str, Direction]) -> list[str]:
    """What the judge and dlib see of edits, of groups as well, and how much changes what is held: in brackets, by the
    plain difference of means. A direction that holds nothing tells gender. Then what else changes, by MOVED or more.
    """
    titles, lines = {id: each.title for id, each in known.items()}, []
    for id, ways in measured.figures["directions"].items():
        found = ways["default"]
        if not found.get("faces"):
            continue
        held = (known[id].held if id in known else ()) or ("gender",)
        more = [each for each, moved in found["changes"].items() if abs(moved) >= MOVED and each not in (id, *held)]
        changed = []
        for other in (*held, *more):
            plain = f" ({ways['plain']['changes'][other]:+.2f})" if "plain" in ways and other in held else ""
            changed.append(f"{titles.get(other, other).lower()} {found['changes'][other]:+.2f}{plain}")
        shares = [f"{found[share]:.0%}" for share in ("flipped", "kept", "both")]
        lines.append([titles.get(id, id), f"{found['strength']:g}", f"{found['faces']}", *shares, ", ".join(changed)])
    head = ["direction", "strength", "faces", "flipped", "kept", "both", "changed besides"]
    parts = [f"**Directions.** {_source(measured)}", _table(head, lines)]
    by_group = {id: ways["default"].get("groups", {}) for id, ways in measured.figures["directions"].items()}
    names = list(dict.fromkeys(name for groups in by_group.values() for name in groups))
    if names:
        lines = [
            [titles.get(id, id), *(_of_group(groups.get(name)) for name in names)]
            for id, groups in by_group.items()
            if groups
        ]
        parts.append(f"Flipped / kept by group, where at least {LEAST} faces lack the attribute:")
        parts.append(_table(["direction", *names], lines))
    return parts


def _eyes(companions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How well those see by whom edits are judged and made, of a model that brings them."""
    judge, reader, parts = companions.get("judge", {}), companions.get("identity", {}).get("val", {}), []
    if {"accuracy_mean", "balanced_mean"} <= judge.keys():
        parts.append(
            f"**The judge** is right about val in {judge['accuracy_mean']:.0%} of {len(ATTRIBUTES)} attributes, in "
            f"{judge['balanced_mean']:.0%} as the mean over those with and without one."
        )
    if {"distance", "correlation", "landmarks"} <= reader.keys():
        parts.append(
            f"**The reader**'s vectors lie {reader['distance']:.2f} from dlib's of val (median), its distances between "
            f"people correlate with dlib's by {reader['correlation']:.2f}, its landmarks are {reader['landmarks']:.2%} "
            "of the side away."
        )
    return parts


def _of_group(found: Mapping[str, Any] | None) -> str:
    if found is None or found["faces"] < LEAST:
        return "–"
    return f"{100 * found['flipped']:.0f} / {found['kept']:.0%} of {found['faces']}"


def _source(measured: Measured) -> str:
    return f"By `{measured.command}`." + (f" {EARLIER}" if measured.earlier else "")


def _rounded(distance: float | None) -> str:
    return "–" if distance is None else f"{round(distance, 4):g}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(row)} |" for row in (head, *lines)]
    return "\n".join([rows[0], "|" + "---|" * len(head), *rows[1:]])
