"""How well portraits that no model was trained on embed: likeness by dlib, PSNR, before and after refining."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facelab.checkpoints.cards import find_card, fingerprint
from facelab.checkpoints.directions import fingerprint_directions
from facelab.embedding_settings import EmbedSettings
from facelab.errors import BadFaceFile
from facelab.evaluation.portraits import made_of
from facelab.face import CROP_SIZE, AlignedFace, Face
from facelab.files import write_file
from facelab.recognition import SAME_PERSON, Recogniser, identity_distance
from facelab.recovery import RecoverySettings
from facelab.studio import Studio

FAILED = 2.0  # the identity distance of a picture in which no detector finds a face: farther than any two people


@dataclass(frozen=True)
class Phase:
    """One stage of an embedding. identity: dlib's distance to the portrait. psnr in dB. seconds: since the start."""

    identity: float
    psnr: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Embedded:
    """A portrait's face, and its stages by name: "encoder" where there is one, "latent", "refine"."""

    face: Face
    stages: dict[str, Phase]


def as_aligned(image: np.ndarray) -> AlignedFace:
    """A square portrait that is aligned already, uint8 [R, R, 3], as if it had been cut out of a photo of itself."""
    side = len(image)
    crop = np.asarray(Image.fromarray(image).resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BICUBIC))
    quad = np.array([[0, 0], [0, side], [side, side], [side, 0]], np.float32)
    return AlignedFace(image, crop, quad, (side, side))


def embed_portraits(
    images: Sequence[np.ndarray],
    *,
    model: str,
    settings: EmbedSettings | RecoverySettings,
    folder: Path,
    progress: Callable[[int], None] = lambda count: None,
) -> list[Embedded]:
    """Embed portraits, uint8 [R, R, 3] each, one process a core; what the same weights and settings have made of the
    same portrait in `folder` already is not done again, whichever portraits were beside it.
    """
    folder = folder / f"embedded-{_made_by(model, settings)}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / made_of([image]) for image in images]
    done = [_load_kept(path) for path in paths]
    missing = [index for index, one in enumerate(done) if one is None]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(_embed_one, images[index], model, settings, paths[index]) for index in missing]
        progress(len(images) - len(missing))
        for job in jobs:
            job.result()
            progress(1)
    return [one or _load(path) for one, path in zip(done, paths, strict=True)]


def summarise(embedded: Sequence[Embedded]) -> dict[str, dict[str, float]]:
    """By stage: the share of faces under 0.6, median identity distance and PSNR, the worst, and median seconds."""
    figures = {}
    for stage in embedded[0].stages:
        phases = [one.stages[stage] for one in embedded]
        distances = np.array([phase.identity for phase in phases])
        figures[stage] = {
            "same_person": round(float((distances < SAME_PERSON).mean()), 4),
            "identity_median": round(float(np.median(distances)), 4),
            "identity_worst": round(float(distances.max()), 4),
            "psnr_median": round(float(np.median([phase.psnr for phase in phases])), 2),
            "seconds_median": round(float(np.median([phase.seconds for phase in phases])), 2),
        }
    return figures


def _made_by(model: str, settings: EmbedSettings | RecoverySettings) -> str:
    """What makes an embedding, in short: the generator, its encoder, the settings, and where edits are to be kept, the
    directions. A recovery keeps none.
    """
    refined = isinstance(settings, EmbedSettings) and settings.refine and settings.edit_weight
    edited = refined and "directions" in find_card(model).companions
    directions = fingerprint_directions(model) if edited else ""
    return hashlib.sha256(f"{fingerprint(model)} {settings} {directions}".encode()).hexdigest()[:16]


@cache
def _tools(model: str) -> tuple[Studio, Recogniser]:
    torch.set_num_threads(1)
    return Studio(model), Recogniser()


def _embed_one(image: np.ndarray, model: str, settings: EmbedSettings | RecoverySettings, target: Path) -> None:
    import time

    studio, recogniser = _tools(model)
    aligned = as_aligned(image)
    vector = recogniser.vector(image)

    def measured(face: Face, seconds: float) -> Phase:
        picture = studio.render(face)
        seen, found = recogniser.vector_of_aligned(picture)
        error = np.square(picture.astype(np.float32) - image).mean() / 127.5**2
        distance = identity_distance(seen, vector) if found else FAILED
        return Phase(distance, float(10 * np.log10(4 / max(error, 1e-10))), seconds)

    stages = {}
    begun = time.perf_counter()
    if studio.has_encoder:
        face = studio.encode(aligned)
        stages["encoder"] = measured(face, time.perf_counter() - begun)
    spent, begun = 0.0, time.perf_counter()
    for step in studio.embed(aligned, settings):
        if step.phase_done:
            spent += time.perf_counter() - begun
            face = studio.to_face(step, aligned)
            stages[step.phase] = measured(face, spent)
            begun = time.perf_counter()
    buffer = io.BytesIO()
    face.save(buffer)
    write_file(buffer.getvalue(), target.with_suffix(".npz"))
    told = json.dumps({name: asdict(phase) for name, phase in stages.items()})
    write_file(told.encode(), target.with_suffix(".json"))


def _load_kept(path: Path) -> Embedded | None:
    """What was kept; None where it is missing, or cut off by a kill."""
    try:
        return _load(path)
    except (OSError, ValueError, TypeError, BadFaceFile):
        return None


def _load(path: Path) -> Embedded:
    stages = json.loads(path.with_suffix(".json").read_text())
    return Embedded(Face.load(path.with_suffix(".npz")), {name: Phase(**values) for name, values in stages.items()})
