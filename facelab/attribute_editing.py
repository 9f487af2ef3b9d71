"""Attribute edits of a Studio: faces in, faces out, by the directions that ship with its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from facelab.checkpoints.directions import load_directions
from facelab.circle import CIRCLE
from facelab.conditions import condition_directions
from facelab.edits.attributes import DEFAULT_METHOD, METHODS, MOST, Direction, move, walk
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Delta, Face, Latent
from facelab.own_directions import LONGEST, check_model, make_direction
from facelab.ranges import between
from facelab.regions import placed
from facelab.routing import by_its_model

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card
    from facelab.generators.base import Generator


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
        everywhere: bool = False,
        own: Mapping[str, Direction] | None = None,
    ) -> Face:
        """A face with attributes changed; its photo stays, and so does its delta, but for what directions that have a
        region add to it (see regions.py).

        strengths: by the direction's id; 1 is the distance between people without and with it, negative the other
        way. method: "linear", "mean", "gradient", or "circle" for walks on the sphere of identities (see
        `circle_edit`), where 1 is as far as two photos of one person lie apart. keep: ids of attributes to hold; by
        default none with "linear", which leaves the others by itself, and with other methods those that each direction
        names; an attribute that is edited in the same call is never held. rows: of w+, by default each direction's
        own, on the circle all. everywhere: let directions change the whole picture, not only their own region of it, as
        those without a region and the circle do in any case. own: directions beside the model's by their ids, such as
        `new_direction` makes.
        Raises BadSetting for an unknown attribute, method or strength, LatentMismatch for another model's direction.
        """
        if method == CIRCLE:
            return self.circle_edit(face, strengths, keep=keep, rows=self._range(rows))
        if method not in METHODS:
            raise BadSetting(f"The method must be one of {', '.join((*METHODS, CIRCLE))}, not {method!r}.")
        known = {**self.directions(), **(own or {})}
        latent, delta, steps = self._rows(face), face.delta, []
        edited = [name for name, strength in strengths.items() if strength]
        for name, strength in strengths.items():
            direction = _find(known, name)
            check_model(direction, self.card.name, self.card.sha256)
            _check_fits(direction, self.generator)
            strength = between(f"The strength of {name}", strength, -MOST, MOST)
            if strength:
                held = _held(direction, keep, known, edited, method)
                moved = move(latent, direction, strength, method=method, held=held, rows=self._range(rows))
                latent, delta = placed(latent, moved, delta, "" if everywhere else direction.region)
                steps.append({"op": "attribute", "id": name, "strength": strength})
        return self._edited(face, latent, delta, *steps)

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
        everywhere: bool = False,
    ) -> list[Face]:
        """The faces along a classifier's gradient in equal steps, from the face itself on: frames + 1 of them.

        strength, keep, rows, everywhere: as `edit` takes them. Raises BadSetting for an attribute that is unknown or
        has no classifier, for a strength out of range, and for more frames than steps.
        """
        known = self.directions()
        direction = _find(known, attribute)
        strength = between(f"The strength of {attribute}", strength, -MOST, MOST)
        held = _held(direction, keep, known, (), "gradient")
        start = self._rows(face)
        path = walk(
            start,
            direction,
            strength,
            steps=steps,
            frames=frames,
            held=held,
            rows=self._range(rows),
        )
        strengths = [strength * number / frames for number in range(frames + 1)]
        steps = [{"op": "walk", "id": attribute, "strength": each} for each in strengths]
        region = "" if everywhere else direction.region
        reached = [placed(start, latent, face.delta, region) for latent in path]
        return [self._edited(face, *parts, step) for parts, step in zip(reached, steps, strict=True)]

    @by_its_model
    def new_direction(
        self, title: str, with_it: Sequence[Face], without: Sequence[Face], *, longest: float = LONGEST
    ) -> Direction:
        """A direction of one's own, from faces that have something and faces that do not: see own_directions.py.

        longest: strength 1 goes as far as both groups lie apart, at most this share of a usual face's distance from the
        mean face. Raises BadSetting where one side has no face or the title is empty.
        """
        if not with_it or not without:
            raise BadSetting("A direction needs at least one face with the attribute and one without it.")
        stacks = [torch.stack([self._rows_everywhere(face) for face in faces]) for faces in (with_it, without)]
        usual = self._row_norm * len(stacks[0][0]) ** 0.5
        how = {"model": self.card.name, "model_sha256": self.card.sha256}
        return make_direction(title, *stacks, **how, longest=float(f"{longest * usual:.2g}"))  # alike on every machine

    def _edited(self, face: Face, latent: Tensor, delta: Delta | None, *steps: Mapping[str, Any]) -> Face:
        values = Latent(latent.detach().float().contiguous(), self.generator.edit_space, self.card.name)
        edited = replace(face, latent=values, delta=delta, model_sha256=self.card.sha256)
        return edited.made_by(*steps, of=[face]) if steps else edited

    def _range(self, rows: slice | None) -> slice | None:
        return None if rows is None else self._checked_rows(rows)


def _find(known: Mapping[str, Direction], name: str) -> Direction:
    if name not in known:
        raise BadSetting(f"There is no attribute {name!r}. Known ones: {', '.join(known) or 'none for this model'}.")
    return known[name]


def _check_fits(direction: Direction, generator: Generator) -> None:
    rows, dim = generator.latent_shape(generator.edit_space)
    if not {tuple(each.shape) for each in (direction.difference, direction.normal)} <= {(dim,), (rows, dim)}:
        raise LatentMismatch(
            f"The direction “{direction.title}” is not of the size of {generator.name}'s latents, {rows} x {dim}. Make "
            "it again from faces of that model."
        )


def _held(
    direction: Direction, keep: Sequence[str] | None, known: Mapping[str, Direction], edited: Sequence[str], method: str
) -> list[Direction]:
    by_default = () if method == "linear" else direction.held
    names = dict.fromkeys(by_default if keep is None else keep)
    return [_find(known, name) for name in names if name != direction.id and name not in edited]
