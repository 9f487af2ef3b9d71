"""The edits of a Studio: faces in, faces out; what is computed is in `edits`, what is drawn is drawn in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from facelab import regions
from facelab.circle import CIRCLE
from facelab.detail import resized
from facelab.edits import arithmetic, interpolation
from facelab.edits.crossover import checked_rows, crossover, crossover_delta, parse_rows
from facelab.edits.expression import REGION, THRESHOLD, transfer
from facelab.edits.mixing import DeltaMixer, mix_deltas
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Delta, Face, Latent, Recipe
from facelab.generators.deltas import on_device, style_row
from facelab.generators.stylegan2 import fast_dtype
from facelab.pixels import as_pixels
from facelab.ranges import between
from facelab.recipes import replay
from facelab.refinement import check_delta
from facelab.routing import by_its_model

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card
    from facelab.edits.attributes import Direction
    from facelab.generators.base import Generator

MAX_SIDE = 4096  # of a picture, in pixels
BATCH = 16  # pictures drawn at once; more are no faster and keep others waiting
MAX_FRAMES = 600
MAX_FACES = 1000  # of one average or one request for neighbours
TYPICAL_FACES = 256  # random faces, whose median stands for the usual distance from the mean face


class Editing:
    """What a Studio does with faces that exist, by the model that they are of. Those that come in are never changed."""

    card: Card
    generator: Generator
    device: torch.device
    decoder: Any
    has_layers: bool

    @by_its_model
    @torch.inference_mode()
    def render_many(self, faces: Sequence[Face], size: int | None = None) -> list[np.ndarray]:
        """Pictures of several faces, drawn in batches, whatever deltas they have: uint8 [size, size, 3] each.

        Raises what `render` raises.
        """
        check_size(self.card.resolution if size is None else size)
        latents = [self._rows(face) for face in faces]
        deltas = [face.delta for face in faces]
        return [
            picture
            for first, stop in pairwise([*range(0, len(faces), BATCH), len(faces)])
            for picture in self._draw(torch.stack(latents[first:stop]), deltas[first:stop], size)
        ]

    def render_each(self, faces: Sequence[Face], size: int | None = None) -> Iterator[np.ndarray]:
        """The same pictures one after the other; each `next` is a short piece of work."""
        for first in range(0, len(faces), BATCH):
            yield from self.render_many(faces[first : first + BATCH], size)

    @by_its_model
    def morph(self, first: Face, second: Face, t: float, *, path: str | None = None, space: str | None = None) -> Face:
        """A face between two, latent and delta; at t = 0 the first one's, at t = 1 the second one's, exactly.

        path: "linear" or "spherical", by default spherical in a normal prior's z, which is a sphere, and linear
        elsewhere. space: by default the one that the model's faces are edited in. "w+" keeps each face's own style of
        every layer; "w" takes both to the nearest latent of one style first (the mean of their rows); "z" needs faces
        that were embedded in z; "circle" goes round the sphere of identities, whatever models the faces are of, and
        its ends are the faces as their vectors are decoded (see `circle_between`). Raises BadSetting and
        LatentMismatch.
        """
        return next(self._between(first, second, [between("t", t, 0, 1)], path, space))

    @by_its_model
    def morph_frames(
        self,
        first: Face,
        second: Face,
        *,
        frames: int = 60,
        size: int = 256,
        easing: str = "linear",
        there_and_back: bool = False,
        path: str | None = None,
        space: str | None = None,
    ) -> Iterator[np.ndarray]:
        """The pictures of a morph one after the other, uint8 [size, size, 3]; each `next` is a short piece of work.

        frames: 2 to 600. easing: "linear" or "smooth". there_and_back: to the second face and back, as a loop.
        """
        if frames > MAX_FRAMES:
            raise BadSetting(f"A morph has at most {MAX_FRAMES} frames, not {frames}.")
        places = interpolation.positions(frames, easing=easing, there_and_back=there_and_back)
        faces = self._between(first, second, places, path, space)
        while batch := list(islice(faces, BATCH)):
            yield from self.render_many(batch, size)

    @by_its_model
    def crossover(self, content: Face, style: Face, *, rows: slice | None = None, strength: float = 1.0) -> Face:
        """The content face with the style face's latent rows, and with its delta on the layers that these style.

        rows: of the w+ latent, by default the second half. strength: 0 keeps the content, 1 takes the style.
        """
        strength = between("strength", strength, -3, 3)
        rows = self._checked_rows(rows)
        values = crossover(self._rows(content), self._rows(style), rows=rows, strength=strength)
        delta = crossover_delta(content.delta, style.delta, rows=rows, row_of=style_row, strength=strength)
        return self._made(
            values, delta, {"op": "crossover", "strength": strength}, of=[content, style], keep_photo=True
        )

    @by_its_model
    def crossover_grid(
        self,
        contents: Sequence[Face],
        styles: Sequence[Face],
        *,
        rows: slice | None = None,
        strength: float = 1.0,
        size: int | None = None,
    ) -> list[list[np.ndarray]]:
        """Every content with every style, a row of pictures for each content (Image2StyleGAN, figure 6)."""
        if not contents or not styles or len(contents) * len(styles) > MAX_FACES:
            raise BadSetting(f"A grid takes at least one content and one style, and at most {MAX_FACES} pictures.")
        faces = [
            self.crossover(content, style, rows=rows, strength=strength) for content in contents for style in styles
        ]
        pictures = self.render_many(faces, size)
        return [pictures[first : first + len(styles)] for first in range(0, len(pictures), len(styles))]

    @by_its_model
    def express(
        self,
        target: Face,
        neutral: Face,
        expressive: Face,
        *,
        strength: float = 1.0,
        threshold: float = THRESHOLD,
        normalise: bool = True,
        everywhere: bool = False,
    ) -> Face:
        """The target with what makes the expressive face differ from the neutral one (Image2StyleGAN, section 4.3).

        strength: minus turns the expression around. threshold: rows of the difference shorter than this fraction of a
        row's usual distance from the mean face are left out as noise. normalise: one intensity whatever the source.
        everywhere: change the whole picture, as the paper does, and not the face alone; models with one latent always
        do.
        """
        strength = between("strength", strength, -10, 10)
        rows = self._rows(target)
        moved = transfer(
            rows,
            self._rows_everywhere(neutral),
            self._rows_everywhere(expressive),
            row_norm=self._row_norm,
            strength=strength,
            threshold=between("threshold", threshold, 0, 100),
            normalise=normalise,
        )
        region = "" if everywhere or not self.has_layers else REGION
        values, delta = regions.placed(rows, moved, target.delta, region)
        step = {"op": "express", "strength": strength}
        return self._made(values, delta, step, of=[target, neutral, expressive], keep_photo=True)

    @by_its_model
    def average(
        self, faces: Sequence[Face], weights: Sequence[float] | None = None, *, space: str | None = None
    ) -> Face:
        """The weighted mean of one or more faces, latents and deltas; weights of any positive sum.

        space: "circle" for the mean on the sphere of identities (see `circle_average`).
        """
        if _on_circle(space):
            return self.decoder.circle_average(faces, weights).face
        if not 1 <= len(faces) <= MAX_FACES:
            raise BadSetting(f"An average takes between 1 and {MAX_FACES} faces, not {len(faces)}.")
        shares = interpolation.shares(len(faces), weights).tolist()
        values = interpolation.weighted_mean(torch.stack([self._rows(face) for face in faces]), shares)
        return self._made(values, mix_deltas([face.delta for face in faces], shares), {"op": "average"}, of=faces)

    @by_its_model
    def combine(self, first: Face, second: Face) -> Face:
        """Two faces in one: their mean, or normalise(z1 + z2) where both lie in a normal prior's z (PGGAN paper)."""
        dims = self.generator.sphere_dims
        if first.latent.space == second.latent.space == "z" and dims:
            self._rows(first), self._rows(second)
            one, other = first.latent.values, second.latent.values
            on_sphere = arithmetic.combine_on_sphere(one[:, :dims], other[:, :dims])
            z = torch.cat([on_sphere, (one[:, dims:] + other[:, dims:]) / 2], dim=1)
            values, delta = self._from_z(z), mix_deltas([first.delta, second.delta], [0.5, 0.5])
        else:
            mean = self.average([first, second])
            values, delta = mean.latent.values, mean.delta
        return self._made(values, delta, {"op": "combine"}, of=[first, second])

    @by_its_model
    def mix(self, expression: str, faces: Mapping[str, Face], *, space: str | None = None) -> Face:
        """A weighted sum of faces by an expression such as "A + B - C" (see arithmetic.parse).

        faces: the face of each letter. Summed are differences from the mean face, which is what no face at all gives.
        space: "circle" for the sum on the sphere of identities, at length 1 again (see `circle_mix`).
        """
        if _on_circle(space):
            return self.decoder.circle_mix(expression, faces)
        weights = arithmetic.parse(expression)
        latents = {name: self._rows(face) for name, face in faces.items()}
        values = arithmetic.weighted_sum(latents, weights, origin=self.generator.mean_latent().cpu())
        used = [faces[name] for name in weights]
        delta = mix_deltas([face.delta for face in used], list(weights.values()))
        return self._made(values, delta, {"op": "mix"}, of=used)

    @by_its_model
    def neighbours(self, face: Face, count: int = 63, *, radius: float = 0.25, seed: int = 0) -> list[Face]:
        """Faces that look much like one face: small noise of the kind by which random faces differ (ISTRC).

        radius: 0 is the face itself, 1 as different as random faces are. The same for the same seed.
        """
        if not 1 <= count <= MAX_FACES:
            raise BadSetting(f"Between 1 and {MAX_FACES} neighbours can be made, not {count}.")
        radius = between("radius", radius, 0, 2)
        offsets = self.generator.sample(count, seed=seed) - self.generator.mean_latent()
        values = arithmetic.neighbours(self._rows(face), offsets.cpu(), radius=radius)
        step = {"op": "neighbour"}
        return [self._made(rows, face.delta, step, of=[face], keep_photo=True) for rows in values]

    @by_its_model
    def rows_of(self, face: Face, text: str) -> slice | None:
        """Layers of the model that a face is of, as a person writes them (see crossover.parse_rows); None for ""."""
        return parse_rows(text, self.generator.num_layers) if text else None

    @by_its_model
    def apply(self, face: Face, recipe: Recipe, others: Mapping[str, Face | Direction] | None = None) -> Face:
        """Do a recipe's steps to a face at once. others: as `replay` takes them, whose errors it raises."""
        for done in replay(self, face, recipe, others or {}):
            face = done
        return face

    @by_its_model
    def replay(
        self, face: Face, recipe: Recipe, others: Mapping[str, Face | Direction] | None = None, **options: Any
    ) -> Iterator[Face]:
        """Do a recipe's steps to a face, each `next` one of them: see recipes.replay."""
        return replay(self, face, recipe, others or {}, **options)

    def _rows(self, face: Face) -> Tensor:
        """A face's latent in the space of edits, float32 [L, D] on the CPU, once it has been checked against the model.

        L is 1 for a model with one latent.
        """
        self.generator.check(face.latent)
        if face.model_sha256 not in ("", self.card.sha256):
            raise LatentMismatch(
                f"This face was made with another version of {self.card.name}. Embed the photo again with this one."
            )
        if face.delta is not None:
            check_delta(self.generator, face.delta)
        values = face.latent.values
        return self._from_z(values) if face.latent.space == "z" else values.expand(self.generator.num_layers, -1)

    def spread(self, face: Face) -> Face:
        """The same face with its latent in the space of edits, a row for each layer: what edits of it begin at."""
        return replace(face, latent=Latent(self._rows(face), self.generator.edit_space, self.card.name))

    def _rows_everywhere(self, face: Face) -> Tensor:
        """The same with what edits have done to a region as if it had been done everywhere, for comparing faces."""
        return regions.everywhere(self._rows(face), face.delta)

    @torch.no_grad()
    def _from_z(self, z: Tensor) -> Tensor:
        """z [1, Z] in the space of edits, on the CPU: w+ rows, or z itself where that is all there is."""
        if self.generator.edit_space == "z":
            return z
        return self.generator.map(z.to(self.device)).cpu().expand(self.generator.num_layers, -1)

    def _between(
        self, first: Face, second: Face, places: Sequence[float], path: str | None, space: str | None
    ) -> Iterator[Face]:
        """The faces at several places of a morph."""
        if space == CIRCLE:
            if path == "linear":
                raise BadSetting(
                    "On the circle the way is the great circle's. Leave out the path, or take another space."
                )
            yield from self.decoder.circle_between(first, second, list(places))
            return
        space, dims = space or self.generator.edit_space, self.generator.sphere_dims
        path = path or ("spherical" if space == "z" and dims else "linear")
        start, end = self._ends(first, second, path, space)
        mixer = DeltaMixer([first.delta, second.delta])
        for t in places:
            values = interpolation.linear(start, end, t)
            if path == "spherical":
                values[:, :dims] = interpolation.spherical(start[:, :dims], end[:, :dims], t)
            rows = self._from_z(values) if space == "z" else values
            yield self._made(rows, mixer.mix([1 - t, t]), {"op": "morph", "t": t}, of=[first, second])

    def _ends(self, first: Face, second: Face, path: str, space: str) -> tuple[Tensor, Tensor]:
        """Both faces' latents in the space that a morph goes through."""
        if path not in ("linear", "spherical") or space not in self.generator.spaces:
            raise BadSetting(
                "A morph's path is linear or spherical and its space one of "
                f"{', '.join((*self.generator.spaces, CIRCLE))}, not {path!r} and {space!r}."
            )
        if path == "spherical" and not (space == "z" and self.generator.sphere_dims):
            raise BadSetting(
                "Only z is a sphere, of models that draw it from the normal distribution. Choose the linear path, or "
                "space z for faces embedded in z."
            )
        rows = self._rows(first), self._rows(second)
        if space == "z":
            if not first.latent.space == second.latent.space == "z":
                raise LatentMismatch(
                    "A morph in z takes two faces that were embedded in z. Choose the model's own way, in "
                    f"{self.generator.edit_space}."
                )
            return first.latent.values, second.latent.values
        if space == "w":
            return tuple(values.mean(dim=0, keepdim=True).expand_as(values) for values in rows)
        return rows

    def _checked_rows(self, rows: slice | None) -> slice:
        count = self.generator.num_layers
        if count == 1:
            raise BadSetting(
                f"{self.card.title} has one latent for the whole picture, and so no layers to choose among. "
                "Take faces of a StyleGAN model for this, such as faces128."
            )
        return checked_rows(rows or slice(count // 2, count), count)

    def _made(
        self,
        values: Tensor,
        delta: Delta | None,
        step: Mapping[str, Any],
        *,
        of: Sequence[Face],
        keep_photo: bool = False,
    ) -> Face:
        """The face that a step has made of faces, with values in the space of edits, and with the crop of the first
        one or with none.
        """
        latent = Latent(values.detach().float().contiguous(), self.generator.edit_space, self.card.name)
        if keep_photo:
            face = replace(of[0], latent=latent, delta=delta, model_sha256=self.card.sha256)
        else:
            face = Face(latent, delta, model_sha256=self.card.sha256)
        return face.made_by(step, of=of)

    def _draw(self, rows: Tensor, deltas: Sequence[Delta | None], size: int | None) -> list[np.ndarray]:
        deltas = on_device(deltas, self.device)
        pictures = self.generator.synthesize(rows.to(self.device), deltas, dtype=fast_dtype(self.device))
        pixels = as_pixels(pictures)
        return list(pixels) if size is None else [resized(picture, size) for picture in pixels]

    @property
    def _row_norm(self) -> float:
        """How far a row of a typical face lies from the mean face."""

        def measure() -> float:
            offsets = self.generator.sample(TYPICAL_FACES, seed=0)[:, 0] - self.generator.mean_latent()
            return float(offsets.norm(dim=1).median())

        return self._keep("row norm", measure)


def check_size(size: int) -> None:
    """Raise BadSetting for a picture's side that is out of range."""
    if not 16 <= size <= MAX_SIDE:
        raise BadSetting(f"The size of a picture must be between 16 and {MAX_SIDE} pixels, not {size}.")


def _on_circle(space: str | None) -> bool:
    """Whether faces are to meet on the sphere of identities, and not in their model's own space."""
    if space not in (None, "", CIRCLE):
        raise BadSetting(f"The space of an average or a sum is the model's own, or {CIRCLE!r}; not {space!r}.")
    return space == CIRCLE
