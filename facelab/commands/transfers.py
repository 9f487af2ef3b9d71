"""`python -m facelab` stylise and express: a face, and what it takes from pictures or from other faces."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from facelab.commands.console import JsonOption, MarkOption, say
from facelab.commands.edits import FaceArgument
from facelab.commands.results import FpsOption, FramesOption, Job, OutOption, Output, RawOption, SizeOption


class Features(str, Enum):
    """Whose features see a style."""

    discriminator = "discriminator"
    vgg16 = "vgg16"


def stylise(
    face: FaceArgument,
    style: Annotated[Path, typer.Argument(help="Any picture; its colours and texture are taken.")],
    out: OutOption,
    steps: Annotated[int, typer.Option(help="How long the style is searched for.")] = 80,
    content_weight: Annotated[float, typer.Option(help="More keeps the face, less takes the style.")] = 0.15,
    layers: Annotated[
        str | None, typer.Option(help="Free rows of w+, such as 4-11; by default all but 0 and 1.")
    ] = None,
    features: Annotated[
        Features | None,
        typer.Option(help="Whose features compare styles; by default VGG-16's where its weights are in checkpoints/."),
    ] = None,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    raw: RawOption = False,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give a face the style of any picture. Ctrl-C stops and keeps what was found."""
    from tqdm import tqdm

    from facelab.photo import read_photo
    from facelab.stylising import StyliseSettings

    job = Job(Output(out, size, frames, fps, raw, mark), [face], as_json, beside=[style])
    rows = job.studio.rows_of(job.faces[0], layers or "")
    span = None if rows is None else (rows.start, rows.stop)
    chosen = {"steps": steps, "content_weight": content_weight, "features": features and features.value}
    settings = StyliseSettings(**chosen, rows=span, preview_every=0)
    pixels, step = read_photo(style), None
    try:
        with tqdm(total=steps, file=sys.stderr, unit="step", mininterval=0.5, dynamic_ncols=True) as bar:
            for step in job.studio.stylise(job.faces[0], pixels, settings):
                bar.set_postfix(style=f"{step.losses['style']:.3f}", refresh=False)
                bar.update()
    except KeyboardInterrupt:
        if step is None:
            raise
        say(f"Stopped at step {step.step}; keeping what was found.")
    done = {"op": "stylise", "rows": list(step.rows)}
    losses = {name: round(loss, 5) for name, loss in step.losses.items()}
    seen_by = settings.features or job.studio.style_features
    job.finish(job.studio.stylised(job.faces[0], step), [done], step=step.step, losses=losses, features=seen_by)


def express(
    target: FaceArgument,
    neutral: FaceArgument,
    expressive: FaceArgument,
    out: OutOption,
    strength: Annotated[float, typer.Option(help="How much of the expression; minus turns it around.")] = 1.0,
    threshold: Annotated[
        float | None, typer.Option(min=0, help="Leave out rows that differ by less than this part of a usual distance.")
    ] = None,
    normalise: Annotated[
        bool, typer.Option("--normalise/--no-normalise", help="One intensity, whatever the two source faces.")
    ] = True,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Change the whole picture, as in the paper, not only the face in it.")
    ] = False,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    raw: RawOption = False,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give a face the expression by which two faces of somebody differ."""
    from facelab.edits.expression import THRESHOLD

    job = Job(Output(out, size, frames, fps, raw, mark), [target, neutral, expressive], as_json)
    threshold = THRESHOLD if threshold is None else threshold
    how = {"threshold": threshold, "normalise": normalise, "everywhere": everywhere}
    result = job.studio.express(*job.faces, strength=strength, **how)
    job.finish(result, [{"op": "express", "strength": strength}], **how)


COMMANDS = (stylise, express)
