"""What the page says about attributes: the groups, one sentence for each slider, and presets to start from.

They are a model's idea, learned from other people's labels, and worded as what is seen in a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facelab.circle import feature_of
from facelab.edits.attributes import Direction

GROUPS = {"expression": "Expression", "features": "Features", "person": "Person", "hair": "Hair & face"}

HELP = {
    "smile": "Raises the corners of the mouth.",
    "mouth_open": "Parts the lips.",
    "yaw": "Turns the head to the side.",
    "eyes": "Opens the eyes.",
    "brows": "Makes the eyebrows bushier.",
    "nose_size": "Widens the nose.",
    "lips": "Makes the lips fuller.",
    "mouth_size": "Widens the mouth.",
    "chubby": "Rounds the cheeks.",
    "gender": "How a face is read by others; not who somebody is.",
    "age": "Adds or takes away years.",
    "attractive": "The taste of the people who labelled CelebA, no more.",
    "makeup": "Puts on make-up.",
    "glasses": "Puts on glasses.",
    "beard": "Lets a beard grow.",
    "mustache": "Lets a moustache grow.",
    "bangs": "Hair over the forehead.",
    "hair_dark": "Darkens the hair.",
    "hair_blond": "Makes the hair blonder.",
    "hair_grey": "Makes the hair grey.",
    "hair_wavy": "Puts waves into the hair.",
    "bald": "Moves the hairline back.",
    "skin": "Lightens or darkens the skin.",
}

PRESETS = {
    "Cheerful": {"smile": 1.3, "mouth_open": 0.4, "eyes": 0.25},
    "Calm": {"smile": -1.0, "mouth_open": -0.7},
    "Years later": {"age": 1.35, "hair_grey": 0.65},
    "Years younger": {"age": -1.25},
}

OFF_THE_CIRCLE = "No classifier on the circle knows this: choose another method."
OFTEN = 0.4  # the share of faces in which an edit is seen, below which its slider says how few they are


def groups_of(directions: Mapping[str, Direction], *, circle: bool = False) -> list[dict[str, Any]]:
    """The sliders in their groups, as parts/sliders.js draws them. circle: whether the circle is the method: those that
    it does not know are off then, and say why.
    """
    groups = {title: [] for title in [*GROUPS.values(), "Own"]}
    for each in directions.values():
        off = circle and feature_of(each.id) is None
        slider = {"id": each.id, "title": each.title, "low": each.low, "high": each.high, "off": off}
        slider["help"] = OFF_THE_CIRCLE if off else _help(each, measured=not circle)
        groups[GROUPS.get(each.group, "Own")].append(slider)
    return [{"title": title, "sliders": sliders} for title, sliders in groups.items() if sliders]


def _help(direction: Direction, *, measured: bool) -> str:
    """A slider's sentence; measured: also in how few faces the edit is seen, where these are few."""
    said = HELP.get(direction.id) or f"From {direction.low} to {direction.high}."
    seen = direction.quality.get("flipped", 1.0)
    if not measured or seen >= OFTEN:
        return said
    faces = round(10 * seen)
    return f"{said} Weak: shows on about {faces} of 10 faces." if faces else f"{said} Weak: shows on hardly any face."


def presets_of(known: Mapping[str, Direction]) -> list[dict[str, Any]]:
    """The presets that come with the page, those whose directions are all known, as the sliders take them."""
    return [
        {"name": name, "strengths": strengths}
        for name, strengths in PRESETS.items()
        if all(id in known for id in strengths)
    ]
