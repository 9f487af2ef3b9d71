"""Models beside each other: what a Studio draws, measures and maps of its models; nobody's data is in any of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from facelab.checkpoints.cards import Card, find_card, read_losses
from facelab.editing import BATCH, MAX_FACES
from facelab.errors import BadSetting
from facelab.evaluation.comparison import Row, describe_faces, load_comparison, of_model
from facelab.evaluation.inception import load_inception
from facelab.evaluation.judge import Judge, judge, load_judge
from facelab.evaluation.latent_map import LatentMap, thumbnail
from facelab.evaluation.portraits import Portraits, draw_samples
from facelab.evaluation.sizes import at_size
from facelab.evaluation.table import Line, build_table
from facelab.pixels import as_images, as_pixels

if TYPE_CHECKING:
    from facelab.generators.base import Generator
    from facelab.recognition import Recogniser
    from facelab.studio import Studio

MAPPED, FEWEST_MAPPED = 1000, 200
MAP_TRUNCATION = 0.8
MAP_SECONDS = 90.0  # a machine that needs longer for all gets a map of fewer faces
MEASURED = 64  # faces: enough to see which model is which, not for a paper
MOST_MEASURED = 1024


@dataclass(frozen=True, eq=False)
class Progress:
    """How far work of this room is: in words, done of total; and at its end what was made."""

    text: str
    done: int
    total: int
    row: Row | None = None
    map: LatentMap | None = None


class Comparing:
    """What a Studio knows of its model beside others."""

    card: Card
    generator: Generator
    of: Callable[[str], Studio]
    _recogniser: Recogniser

    def draw(self, count: int, *, seed: int = 1, truncation: float = 0.7) -> list[np.ndarray]:
        """`count` random faces, uint8 [R, R, 3] each: those that `sample` draws, without their latents.

        Raises BadSetting for a number outside its range.
        """
        _check_count("count", count, 1, MAX_FACES)
        return draw_samples(self.generator, count, seed=seed, truncation=truncation)

    def losses(self) -> list[dict[str, str]]:
        """The table of losses that ships with the model, as text by column; none where its card names none."""
        return read_losses(self.card)

    def compare(self, models: Sequence[str], *, side: int | None = None) -> tuple[Line, ...]:
        """The table of figures of several models: what `evaluate --save` kept, what `measure` has measured here since,
        and what their cards say. side: at which `measure` measured, by default `comparable_side`.

        Raises UnknownModel, and BadSetting for no models.
        """
        cards = [find_card(model) for model in models]
        side = side or self.comparable_side(models)
        rows = {card.name: self._measured[card.sha256, side] for card in cards if (card.sha256, side) in self._measured}
        return build_table(cards, load_comparison(), rows, side=side)

    def comparable_side(self, models: Sequence[str]) -> int:
        """The size in pixels at which several models are compared: the smallest one's, or a saved comparison's if less.

        Raises UnknownModel, and BadSetting for no models.
        """
        if not models:
            raise BadSetting("Choose at least one model to compare.")
        smallest, saved = min(find_card(model).resolution for model in models), load_comparison()
        return smallest if saved is None else min(smallest, saved.side)

    def measure(self, *, samples: int = MEASURED, side: int | None = None, seed: int = 1) -> Iterator[Progress]:
        """Measure this model here and now, on fresh faces at truncation 1, as far as that needs no photos.

        side: the size that faces are averaged down to. Each `next` is a short piece of work; the last one has the row,
        which `compare` shows from then on. Raises BadSetting for a number outside its range.
        """
        _check_count("samples", samples, 2, MOST_MEASURED)
        side, title = side or self.card.resolution, self.card.title
        pictures: list[np.ndarray] = []
        for latents in self.generator.sample(samples, seed=seed).split(BATCH):
            pictures += at_size(self._drawn(latents), side)
            yield Progress(f"{title}: drawing", len(pictures), 2 * samples)
        seen = []
        for picture in pictures:
            points, found = self._recogniser.landmarks_of_aligned(picture)
            seen.append((self._recogniser.vector(picture, points), points / side, found))
            yield Progress(f"{title}: looking", samples + len(seen), 2 * samples)
        portraits = Portraits(*(np.array(column) for column in zip(*seen, strict=True)))
        row = describe_faces(self.card.name, pictures, self._judge, seen=portraits, inception=self._inception)
        row = of_model(row, self.card, self.generator)
        self._measured[self.card.sha256, side] = row
        yield Progress(f"{title}: measured", 2 * samples, 2 * samples, row=row)

    def map_latents(self, *, count: int = MAPPED, seed: int = 1) -> Iterator[Progress]:
        """Draw many faces and see what they look like, for a map of the latent space; once for all who ask.

        Each `next` is a short piece of work; the last one has the map. A slow machine gets fewer faces, at least 200.
        Raises BadSetting for a number outside its range.
        """
        _check_count("count", count, 3, MAX_FACES)
        if (count, seed) in self._maps:
            yield Progress("The map is there", count, count, map=self._maps[count, seed])
            return
        latents = self.generator.sample(count, seed=seed, truncation=MAP_TRUNCATION)
        thumbnails: list[np.ndarray] = []
        logits: list[Tensor] = []
        total, begun = count, time.perf_counter()
        for part in latents.split(BATCH):
            pictures = self._drawn(part)
            logits.append(judge(self._judge, as_images(pictures)))
            thumbnails += [thumbnail(picture) for picture in pictures]
            if len(logits) == 1:  # it warms up, and is no measure
                begun = time.perf_counter()
            if len(logits) == 3:
                fits = round(MAP_SECONDS * 2 * BATCH / (time.perf_counter() - begun), -2)
                total = int(min(count, max(FEWEST_MAPPED, fits)))
            yield Progress("Drawing faces", min(len(thumbnails), total), total)
            if len(thumbnails) >= total:
                break
        made = LatentMap(
            self.card.name,
            self.card.sha256,
            self.generator.edit_space,
            latents[:total].float().cpu(),
            np.stack(thumbnails[:total]),
            torch.cat(logits)[:total].sigmoid().float().cpu().numpy(),
        )
        self._maps[count, seed] = made
        yield Progress("The map is there", total, total, map=made)

    @torch.inference_mode()
    def _drawn(self, latents: Tensor) -> list[np.ndarray]:
        return list(as_pixels(self.generator.synthesize(latents)))

    @property
    def _judge(self) -> Judge:
        return self._keep("judge", load_judge, shared=True)

    @property
    def _inception(self) -> torch.nn.Module | None:
        return self._keep("inception", load_inception, shared=True)

    @property
    def _measured(self) -> dict[tuple[str, int], Row]:
        return self._keep("measured", dict, shared=True)

    @property
    def _maps(self) -> dict[tuple[int, int], LatentMap]:
        return self._keep("maps", dict)


def _check_count(name: str, count: int, low: int, high: int) -> None:
    if not low <= count <= high:
        raise BadSetting(f"{name} must be between {low} and {high:,}, not {count}.")
