"""Image2StyleGAN: the verdicts of our repetition of its experiments, whose report has the tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelab.evaluation.papers.document import Claim, Entry, Section, entry, number
from facelab.evaluation.papers.evidence import Command, Evidence
from facelab.evaluation.published import EMBEDDING_SECONDS, EMBEDDING_STEPS
from facelab.experiments.results import Claim as Found

TITLE = "Image2StyleGAN"
COMMAND = Command("python -m facelab experiments image2stylegan")


def section(evidence: Evidence) -> Section:
    """All of it."""
    about = (
        "Embedding into w+ of StyleGAN. The paper's losses are on the scale of VGG-16's features at 256 px and its "
        "distances of 18 rows of 512 numbers, ours on others: only ratios and orders compare. "
    )
    if evidence.experiments is None:
        about += f"Its experiments are not run yet; `{COMMAND.text}` writes docs/image2stylegan."
        claims = [Claim("What the paper's tables and figures show holds here", "all of it", None, "", (COMMAND,))]
        return Section(TITLE, about, _speed(evidence), claims)
    about += "All tables beside the paper's, and figures: [image2stylegan](image2stylegan/image2stylegan.md)."
    claims = [claim for each in evidence.experiments["experiments"].values() for claim in _claims(each, evidence)]
    return Section(TITLE, about, _speed(evidence), claims)


def _claims(experiment: Mapping[str, Any], evidence: Evidence) -> list[Claim]:
    command = Command(
        experiment.get("command") or evidence.experiments["command"],
        experiment.get("machine") or evidence.experiments["machine"],
    )
    where = experiment.get("source", "")
    earlier = experiment.get("weights") not in [card.sha256 for card in evidence.models]
    return [
        Claim(each.text.rstrip("."), where, each.holds, each.told, (command,), earlier)
        for each in (Found(**values) for values in experiment.get("claims", ()))
    ]


def _speed(evidence: Evidence) -> list[Entry]:
    card = evidence.card("stylegan2")
    if card is None:
        return []
    theirs = f"under {EMBEDDING_SECONDS} s for {EMBEDDING_STEPS:,} steps (V100, 1024 px, section 5.3)"
    lines = []
    for stage, told in (("latent", "in w+"), ("refine", "in w+ and refined")):
        seconds, person = (
            evidence.kept("embedding-wplus", card, "embedding", stage, name)
            for name in ("seconds_median", "identity_median")
        )
        lines.append(entry(f"one face {told} by the fast preset, on one core", theirs, seconds, number(1, "s")))
        lines.append(entry(f"its identity distance, {told}", "", person, number(3)))
    return lines
