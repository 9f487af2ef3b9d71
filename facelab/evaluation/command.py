"""`python -m facelab evaluate`: a generator's faces beside real ones."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelab.errors import BadSetting

if TYPE_CHECKING:
    from facelab.evaluation.portraits import Portraits


def evaluate(
    model: Annotated[str, typer.Argument(help="A name that `models list` prints.")],
    data: Annotated[Path, typer.Option(help="Folder or zip of real aligned faces with a labels.csv.")],
    samples: Annotated[int, typer.Option(min=2, help="How many random faces to look at.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random faces.")] = 1,
    weights: Annotated[Path | None, typer.Option(help="Other weights of the same model, such as a run's.")] = None,
    train: Annotated[int, typer.Option(help="How many train faces give the floor; 0 leaves it out.")] = 0,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps what was seen in the real faces.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Compare random faces of a model with the val split of real ones, by dlib's eyes.

    Frechet distances of identity vectors and of landmark shapes (lower is nearer to real faces), and the share of
    samples in which dlib finds a face.
    """
    from facelab.checkpoints.cards import find_card
    from facelab.checkpoints.weights import build_networks, fill, load_model, part, read_weights
    from facelab.evaluation.metrics import as_shapes, frechet_distance
    from facelab.evaluation.portraits import draw_samples

    card = find_card(model)
    if weights is None:
        generator = load_model(model)[0]
    else:
        generator = build_networks(card)[0].eval().requires_grad_(False)
        fill(generator, part(read_weights(weights), "g."))
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    val = _real(data, "val", card.resolution, None, cache)
    drawn = _look("samples", draw_samples(generator, samples, seed=seed))

    def distances(one: Portraits) -> dict[str, float]:
        if min(one.found.sum(), val.found.sum()) < 2:
            raise BadSetting("dlib found fewer than two faces; there is nothing to compare.")
        shapes = [as_shapes(each.landmarks[each.found]) for each in (one, val)]
        return {
            "identity": round(frechet_distance(one.vectors[one.found], val.vectors[val.found]), 4),
            "shape": round(frechet_distance(*shapes), 5),
        }

    figures = {
        "model": model,
        "samples": samples,
        "frechet": distances(drawn),
        "found": round(float(drawn.found.mean()), 4),
        "found_val": round(float(val.found.mean()), 4),
        "machine": platform.machine(),
    }
    if train:
        figures["frechet_floor"] = distances(_real(data, "train", card.resolution, train, cache))
    print(json.dumps(figures) if as_json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


def _real(data: Path, split: str, resolution: int, count: int | None, cache: Path | None) -> Portraits:
    import tempfile

    from facelab.evaluation.portraits import Portraits
    from facelab.training.data import open_pictures

    kept = None if cache is None else cache / f"seen-{split}-{resolution}-{count or 'all'}.npz"
    if kept is not None and kept.exists():
        return Portraits.load(kept)
    with tempfile.TemporaryDirectory() as folder:
        images = open_pictures(data, resolution=resolution, cache=cache or Path(folder), split=split).images
        seen = _look(split, list(images[:count]))
    if kept is not None:
        seen.save(kept)
    return seen


def _look(name: str, images: list) -> Portraits:
    from tqdm import tqdm

    from facelab.evaluation.portraits import describe

    with tqdm(total=len(images), desc=name, unit="face", file=sys.stderr, dynamic_ncols=True) as bar:
        return describe(images, progress=bar.update)
