"""`python -m facelab experiments NAME`: a paper's experiments on our own model, as a report with tables and figures."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from facelab.commands.console import JsonOption, ModelOption, answer, make_folder, say
from facelab.seeds import MAX_SEED


class Paper(str, Enum):
    """Papers whose experiments are here."""

    image2stylegan = "image2stylegan"


class Perceptual(str, Enum):
    """Whose features compare pictures."""

    discriminator = "discriminator"
    vgg16 = "vgg16"


def experiments(
    name: Annotated[Paper, typer.Argument(help="The paper.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for NAME.md, NAME.json and the figures; docs/NAME by default.", show_default=False),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Some of them, with commas between: spaces, loss-curves, transforms, defects, iterated, ablation, "
            "sizes, noise, distances, walk, morphs. The others stay in the report as an earlier run left them.",
            show_default="all",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, max=100_000, help="Of each search; the paper's are 5000.")] = 300,
    faces: Annotated[int, typer.Option(min=2, max=256, help="Faces drawn, and as many photos.")] = 4,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of aligned square faces: they count in the tables and are never shown."),
    ] = None,
    perceptual: Annotated[
        Perceptual, typer.Option(help="Whose features compare: vgg16 needs its weights in checkpoints/.")
    ] = Perceptual.discriminator,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Of the faces, the photos chosen and random starts.")
    ] = 1,
    model: ModelOption = "faces128",
    as_json: JsonOption = False,
) -> None:
    """Repeat a paper's experiments on our own model. Ctrl-C stops and leaves the report of what is finished."""
    from facelab.evaluation.machine import machine
    from facelab.experiments.image2stylegan import EXPERIMENTS, choose, head, run
    from facelab.experiments.lab import Lab
    from facelab.experiments.pictures import collect
    from facelab.experiments.results import Report
    from facelab.studio import best_device

    chosen = choose(only)
    folder = out or Path("docs") / name.value
    with _progress() as show:
        lab = Lab(model, steps=steps, seed=seed, perceptual=perceptual.value, device=best_device(), progress=show)
        pictures = collect(lab.generator, faces=faces, photos=photos, seed=seed)
        make_folder(folder)
        options = {"only": only, "steps": steps, "faces": faces, "photos": photos and "DATA"}
        options |= {"perceptual": perceptual.value, "seed": seed, "model": model}
        plain = {"perceptual": "discriminator", "model": "faces128"}
        given = [f"--{key} {value}" for key, value in options.items() if value is not None and value != plain.get(key)]
        command = " ".join(["python -m facelab experiments", name.value, *given])
        about = command, machine(), lab.card.sha256
        report = Report(name.value, head(lab, pictures), tuple(EXPERIMENTS), *about).with_earlier(folder)
        try:
            for number, result in enumerate(run(lab, pictures, chosen), 1):
                report = report.with_result(result)
                files = [str(path) for path in report.save(folder)]
                say(f"{result.title}: {result.seconds:.0f} s of processor time ({number} of {len(chosen)})")
        except KeyboardInterrupt:
            say(f"Stopped. {folder} keeps the experiments that are finished; `--only` runs the others.")
            raise
    answer({**report.as_dict(), "files": files}, as_json, "\n".join(files))


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr for the batch under way."""
    from tqdm import tqdm

    with tqdm(total=100, unit="%", file=sys.stderr, mininterval=0.5, dynamic_ncols=True, leave=False) as bar:

        def show(words: str, share: float) -> None:
            bar.set_description(words, refresh=False)
            bar.update(round(100 * share, 1) - bar.n)

        yield show


COMMANDS = {"experiments": experiments}
