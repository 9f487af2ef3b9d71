"""Attribute edits of a Studio: faces in, faces out, by the directions that ship with its model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from facelab.checkpoints.directions import load_directions
from facelab.circle import CIRCLE
from facelab.conditions import condition_directions
from facelab.edits.attributes import DEFAULT_METHOD, METHODS, MOST, Direction, move, walk
from facelab.errors import BadSetting
from facelab.face import Face, Latent
from facelab.own_directions import check_model, make_direction
from facelab.routing import by_its_model

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card


class AttributeEditing:
    """What a Studio does with attributes. The faces that come in are never changed."""

    card: Card

    def directions(self) -> dict[str, Direction]:
        """The model's directions by id, in the order in which they are shown; none for a model without any.

        A conditional model's are the attributes that it was trained on.
        """
        if self.card.conditions:
            return condition_directions(self.card.conditions, self.generator.mean_latent().shape[1])
        if "directions" not in self.card.companions:
            return {}
        return self._keep("directions", lambda: load_directions(self.card.name))

    @by_its_model
    def edit(
        self,
        face: Face,
        strengths: Mapping[str, float],
        *,
        method: str = DEFAULT_METHOD,
        keep: Sequence[str] | None = None,
        rows: slice | None = None,
        own: Mapping[str, Direction] | None = None,
    ) -> Face:
        """A face with attributes changed; its delta and its photo stay.

        strengths: by the direction's id; 1 is the distance between people without and with it, negative the other
        way. method: "linear", "mean", "gradient", or "circle" for walks on the sphere of identities (see
        `circle_edit`), where 1 is as far as two photos of one person lie apart. keep: ids of attributes to hold; by
        default none with "linear", which leaves the others by itself, and with other methods those that each direction
        names; an attribute that is edited in the same call is never held. rows: of w+, by default each direction's
        own, on the circle all. own: directions beside the model's by their ids, such as `new_direction` makes.
        Raises BadSetting for an unknown attribute, method or strength, LatentMismatch for another model's direction.
        """
        if method == CIRCLE:
            moved = {name: float(strength) for name, strength in strengths.items() if strength}
            return self.circle_edit(face, moved, keep=keep, rows=self._range(rows)) if moved else face
        known = {**self.directions(), **(own or {})}
        latent, steps = self._rows(face), []
        for name, strength in strengths.items():
            direction = _find(known, name)
            check_model(direction, self.card.name, self.card.sha256)
            _check_strength(name, strength)
            if method not in METHODS:
                raise BadSetting(f"The method must be one of {', '.join((*METHODS, CIRCLE))}, not {method!r}.")
            if strength:
                held = _held(direction, keep, known, strengths, method)
                latent = move(latent, direction, float(strength), method=method, held=held, rows=self._range(rows))
                steps.append({"op": "attribute", "id": name, "strength": strength})
        return self._edited(face, latent, *steps)

    @by_its_model
    def walk(
        self,
        face: Face,
        attribute: str,
        strength: float,
        *,
        frames: int = 10,
        steps: int = 500,
        keep: Sequence[str] | None = None,
        rows: slice | None = None,
    ) -> list[Face]:
        """The faces along a classifier's gradient in equal steps, from the face itself on: frames + 1 of them.

        strength, keep, rows: as `edit` takes them. Raises BadSetting for an attribute that is unknown or has no
        classifier, for a strength out of range, and for more frames than steps.
        """
        known = self.directions()
        direction = _find(known, attribute)
        _check_strength(attribute, strength)
        held = _held(direction, keep, known, (), "gradient")
        path = walk(
            self._rows(face),
            direction,
            float(strength),
            steps=steps,
            frames=frames,
            held=held,
            rows=self._range(rows),
        )
        strengths = [strength * number / frames for number in range(frames + 1)]
        steps = [{"op": "walk", "id": attribute, "strength": each} for each in strengths]
        return [self._edited(face, latent, step) for latent, step in zip(path, steps, strict=True)]

    @by_its_model
    def new_direction(self, title: str, with_it: Sequence[Face], without: Sequence[Face]) -> Direction:
        """A direction of one's own, from faces that have something and faces that do not: see own_directions.py.

        Raises BadSetting where one side has no face or the title is empty.
        """
        if not with_it or not without:
            raise BadSetting("A direction needs at least one face with the attribute and one without it.")
        stacks = [torch.stack([self._rows(face) for face in faces]) for faces in (with_it, without)]
        return make_direction(title, *stacks, model=self.card.name, model_sha256=self.card.sha256)

    def _edited(self, face: Face, latent: Tensor, *steps: Mapping[str, Any]) -> Face:
        values, face_space = latent.detach().float().contiguous(), self.generator.edit_space
        edited = replace(face, latent=Latent(values, face_space, self.card.name), model_sha256=self.card.sha256)
        return edited.made_by(*steps, of=[face]) if steps else edited

    def _range(self, rows: slice | None) -> slice | None:
        return None if rows is None else self._checked_rows(rows)


def _find(known: Mapping[str, Direction], name: str) -> Direction:
    if name not in known:
        raise BadSetting(f"There is no attribute {name!r}. Known ones: {', '.join(known) or 'none for this model'}.")
    return known[name]


def _check_strength(name: str, strength: float) -> None:
    if not (math.isfinite(strength) and abs(strength) <= MOST):
        raise BadSetting(f"The strength of {name} must lie between -{MOST:g} and {MOST:g}, not {strength}.")


def _held(
    direction: Direction, keep: Sequence[str] | None, known: Mapping[str, Direction], edited: Sequence[str], method: str
) -> list[Direction]:
    by_default = () if method == "linear" else direction.held
    names = by_default if keep is None else keep
    return [_find(known, name) for name in names if name != direction.id and name not in edited]
