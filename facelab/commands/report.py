"""`python -m facelab report`: models beside each other, as Markdown with figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from facelab.commands.console import JsonOption, answer, make_folder, open_studio
from facelab.seeds import MAX_SEED


def report(
    out: Annotated[Path, typer.Option(help="Folder for report.md and its pictures.")],
    models: Annotated[
        list[str] | None, typer.Option(help="A name that `models list` prints; repeatable. All by default.")
    ] = None,
    measure: Annotated[
        int,
        typer.Option(min=0, max=1024, help="Faces of each model to measure here and now; 0 for saved figures only."),
    ] = 0,
    mapped: Annotated[
        int, typer.Option(min=0, max=1000, help="Faces on each map of a latent space; 0 for none.")
    ] = 1000,
    method: Annotated[str, typer.Option(help="Of the maps: pca or tsne.")] = "pca",
    attribute: Annotated[str, typer.Option(help="CelebA's name of what colours the maps.")] = "Smiling",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the sample sheets.")] = 1,
    truncation: Annotated[float, typer.Option(min=0, max=1, help="Of the sample sheets.")] = 0.7,
    as_json: JsonOption = False,
) -> None:
    """Write a report that compares models: figures, sample sheets, losses and maps. No photo of anyone is in it."""
    from tqdm import tqdm

    from facelab.checkpoints.cards import catalogue, find_card
    from facelab.evaluation.report import Report, check_map, write_report
    from facelab.evaluation.table import as_json as table

    check_map(method, attribute)
    names = [find_card(name).name for name in models or catalogue()]
    studio = open_studio(names[0])
    make_folder(out)
    made, side = Report(), studio.comparable_side(names)
    options = {"seed": seed, "truncation": truncation, "mapped": mapped, "method": method, "attribute": attribute}
    jobs = [studio.of(name).measure(samples=measure, side=side) for name in names if measure]
    with tqdm(total=100, unit="%", file=sys.stderr, dynamic_ncols=True) as bar:
        for job in [*jobs, write_report(studio, names, made, **options)]:
            bar.reset()
            for step in job:
                bar.set_description(step.text, refresh=False)
                bar.update(round(100 * step.done / step.total, 1) - bar.n)
    files = [str(path) for path in made.save(out)]
    cards = [find_card(name) for name in names]
    answer({**table(cards, studio.compare(names)), "files": files}, as_json, "\n".join(files))


COMMANDS = {"report": report}
