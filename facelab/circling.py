"""ISTRC's circle as a Studio closes it: faces to vectors, edits on the sphere, and faces of this model again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from facelab.circle import DLIB, FEATURES, Circle, Feature, Sphere, edit_key, feature_of, load_circle
from facelab.edits import arithmetic
from facelab.edits.attributes import MAX_WALK_STEPS
from facelab.edits.interpolation import karcher_mean, spherical, weighted_mean
from facelab.edits.sphere import (
    great_circle,
    neighbours_on_sphere,
    on_sphere,
    sum_on_sphere,
    walk_on_sphere,
    walk_until_sure,
)
from facelab.errors import BadSetting, LatentMismatch, UnknownModel
from facelab.face import AlignedFace, Face, Latent
from facelab.facenet import facenet_vectors, load_facenet
from facelab.pixels import as_images
from facelab.ranges import between
from facelab.recognition import SAME_PERSON, identity_distance

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card
    from facelab.generators.base import Generator
    from facelab.recognition import Recogniser

MOST = 3.0  # of an edit's strength
MAX_FACES = 1000  # of one average or one request for neighbours
SURE, MOST_SURE = 0.95, 0.9999  # a probability: when a classifier has said yes; few are ever surer than 0.98
MOST_STEPS = 500  # of a walk until the classifier is sure
EDIT_STEPS = 100  # of an edit that nobody watches; a walk that is watched takes ISTRC's 500
WIDEST = 1.0  # radians from a face to its neighbours: beyond any two people


@dataclass(frozen=True, eq=False)
class CircleMean:
    """An average of faces. face: of the mean on the sphere. plain: of the plain mean of the vectors, whose norm, at
    most 1, says how much of them is left.
    """

    face: Face
    plain: Face
    norm: float


@dataclass(frozen=True, eq=False)
class CircleWalk:
    """A walk until the classifier is sure. faces: on the way, the first one first. steps: how many it took. strength:
    how far it went, as a strength of `circle_walk`. arrived: False where the steps ran out before.
    """

    faces: list[Face]
    steps: int
    strength: float
    arrived: bool


@dataclass(frozen=True)
class Verification:
    """Whether two faces are one person, by both distances. distance: dlib's, between raw vectors. angle: in radians,
    along the great circle between them; limit: below it they are one person.
    """

    distance: float
    angle: float
    limit: float

    @property
    def same_by_distance(self) -> bool:
        """Below dlib's 0.6."""
        return self.distance < SAME_PERSON

    @property
    def same_by_angle(self) -> bool:
        """Below the angle that lets as few strangers through."""
        return self.angle < self.limit


class Circling:
    """What a Studio does on the sphere. Faces of any model come in, unchanged; those that come out are of this one."""

    card: Card
    generator: Generator
    device: torch.device
    render: Callable[[Face], np.ndarray]
    models: Callable[[], list[Card]]
    of: Callable[[str], Any]
    _first: str
    _keep: Callable[..., Any]
    _rows: Callable[[Face], Tensor]
    _recogniser: Recogniser

    @property
    def has_circle(self) -> bool:
        """Whether a circle through this model's latents ships with it."""
        return "circle" in self.card.companions

    @property
    def circle(self) -> Circle:
        """The circle's networks, resident and frozen. Raises UnknownModel for a model without any."""
        if not self.has_circle:
            having = [card.name for card in self.decoders()]
            raise UnknownModel(
                f"No circle leads to {self.card.title}. Models that have one: {', '.join(having) or 'none'}."
            )
        return self._keep("circle", lambda: load_circle(self.generator))

    def circle_reach(self, feature: str, sign: int = 1) -> float:
        """An edit's preset strength: where it shows on most random faces, or the farthest that was tried."""
        return float(self.card.companions.get("circle", {}).get("reach", {}).get(edit_key(feature, sign), 1.0))

    def decoders(self) -> list[Card]:
        """The cards of all models that a circle leads to; this studio's own comes first, where it is one, and then that
        of the studio that this one is beside.
        """
        having = [card for card in self.models() if "circle" in card.companions]
        return sorted(having, key=lambda card: (card.name != self.card.name, card.name != self._first))

    @property
    def decoder(self) -> Any:
        """The studio that decodes what is made on the sphere of this model's faces: the first of `decoders`."""
        return self.of(next((card.name for card in self.decoders()), self.card.name))

    def features(self) -> tuple[Feature, ...]:
        """What can be edited on the sphere; nothing for a model without a circle."""
        return FEATURES if self.has_circle else ()

    def vector(self, face: Face) -> np.ndarray:
        """dlib's raw vector of a face, float32 [128]: of its photo, or of its picture once it was edited or where no
        photo is behind it.
        """
        known: WeakKeyDictionary[Face, np.ndarray] = self._keep("vectors", WeakKeyDictionary, shared=True)
        vector = known.get(face)
        if vector is None:
            vector = known[face] = self._recogniser.vector(self._seen(face))
        return vector

    @property
    def sphere(self) -> Sphere:
        """The sphere that the circle begins on; dlib's for a model without a circle."""
        return self.circle.sphere if self.has_circle else DLIB

    def point(self, face: Face) -> Tensor:
        """Where a face lies on the sphere, [V]. Raises BadWeights where FaceNet is needed and is not here."""
        if self.sphere is DLIB:
            return on_sphere(torch.from_numpy(self.vector(face)))
        known: WeakKeyDictionary[Face, Tensor] = self._keep("facenet-vectors", WeakKeyDictionary, shared=True)
        point = known.get(face)
        if point is None:
            point = known[face] = self._facenet(self._seen(face))
        return point

    def _seen(self, face: Face) -> np.ndarray:
        """The picture that says who a face is, uint8 [R, R, 3]."""
        return face.crop if face.is_as_cropped else self.render(face)

    def _facenet(self, image: np.ndarray) -> Tensor:
        """FaceNet's unit vector of an aligned picture uint8 [R, R, 3], [512]."""
        network = self._keep("facenet", lambda: load_facenet(device=self.device), shared=True)
        return facenet_vectors(network, as_images([image]))[0]

    def answers(self, face: Face) -> dict[str, float]:
        """By feature, what its classifier says of a face's vector: a probability."""
        with torch.inference_mode():
            point = self.point(face)[None].to(self.device)
            return {each.id: float(torch.sigmoid(self.circle.classifier(each.id)(point))) for each in FEATURES}

    def identity(self, face: Face) -> dict[str, Any]:
        """What the sphere knows of a face, for JSON: "vector", its point [V], and "answers", as by `answers`."""
        answers = {name: round(value, 3) for name, value in self.answers(face).items()}
        return {"vector": [round(value, 5) for value in self.point(face).tolist()], "answers": answers}

    def from_circle(self, aligned: AlignedFace) -> Face:
        """An aligned face through the circle: its vector decoded, and the photo behind it."""
        if self.sphere is DLIB:
            point = on_sphere(torch.from_numpy(self._recogniser.vector(aligned.crop)))
        else:
            point = self._facenet(aligned.crop)
        [values] = self._latents(point[None])
        return Face(
            Latent(values, self.generator.edit_space, self.card.name),
            crop=aligned.crop,
            quad=aligned.quad,
            photo_size=aligned.photo_size,
            model_sha256=self.card.sha256,
        )

    def close_circle(self, face: Face) -> Face:
        """A face's vector decoded: what of it the sphere knows."""
        return self._decoded(self.point(face)[None], {"op": "circle"}, of=[face])[0]

    def circle_walk(
        self,
        face: Face,
        feature: str,
        strength: float = 1.0,
        *,
        frames: int = 10,
        steps: int = 500,
        keep: Sequence[str] | None = None,
        carry: bool = False,
    ) -> list[Face]:
        """Equal steps along the gradient of a feature's classifier, from the face on: frames + 1 faces.

        strength: 1 goes as far as two photos of one person lie apart; negative towards `low`. keep: ids of features to
        hold, by default gender. carry: the change of the decoded latent, given to the face's own, so that all that
        no vector knows of stays: pose, light, hair; for faces of this model.
        Raises BadSetting for an unknown feature or a number out of range, LatentMismatch for carrying to another
        model's face.
        """
        chosen = _find(feature)
        strength = between("strength", strength, -MOST, MOST)
        between("steps", steps, 1, MAX_WALK_STEPS)
        held = _held(chosen, keep)
        self._check_carry(face, carry)
        path = self._walked(self.point(face).to(self.device), chosen, strength, held, steps=steps, frames=frames)
        said = [{"op": "circle", "id": chosen.id, "strength": strength * n / frames} for n in range(frames + 1)]
        return self._drawn_on(face, path, said, carry=carry)

    def circle_until(
        self,
        face: Face,
        feature: str,
        sign: int = 1,
        *,
        sure: float = SURE,
        most: int = MOST_STEPS,
        frames: int = 10,
        keep: Sequence[str] | None = None,
        carry: bool = False,
    ) -> CircleWalk:
        """The paper's own way to edit: equal steps until the feature's classifier says yes, however far that is
        (ISTRC, section 5.4). frames: at most so many faces after the first, evenly along the steps.

        sign: 1 towards `high`, -1 towards `low`. sure: the probability at which the classifier has said it. most:
        steps, a hundred of which go as far as strength 1. keep, carry: as in `circle_walk`, whose errors it raises.
        """
        chosen = _find(feature)
        sure = between("sure", sure, 0.5, MOST_SURE)
        between("steps", most, 1, MAX_WALK_STEPS)
        between("frames", frames, 1, MAX_WALK_STEPS)
        held = _held(chosen, keep)
        self._check_carry(face, carry)
        side = 1 if sign >= 0 else -1
        start, classifier = self.point(face)[None].to(self.device), self.circle.classifier(chosen.id)
        holding = [self.circle.classifier(id) for id in held]
        limit, arc = math.log(sure / (1 - sure)), side * self.sphere.arc / EDIT_STEPS
        path, taken = walk_until_sure(start, classifier, arc, sure=limit, most=most, held=holding)
        steps = int(taken[0])
        with torch.inference_mode():
            arrived = bool(side * classifier(path[-1])[0] >= limit)
        places = sorted({round(number * steps / frames) for number in range(frames + 1)})
        said = [
            {"op": "circle", "id": chosen.id, "strength": round(side * place / EDIT_STEPS, 2), "sure": sure}
            for place in places
        ]
        faces = self._drawn_on(face, path[places, 0], said, carry=carry)
        return CircleWalk(faces, steps, side * steps / EDIT_STEPS, arrived)

    def circle_edit(
        self,
        face: Face,
        strengths: Mapping[str, float],
        *,
        steps: int = EDIT_STEPS,
        keep: Sequence[str] | None = None,
        rows: slice | None = None,
    ) -> Face:
        """Several features changed, one walk on the sphere after the other, and the change of the decoded latent given
        to the face, as `circle_walk` carries it.

        strengths: by feature, each as in `circle_walk`. keep: as there; a feature that is edited here is never held.
        rows: of w+ that take the change, by default all. Raises what `circle_walk` raises.
        """
        asked = {_find(id).id: between("strength", strength, -MOST, MOST) for id, strength in strengths.items()}
        moved = {id: strength for id, strength in asked.items() if strength}
        if not moved:
            return face
        place = start = self.point(face).to(self.device)
        for id, strength in moved.items():
            chosen = _find(id)
            held = _held(chosen, keep, moved)
            place = self._walked(place, chosen, strength, held, steps=steps, frames=1)[-1]
        before, after = self._latents(torch.stack([start, place]))
        values = self._rows(face).clone()
        chosen_rows = slice(None) if rows is None else rows
        values[chosen_rows] += (after - before)[chosen_rows]
        said = [{"op": "circle", "id": id, "strength": strength} for id, strength in moved.items()]
        return self._face(values, *said, of=[face], keep=True)

    def circle_between(self, first: Face, second: Face, places: Sequence[float]) -> list[Face]:
        """Faces on the great circle between two, at places from 0 to 1 (slerp, Shoemake 1985)."""
        ends = self.point(first), self.point(second)
        points = torch.stack([spherical(*ends, between("t", t, 0, 1)) for t in places])
        steps = [{"op": "slerp", "t": t} for t in places]
        latents = self._latents(points)
        return [self._face(rows, step, of=[first, second]) for rows, step in zip(latents, steps, strict=True)]

    def circle_average(self, faces: Sequence[Face], weights: Sequence[float] | None = None) -> CircleMean:
        """The mean of faces on the sphere (Karcher 1977), beside the plain mean; weights are of both."""
        if not 1 <= len(faces) <= MAX_FACES:
            raise BadSetting(f"An average takes between 1 and {MAX_FACES} faces, not {len(faces)}.")
        points = torch.stack([self.point(face) for face in faces])
        plain = weighted_mean(points, weights)
        on, beside = self._decoded(torch.stack([karcher_mean(points, weights), plain]), {"op": "average"}, of=faces)
        return CircleMean(on, beside, float(plain.norm()))

    def circle_mix(self, expression: str, faces: Mapping[str, Face]) -> Face:
        """A sum such as "A + B - C" on the sphere (see arithmetic.parse). faces: the face of each letter."""
        weights = arithmetic.parse(expression)
        missing = sorted(set(weights) - set(faces))
        if missing:
            raise BadSetting(f"No face is given for {', '.join(missing)}. Given: {', '.join(faces) or 'none'}.")
        used = [faces[name] for name in weights]
        points = {name: self.point(faces[name]) for name in weights}
        point = sum_on_sphere(points, weights, origin=self.circle.middle.cpu())
        return self._decoded(point[None], {"op": "mix"}, of=used)[0]

    def circle_neighbours(self, face: Face, count: int = 63, *, angle: float = 0.15, seed: int = 0) -> list[Face]:
        """Faces at an angle, in radians, from one face, in random directions (ISTRC, figure 6)."""
        if not 1 <= count <= MAX_FACES:
            raise BadSetting(f"Between 1 and {MAX_FACES} neighbours can be made, not {count}.")
        angle = between("angle", angle, 0, WIDEST)
        points = neighbours_on_sphere(self.point(face), count, angle=angle, seed=seed)
        return self._decoded(points, {"op": "neighbour"}, of=[face])

    def verify(self, first: Face, second: Face) -> Verification:
        """Whether two faces are one person, by dlib's distance and by the great circle's."""
        angle = great_circle(self.point(first).double(), self.point(second).double())
        return Verification(
            identity_distance(self.vector(first), self.vector(second)), float(angle), self.sphere.same_angle
        )

    def _check_carry(self, face: Face, carry: bool) -> None:
        if carry and face.latent.model != self.card.name:
            raise LatentMismatch(
                f"A change can be carried only to faces of {self.card.title}. Decode the vector alone instead."
            )

    def _drawn_on(self, face: Face, path: Tensor, said: Sequence[Mapping[str, Any]], *, carry: bool) -> list[Face]:
        """The faces along a path [N, V] that begins at a face, decoded alone or carried to it."""
        latents = self._latents(path)
        if not carry:
            return [self._face(values, step, of=[face]) for values, step in zip(latents, said, strict=True)]
        carried = self._rows(face) + latents - latents[0]
        return [
            face,
            *(self._face(rows, step, of=[face], keep=True) for rows, step in zip(carried[1:], said[1:], strict=True)),
        ]

    def _walked(
        self, point: Tensor, feature: Feature, strength: float, held: Sequence[str], *, steps: int, frames: int
    ) -> Tensor:
        """A walk from a point [V] on: [frames + 1, V]."""
        classifiers = [self.circle.classifier(id) for id in (feature.id, *held)]
        arc = strength * self.sphere.arc
        return walk_on_sphere(point[None], classifiers[0], arc, steps=steps, frames=frames, held=classifiers[1:])[:, 0]

    def _decoded(self, points: Tensor, step: Mapping[str, Any], *, of: Sequence[Face]) -> list[Face]:
        return [self._face(rows, step, of=of) for rows in self._latents(points)]

    @torch.inference_mode()
    def _latents(self, points: Tensor) -> Tensor:
        """Points [N, V] through the mapping: latents [N, L, D] on the CPU."""
        return self.circle(points.float().to(self.device)).cpu()

    def _face(self, rows: Tensor, *steps: Mapping[str, Any], of: Sequence[Face], keep: bool = False) -> Face:
        latent = Latent(rows.clone().float().contiguous(), self.generator.edit_space, self.card.name)
        begun = replace(of[0], latent=latent) if keep else Face(latent)
        return replace(begun, model_sha256=self.card.sha256).made_by(*steps, of=of)


def _find(id: str) -> Feature:
    feature = feature_of(id)
    if feature is None:
        raise BadSetting(
            f"There is no feature {id!r} on the sphere. Known ones: {', '.join(each.id for each in FEATURES)}."
        )
    return feature


def _held(feature: Feature, keep: Sequence[str] | None, edited: Collection[str] = ()) -> list[str]:
    names = dict.fromkeys(feature.held if keep is None else keep)  # what is said twice holds nothing more
    return [_find(id).id for id in names if id != feature.id and id not in edited]
