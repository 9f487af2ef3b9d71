"""How near a model comes to faces that it was never shown: by its encoder, or by latent recovery where it has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from facelab.evaluation.embedding import FAILED, as_aligned
from facelab.evaluation.sizes import at_size
from facelab.recognition import Recogniser, identity_distance
from facelab.recovery import RecoverySettings, recover
from facelab.studio import Studio


@dataclass(frozen=True)
class Reconstruction:
    """Medians over `faces` portraits. psnr in dB. identity: dlib's distance. by: the way, with its budget."""

    faces: int
    psnr: float
    identity: float
    by: str


def reconstruct(
    studio: Studio,
    portraits: Sequence[np.ndarray],
    *,
    side: int,
    steps: int = RecoverySettings.steps,
    progress: Callable[[int], None] = lambda done: None,
) -> Reconstruction:
    """Carry portraits, uint8 [R, R, 3] each at the model's size, into its latent space and back.

    side: the size in pixels at which both are compared, so that models of several sizes are. steps: of the recovery.
    """
    settings = RecoverySettings(steps=steps, preview_every=0)
    recogniser, measured = Recogniser(), []
    for portrait in portraits:
        drawn = _there_and_back(studio, portrait, settings)
        (target,), (picture,) = at_size([portrait], side), at_size([drawn], side)
        error = np.square(picture.astype(np.float32) - target).mean() / 127.5**2
        seen, found = recogniser.vector_of_aligned(picture)
        distance = identity_distance(seen, recogniser.vector(target)) if found else FAILED
        measured.append((10 * np.log10(4 / max(error, 1e-10)), distance))
        progress(1)
    psnr, identity = np.median(np.array(measured), axis=0)
    way = "encoder, one pass" if studio.has_encoder else f"recovery, {settings.restarts} restarts of {steps} steps"
    return Reconstruction(len(portraits), round(float(psnr), 2), round(float(identity), 4), way)


def _there_and_back(studio: Studio, portrait: np.ndarray, settings: RecoverySettings) -> np.ndarray:
    """The model's picture of a portrait, uint8 [R, R, 3]."""
    aligned = as_aligned(portrait)
    if studio.has_encoder:
        return studio.render(studio.encode(aligned))
    *_, last = recover(studio.generator, portrait, settings)
    return studio.render(studio.to_face(last, aligned))
