"""ISTRC, the circle through identity vectors, beside ours."""

from __future__ import annotations

from collections.abc import Callable

from facelab.checkpoints.cards import Card
from facelab.circle import FEATURES, edit_key, feature_of
from facelab.circling import EDIT_STEPS, MOST_STEPS, SURE
from facelab.evaluation.circle import EDITS, FAULTY
from facelab.evaluation.figures import FEWEST
from facelab.evaluation.papers import pictures
from facelab.evaluation.papers.claims import ordered, within
from facelab.evaluation.papers.document import (
    NOT_MEASURED,
    Claim,
    Entry,
    Note,
    Section,
    as_table,
    entry,
    number,
    percent,
)
from facelab.evaluation.papers.evidence import Evidence, Finding
from facelab.evaluation.papers.trainers import train_part
from facelab.evaluation.published import (
    CLASSIFIER_LAYERS,
    CLASSIFIERS_HOURS,
    COLLAPSE,
    FACES_A_SECOND,
    MAPPING_HOURS,
    WALK_SECONDS,
)

TITLE = "ISTRC: the circle through identity vectors"
FROM_VECTORS, FROM_PIXELS, WALK = 500, 150, 1.0  # our goals at 64 px: faces a second twice, and seconds
FLIPPED = 0.75  # our goal: the share of faces in which the eyes see an edit
FAULTS = 0.10  # our goal: the share whose gender changes by the edits that the paper faults
ALIKE = 0.5  # of the angle between averages by slerps: nearer than this, averages of another space are one face

WALKS = (
    f"The paper's way goes on until the classifier is {SURE:.0%} sure, as it can be of a vector long before anything "
    "is to be seen in the face, as of a moustache: preset strengths go by decoded random faces instead, as the "
    "reader and, of shapes, dlib's landmarks see them. Shares of fewer "
    f"than {FEWEST} faces, marked as too few, take no part in the claims."
)
WITHOUT_BEGAN = (
    "There is no circle through BEGAN's auto-encoder yet, which is the paper's: `train began --data DATA --out RUN`, "
    "`publish RUN --name began64`, `train circle --model began64 --data DATA --out CIRCLE` and `publish CIRCLE --name "
    "began64`, each after `python -m facelab`."
)


def section(evidence: Evidence) -> Section:
    """All of it, for each model that a circle leads to."""
    circles = evidence.circles
    lines = [line for card in circles for line in (*_speeds(card, evidence), *_rest(card, evidence))]
    notes = [*(note for card in circles for note in _edits(card, evidence)), Note(WALKS)]
    return Section(
        TITLE,
        "A face's identity vector (dlib's, 128 numbers) on the sphere, edited there by the gradient of a classifier, "
        "mapped to a generator's latent and drawn. The paper draws by BEGAN's auto-encoder at 64 px. The times below "
        "are all it measures; of edits and averages it shows pictures. Flipped: of the val faces that lack the "
        "feature once they are drawn, the share in which the judge, or dlib's landmarks, then see it, after an edit of "
        "strength 1; at the edit's preset strength, found on random faces; and walked until sure, as the paper edits: "
        "until the classifier is sure of it, however far within "
        f"{MOST_STEPS} steps, of which {EDIT_STEPS} go as far as strength 1. Still a person: by dlib, the one that the "
        "vector decodes to without the edit, or the photo's own.",
        [*_times(evidence), *lines],
        [claim for card in circles for claim in _claims(card, evidence)],
        notes=notes if any(card.family == "began" for card in circles) else [*notes, Note(WITHOUT_BEGAN)],
        pictures=[each for card in circles for each in pictures.of_circle(card)],
    )


def _times(evidence: Evidence) -> list[Entry]:
    lines = []
    for card in evidence.circles:
        told = card.companions["circle"]
        hours, note = told.get("hours"), told.get("note", "")
        why = "" if hours is not None else "the card states no hours: `publish` the run"
        theirs = f"{MAPPING_HOURS} h and {CLASSIFIERS_HOURS} h (section 6.1)"
        what = f"training the mapping, and {len(FEATURES)} classifiers beside it, {card.name}" + (
            f" ({note})" * bool(note)
        )
        lines.append(entry(what, theirs, Finding(hours, train_part("circle", card, "circle"), why=why), number(2, "h")))
    return lines


def _speeds(card: Card, evidence: Evidence) -> list[Entry]:
    side = f"{card.resolution} px, {card.name}"
    speed = lambda name: evidence.kept("circle-speed", card, "speed", name)  # noqa: E731
    theirs = f"{FACES_A_SECOND} (GTX 1080, section 6.1)"
    return [
        entry(f"faces a second from vectors, {side}", theirs, speed("from_vectors"), number(0)),
        entry(f"faces a second from pixels, {side}", theirs, speed("from_pixels"), number(0)),
        entry(
            f"500 steps and 10 pictures, {side}",
            f"{WALK_SECONDS} s (section 6.1)",
            speed("walk_seconds"),
            number(2, "s"),
        ),
    ]


def _edits(card: Card, evidence: Evidence) -> list[Note]:
    """A table of the paper's edits, which it shows and does not measure."""
    at_one = ("flipped at 1", "gender flipped, held", "gender flipped, plain", "still the decoded face's person")
    preset = ("preset strength", "flipped there", "gender flipped there", "that, plain")
    preset += ("still the decoded face's person there", "still the photo's person there")
    until = ("flipped, walked until sure", "sure in the end", "steps then, median")
    until += ("gender flipped then", "still the decoded face's person then")
    rows = [("edit", "faces", *at_one, *preset, *until)]
    findings = []
    for id, sign in EDITS:
        found = evidence.kept("circle", card, "edits", edit_key(id, sign))
        findings.append(found)
        told = _told_edit(id, found.value) if found.value else (NOT_MEASURED, *["–"] * (len(rows[0]) - 2))
        rows.append((_title(id, sign), *told))
    commands = tuple(dict.fromkeys(found.command for found in findings))
    stated = card.companions["circle"].get("sha256", "")[:8]
    earlier = " Of earlier weights." if any(found.earlier for found in findings) else ""
    return [Note(f"Edits through {card.title}, circle {stated}.{earlier}", commands), Note(as_table(rows))]


def _told_edit(id: str, value: dict) -> tuple[str, ...]:
    shares = [percent(value[key]) for key in ("flipped", "gender_held", "gender_plain", "kept")]
    if id == "gender":  # there it is what the edit is for
        shares[1:3] = "–", "–"
    there = value.get("preset")
    at_preset = ["–"] * 6
    if there:
        told = (there.get(key) for key in ("flipped", "gender_held", "gender_plain", "kept", "person"))
        at_preset = [f"{there['strength']:g}", *("–" if each is None else percent(each) for each in told)]
        if id == "gender":
            at_preset[2:4] = "–", "–"
    until = value.get("until")
    walked = ["–"] * 5
    if until:
        turned = "–" if id == "gender" else percent(until["gender_held"])
        walked = [percent(until["flipped"]), percent(until["arrived"]), f"{until['steps']:.0f}", turned]
        walked.append(percent(until["kept"]))
    few = "" if value["faces"] >= FEWEST else " (too few)"
    return f"{value['faces']}{few}", *shares, *at_preset, *walked


def _rest(card: Card, evidence: Evidence) -> list[Entry]:
    of = lambda *path: evidence.kept("circle", card, *path)  # noqa: E731
    name, low, high = card.name, *CLASSIFIER_LAYERS
    lines = [
        entry(
            f"decoded without an edit: identity distance, {name}",
            "",
            of("edits", "decoded", "identity_median"),
            number(3),
        ),
        entry(f"decoded without an edit: the gender kept, {name}", "", of("edits", "decoded", "gender_kept"), percent),
    ]
    classifiers = of("classifiers")
    if classifiers.value:
        mean = sum(each["balanced"] for each in classifiers.value.values()) / len(classifiers.value)
        classifiers = Finding(mean, classifiers.command, classifiers.earlier)
    lines.append(
        entry(f"classifiers of {low} to {high} layers, mean balanced accuracy, {name}", "", classifiers, percent)
    )
    for way, told in (("raw", "by raw vectors"), ("chord", "by the chord"), ("great_circle", "by the great circle")):
        lines.append(entry(f"verification {told}, accuracy, {name}", "", of("verification", way, "accuracy"), percent))
    for count in ("2", "64", "128"):
        lines.append(_collapse_line(card, of("collapse", count), count))
    return lines


def _collapse_line(card: Card, found: Finding, count: str) -> Entry:
    told = ""
    if found.value:
        told = "; ".join(
            f"{name} {found.value[way]:.3f}"
            for way, name in (
                ("chained", "the paper's slerps"),
                ("sphere", "mean on the sphere"),
                ("plain", "plain vectors"),
                ("latents", "plain latents"),
            )
        )
        told += f"; plain mean's norm {found.value['plain_norm']:.2f}"
    theirs = f"one woman beyond {COLLAPSE} (section 4.2)" if int(count) > COLLAPSE else ""
    return Entry(f"angle between averages of two groups of {count}, {card.name}", theirs, found, told)


def _claims(card: Card, evidence: Evidence) -> list[Claim]:
    of = lambda *path: evidence.kept("circle", card, *path)  # noqa: E731
    speed = lambda name: evidence.kept("circle-speed", card, "speed", name)  # noqa: E731
    enough = [each for each in EDITS if (of("edits", edit_key(*each), "faces").value or FEWEST) >= FEWEST]
    edits = {_title(id, sign): _at_preset(of, id, sign, "flipped") for id, sign in enough if id != "makeup"}
    faulty = [(id, sign) for id, sign in enough if id in FAULTY]
    held = {_title(*each): _at_preset(of, *each, "gender_held") for each in faulty}
    plain = {_title(*each): _at_preset(of, *each, "gender_plain") for each in faulty}
    name = card.name
    size = "" if card.resolution == 64 else f" It draws at {card.resolution} px, the goal is for 64."
    beside = ", ".join(f"{each} {percent(found.value)}" for each, found in plain.items() if found.value is not None)
    return [
        within(
            f"{name}: at least {FROM_VECTORS} faces a second from vectors, on 2 cores",
            "our goal",
            {"faces a second": speed("from_vectors")},
            number(0),
            FROM_VECTORS,
            float("inf"),
            why=size,
        ),
        within(
            f"{name}: at least {FROM_PIXELS} faces a second from pixels",
            "our goal",
            {"faces a second": speed("from_pixels")},
            number(0),
            FROM_PIXELS,
            float("inf"),
            why=size,
        ),
        within(
            f"{name}: 500 steps and 10 pictures in under {WALK:g} s",
            "our goal",
            {"seconds": speed("walk_seconds")},
            number(2),
            0,
            WALK,
            why=size,
        ),
        within(
            f"{name}: each of the ten edits flips what the eyes see in {percent(FLIPPED)} of faces",
            "our goal",
            edits,
            percent,
            FLIPPED,
            1,
            why=" An edit goes at most twice as far as two photos of one person lie.",
        ),
        within(
            f"{name}: beards and make-up flip the gender in at most {percent(FAULTS)} of faces, gender held",
            "section 5.5, a fault to beat",
            held,
            percent,
            0,
            FAULTS,
            beside=f" By the plain walk: {beside}.",
        ),
        _plain_collapse(card, of("collapse")),
        _sphere_verifies(card, of("verification")),
    ]


def _at_preset(of: Callable[..., Finding], id: str, sign: int, key: str) -> Finding:
    """A figure of an edit at its preset strength; at strength 1 where none was measured."""
    found = of("edits", edit_key(id, sign), "preset", key)
    return found if found.value is not None else of("edits", edit_key(id, sign), key)


def _plain_collapse(card: Card, found: Finding) -> Claim:
    where = "section 4.2 and equation 2"
    says = f"{card.name}: plain means of more than {COLLAPSE} latents are one face, means by slerps are not"
    many = {count: each for count, each in (found.value or {}).items() if int(count) > COLLAPSE}
    if not many:
        return Claim(says, where, None, "", (found.command,))
    holds = all(each["latents"] < ALIKE * each["chained"] for each in many.values())
    told = "; ".join(
        f"the averages of two groups of {count} are {each['latents']:.3f} apart by plain latents and "
        f"{each['chained']:.3f} by slerps, {each['sphere']:.3f} by the mean on the sphere"
        for count, each in many.items()
    )
    why = (
        " Slerps stay apart only because the last face weighs a half in them and the last four 15/16 together, however "
        "many went before: they are no mean of all. The mean on the sphere, where all weigh the same, comes together "
        "as plain means do: what two groups of many people share is much alike in every space."
    )
    return Claim(says, where, holds, f"Ours, as angles: {told}.{why}", (found.command,), found.earlier)


def _sphere_verifies(card: Card, found: Finding) -> Claim:
    says = f"{card.name}: the great circle verifies a little better than Euclidean distance"
    ways = found.value or {}
    findings = {
        "Euclidean": Finding(ways.get("raw", {}).get("accuracy"), found.command, found.earlier),
        "great circle": Finding(ways.get("great_circle", {}).get("accuracy"), found.command, found.earlier),
    }
    why = (
        " On the sphere chord and great circle put all pairs in one order, so that only leaving dlib's raw length "
        "could make a difference, and that length says something."
    )
    return ordered(says, "section 4", findings, percent, why=why)


def _title(id: str, sign: int) -> str:
    feature = feature_of(id)
    return f"{feature.title}: {feature.high if sign > 0 else feature.low}"
