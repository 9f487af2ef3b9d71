"""Faces outlive the model that they were made with: where it has been trained further, they are embedded anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facelab.detail import resized
from facelab.face import AlignedFace, Face
from facelab.routing import by_its_model

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card


class Renewing:
    """What a Studio does with faces of an earlier version of its model. The faces that come in are never changed."""

    card: Card
    has_encoder: bool

    @by_its_model
    def can_renew(self, face: Face) -> bool:
        """Whether a face is of another version of its model than the one that is here, and can be brought over: its
        photo's crop is known, and the model has an encoder. Raises LatentMismatch for a model that is not here.
        """
        outdated = face.model_sha256 not in ("", self.card.sha256)
        return outdated and face.crop is not None and self.has_encoder

    @by_its_model
    def renewed(self, face: Face) -> Face:
        """A face as this version's encoder sees it in its crop, with nothing done to it: a likeness to go on from."""
        return self.encode(cut_again(face, self.card.resolution))


def cut_again(face: Face, resolution: int) -> AlignedFace:
    """The crop that a face carries, as if it had just been cut out of its photo."""
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.float32) * len(face.crop)
    quad = corners if face.quad is None else face.quad
    size = face.photo_size or (len(face.crop), len(face.crop))
    return AlignedFace(resized(face.crop, resolution), face.crop, quad, size)
