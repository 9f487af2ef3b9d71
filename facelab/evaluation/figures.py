"""What `evaluate` measures of one model: each function returns figures that can be printed, saved and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facelab.commands.console import make_folder, progress_bar, say
from facelab.errors import BadSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from facelab.edits.attributes import Direction
    from facelab.evaluation.embedding import Embedded
    from facelab.evaluation.portraits import Portraits
    from facelab.generators.base import Generator


FEWEST = 16  # faces whose shares say anything


def spread(total: int, count: int) -> list[int]:
    """At most `count` of `total` places, evenly far apart: by whole strides where there are two places for each, as all
    figures that are kept were measured.
    """
    count = min(count, total)
    if total >= 2 * count:
        return [place * (total // count) for place in range(count)]
    return [place * total // count for place in range(count)]


def measure_samples(
    model: str, data: Path, count: int, seed: int, weights: Path | None, train: int, copy_check: bool, cache: Path
) -> dict[str, Any]:
    """Random faces beside the val split: Frechet distances and the share in which dlib finds a face.

    count: how many, at least two. weights: others than the model's own, such as a run's. train: so many train faces
    give the floor; 0 leaves it out. copy_check: look for each sample's nearest train face, too. cache: folder that
    keeps what was seen in real faces. Raises BadSetting for fewer than two samples.
    """
    from facelab.evaluation.copies import copies
    from facelab.evaluation.judge import features, load_judge
    from facelab.evaluation.portraits import describe_split, draw_samples

    if count < 2:
        raise BadSetting("A comparison needs at least two samples.")
    generator = _generator(model, weights)
    val = real_faces(data, "val", generator.resolution, None, cache)
    pictures = draw_samples(generator, count, seed=seed)
    judged = _judged(data, "val", generator.resolution, None, cache)
    with progress_bar("samples", count, "face") as told:
        drawn = describe_split(pictures, cache=cache, name="samples", progress=told.update)
    figures: dict[str, Any] = {
        "samples": count,
        "frechet": _distances(drawn, val) | {"judge": _judge_distance(features(load_judge(), pictures), judged)},
        "found": round(float(drawn.found.mean()), 4),
        "found_val": round(float(val.found.mean()), 4),
    }
    if train:
        floor = _distances(real_faces(data, "train", generator.resolution, train, cache), val)
        seen = _judged(data, "train", generator.resolution, train, cache)
        figures["train"], figures["frechet_floor"] = train, floor | {"judge": _judge_distance(seen, judged)}
    if copy_check:
        trained = real_faces(data, "train", generator.resolution, None, cache)
        vectors = [each.vectors[each.found] for each in (drawn, val, trained)]
        figures["copies"] = copies(*vectors)
    return figures


def measure_weights(
    run: Path, model: str, data: Path, count: int, seed: int, every: int, cache: Path
) -> list[dict[str, str]]:
    """`measure_samples` of a run's weights, every so many of them: a row each, also kept in the run's folder.

    Those of a size from which the training has grown to the model's are left out, which is said: figures of two sizes
    are no curve. Raises BadSetting where all are of another size.
    """
    from facelab.checkpoints.cards import find_card
    from facelab.checkpoints.weights import read_weights
    from facelab.evaluation.curve import measure_run
    from facelab.training.growth import grown_to

    side, others = find_card(model).resolution, []

    def measure(weights: Path) -> dict[str, Any] | None:
        drawn = grown_to(read_weights(weights))
        if drawn not in (0, side):
            others.append(drawn)
            return None
        return measure_samples(model, data, count, seed, weights, 0, False, cache)

    rows = measure_run(run, measure, samples=count, seed=seed, every=every)
    if others:
        sizes = " and ".join(f"{size}" for size in sorted(set(others)))
        told = f"{len(others)} of the weight files in {run} draw {sizes} px, not the {side} px of {model}"
        if not rows:
            raise BadSetting(f"{told}, and no others are here. Name a model of their size.")
        say(f"{told}, as the training grew. They are left out.")
    return rows


def measure_runs(runs: list[Path], model: str, data: Path, count: int, seed: int, cache: Path) -> list[dict[str, Any]]:
    """The newest weights of several trainings of a model beside each other, a row each, by what the trainings differ in
    and `runs.measure_training`.
    """
    from facelab.evaluation.judge import load_judge
    from facelab.evaluation.runs import measure_training, newest
    from facelab.training.data import open_pictures

    rows, network = [], load_judge()
    for training in newest(runs):
        generator = _generator(model, training.weights)
        real = real_faces(data, "val", generator.resolution, None, cache)
        photos = open_pictures(data, resolution=generator.resolution, cache=cache, split="val").images
        with progress_bar(training.weights.parents[1].name, count, "face") as told:
            options = {"real": real, "photos": photos, "count": count, "seed": seed, "progress": told.update}
            rows.append(measure_training(training, generator, network, **options))
    return rows


def measure_eyes(data: Path, resolution: int, cache: Path) -> dict[str, Any]:
    """How well the judge and the reader see the val split, at the resolution of a model."""
    import numpy as np

    from facelab.evaluation.judge import load_judge
    from facelab.identity import load_reader
    from facelab.training.data import open_pictures
    from facelab.training.identity import agreement
    from facelab.training.judge import accuracy
    from facelab.training.labels import read_labels

    val = open_pictures(data, resolution=resolution, cache=cache, split="val")
    by_attribute = accuracy(load_judge(), val, read_labels(data, split="val"))
    means = {
        name: round(float(np.mean([each[name] for each in by_attribute.values()])), 4)
        for name in ("accuracy", "balanced")
    }
    seen = real_faces(data, "val", resolution, None, cache)
    return {"judge": means | {"attributes": by_attribute}, "reader": agreement(load_reader(), val, seen)}


def measure_embeddings(
    model: str,
    data: Path,
    count: int,
    space: str | None,
    steps: int,
    directions: bool,
    method: str,
    matrix: Path | None,
    cache: Path,
) -> dict[str, Any]:
    """`count` val portraits embedded: by stage and by group of people, and, with directions, what each changes in them.

    space: other than the preset's, without refining. steps: of a recovery, for models of one latent. method: of edits.
    matrix: where the picture of all changes goes, a PNG. Raises BadSetting for a space that the model has not, for
    directions where it has none, and for a method that these have not.
    """
    from facelab.evaluation.edits import look, measure_directions
    from facelab.evaluation.embedding import summarise
    from facelab.evaluation.groups import by_group, group_masks
    from facelab.evaluation.judge import load_judge
    from facelab.studio import Studio

    studio, network = Studio(model), load_judge()
    if directions:
        check_edits(studio.directions(), model, method, matrix)
    settings = studio.presets["fast" if studio.has_layers else "recover"]
    if studio.has_layers:
        if space not in (None, settings.space):  # it is measured beside the preset's, before any refining
            settings = replace(settings, space=space, refine=False)
    elif space not in (None, studio.generator.edit_space):
        raise BadSetting(f"{model} embeds into {studio.generator.edit_space} only. Leave out --space.")
    else:
        settings = replace(settings, steps=steps, preview_every=0)
    images, embedded = _embedded(data, studio, count, settings, cache)
    real = look(network, images)
    figures: dict[str, Any] = {
        "space": getattr(settings, "space", studio.generator.edit_space),
        "embedded": len(embedded),
        "embedding": summarise(embedded),
        "groups": by_group(embedded, real),
    }
    if not studio.has_layers:
        figures["steps"] = steps
    if directions:
        faces = [one.face for one in embedded]
        with progress_bar("directions", len(studio.directions()), "direction") as told:
            measured = measure_directions(
                studio, network, faces, images, method=method, groups=group_masks(real), progress=told.update
            )
        figures["method"], figures["directions"] = method, measured
        if matrix is not None:
            from facelab.evaluation.matrix import draw_matrix

            draw_matrix(measured, {name: each.title for name, each in studio.directions().items()}, matrix)
    return figures


def check_edits(known: Mapping[str, Direction], model: str, method: str, matrix: Path | None) -> None:
    """Raises BadSetting for what could not be measured or drawn, before an hour was spent on portraits."""
    if not known:
        raise BadSetting(f"{model} has no directions. Leave out --directions, or `train directions --model {model}`.")
    if method == "gradient" and (without := [each.title for each in known.values() if not each.classifier]):
        raise BadSetting(f"{', '.join(without)} of {model} cannot be walked along. Leave out --method gradient.")
    if matrix is not None:
        if matrix.suffix.lower() != ".png":
            raise BadSetting(f"--matrix writes a PNG: give it a name such as {matrix.with_suffix('.png').name}.")
        make_folder(matrix.parent)


def _embedded(
    data: Path, studio: Any, count: int, settings: Any, cache: Path
) -> tuple[list[np.ndarray], list[Embedded]]:
    from facelab.evaluation.embedding import embed_portraits
    from facelab.training.data import open_pictures

    pictures = open_pictures(data, resolution=studio.card.resolution, cache=cache, split="val").images
    chosen = [pictures[index] for index in spread(len(pictures), count)]
    with progress_bar("embedding", len(chosen), "face") as told:
        done = embed_portraits(chosen, model=studio.card.name, settings=settings, folder=cache, progress=told.update)
    return chosen, done


def _generator(model: str, weights: Path | None) -> Generator:
    from facelab.checkpoints.cards import find_card
    from facelab.checkpoints.weights import build_networks, fill, load_model, part, read_weights

    if weights is None:
        return load_model(model)[0]
    generator = build_networks(find_card(model))[0].eval().requires_grad_(False)
    fill(generator, part(read_weights(weights), "g."))
    return generator


def _distances(one: Portraits, other: Portraits) -> dict[str, float | None]:
    """None where dlib found fewer than two faces, as in what a training draws at its beginning."""
    from facelab.evaluation.metrics import as_shapes, frechet_distance

    if min(one.found.sum(), other.found.sum()) < 2:
        return {"identity": None, "shape": None}
    shapes = [as_shapes(each.landmarks[each.found]) for each in (one, other)]
    return {
        "identity": round(frechet_distance(one.vectors[one.found], other.vectors[other.found]), 4),
        "shape": round(frechet_distance(*shapes), 5),
    }


def _judge_distance(one: np.ndarray, other: np.ndarray) -> float:
    from facelab.evaluation.metrics import frechet_distance

    return round(frechet_distance(one, other), 4)


def _judged(data: Path, split: str, resolution: int, count: int | None, cache: Path) -> np.ndarray:
    """The judge's features of a split's portraits; seconds, so nothing is kept."""
    from facelab.evaluation.judge import features, load_judge
    from facelab.training.data import open_pictures

    return features(load_judge(), open_pictures(data, resolution=resolution, cache=cache, split=split).images[:count])


def real_faces(data: Path, split: str, resolution: int, count: int | None, cache: Path) -> Portraits:
    """What dlib sees in the first `count` faces of a split, kept in `cache`."""
    from facelab.evaluation.portraits import describe_split
    from facelab.training.data import open_pictures

    images = open_pictures(data, resolution=resolution, cache=cache, split=split).images[:count]
    with progress_bar(split, len(images), "face") as told:
        return describe_split(images, cache=cache, name=split, progress=told.update)
