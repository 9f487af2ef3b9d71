"""The combination and morphing of faces with PGGAN, beside ours: latent recovery above all."""

from __future__ import annotations

import re
from collections.abc import Mapping

from facelab.checkpoints.cards import Card
from facelab.embedding_settings import PRESETS
from facelab.evaluation.measured import embedding_kind
from facelab.evaluation.papers import pictures
from facelab.evaluation.papers.claims import ordered, within
from facelab.evaluation.papers.document import Claim, Entry, Section, entry, number, percent
from facelab.evaluation.papers.evidence import SYSTEMS, Command, Evidence, Finding, untrained
from facelab.evaluation.papers.trainers import train_part
from facelab.evaluation.published import OPERANDS, RECOVERY_STEPS
from facelab.evaluation.recovery import RECOVERED, RECOVERIES

TITLE = "Faces combination and morphing with PGGAN"
PAIR = ("progan", "dcgan")
SHARE, RESTARTS, TARGETS = 0.9, 8, 100  # our goal: of so many pictures, by at most so many searches each
STEADY = 0.05  # a share of faces that means of three gain by no more than this does not need them
STAGES = ("latent", "recover", "encode", "encoder")  # of an embedding, the search for the latent before what needs none


def section(evidence: Evidence) -> Section:
    """All of it."""
    return Section(
        TITLE,
        "Recovery finds the latent of a picture by gradient descent, and draws numbers that leave the prior's range "
        f"anew; theirs takes over {RECOVERY_STEPS:,} steps for a photo. Ours is Adam with a falling rate, all restarts "
        "as one batch; the first one for a val face begins where an encoder points. The paper shows pictures and "
        "measures nothing: there is no number of theirs beside ours. Of StyleGAN2 the search in w+ begins where an "
        f"encoder points, for {PRESETS['fast'].steps} steps, and in z at the draw nearest to the mean; both are before "
        "any refining.",
        [*_recoveries(evidence), *_combinations(evidence), *_encoders(evidence), *_unseen(evidence)],
        _claims(evidence),
        pictures=pictures.of_recovery(evidence),
    )


def _recoveries(evidence: Evidence) -> list[Entry]:
    lines = []
    for system in PAIR:
        card = evidence.card(system)
        for start in RECOVERIES if card is None or "encoder" in card.companions else ("random",):
            found = _recovered(evidence, system, start)
            told = ""
            if found.value:
                of = found.value
                told = (
                    f"{percent(of['recovered'])} of {of['targets']}, {of['restarts']} restarts of up to {of['steps']} "
                    f"steps; median {of['psnr_median']} dB after {of['steps_median']}"
                )
            begun = "random latents" if start == "random" else "its encoder's word and random latents"
            what = f"own pictures recovered to {RECOVERED:g} dB from {begun}, {SYSTEMS[system][0]}"
            lines.append(Entry(what, "“precisely” (section 3.2)", found, told))
    return lines


def _recovered(evidence: Evidence, system: str, start: str) -> Finding:
    """A system's own pictures recovered, from one of RECOVERIES' starts."""
    card = evidence.card(system)
    return untrained(system) if card is None else evidence.kept(RECOVERIES[start][0], card)


def _best_recovered(evidence: Evidence, system: str) -> Finding:
    """The same from whichever start finds more."""
    found = [_recovered(evidence, system, start) for start in RECOVERIES]
    return max(found, key=lambda each: each.value["recovered"] if each.value else -1.0)


def _combinations(evidence: Evidence) -> list[Entry]:
    lines = []
    for system in PAIR:
        card = evidence.card(system)
        found = untrained(system) if card is None else evidence.kept("combinations", card)
        told = ""
        if found.value:
            of = found.value
            told = f"{percent(of['draws'])} of draws, {percent(of['of_1'])} of single, {percent(of['of_3'])} of means"
        needs = "not needed" if system == "progan" else f"{OPERANDS} latents a mean"
        what = (
            f"pictures in which dlib finds a face: draws, sums of single latents, sums of means, {SYSTEMS[system][0]}"
        )
        lines.append(Entry(what, f"{needs} (section 3.3)", found, told))
    return lines


def _encoders(evidence: Evidence) -> list[Entry]:
    """Their future work: an encoder that learns from generated pictures. Ours sees as many photos beside them unless it
    is told that these weigh nothing, which its card does not tell.
    """
    lines = []
    for system in PAIR:
        card = evidence.card(system)
        if card is None:
            continue
        told, command = card.companions.get("encoder", {}).get("images"), train_part("inverter", card, "encoder")
        found = Finding(told, command if told else Command(command.text))
        what = (
            "an encoder that learned from generated pictures and, by default, from as many photos beside them: "
            f"generated pictures seen, {SYSTEMS[system][0]}"
        )
        lines.append(entry(what, "wished for (section 4)", found, number(0)))
    return lines


def _unseen(evidence: Evidence) -> list[Entry]:
    """Val faces in every model, by its one latent; in StyleGAN2 by z and by w+."""
    lines = []
    for card, space in _spaces(evidence):
        found = _searched(evidence, card, space)
        told = ""
        if found.value:
            told = (
                f"distance {found.value['identity_median']:.3f}, {found.value['psnr_median']:.1f} dB, "
                f"{found.value['faces']} faces"
            )
        lines.append(
            Entry(f"val faces in {space} at {card.resolution} px: identity and PSNR, {card.name}", "", found, told)
        )
    for card in evidence.models:
        system = "cvae" if card.conditions else card.family
        psnr, identity, by = (evidence.compared(system, key) for key in ("psnr", "identity", "reconstructed_by"))
        if psnr.value is None or evidence.card(system) != card:
            continue
        told = f"distance {identity.value:.3f}, {psnr.value:.1f} dB, by {by.value}"
        side = f"{evidence.comparison.side} px"
        lines.append(Entry(f"val faces there and back at {side}: identity and PSNR, {card.name}", "", psnr, told))
    return lines


def _claims(evidence: Evidence) -> list[Claim]:
    claims = []
    for system in PAIR:
        name, found = SYSTEMS[system][0], _best_recovered(evidence, system)
        share = Finding(found.value and found.value["recovered"], found.command, found.earlier, found.why)
        why = " Restarts that end in a local minimum are what is missing; more steps or restarts find more."
        claims.append(
            within(
                f"{name}: {percent(SHARE)} of {TARGETS} drawn pictures are recovered to over {RECOVERED:g} dB by at "
                f"most {RESTARTS} restarts",
                "our goal",
                {"the share": share},
                percent,
                SHARE,
                1,
                beside=_budget(found),
                why=why,
            )
        )
    claims += [_three(evidence, system) for system in PAIR]
    unseen = {SYSTEMS[system][0]: _unseen_identity(evidence, system) for system in PAIR}
    claims.append(
        ordered(
            "PGGAN draws an unseen face better than DCGAN: a lower identity distance",
            "section 3.2",
            unseen,
            number(3),
            why=_why_not_better(evidence, unseen),
        )
    )
    card = evidence.card("stylegan2")
    if card is not None:
        findings = {}
        for space in ("w+", "z"):
            findings[space] = _identity(_searched(evidence, card, space))
        says = f"w+ comes nearer to val faces than z, {card.name}: a lower identity distance"
        claims.append(ordered(says, "our measure", findings, number(3)))
    return claims


def _why_not_better(evidence: Evidence, unseen: Mapping[str, Finding]) -> str:
    """What makes our PGGAN another one than the paper's, and how both were searched."""
    told = ""
    card = evidence.card("progan")
    if card is not None and card.training.get("images"):
        told = (
            f" PGGAN is small here, of {card.resolution} px, and has seen {card.training['images']:,} pictures; the "
            "paper takes published weights."
        )
    steps = {tuple(re.findall(r"--steps (\d+)", each.command.text)) for each in unseen.values()}
    if len(steps) == 1 and (known := steps.pop()):
        told += f" Faces were searched for in both alike, in {int(known[0]):,} steps at one rate."
    return told


def _budget(found: Finding) -> str:
    """Where a recovery was not measured as the goal has it, and where it began."""
    of, told = found.value, ""
    if of and (of["targets"] < TARGETS or of["restarts"] > RESTARTS):
        told = f" Of {of['targets']} pictures by {of['restarts']} restarts, not as the goal has it."
    if of and of.get("start") == "encoder":
        told += " One of the searches begins where its encoder points."
    return told


def _three(evidence: Evidence, system: str) -> Claim:
    """Whether arithmetic on single latents is unstable with DCGAN, and is not with PGGAN."""
    card, name = evidence.card(system), SYSTEMS[system][0]
    found = untrained(system) if card is None else evidence.kept("combinations", card)
    needs = system == "dcgan"
    says = f"{name}: arithmetic {'needs' if needs else 'does without'} the mean of {OPERANDS} latents for each operand"
    if not found.value:
        return Claim(
            says, "section 3.3", None, f"Missing: {name} ({found.why})." if found.why else "", (found.command,)
        )
    single, mean = found.value["of_1"], found.value["of_3"]
    holds = (mean - single > STEADY) == needs
    told = (
        f"Ours: a face is found in {percent(single)} of sums of single latents and in {percent(mean)} of sums of means."
    )
    if not holds:
        told += (
            " Single latents are as stable here: a mean only brings operands nearer to the mean face."
            if needs
            else " Single latents lose faces that means keep."
        )
    return Claim(says, "section 3.3", holds, told, (found.command,), found.earlier)


def _spaces(evidence: Evidence) -> list[tuple[Card, str]]:
    """Models and the spaces whose embeddings are told."""
    return [(card, space) for card in evidence.models for space in _told_spaces(card)]


def _told_spaces(card: Card) -> tuple[str, ...]:
    return ("z", "w+") if "w+" in card.spaces else card.spaces[-1:]


def _unseen_identity(evidence: Evidence, system: str) -> Finding:
    """How near a system's recovery comes to val faces, whatever encoder the model has got since."""
    card = evidence.card(system)
    return untrained(system) if card is None else _identity(_searched(evidence, card, card.spaces[-1]))


def _identity(found: Finding) -> Finding:
    return Finding(found.value and found.value["identity_median"], found.command, found.earlier)


def _searched(evidence: Evidence, card: Card, space: str) -> Finding:
    """Figures of the latent's search, before any refining, and how many faces there were."""
    found = evidence.kept(embedding_kind(space), card)
    if not found.value:
        return found
    stages = found.value["embedding"]
    stage = next((stages[name] for name in STAGES if name in stages), None)
    value = stage and {**stage, "faces": found.value["embedded"]}
    return Finding(value, found.command, found.earlier)
