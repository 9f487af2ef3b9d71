"""How well a circle does (circle.py). The paper's figures are in published.py.

Vectors are of val portraits: dlib's, or FaceNet's where the circle begins with them. Attributes are seen in the decoded
faces by the judge, which took no part in making the circle, shapes by dlib's landmarks, and who it is by dlib's raw
vectors, which the circle was taught to bring back. By such landmarks, of random faces, preset strengths are chosen.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facelab.circle import FEATURES, Circle, edit_key, feature_of
from facelab.circling import EDIT_STEPS, MOST_STEPS, SURE
from facelab.edits.interpolation import karcher_mean
from facelab.edits.sphere import chained_mean, great_circle, on_sphere, plain_mean, walk_on_sphere, walk_until_sure
from facelab.evaluation.edits import UPPER
from facelab.evaluation.geometry import measured
from facelab.evaluation.judge import ATTRIBUTES, Judge, judge
from facelab.evaluation.portraits import Portraits, describe, describers
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader
from facelab.pixels import as_images, as_pixels
from facelab.recognition import SAME_PERSON
from facelab.training.direction_list import WANTED

# The paper's ten edits, those with two directions as two, and its make-up.
EDITS = (
    ("gender", 1),
    ("gender", -1),
    ("smile", 1),
    ("mouth_open", 1),
    ("beard", 1),
    ("beard", -1),
    ("mustache", 1),
    ("nose_size", 1),
    ("nose_size", -1),
    ("age", 1),
    ("age", -1),
    ("lips", 1),
    ("eyes", 1),
    ("mouth_size", 1),
    ("mouth_size", -1),
    ("attractive", 1),
    ("makeup", 1),
)
FAULTY = ("beard", "mustache", "makeup")  # the paper's edits that change the gender (figure 11)
GROUPS = (2, 8, 32, 64, 128)  # faces of an average; beyond about 60, the paper says, plain means are one face
DRAWS = 12  # of pairs of groups: how far apart one pair lies is mostly chance
BATCH = 16
SEEN = {each.id: each.seen for each in WANTED}


@dataclass(frozen=True, eq=False)
class Eyes:
    """Who looks at decoded faces. network: the judge. real: scores of real portraits by feature, [N] each."""

    network: Judge
    real: Mapping[str, np.ndarray]

    def limits(self, feature: str, sign: int) -> tuple[float, float]:
        """Below the first a face lacks what an edit gives, above the second it has it: 0 where the judge says yes or
        no, else by what real portraits show, the lower half and the upper third.
        """
        if SEEN[feature].removeprefix("-") in ATTRIBUTES:
            return 0.0, 0.0
        low, high = np.quantile(sign * self.real[feature], (0.5, UPPER))
        return float(low), float(high)


def scores_of(network: Judge, pictures: Sequence[np.ndarray], landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """By feature, how much of it each of N pictures, uint8 [R, R, 3], has. landmarks: dlib's, [N, 68, 2]."""
    logits, shapes = judge(network, as_images(pictures)).numpy(), measured(landmarks)
    scores = {}
    for feature in FEATURES:
        name, sign = SEEN[feature.id].removeprefix("-"), -1.0 if SEEN[feature.id].startswith("-") else 1.0
        scores[feature.id] = sign * (logits[:, ATTRIBUTES.index(name)] if name in ATTRIBUTES else shapes[name])
    return scores


@torch.inference_mode()
def decode(circle: Circle, generator: Generator, points: Tensor) -> list[np.ndarray]:
    """Pictures of points [N, V], uint8 [R, R, 3] each."""
    dtype = fast_dtype(points.device)
    parts = [generator.synthesize(circle(part), dtype=dtype) for part in points.split(BATCH)]
    return list(as_pixels(torch.cat(parts)))


@describers()
def measure_edits(
    circle: Circle,
    generator: Generator,
    eyes: Eyes,
    seen: Portraits,
    points: Tensor,
    *,
    strength: float = 1.0,
    reach: Mapping[str, float] | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """The circle closed without an edit, and all edits, gender held and plain, on portraits that dlib has seen and that
    lie at points [N, V].

    flipped: of the faces that lack it after decoding, the share in which the eyes then see it. gender_held,
    gender_plain: the share whose gender the judge sees change. kept: the share that dlib takes for the person that the
    vector without the edit decodes to, and moved: the median distance from there. person: the same as kept, of the
    portrait itself. preset: the same figures at the strengths of `reach`, by edit. until: those of the paper's way, the
    walk until the classifier is sure, with the median of its steps and the share that got there.
    """
    pictures = decode(circle, generator, points)
    start = describe(pictures)
    before = scores_of(eyes.network, pictures, start.landmarks)
    distance = _apart(start, seen)
    figures: dict[str, Any] = {
        "decoded": {
            "faces": len(points),
            "found": _share(start.found),
            "identity_median": round(float(np.median(distance)), 3),
            "same_person": _share((distance < SAME_PERSON) & start.found),
            "gender_kept": _share((before["gender"] > 0) == (eyes.real["gender"] > 0)),
        }
    }
    gender = before["gender"] > 0

    def seen_at(place: Tensor, id: str, sign: int, chosen: np.ndarray) -> dict[str, float]:
        shown = decode(circle, generator, place)
        end = describe(shown)
        after = scores_of(eyes.network, shown, end.landmarks)
        changed = np.linalg.norm(end.vectors - start.vectors[chosen], axis=1)
        person = np.linalg.norm(end.vectors - seen.vectors[chosen], axis=1)
        return {
            "flipped": _share((sign * after[id] > eyes.limits(id, sign)[1]) & end.found),
            "gender_held": _share((after["gender"] > 0) != gender[chosen]),
            "kept": _share((changed < SAME_PERSON) & end.found),
            "moved": round(float(np.median(changed)), 3),
            "person": _share((person < SAME_PERSON) & end.found),
        }

    def both(place: Tensor, plain: Tensor, id: str, sign: int, chosen: np.ndarray) -> dict[str, float]:
        after = scores_of(eyes.network, decode(circle, generator, plain), start.landmarks[chosen])
        turned = _share((after["gender"] > 0) != gender[chosen])
        return {**seen_at(place, id, sign, chosen), "gender_plain": turned}

    for id, sign in EDITS:
        low, high = eyes.limits(id, sign)
        lacks = sign * before[id] < low if low != high else sign * before[id] <= low
        chosen = np.flatnonzero(lacks)
        if not len(chosen):
            progress(1)
            continue
        ends = {}
        far = (reach or {}).get(edit_key(id, sign), strength)
        held = [circle.classifier(each) for each in feature_of(id).held]
        ways = {"held": (strength, held), "plain": (strength, []), "preset": (far, held), "plain_preset": (far, [])}
        for way, (amount, holding) in ways.items():
            arc = sign * amount * circle.sphere.arc
            walked = walk_on_sphere(points[chosen], circle.classifier(id), arc, steps=100, frames=1, held=holding)
            ends[way] = walked[-1]
        ends["until"], walked = _until_sure(circle, points[chosen], id, sign)
        at_strength = at_preset = both(ends["held"], ends["plain"], id, sign, chosen)
        if far != strength:
            at_preset = both(ends["preset"], ends["plain_preset"], id, sign, chosen)
        figures[edit_key(id, sign)] = {
            "faces": len(chosen),
            **at_strength,
            "preset": {**at_preset, "strength": far},
            "until": {**seen_at(ends["until"], id, sign, chosen), **walked},
        }
        progress(1)
    return figures


def _until_sure(circle: Circle, points: Tensor, id: str, sign: int) -> tuple[Tensor, dict[str, float]]:
    """Where the walks from points [N, V] end that go on until the classifier is sure, and what they took."""
    classifier, held = circle.classifier(id), [circle.classifier(each) for each in feature_of(id).held]
    limit, arc = math.log(SURE / (1 - SURE)), sign * circle.sphere.arc / EDIT_STEPS
    path, taken = walk_until_sure(points, classifier, arc, sure=limit, most=MOST_STEPS, held=held)
    with torch.no_grad():
        arrived = sign * classifier(path[-1]) >= limit
    return path[-1], {"steps": float(taken.float().median()), "arrived": _share(arrived.numpy())}


def measure_classifiers(circle: Circle, points: Tensor, classes: Tensor) -> dict[str, dict[str, float]]:
    """By feature, the classifiers' accuracy at points [N, V], plain and balanced. classes: [N, K], NaN unknown."""
    figures = {}
    with torch.inference_mode():
        for place, feature in enumerate(FEATURES):
            truth = classes[:, place]
            known = ~truth.isnan()
            right = (circle.classifier(feature.id)(points[known]) > 0) == (truth[known] > 0)
            sides = [right[truth[known] == side].float().mean() for side in (0.0, 1.0)]
            figures[feature.id] = {
                "layers": feature.layers,
                "accuracy": round(float(right.float().mean()), 4),
                "balanced": round(float(torch.stack(sides).mean()), 4),
            }
    return figures


def measure_verification(vectors: np.ndarray, people: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """Same person or not, by dlib's raw vectors [N, 128], by the chord of the sphere and by its great circle.

    people: who each is. Areas under the curve; the best accuracy of any threshold where as many pairs are of one person
    as of two; no pairs, and nothing else, where all are of one person or none are. On the sphere chord and great circle
    put all pairs in one order: only leaving the raw length matters.
    """
    names = np.asarray(people)
    first, second = np.triu_indices(len(names), 1)
    same = names[first] == names[second]
    if same.all() or not same.any():
        return {"pairs": 0}
    draw = np.random.default_rng(seed)
    others = draw.choice(np.flatnonzero(~same), min(int(same.sum()), int((~same).sum())), replace=False)
    pairs = np.concatenate([np.flatnonzero(same), others])
    one, two, truth = first[pairs], second[pairs], same[pairs]
    points = on_sphere(torch.from_numpy(vectors.astype(np.float64)))
    chord = (points[one] - points[two]).norm(dim=1).numpy()
    ways = {
        "raw": np.linalg.norm(vectors[one] - vectors[two], axis=1),
        "chord": chord,
        "great_circle": great_circle(points[one], points[two]).numpy(),
    }
    figures: dict[str, Any] = {"pairs": len(pairs)}
    for name, distances in ways.items():
        order = np.argsort(distances, kind="stable")
        hits, misses = np.cumsum(truth[order]), np.cumsum(~truth[order])
        accuracy = (hits + (~truth).sum() - misses) / len(truth)
        area = float(hits[~truth[order]].mean() / truth.sum())
        best = int(accuracy.argmax())
        figures[name] = {
            "area": round(area, 5),
            "accuracy": round(float(accuracy[best]), 4),
            "threshold": round(float(distances[order][best]), 4),
        }
    return figures


def measure_collapse(
    circle: Circle, generator: Generator, reader: FaceReader, points: Tensor, people: Sequence[str]
) -> dict[int, Any]:
    """What is left of an average of many, of points [N, V], a portrait a person: for each number of faces the plain
    mean's norm, and how far apart the averages of two groups lie that share nobody, as angles between what is decoded
    (the reader's vectors), both the means of several draws of groups. chained: by the paper's chain of slerps (equation
    2). sphere: by the mean on the sphere. plain: by the plain mean. latents: by the plain mean of as many random
    latents of the generator.
    """
    points = points[np.unique(np.asarray(people), return_index=True)[1]]
    figures = {}
    for count in GROUPS:
        if 2 * count > len(points):
            break
        norms, angles = [], defaultdict(list)
        for draw in range(DRAWS):
            order = torch.randperm(len(points), generator=torch.Generator().manual_seed(draw))
            groups = points[order[:count]], points[order[count : 2 * count]]
            for name, mean in (("chained", chained_mean), ("sphere", karcher_mean), ("plain", plain_mean)):
                pair = torch.stack([mean(group) for group in groups])
                angles[name].append(_decoded_angle(circle(pair), generator, reader))
                norms += [float(pair.norm(dim=1).mean())] if name == "plain" else []
            drawn = [generator.sample(count, seed=2 * draw + number).mean(dim=0) for number in (1, 2)]
            angles["latents"].append(_decoded_angle(torch.stack(drawn), generator, reader))
        means = {name: round(float(np.mean(each)), 4) for name, each in angles.items()}
        figures[count] = {"plain_norm": round(float(np.mean(norms)), 4), **means}
    return figures


def measure_speed(
    circle: Circle, generator: Generator, look: Callable[[Tensor], Tensor], images: Tensor, *, repeats: int = 3
) -> dict[str, float]:
    """Faces a second from vectors and from pixels [N, 3, R, R], and the seconds of a walk of 500 steps whose ten faces
    are drawn; the best of a few runs each. look: from pixels to vectors [N, V] in batches, as the reader does.
    """
    points = on_sphere(look(images).clone())

    def from_pixels() -> None:
        decode(circle, generator, on_sphere(look(images)))

    def walk() -> None:
        way = circle.classifier("smile")
        path = walk_on_sphere(
            points[:1], way, circle.sphere.arc, steps=500, frames=10, held=[circle.classifier("gender")]
        )
        decode(circle, generator, path[1:, 0])

    count = len(points)
    return {
        "from_vectors": round(count / _seconds(lambda: decode(circle, generator, points), repeats), 1),
        "vectors_to_latents": round(count / _seconds(lambda: circle(points), repeats)),
        "pixels_to_vectors": round(count / _seconds(lambda: look(images), repeats), 1),
        "from_pixels": round(count / _seconds(from_pixels, repeats), 1),
        "walk_seconds": round(_seconds(walk, repeats), 3),
    }


@torch.inference_mode()
def _decoded_angle(latents: Tensor, generator: Generator, reader: FaceReader) -> float:
    vectors = on_sphere(reader(generator.synthesize(latents.float()).clamp(-1, 1)).vectors)
    return float(great_circle(vectors[0], vectors[1]))


def _seconds(work: Callable[[], Any], repeats: int) -> float:
    best = float("inf")
    with torch.no_grad():
        for _ in range(repeats):
            begun = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - begun)
    return best


def _apart(one: Portraits, other: Portraits) -> np.ndarray:
    return np.linalg.norm(one.vectors - other.vectors, axis=1)


def _share(values: np.ndarray) -> float:
    return round(float(np.mean(values)), 3)
