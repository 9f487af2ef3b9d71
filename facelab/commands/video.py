"""`python -m facelab video`: an edit on every frame of a short clip."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelab.commands.console import (
    DirectionOption,
    JsonOption,
    ModelOption,
    answer,
    check_spared,
    make_folder,
    names_of,
    open_studio,
    read_own_directions,
    read_recipe_file,
)
from facelab.commands.edits import METHOD_HELP, Method, read_strengths
from facelab.errors import BadSetting

if TYPE_CHECKING:
    from facelab.video import ClipStep


def video(
    clip: Annotated[Path, typer.Argument(help="MP4, MOV, WebM, MKV, AVI or GIF of up to 20 seconds and 100 MB.")],
    out: Annotated[Path, typer.Option(help="The edited clip, an .mp4 with the clip's sound.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="An attribute and its strength, such as smile=2 or age=-1; repeatable."),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Or edits as JSON.")] = None,
    method: Annotated[Method, typer.Option(help=f"Of --set. {METHOD_HELP}")] = Method.linear,
    keep: Annotated[list[str] | None, typer.Option(help="Of --set: an attribute to hold, repeatable, or none.")] = None,
    direction: DirectionOption = None,
    face: Annotated[int, typer.Option(min=1, help="Which face; 1 is seen largest and longest.")] = 1,
    mark: Annotated[bool, typer.Option("--mark", help='Write "made with AI" into the frames.')] = False,
    model: ModelOption = "faces128",
    as_json: JsonOption = False,
) -> None:
    """Do an edit to one face of a short clip, without flicker. Where the face is not seen, frames stay as they are."""
    from facelab.clips import read_clip
    from facelab.face import Recipe
    from facelab.files import write_file
    from facelab.own_directions import by_id
    from facelab.recipes import attribute_steps
    from facelab.video import film_clip

    started = time.perf_counter()
    if out.suffix != ".mp4":
        raise BadSetting(f"--out must end in .mp4; it is {out.name!r}.")
    if (recipe is None) == (not settings):
        raise BadSetting("Say what is to be done: --set smile=2, or --recipe RECIPE.json.")
    check_spared(out, clip, recipe, *(direction or ()))
    studio, footage = open_studio(model), read_clip(clip)
    if recipe is None:
        strengths, own = read_strengths(studio, settings, direction)
        edit = Recipe(model, tuple(attribute_steps(strengths, own, method=method.value, keep=names_of(keep))))
    else:
        edit, own = read_recipe_file(recipe), by_id(read_own_directions(direction).values())
    make_folder(out.parent)
    count, faces, operations = 0, 0, []
    for step in _shown(film_clip(studio.edit_clip(footage, edit, others=own, face=face), footage, mark=mark)):
        count += step.frame is not None
        faces = len(step.tracks) or faces
        if step.face is not None:
            operations = [*step.face.operations, "clip"]
    write_file(step.film, out)
    figures = {
        "frames": count,
        "fps": footage.fps,
        "size": list(footage.size),
        "faces": faces,
        "face": face,
        "sound": step.sound,
        "model": studio.card.name,
        "operations": operations,
        "seconds": round(time.perf_counter() - started, 2),
        "bytes": len(step.film),
        "files": [str(out)],
    }
    answer(figures, as_json, str(out))


def _shown(steps: Iterable[ClipStep]) -> Iterator[ClipStep]:
    """The steps, with a bar on stderr."""
    from tqdm import tqdm

    with tqdm(total=100, unit="%", file=sys.stderr, mininterval=0.5, dynamic_ncols=True) as bar:
        for step in steps:
            bar.set_description(step.phase, refresh=False)
            bar.update(round(100 * step.fraction(), 1) - bar.n)
            yield step


COMMANDS = {"video": video}
