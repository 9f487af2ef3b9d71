"""`python -m facelab` edit, direction, morph, crossover, average, combine, mix: faces in, one out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelab.commands.assignments import assignments_of, number_of
from facelab.commands.console import (
    DirectionOption,
    JsonOption,
    MarkOption,
    answer,
    check_spared,
    make_folder,
    names_of,
    open_studio,
    read_faces,
    read_own_directions,
)
from facelab.commands.results import (
    FRAME_SIZE,
    FpsOption,
    FramesOption,
    Job,
    OutOption,
    Output,
    RawOption,
    SizeOption,
)
from facelab.errors import BadSetting

if TYPE_CHECKING:
    from facelab.edits.attributes import Direction
    from facelab.studio import Studio


class Method(str, Enum):
    """How an attribute is changed."""

    linear = "linear"
    mean = "mean"
    gradient = "gradient"
    circle = "circle"


METHOD_HELP = (
    "linear: the tuned directions; mean: the plain difference of means; gradient: equal steps along a classifier's "
    "gradient; circle: on the sphere of identities."
)


class MorphSpace(str, Enum):
    """The space that a morph goes through."""

    z = "z"
    w = "w"
    w_plus = "w+"
    circle = "circle"


class MixSpace(str, Enum):
    """Where faces are averaged and summed, if not in their model's own space."""

    circle = "circle"


class Easing(str, Enum):
    """How a morph gets under way."""

    linear = "linear"
    smooth = "smooth"


class Way(str, Enum):
    """The path of a morph."""

    linear = "linear"
    spherical = "spherical"


FaceArgument = Annotated[Path, typer.Argument(help="A FACE.npz.")]
LayersOption = Annotated[
    str | None, typer.Option(help="Rows of w+, such as 6-11, or coarse, middle, fine, half, all; by default half.")
]

MixSpaceOption = Annotated[
    MixSpace | None, typer.Option(help="circle: on the sphere of identities; by default in the model's own space.")
]


def edit(
    face: FaceArgument,
    out: OutOption,
    settings: Annotated[
        list[str], typer.Option("--set", help="An attribute and its strength, such as smile=2 or age=-1; repeatable.")
    ],
    method: Annotated[Method, typer.Option(help=METHOD_HELP)] = Method.linear,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="An attribute to hold, repeatable, or none; by default what each asks for, with linear none."
        ),
    ] = None,
    direction: DirectionOption = None,
    layers: Annotated[str | None, typer.Option(help="Rows of w+ that move, such as 0-7 or middle.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Change the whole picture, not only each attribute's own place in it.")
    ] = False,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    raw: RawOption = False,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Change attributes of a face: smile, age, glasses and so on; --direction cap.npz --set cap=1 for one's own."""
    from facelab.face import Recipe
    from facelab.recipes import attribute_steps

    job = Job(Output(out, size, frames, fps, raw, mark), [face], as_json, beside=direction or ())
    rows = job.studio.rows_of(job.faces[0], layers or "")
    numbers, own = read_strengths(job.studio, settings, direction)
    how = {"method": method.value, "keep": names_of(keep), "rows": rows, "everywhere": everywhere}
    result = job.studio.edit(job.faces[0], numbers, own=own, **how)
    steps = attribute_steps(numbers, own, **how)
    recipe = Recipe(job.studio.card.name, tuple(steps))
    job.finish(result, steps, recipe={"version": recipe.version, "model": recipe.model, "steps": steps})


def direction(
    title: Annotated[str, typer.Argument(help="What the direction raises, such as Freckles.")],
    with_it: Annotated[list[Path], typer.Option("--with", help="A FACE.npz that has it; repeatable.")],
    without: Annotated[list[Path], typer.Option(help="A FACE.npz that lacks it; repeatable.")],
    out: Annotated[Path, typer.Option(help="NAME.npz; `edit --direction NAME.npz --set NAME=1` uses it.")],
    as_json: JsonOption = False,
) -> None:
    """Make a direction of one's own from faces with something and faces without it."""
    from facelab.own_directions import save_direction

    if out.suffix != ".npz":
        raise BadSetting(f"--out must end in .npz; it is {out.name!r}.")
    check_spared(out, *with_it, *without)
    make_folder(out.parent)
    some, others = read_faces(with_it), read_faces(without)
    made = open_studio(some[0].latent.model).new_direction(title, some, others)
    save_direction(made, out)
    figures = {"id": made.id, "title": made.title, "hash": made.hash, "model": made.model, "files": [str(out)]}
    answer(figures, as_json, str(out))


def morph(
    first: FaceArgument,
    second: FaceArgument,
    out: OutOption,
    t: Annotated[
        float, typer.Option(min=0, max=1, help="Where a face or a picture is taken: 0 first, 1 second.")
    ] = 0.5,
    easing: Annotated[Easing, typer.Option(help="linear, or smooth at both ends.")] = Easing.linear,
    there_and_back: Annotated[bool, typer.Option("--there-and-back", help="To the second face and back.")] = False,
    strip: Annotated[bool, typer.Option("--strip", help="A .png of ten pictures of the way, side by side.")] = False,
    path: Annotated[Way | None, typer.Option(help="By default spherical in z and linear elsewhere.")] = None,
    space: Annotated[
        MorphSpace | None,
        typer.Option(help="The space that the way goes through; by default the model's own. circle: of identities."),
    ] = None,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go from one face to another: a film, or one face in between."""
    from facelab.media import STRIP_PICTURES, save_animation

    job = Job(Output(out, size, frames, fps, mark=mark, strip=strip), [first, second], as_json)
    options = {"path": path and path.value, "space": space and space.value}
    _meet(job, space)
    between = job.studio.morph(*job.faces, t, **options)
    moving = {"frames": frames, "size": size or FRAME_SIZE, "easing": easing.value, "there_and_back": there_and_back}
    film = job.studio.morph_frames(*job.faces, **moving, **options)
    step = {"op": "morph", **_named(space), **({"t": t} if out.suffix in (".npz", ".png") and not strip else {})}
    if strip:
        save_animation(film, out, **job.said([step]), mark=mark)
        job.report([step], frames=min(frames, STRIP_PICTURES))
    else:
        job.finish(between, [step], film=film)


def crossover(
    content: FaceArgument,
    style: FaceArgument,
    out: OutOption,
    layers: LayersOption = None,
    strength: Annotated[float, typer.Option(help="0 keeps the content, 1 takes the style.")] = 1.0,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    raw: RawOption = False,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give a face the style of another: some layers from there, the others stay."""
    job = Job(Output(out, size, frames, fps, raw, mark), [content, style], as_json)
    rows = job.studio.rows_of(job.faces[0], layers or "half")
    result = job.studio.crossover(*job.faces, rows=rows, strength=strength)
    job.finish(result, [{"op": "crossover", "strength": strength}], rows=[rows.start, rows.stop])


def average(
    faces: Annotated[list[Path], typer.Argument(help="FACE.npz files.")],
    out: OutOption,
    weights: Annotated[
        str | None, typer.Option(help="A weight for each face, such as 2,1,1; by default alike.")
    ] = None,
    space: MixSpaceOption = None,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """The average of many faces."""
    job = Job(Output(out, size, frames, fps, mark=mark), faces, as_json)
    numbers = None if weights is None else [number_of(text, "--weights") for text in weights.split(",")]
    _meet(job, space)
    result = job.studio.average(job.faces, numbers, space=space and space.value)
    job.finish(result, [{"op": "average", **_named(space)}], count=len(faces))


def combine(
    first: FaceArgument,
    second: FaceArgument,
    out: OutOption,
    recoveries: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Recover both faces from so many starts first, and combine each pair; for models with one latent (z).",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each recovery; only with --recoveries.")] = 500,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """One face that has something of two."""
    job = Job(Output(out, size, frames, fps, mark=mark), [first, second], as_json)
    if recoveries is not None:
        from facelab.commands.recoveries import combine_recoveries

        combine_recoveries(job, count=recoveries, steps=steps)
        return
    job.finish(job.studio.combine(*job.faces), [{"op": "combine"}])


def mix(
    expression: Annotated[str, typer.Argument(help='Such as "A + B - C" or "0.5*A + 0.5*B".')],
    faces: Annotated[list[str], typer.Argument(help="The face of each letter, such as A=a.npz B=b.npz.")],
    out: OutOption,
    space: MixSpaceOption = None,
    size: SizeOption = None,
    frames: FramesOption = 60,
    fps: FpsOption = 20,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """A sum of faces."""
    from facelab.edits.arithmetic import parse

    weights = parse(expression)
    named = assignments_of(faces, "A=a.npz")
    job = Job(Output(out, size, frames, fps, mark=mark), [Path(path) for path in named.values()], as_json)
    _meet(job, space)
    result = job.studio.mix(expression, dict(zip(named, job.faces, strict=True)), space=space and space.value)
    job.finish(result, [{"op": "mix", **_named(space)}], weights=weights)


def read_strengths(
    studio: Studio, settings: Sequence[str], paths: Sequence[Path] | None
) -> tuple[dict[str, float], dict[str, Direction]]:
    """What --set says, by the ids of directions, and those of one's own among them by id, from --direction.

    Raises BadSetting for what is no number, and for a file with the name of one of the model's directions.
    """
    from facelab.own_directions import by_id

    named, mine = assignments_of(settings, "--set smile=2"), read_own_directions(paths)
    taken = sorted(set(mine) & set(studio.directions()))
    if taken:
        raise BadSetting(f"The model has a direction {taken[0]!r} already. Give the file {taken[0]}.npz another name.")
    ids = {name: each.id for name, each in mine.items()}
    numbers = {ids.get(name, name): number_of(text, f"--set {name}={text}") for name, text in named.items()}
    return numbers, by_id(mine.values())


COMMANDS = (edit, direction, morph, crossover, average, combine, mix)


def _meet(job: Job, space: Enum | None) -> None:
    """On the circle faces of any models meet, and what they make is of the model that decodes it."""
    if _named(space):
        job.studio = job.studio.decoder


def _named(space: Enum | None) -> dict[str, str]:
    """The circle, as a step names it."""
    return {"space": "circle"} if space is not None and space.value == "circle" else {}
