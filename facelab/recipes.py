"""A recipe replayed: the named steps of an edited face, done again to it or to another face."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from facelab.circle import CIRCLE
from facelab.circling import EDIT_STEPS, MOST_STEPS
from facelab.edits.attributes import WALK_STEPS, Direction
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Face, Recipe

if TYPE_CHECKING:
    from facelab.studio import Studio

MAX_STEPS = 1000
MAX_WALKED = 60_000  # small steps of all walks in a recipe: minutes of a device that others share
_LOOK = 100  # small steps that take as long as dlib's look at a face, with which all begins on the circle
_MEAN = 20  # small steps that take as long as a mean of faces whose refinements are many
_WALK = 500  # small steps of a walk that does not say how many
Others = Mapping[str, Face | Direction]
_SHARED = ("method", "keep", "rows", "everywhere")  # what attributes that are edited in one call have in common


def attribute_steps(
    strengths: Mapping[str, float],
    own: Mapping[str, Direction],
    *,
    method: str,
    keep: Sequence[str] | None = None,
    rows: slice | None = None,
    everywhere: bool = False,
) -> list[dict[str, Any]]:
    """`Studio.edit` with these arguments as steps of a recipe; directions of one's own are named by id and hash."""
    shared = {"method": method, "keep": keep, "rows": None if rows is None else [rows.start, rows.stop]}
    shared = {name: value for name, value in shared.items() if value is not None}
    shared |= {"everywhere": True} if everywhere else {}
    return [
        {"op": "attribute", "id": id, "strength": strength}
        | ({"title": own[id].title, "hash": own[id].hash} if id in own else {})
        | shared
        for id, strength in strengths.items()
    ]


def read_recipe(text: str) -> Recipe:
    """A recipe from its JSON. Raises BadSetting when it is none, or of a version that this program does not know."""
    try:
        values = json.loads(text)
        if values["version"] != 1:
            raise BadSetting(f"This recipe has version {str(values['version'])[:20]}; this program reads version 1.")
        steps = tuple(values["steps"])
        if len(steps) > MAX_STEPS or not all(isinstance(step, dict) for step in steps):
            raise ValueError("steps")
        if walked(steps) > MAX_WALKED:
            raise BadSetting(f"This recipe walks {MAX_WALKED:,} small steps and more, too many for one. Split it.")
        return Recipe(str(values["model"]), steps)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as cause:
        if isinstance(cause, BadSetting):
            raise
        raise BadSetting(
            'This is not a recipe. It looks like {"version": 1, "model": "faces128", "steps": [{"op": ...}]}.'
        ) from cause


def walked(*recipes: Sequence[Mapping[str, Any]]) -> int:
    """How many small steps of walks it takes to replay the steps of recipes, one after the other on one face, where
    each goes on from what it has in common with the one before.
    """
    total, before = 0, []
    for steps in recipes:
        now = [step for _, step in _gathered(steps)]
        shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False))))
        total += sum(map(_walked, now[shared:]))
        before = now
    return total


def _walked(step: Mapping[str, Any]) -> int:
    """How many small steps a gathered step takes, or would take in the time that it needs."""
    operation, method = step.get("op"), step.get("method")
    if operation == "attribute":
        each, look = {"gradient": (WALK_STEPS, 0), CIRCLE: (EDIT_STEPS, _LOOK)}.get(str(method), (0, 0))
        return len(step["steps"]) * each + look
    if operation == CIRCLE:
        return _LOOK + (MOST_STEPS if step.get("sure") is not None else max(0, int(step.get("steps") or _WALK)))
    if operation == "walk":
        return max(0, int(step.get("steps") or _WALK))
    if step.get("space") == CIRCLE:
        return _LOOK
    if operation == "neighbour":
        return max(1, int(step.get("count") or 0) // 10)
    return _MEAN if operation in ("average", "mix") else 1


def replay(
    studio: Studio,
    face: Face,
    recipe: Recipe,
    others: Others,
    way: list[tuple[Mapping[str, Any], Face]] | None = None,
) -> Iterator[Face]:
    """Do the steps of a recipe to `face`, one after the other, each `next` one of them; the last one's face is the
    recipe's.

    others: the faces that steps name ("with", "neutral", "expressive", and those of a mix), and the directions of
    one's own by their ids. way: the steps of a recipe that was replayed before on the same face, with what each of
    them made; those that both begin with are not done again, and the others are written over. Attributes that follow
    each other with the same settings are edited in one call, as they were when the recipe was made.
    Raises LatentMismatch for a recipe of another model, BadSetting for a step that cannot be done.
    """
    if recipe.model != studio.card.name:
        raise LatentMismatch(f"This recipe belongs to the model {recipe.model!r}, not to {studio.card.name!r}.")
    for place, (number, step) in enumerate(_gathered(recipe.steps)):
        if way is not None and place < len(way) and way[place][0] == step:
            face = way[place][1]
        else:
            face = _done(studio, face, step, others, number)
            if way is not None:
                way[place:] = [(step, face)]
        yield face


def _done(studio: Studio, face: Face, step: Mapping[str, Any], others: Others, number: int) -> Face:
    operation = OPERATIONS.get(str(step.get("op")))
    if operation is None:
        raise BadSetting(
            f"Step {number} of this recipe is {str(step.get('op'))[:40]!r}. Known steps: {', '.join(OPERATIONS)}."
        )
    try:
        return operation(studio, face, step, others)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as cause:
        if isinstance(cause, BadSetting):
            raise
        raise BadSetting(f"Step {number} of this recipe, {step['op']}, lacks a setting or has a wrong one.") from cause


def _gathered(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each step with its number; attributes that belong to one call of `Studio.edit` as one step with "steps"."""
    run: list[Mapping[str, Any]] = []
    for number, step in enumerate([*steps, {}], 1):
        fits = run and step.get("op") == "attribute" and step.get("id") not in [each.get("id") for each in run]
        if run and not (fits and all(step.get(name) == run[0].get(name) for name in _SHARED)):
            yield number - len(run), {**run[0], "steps": run}
            run = []
        if step.get("op") == "attribute":
            run.append(step)
        elif number <= len(steps):
            yield number, step


def _attribute(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    strengths = {str(each["id"]): float(each["strength"]) for each in step["steps"]}
    own = {id: direction for each in step["steps"] for id, direction in _own(each, others)}
    return studio.edit(face, strengths, rows=_rows(step), own=own, **_chosen(step, "method", "keep", "everywhere"))


def _own(step: Mapping[str, Any], others: Others) -> list[tuple[str, Direction]]:
    """The direction of somebody's own that an attribute step uses, or nothing for one of the model's."""
    id, hash = str(step["id"]), step.get("hash")
    if hash is None:
        return []
    direction = others.get(id)
    if not isinstance(direction, Direction) or direction.hash != hash:
        raise BadSetting(
            f"This recipe uses a direction of somebody's own, “{str(step.get('title') or id)[:24]}” ({id[:12]}), which "
            "is not here. Save it as a file where it was made and open it here: in the page under Attributes, New "
            "direction; on the command line with --direction FILE.npz."
        )
    return [(id, direction)]


def _walk(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    options = {"frames": 1, "rows": _rows(step), **_chosen(step, "keep", "steps", "everywhere")}
    return studio.walk(face, str(step["id"]), float(step["strength"]), **options)[-1]


def _morph(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    return studio.morph(face, _other(step["with"], others), float(step["t"]), **_chosen(step, "path", "space"))


def _crossover(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    style = _other(step["with"], others)
    return studio.crossover(face, style, rows=_rows(step), **_chosen(step, "strength"))


def _stylise(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    """The rows that a style was searched for in come from the face that was found."""
    found = _other(step["with"], others)
    return studio.crossover(face, found, rows=_rows(step)).made_by({"op": "stylise"}, of=[face, found])


def _express(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    neutral, expressive = _other(step["neutral"], others), _other(step["expressive"], others)
    return studio.express(
        face, neutral, expressive, **_chosen(step, "strength", "threshold", "normalise", "everywhere")
    )


def _average(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    faces = [face, *(_other(name, others) for name in step["with"])]
    return studio.average(faces, **_chosen(step, "weights", "space"))


def _combine(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    return studio.combine(face, _other(step["with"], others))


def _mix(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    letters = step.get("faces", {name: name for name, other in others.items() if isinstance(other, Face)})
    if not isinstance(letters, Mapping):
        raise ValueError("faces")
    named = {str(letter): _other(name, others) for letter, name in letters.items()}
    own = {str(step["face"]): face}  # first, whatever its letter: its model does the step
    return studio.mix(str(step["expression"]), own | named | own, **_chosen(step, "space"))


def _neighbour(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    options = {"radius": float(step["radius"]), "seed": int(step["seed"])}
    return studio.neighbours(face, int(step["count"]), **options)[int(step["number"])]


def _circle(studio: Studio, face: Face, step: Mapping[str, Any], others: Others) -> Face:
    """An edit on the sphere whose change was carried to the face; what is decoded alone begins a face of its own."""
    options = {"frames": 1, "carry": True, **_chosen(step, "keep")}
    if step.get("sure") is not None:
        sign, sure = math.copysign(1, float(step["strength"])), float(step["sure"])
        return studio.circle_until(face, str(step["id"]), sign, sure=sure, **options).faces[-1]
    options |= _chosen(step, "steps")
    return studio.circle_walk(face, str(step["id"]), float(step["strength"]), **options)[-1]


OPERATIONS: dict[str, Callable[[Any, Face, Mapping[str, Any], Others], Face]] = {
    "attribute": _attribute,
    "walk": _walk,
    "morph": _morph,
    "crossover": _crossover,
    "stylise": _stylise,
    "express": _express,
    "average": _average,
    "combine": _combine,
    "mix": _mix,
    "neighbour": _neighbour,
    "circle": _circle,
}


def _chosen(step: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: step[name] for name in names if step.get(name) is not None}


def _rows(step: Mapping[str, Any]) -> slice | None:
    if step.get("rows") is None:
        return None
    start, stop = step["rows"]
    return slice(int(start), int(stop))


def _other(name: Any, others: Others) -> Face:
    if not isinstance(others.get(name), Face):
        raise BadSetting(f"This recipe needs the face {str(name)[:40]!r}. Add it, or leave the step out.")
    return others[name]
