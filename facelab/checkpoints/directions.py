"""A model's directions: one small safetensors file, what is known of each in its header, and beside them what tells
the parts of the generator's pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from facelab.checkpoints.cards import find_card, find_companion, write_companion
from facelab.checkpoints.weights import read_weights
from facelab.edits.attributes import Direction, LatentClassifier
from facelab.errors import BadWeights
from facelab.files import write_file
from facelab.generators.parts import Parts, read_parts
from facelab.regions import FACIAL, REGIONS

_TEXTS = ("id", "title", "low", "high", "group")
_WHAT = (*_TEXTS, "rows", "held", "strength", "region")
_QUALITY = ("faces", "strength", "flipped", "kept", "both", "identity_median", "skin_drift")


def load_directions(model: str) -> dict[str, Direction]:
    """The directions that ship with a model, by id, in the order in which they are shown.

    Raises UnknownModel for a model without directions and BadWeights for a damaged file.
    """
    path, sha256 = find_companion(f"{model}-directions")
    return read_directions(path, sha256=sha256)


def read_directions(path: Path, *, sha256: str | None = None) -> dict[str, Direction]:
    """Read what `write_directions` wrote. Raises BadWeights when it is damaged."""
    tensors = {name: value.float() for name, value in read_weights(path, sha256=sha256).items()}
    directions = {}
    try:
        with safe_open(path, framework="pt") as file:
            entries = json.loads(file.metadata()["directions"])
        for entry in entries:
            name = entry["id"]
            directions[name] = Direction(
                **{key: str(entry[key]) for key in _TEXTS},
                rows=(int(entry["rows"][0]), int(entry["rows"][1])),
                held=tuple(entry["held"]),
                strength=float(entry["strength"]),
                difference=tensors[f"{name}.difference"],
                normal=tensors[f"{name}.normal"],
                classifier=_classifier(tensors, name),
                quality=dict(entry["quality"]),
                region=str(entry["region"]) if entry.get("region") in REGIONS else "",
            )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as cause:
        raise BadWeights(f"{path.name} is not a file of directions. Restore it from the repository.") from cause
    return directions


def load_parts(model: str) -> Parts | None:
    """What tells hair, person and what is behind in a model's pictures; None where there is none beside directions."""
    if "directions" not in find_card(model).companions:
        return None
    path, sha256 = find_companion(f"{model}-directions")
    return read_parts(read_weights(path, sha256=sha256)) if path.exists() else None


def write_directions(directions: Iterable[Direction], path: Path, *, parts: Parts | None = None) -> None:
    """Write directions as float16 with their descriptions in the header, and the generator's Parts."""
    entries, tensors = [], {}
    for direction in directions:
        entries.append(
            {key: getattr(direction, key) for key in (*_WHAT, "quality")},
        )
        tensors[f"{direction.id}.difference"] = direction.difference
        tensors[f"{direction.id}.normal"] = direction.normal
        if direction.classifier is not None:
            for name, value in direction.classifier.state_dict().items():
                tensors[f"{direction.id}.classifier.{name}"] = value
    tensors |= {} if parts is None else parts.tensors()
    halves = {name: value.detach().to(torch.float16).contiguous() for name, value in tensors.items()}
    write_file(save(halves, metadata={"directions": json.dumps(entries)}), path)  # save_file would hide it from others


def fingerprint_directions(model: str) -> str:
    """SHA-256 of those directions of a model that refining a face keeps (`Studio`'s edits): not of a face's own
    features, and not of what is known of how well they do. Raises as `load_directions`.
    """
    digest = hashlib.sha256()
    for direction in load_directions(model).values():
        if direction.region not in FACIAL:
            digest.update(json.dumps([getattr(direction, key) for key in _WHAT]).encode())
            for vectors in (direction.difference, direction.normal):
                digest.update(vectors.numpy().tobytes())
    return digest.hexdigest()


def record_quality(model: str, measured: Mapping[str, Mapping[str, Any]]) -> None:
    """Write into the header of a model's file what `evaluation.edits.measure_directions` found of each direction, and
    into its card the file's new SHA-256.
    """
    directions = load_directions(model)
    path, _ = find_companion(f"{model}-directions")
    renewed = [_with_quality(each, measured.get(each.id, {})) for each in directions.values()]
    write_directions(renewed, path, parts=load_parts(model))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    write_companion(model, "directions", {**find_card(model).companions["directions"], "sha256": sha256})


def _with_quality(direction: Direction, ways: Mapping[str, Any]) -> Direction:
    figures = ways.get("default", {})
    if not figures.get("faces"):
        return direction
    quality = {key: figures[key] for key in _QUALITY} | {"gender_drift": figures["changes"].get("gender")}
    if ways.get("plain", {}).get("faces"):
        quality["gender_drift_plain"] = ways["plain"]["changes"].get("gender")
    return replace(direction, quality=quality)


def _classifier(tensors: dict[str, torch.Tensor], name: str) -> LatentClassifier | None:
    prefix = f"{name}.classifier."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if not state:
        return None
    hidden, dim = state["layers.0.weight"].shape
    classifier = LatentClassifier(dim, hidden=hidden)
    classifier.load_state_dict(state)
    return classifier.eval().requires_grad_(False)
