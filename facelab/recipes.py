"""A recipe replayed: the named steps of an edited face, done again to it or to another face."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Face, Recipe

if TYPE_CHECKING:
    from facelab.studio import Studio

MAX_STEPS = 1000
Others = Mapping[str, Face]


def read_recipe(text: str) -> Recipe:
    """A recipe from its JSON. Raises BadSetting when it is none, or of a version that this program does not know."""
    try:
        values = json.loads(text)
        if values["version"] != 1:
            raise BadSetting(f"This recipe has version {str(values['version'])[:20]}; this program reads version 1.")
        steps = tuple(values["steps"])
        if len(steps) > MAX_STEPS or not all(isinstance(step, dict) for step in steps):
            raise ValueError("steps")
        return Recipe(str(values["model"]), steps)
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        if isinstance(cause, BadSetting):
            raise
        raise BadSetting(
            'This is not a recipe. It looks like {"version": 1, "model": "faces128", "steps": [{"op": ...}]}.'
        ) from cause


def replay(studio: Studio, face: Face, recipe: Recipe, others: Others) -> Face:
    """Do the steps of a recipe to `face`, one after the other.

    others: the faces that steps name ("with", "neutral", "expressive", and the letters of a mix).
    Raises LatentMismatch for a recipe of another model, BadSetting for a step that cannot be done.
    """
    if recipe.model != studio.card.name:
        raise LatentMismatch(f"This recipe belongs to the model {recipe.model!r}, not to {studio.card.name!r}.")
    for number, step in enumerate(recipe.steps, 1):
        operation = OPERATIONS.get(str(step.get("op")))
        if operation is None:
            raise BadSetting(
                f"Step {number} of this recipe is {str(step.get('op'))[:40]!r}. Known steps: {', '.join(OPERATIONS)}."
            )
        try:
            face = operation(studio, face, step, others)
        except (KeyError, IndexError, TypeError, ValueError) as cause:
            if isinstance(cause, BadSetting):
                raise
            raise BadSetting(
                f"Step {number} of this recipe, {step['op']}, lacks a setting or has a wrong one."
            ) from cause
    return face


def _attribute(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    options = _chosen(step, "method", "keep")
    return studio.edit(face, {str(step["id"]): float(step["strength"])}, rows=_rows(step), **options)


def _morph(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    return studio.morph(face, _other(step["with"], others), float(step["t"]), **_chosen(step, "path", "space"))


def _crossover(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    style = _other(step["with"], others)
    return studio.crossover(face, style, rows=_rows(step), **_chosen(step, "strength"))


def _express(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    neutral, expressive = _other(step["neutral"], others), _other(step["expressive"], others)
    return studio.express(face, neutral, expressive, **_chosen(step, "strength", "threshold", "normalise"))


def _average(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    return studio.average([face, *(_other(name, others) for name in step["with"])], step.get("weights"))


def _combine(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    return studio.combine(face, _other(step["with"], others))


def _mix(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    return studio.mix(str(step["expression"]), {**others, str(step["face"]): face})


def _neighbour(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    options = {"radius": float(step["radius"]), "seed": int(step["seed"])}
    return studio.neighbours(face, int(step["count"]), **options)[int(step["number"])]


OPERATIONS: dict[str, Callable[[Any, Face, Mapping[str, Any], Others], Face]] = {
    "attribute": _attribute,
    "morph": _morph,
    "crossover": _crossover,
    "express": _express,
    "average": _average,
    "combine": _combine,
    "mix": _mix,
    "neighbour": _neighbour,
}


def _chosen(step: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: step[name] for name in names if step.get(name) is not None}


def _rows(step: Mapping[str, Any]) -> slice | None:
    if step.get("rows") is None:
        return None
    start, stop = step["rows"]
    return slice(int(start), int(stop))


def _other(name: Any, others: Others) -> Face:
    if name not in others:
        raise BadSetting(f"This recipe needs the face {str(name)[:40]!r}. Add it, or leave the step out.")
    return others[name]
