"""Several recoveries of one face: what the PGGAN paper's combinations are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from facelab.detail import resized
from facelab.errors import BadSetting
from facelab.face import Face, Latent
from facelab.recovery import RECOVERY_PRESETS, RecoverySettings, RecoveryState, recover
from facelab.routing import by_its_model

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card
    from facelab.embedding import EmbedStep
    from facelab.generators.base import Generator


class Recovering:
    """What a Studio of a model with one latent does with recoveries. The faces that come in are never changed."""

    card: Card
    generator: Generator
    has_layers: bool

    @by_its_model
    def recoveries(self, face: Face, settings: RecoverySettings = RECOVERY_PRESETS["recover"]) -> Iterator[EmbedStep]:
        """Recover a face's latent anew, from its photo's crop, or, of one without a photo or edited, its own picture.

        `recovered` takes the restarts from the last step. Raises BadSetting for a model with w+.
        """
        if self.has_layers:
            raise BadSetting(f"{self.card.title} embeds into w+. Latent recovery is for models with one latent.")
        self.generator.check(face.latent)
        picture = resized(face.crop, self.card.resolution) if face.is_as_cropped else self.render(face)
        return recover(self.generator, picture, replace(settings, start="random"))

    @by_its_model
    def recovered(self, state: RecoveryState, face: Face) -> list[Face]:
        """Every restart of a recovery of `face` as a face, the best one first."""
        latents = [state.best[number][None].cpu() for number in state.order]
        made = {"delta": None, "model_sha256": self.card.sha256}
        faces = [replace(face, latent=Latent(each, state.space, state.model), **made) for each in latents]
        return [each.made_by({"op": "recover"}, of=[face]) for each in faces]

    @by_its_model
    def combinations(self, firsts: Sequence[Face], seconds: Sequence[Face]) -> list[Face]:
        """The n-th of the one with the n-th of the other: several recoveries of two faces give several combinations,
        as stochastic clipping ends elsewhere each time (Guo and Huang, section 3.3).
        """
        return [self.combine(one, other) for one, other in zip(firsts, seconds, strict=False)]
