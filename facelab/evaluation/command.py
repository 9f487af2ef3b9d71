"""`python -m facelab evaluate`: a generator's faces beside real ones, its embeddings and its edits."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from facelab.commands.console import Space, check_spared
from facelab.edits.attributes import DEFAULT_METHOD, METHODS
from facelab.errors import BadSetting
from facelab.evaluation.figures import (
    FEWEST,
    measure_embeddings,
    measure_eyes,
    measure_runs,
    measure_samples,
    measure_weights,
)
from facelab.seeds import MAX_SEED

SAMPLED = ("samples", "frechet", "train", "frechet_floor", "found", "found_val", "copies")  # of `measure_samples`
FACES = 200  # of val that are edited on the circle
EMBEDDED = 200  # and of those that --directions embeds and edits, unless --embed says how many
TIMED = 128  # portraits that go round the circle while its speed is taken


def evaluate(
    models: Annotated[list[str], typer.Argument(help="Names that `models list` prints; several are compared.")],
    data: Annotated[Path, typer.Option(help="Folder or zip of real aligned faces; its labels.csv says which are val.")],
    samples: Annotated[int, typer.Option(min=0, help="How many random faces to look at; 0 for none.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the random faces.")] = 1,
    side: Annotated[
        int, typer.Option(min=0, help="Side in pixels at which models are compared; 0 for the smallest one's.")
    ] = 0,
    reconstruct: Annotated[
        int, typer.Option(min=0, help="Of a comparison: how many val faces go into each model and back.")
    ] = 0,
    steps: Annotated[
        int, typer.Option(min=1, help="Of latent recovery, by which models with one latent embed and reconstruct.")
    ] = 1000,
    add: Annotated[
        bool, typer.Option("--add", help="Of a comparison: leave out what is saved of these weights.")
    ] = False,
    save: Annotated[
        bool, typer.Option("--save", help="Keep the figures beside the models, for the page, reports and papers.")
    ] = False,
    weights: Annotated[Path | None, typer.Option(help="Other weights of the same model, such as a run's.")] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            help="A training's folder: all its weights, as quality.csv and quality.png there. Several: the "
            "newest weights of each, beside each other."
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Of --run: the last weights, and only every so many files before them.")
    ] = 1,
    train: Annotated[int, typer.Option(min=0, help="How many train faces give the floor; 0 leaves it out.")] = 0,
    copies: Annotated[bool, typer.Option("--copies", help="Whether samples come too near to train faces.")] = False,
    eyes: Annotated[bool, typer.Option("--eyes", help="How well the judge and the reader see on val.")] = False,
    embed: Annotated[int, typer.Option(min=0, help="How many val faces to embed.")] = 0,
    space: Annotated[
        Space | None, typer.Option(help="Of --embed: the latent space; any but the preset's goes unrefined.")
    ] = None,
    directions: Annotated[
        bool,
        typer.Option("--directions", help=f"Edit the embedded faces, without --embed {EMBEDDED}, by every direction."),
    ] = False,
    method: Annotated[str, typer.Option(help="Of the edits: linear, mean or gradient.")] = DEFAULT_METHOD,
    matrix: Annotated[Path | None, typer.Option(help="PNG of what each direction changes besides.")] = None,
    circle: Annotated[
        bool, typer.Option("--circle", help="Measure ISTRC's circle through this model instead; no samples.")
    ] = False,
    faces: Annotated[
        int, typer.Option(min=0, help="Of --circle: how many val faces are edited; 0 to see how fast it is instead.")
    ] = FACES,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps what was seen in real faces.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Compare a model with the val split of real faces, by dlib and by a judge that it was not trained by; or
    several models with each other, at one size.

    Samples: Frechet distances of dlib's identity vectors, of landmark shapes and of the judge's features (lower is
    nearer to real faces), and the share in which dlib finds a face. Embeddings: likeness and PSNR, also by groups of
    people. Directions: how often the judge sees the attribute change, how many stay themselves, and what else changes.
    """
    from facelab.checkpoints.cards import find_card
    from facelab.evaluation.measured import weights_of

    embed = embed or (EMBEDDED if directions else 0)
    if circle and 0 < faces < FEWEST:
        raise BadSetting(f"--circle needs --faces of at least {FEWEST}, or 0 to see only how fast it is.")
    if save and (weights is not None or eyes):
        raise BadSetting("--save keeps figures of the model as it ships. Leave out --weights and --eyes.")
    if save and method != DEFAULT_METHOD:
        raise BadSetting(f"--save keeps the figures of the method {DEFAULT_METHOD}. Leave out --save or --method.")
    if method not in METHODS:
        raise BadSetting(f"--method must be one of {', '.join(METHODS)}, not {method[:20]!r}.")
    if matrix is not None:
        check_spared(matrix, data, weights)
    of_one = circle or embed or run or train or copies
    comparing = bool(len(models) > 1 or side or reconstruct or (save and not of_one))
    sampling = bool(samples and not (comparing or run or circle))
    _check_used(
        {
            "--run, --circle, --eyes, --embed": (run or circle or eyes or embed, not comparing),
            "--weights": (weights, (sampling or circle) and not embed and not run and not comparing),
            "--train, --copies": (train or copies, sampling),
            "--every": (every > 1, run and len(run) == 1),
            "--faces": (faces != FACES, circle),
            "--space": (space, embed),
            "--matrix": (matrix, directions),
            "--method": (method != DEFAULT_METHOD, directions),
            "--add": (add, comparing),
        },
        "a comparison of models" if comparing else "what is measured here",
    )
    if comparing:
        from facelab.evaluation.side_by_side import as_table, compare_models

        with tempfile.TemporaryDirectory() as folder:
            made = compare_models(
                models,
                data,
                count=samples,
                seed=seed,
                side=side,
                faces=reconstruct,
                steps=steps,
                add=add,
                save=save,
                cache=cache or Path(folder),
            )
        if save:
            made.save()
        rows = [asdict(row) for row in made.rows]
        print(json.dumps({"samples": made.samples, "side": made.side, "rows": rows}) if as_json else as_table(rows))
        return
    (model,) = models
    before = weights_of(model)  # another command may publish while this one measures
    figures: dict[str, Any] = {"model": model, "resolution": find_card(model).resolution}
    with tempfile.TemporaryDirectory() as folder:
        keep = cache or Path(folder)
        if run and len(run) > 1:
            figures["runs"] = measure_runs(run, model, data, samples, seed, keep)
        elif run:
            figures["run"] = measure_weights(run[0], model, data, samples, seed, every, keep)
        elif samples and not circle:
            figures |= measure_samples(model, data, samples, seed, weights, train, copies, keep)
        if eyes:
            figures |= measure_eyes(data, figures["resolution"], keep)
        if embed:
            chosen = space and space.value
            figures |= measure_embeddings(model, data, embed, chosen, steps, directions, method, matrix, keep)
        if circle:
            from facelab.evaluation.circle_report import evaluate_circle, time_circle

            measure = evaluate_circle if faces else time_circle
            figures["circle"] = measure(model, data, count=faces or TIMED, weights=weights, cache=keep)
    if save:
        _save(model, figures, before, samples=samples, seed=seed, faces=faces, every=every)
    print(json.dumps(figures) if as_json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


def _check_used(options: dict[str, tuple[Any, Any]], what: str) -> None:
    """Raise BadSetting for options that were given, the first of a pair, where they count for nothing, the second."""
    unused = [names for names, (given, counts) in options.items() if given and not counts]
    if unused:
        raise BadSetting(f"{', '.join(unused)} would count for nothing in {what}. Leave out what is not of it.")


def _save(
    model: str, figures: dict[str, Any], weights: dict[str, str], *, samples: int, seed: int, faces: int, every: int
) -> None:
    """Keep what was measured of one model, each kind with the command that measures it. weights: with which."""
    from facelab.checkpoints.cards import EYES, JUDGE, READER, find_card
    from facelab.checkpoints.directions import record_quality
    from facelab.evaluation.measured import embedding_kind, keep, stated_sha256

    said = f"evaluate {model} --data DATA"
    embedding = ""
    if "embedding" in figures:
        embedding = f" --embed {figures['embedded']}"
        embedding += f" --steps {figures['steps']}" if "steps" in figures else ""
        embedding += f" --space {figures['space']}"
    if "frechet" in figures:
        kept = {name: figures[name] for name in SAMPLED if name in figures}
        command = f"{said} --samples {samples} --seed {seed}"
        command += f" --train {figures['train']}" if "train" in figures else ""
        command += " --copies" * ("copies" in figures)
        if not {"train", "copies"} & figures.keys():  # without any of these it would be a comparison of models
            command += embedding
        command += " --save"
        keep("samples", model, kept, command=command, eyes=[JUDGE], weights=weights)
    if "run" in figures:
        sparse = f" --every {every}" if every > 1 else ""
        command = f"{said} --samples {samples} --seed {seed} --run RUN{sparse} --save"
        keep("run", model, {"rows": figures["run"]}, command=command, eyes=[JUDGE], weights=weights)
    if "runs" in figures:
        command = f"{said} --samples {samples} --seed {seed}{' --run RUN' * len(figures['runs'])} --save"
        keep("runs", model, {"rows": figures["runs"]}, command=command, eyes=[JUDGE], weights=weights)
    if "embedding" in figures:
        space, command = figures["space"], f"{said} --samples 0{embedding}"
        edited = "directions" in find_card(model).companions  # a conditional model's are its own conditions
        if edited and "directions" in figures:
            record_quality(model, figures["directions"])
            name = f"{model}-directions"
            weights = {**weights, name: stated_sha256(name)}  # the same ones, with their figures
        kept = {name: figures[name] for name in ("space", "embedded", "embedding", "groups")}
        using = ["encoder", *(["directions"] if edited and space == "w+" else [])]  # refining sees to edits in w+
        told = {"command": f"{command} --save", "using": using, "eyes": EYES}  # the groups are the judge's
        keep(embedding_kind(space), model, kept, **told, weights=weights)
        if "directions" in figures:
            kept = {name: figures[name] for name in ("space", "embedded", "method", "directions")}
            command += f" --directions --method {figures['method']} --save"
            using = ["encoder", "directions"]
            keep("directions", model, kept, command=command, using=using, eyes=EYES, weights=weights)
    if "circle" in figures:
        command = f"{said} --circle --faces {faces} --save"
        keep(
            "circle" if faces else "circle-speed",
            model,
            figures["circle"],
            command=command,
            using=["circle"],
            eyes=EYES if faces else [READER],
            weights=weights,
        )
