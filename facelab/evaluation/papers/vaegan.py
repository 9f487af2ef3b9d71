"""The comparison of VAE, GAN and VAE+GAN, beside ours."""

from __future__ import annotations

import math

from facelab.checkpoints.cards import read_losses
from facelab.evaluation.inception import ABSENT
from facelab.evaluation.papers import pictures
from facelab.evaluation.papers.claims import ordered, within
from facelab.evaluation.papers.document import Claim, Entry, Note, Section, as_table, entry, number, percent
from facelab.evaluation.papers.evidence import SYSTEMS, Command, Evidence, Finding, untrained
from facelab.evaluation.papers.training import at_rest, epochs, shortfalls
from facelab.evaluation.published import EPOCHS, INCEPTION_SCORE, SHARPNESS
from facelab.evaluation.table import FIGURES

TITLE = "VAE, GAN and VAE+GAN"
THREE = ("vae", "vaegan", "dcgan")
RIVALS = ("vae", "vaegan", "dcgan", "began", "progan")
NO_SCORE = f"The Inception Score: {ABSENT} Where they are, the same command measures it."
SHARP = (0.75, 1.33)  # our goal for a GAN's sharpness over that of real faces


def section(evidence: Evidence) -> Section:
    """All of it."""
    lacking = evidence.compared("real", "inception_score").why
    return Section(
        TITLE,
        "Three families on CelebA at 64 px. Theirs saw 202,599 pictures an epoch, ours 24,183. The Inception Score "
        "sorts pictures by ImageNet's classes, which has none for faces; the face score is the same measure with the "
        "eyes of a judge of 40 attributes. Sharpness is the variance of OpenCV's 3 x 3 Laplacian of 8-bit grey.",
        [*_scores(evidence), *_convergence(evidence), *_edits(evidence)],
        _claims(evidence),
        notes=[*([Note(NO_SCORE)] if lacking else []), *_trainings(evidence)],
        pictures=pictures.of_families(evidence),
    )


def _scores(evidence: Evidence) -> list[Entry]:
    lines = []
    for system in (*THREE, "real"):
        name = "real faces" if system == "real" else SYSTEMS[system][0]
        theirs = f"{INCEPTION_SCORE[system]:.3f} (table 4.1)"
        lines.append(entry(f"Inception Score, {name}", theirs, evidence.compared(system, "inception_score"), number(3)))
    for system in (*THREE, "real"):
        name = "real faces" if system == "real" else SYSTEMS[system][0]
        theirs = f"{SHARPNESS[system]:,.2f} (table 4.1)"
        lines.append(entry(f"Laplacian variance, {name}", theirs, evidence.compared(system, "sharpness"), number(1)))
    for system in THREE:
        theirs = f"{SHARPNESS[system] / SHARPNESS['real']:.2f} (from table 4.1)"
        found = evidence.compared(system, "sharpness_ratio")
        lines.append(entry(f"the same over real faces, {SYSTEMS[system][0]}", theirs, found, number(2)))
    return lines


def _edits(evidence: Evidence) -> list[Entry]:
    """What the judge sees of attribute edits, over all directions of a model."""
    lines = []
    for card in evidence.models:
        if not (card.conditions or "directions" in card.companions):
            continue
        found, told = evidence.kept("directions", card), ""
        if found.value:
            ways = [each["default"] for each in found.value["directions"].values() if each["default"].get("faces")]
            flipped = sum(each["flipped"] for each in ways) / max(1, len(ways))
            strengths = [abs(each["strength"]) for each in ways]
            far = " to ".join(f"{each:g}" for each in sorted({min(strengths), max(strengths)})) if strengths else ""
            told = f"{percent(flipped)}, mean of {len(ways)} directions by {found.value['method']}, strength {far}"
            told += (
                "; from no to yes in its condition, while what the latent says of it stays" if card.conditions else ""
            )
        lines.append(Entry(f"attribute edits that the judge sees, {card.name}", "pictures (section 5.1)", found, told))
    return lines


def _convergence(evidence: Evidence) -> list[Entry]:
    return [
        entry(
            f"epochs until the losses come to rest, {SYSTEMS[system][0]}",
            f"{EPOCHS[system]} (table 4.2, by eye)",
            _rest(evidence, system),
            _epochs,
        )
        for system in THREE
    ]


def _trainings(evidence: Evidence) -> list[Note]:
    """Trainings of VAE/GAN beside each other, such as with another gamma, where a command kept them."""
    card = evidence.card("vaegan")
    found = None if card is None else evidence.kept("runs", card, "rows")
    if found is None or not found.value:
        return []
    titles = {each.key: each.title for each in FIGURES} | {"images": "Pictures"}
    names = list(found.value[0])
    rows = [[titles.get(name, name.replace("_", " ").capitalize()) for name in names]]
    rows += [[_cell(row.get(name)) for name in names] for row in found.value]
    told = "Trainings of VAE/GAN beside each other that differ in one setting:"
    return [Note(f"{told}\n\n{as_table(rows)}\n\nMeasured alike", (found.command,))]


def _cell(value: object) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _claims(evidence: Evidence) -> list[Claim]:
    short = shortfalls(evidence, THREE)

    def of(key: str, *systems: str) -> dict[str, Finding]:
        return {SYSTEMS[system][0]: evidence.compared(system, key) for system in systems}

    claims = [
        ordered("Sharpness: VAE < VAE/GAN < GAN", "table 4.1", of("sharpness", *THREE), number(1), why=short),
        ordered(
            "Inception Score: VAE/GAN < VAE < GAN",
            "table 4.1",
            of("inception_score", "vaegan", "vae", "dcgan"),
            number(3),
            why=short,
        ),
        ordered(
            "The same order by the face score",
            "our measure",
            of("face_score", "vaegan", "vae", "dcgan"),
            number(3),
            why=f" The judge tells apart what ImageNet's classes do not.{short}",
        ),
        ordered(
            "The VAE's losses come to rest first",
            "table 4.2 and section 4.1",
            {SYSTEMS[system][0]: _rest(evidence, system) for system in THREE},
            _epochs,
            why=" An adversary's loss has no end to come to rest at: it tells who is ahead, not how good faces are."
            + short,
            least=True,
        ),
        ordered(
            "VAE/GAN's faces are the least diverse",
            "section 4.1.3, a fault to beat",
            of("diversity", "vaegan", "vae", "dcgan"),
            number(3),
            why=" That is the fault beaten." + short,
            least=True,
        ),
        within(
            f"The GAN's faces are as sharp as real ones, within {SHARP[0]} and {SHARP[1]} (theirs: 2.33)",
            "our goal",
            of("sharpness_ratio", "dcgan"),
            number(2),
            *SHARP,
            why=" Noise counts as sharp and blur does not: beyond the range it is one of the two." + short,
        ),
    ]
    others = {SYSTEMS[system][0]: evidence.compared(system, "face_score") for system in RIVALS}
    best = evidence.compared("stylegan2", "face_score")
    claims.append(_best("faces128 has the best face score at 64 px", best, others, number(3), sign=1))
    others = {SYSTEMS[system][0]: evidence.compared(system, "frechet") for system in RIVALS}
    best = evidence.compared("stylegan2", "frechet")
    claims.append(_best("faces128 has the lowest Fréchet distance at 64 px", best, others, number(3), sign=-1))
    return claims


def _best(says: str, best: Finding, others: dict[str, Finding], words, *, sign: int) -> Claim:  # noqa: ANN001
    """Whether one finding is better than all others that are known; open while one is missing."""
    known = {name: each for name, each in others.items() if each.value is not None}
    missing = [name for name, each in others.items() if each.value is None]
    commands = (best.command, *(each.command for each in others.values()))
    if best.value is None:
        return Claim(says, "our goal", None, "", commands)
    worse = [name for name, each in known.items() if sign * each.value >= sign * best.value]
    told = f"Ours: {words(best.value)}" + "".join(f", {name} {words(each.value)}" for name, each in known.items()) + "."
    told += f" As good or better: {', '.join(worse)}." if worse else ""
    told += f" Missing: {', '.join(missing)}." if missing else ""
    earlier = best.earlier or any(each.earlier for each in known.values())
    return Claim(says, "our goal", False if worse else None if missing else True, told, commands, earlier)


def _rest(evidence: Evidence, system: str) -> Finding:
    """Epochs until the losses of a system's model came to rest, by the table that ships with it; infinite if they did
    not.
    """
    card = evidence.card(system)
    if card is None:
        return untrained(system)
    rows = read_losses(card)
    images = at_rest(rows)
    command = Command("python -m facelab papers", f"the table of losses {card.name}-losses.csv")
    return Finding(None if not rows else math.inf if images is None else epochs(card, images), command)


def _epochs(value: object) -> str:
    return number(1, "epochs")(value) if value != math.inf else "not by the end of training"
