"""`python -m facelab papers`: the papers beside our models, as docs/papers.md with figures of generated faces."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from facelab.commands.console import JsonOption, answer, make_folder, open_studio


def papers(
    out: Annotated[Path, typer.Option(help="Folder for papers.md and papers/ with its pictures.")] = Path("docs"),
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Draw the pictures anew, or leave them as they are.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Write what the papers report beside what we measured: the models' cards and the figures that --save kept. Nothing
    is measured; what is missing is named with the command that measures it.
    """
    from tqdm import tqdm

    from facelab.evaluation.papers.report import read_page, write_page

    make_folder(out)
    text, shown = read_page(out)
    drawn = None
    if pictures:
        drawn = {}
        studio = open_studio(shown[0].model) if shown else None
        with tqdm(shown, unit="picture", file=sys.stderr, dynamic_ncols=True) as bar:
            for each in bar:
                bar.set_description(each.name)
                drawn[each.name] = each.draw(studio.of(each.model))
    files = [str(path) for path in write_page(out, text, drawn)]
    answer({"files": files, "pictures": [each.name for each in shown]}, as_json, "\n".join(files))


COMMANDS = {"papers": papers}
