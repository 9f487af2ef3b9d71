"""`python -m facelab evaluate MODEL --circle`: all figures of a model's circle in one go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def time_circle(model: str, data: Path, *, count: int, weights: Path | None, cache: Path) -> dict[str, Any]:
    """How fast the circle of a model is, on `count` portraits of the val split: see circle.measure_speed. weights: as
    `evaluate_circle` takes them. Only an idle machine tells.
    """
    import torch

    from facelab.checkpoints.weights import load_model
    from facelab.circle import DLIB, load_circle
    from facelab.evaluation.circle import measure_speed
    from facelab.identity import load_reader
    from facelab.training.data import open_pictures

    generator = load_model(model)[0]
    circle, reader = load_circle(generator, weights), load_reader()
    look = (lambda images: reader.read(images).vectors) if circle.sphere is DLIB else _facenet()
    images = open_pictures(data, resolution=generator.resolution, cache=cache, split="val").tensor(slice(count))
    with torch.no_grad():
        return {"resolution": generator.resolution, "speed": measure_speed(circle, generator, look, images)}


def evaluate_circle(model: str, data: Path, *, count: int, weights: Path | None, cache: Path) -> dict[str, Any]:
    """The circle of a model on `count` portraits of the val split. weights: another circle of its shape, as a run's.

    Raises UnknownModel for a model without a circle, and BadSetting for data without labels.
    """
    import numpy as np
    import torch
    from tqdm import tqdm

    from facelab.checkpoints.cards import find_card
    from facelab.checkpoints.weights import load_model
    from facelab.circle import DLIB, load_circle
    from facelab.edits.sphere import on_sphere
    from facelab.evaluation import circle as measures
    from facelab.evaluation.figures import spread
    from facelab.evaluation.geometry import measured
    from facelab.evaluation.judge import load_judge
    from facelab.evaluation.portraits import Portraits, describe_split
    from facelab.identity import load_reader
    from facelab.training.circle_crowd import DESCRIBED_SIDE, SEEN, classes_of
    from facelab.training.data import open_pictures
    from facelab.training.labels import read_labels

    people = _people(data)
    generator = load_model(model)[0]
    circle, reader, network = load_circle(generator, weights), load_reader(), load_judge()
    pictures = open_pictures(data, resolution=max(generator.resolution, DESCRIBED_SIDE), cache=cache, split="val")
    everyone = describe_split(pictures.images, cache=cache, name="val")
    found = np.flatnonzero(everyone.found)
    chosen = found[spread(len(found), count)]
    seen = Portraits(*(getattr(everyone, name)[chosen] for name in ("vectors", "landmarks", "found")))
    photos = [np.array(pictures.images[index]) for index in chosen]
    eyes = measures.Eyes(network, measures.scores_of(network, photos, seen.landmarks))
    look = (lambda images: reader.read(images).vectors) if circle.sphere is DLIB else _facenet()
    vectors = torch.from_numpy(everyone.vectors) if circle.sphere is DLIB else look(pictures.tensor(slice(None)))
    points = on_sphere(vectors)

    # Sizes as dlib measures them: the reader's are what the classifiers have learned.
    shapes, none = measured(everyone.landmarks), np.zeros(len(everyone.landmarks), np.float32)
    sizes = torch.from_numpy(np.stack([shapes.get(each.seen, none) for each in SEEN], axis=1)).float()
    classes = classes_of(read_labels(data, split="val"), sizes)
    with tqdm(total=len(measures.EDITS), desc="edits", unit="edit", file=sys.stderr) as bar:
        reach = find_card(model).companions["circle"].get("reach", {}) if weights is None else {}
        edits = measures.measure_edits(circle, generator, eyes, seen, points[chosen], reach=reach, progress=bar.update)
    named = [people[index] for index in found]
    return {
        "faces": len(chosen),
        "resolution": generator.resolution,
        "edits": edits,
        "classifiers": measures.measure_classifiers(circle, points[found], classes[found]),
        "verification": measures.measure_verification(vectors[found].numpy(), named),
        "collapse": measures.measure_collapse(circle, generator, reader, points[found], named),
    }


def _facenet() -> Callable[[Tensor], Tensor]:
    from facelab.facenet import facenet_vectors, load_facenet

    network = load_facenet()
    return lambda images: facenet_vectors(network, images)


def _people(data: Path) -> list[str]:
    """Who is in each val portrait, in the order of the pictures."""
    from facelab.errors import BadSetting
    from facelab.training.data import names_of_split, read_label_rows

    rows = read_label_rows(data) or {}
    names = [rows.get(name, {}).get("identity", "") for name in names_of_split(data, "val")]
    if not all(names):
        raise BadSetting(f"labels.csv in {data} has no column identity, which verification needs: who each is. Add it.")
    return names
