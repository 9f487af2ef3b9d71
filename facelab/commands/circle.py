"""`python -m facelab circle` decode, edit, average, slerp, mix, neighbours, verify: ISTRC's sphere of identities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelab.commands.assignments import assignments_of, number_of
from facelab.commands.console import JsonOption, MarkOption, ModelOption, answer, names_of, open_studio, read_faces
from facelab.commands.results import (
    ANIMATIONS,
    FRAME_SIZE,
    FpsOption,
    FramesOption,
    Job,
    OutOption,
    Output,
    SizeOption,
)
from facelab.errors import BadSetting
from facelab.seeds import MAX_SEED

if TYPE_CHECKING:
    import numpy as np

    from facelab.face import Face
    from facelab.studio import Studio

circle_app = typer.Typer(
    help="Faces as vectors on the sphere of identities (ISTRC): edited there, and decoded by a generator.",
    no_args_is_help=True,
)
FaceArgument = Annotated[Path, typer.Argument(help="A FACE.npz, of any model.")]
FacesArgument = Annotated[list[Path], typer.Argument(help="FACE.npz files, of any models.")]


@circle_app.command()
def decode(
    face: FaceArgument,
    out: OutOption,
    model: ModelOption = "faces128",
    size: SizeOption = None,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """A face's vector through the mapping: what of the face the sphere knows, and what the classifiers say of it."""
    job = _Job(Output(out, size, mark=mark), [face], as_json, model)
    _no_film(out)
    job.finish(job.studio.close_circle(job.faces[0]), [{"op": "circle"}], **job.studio.identity(job.faces[0]))


@circle_app.command()
def edit(
    face: FaceArgument,
    setting: Annotated[str, typer.Option("--set", help="A feature and how far, such as smile=1 or beard=-1.")],
    out: OutOption,
    steps: Annotated[int, typer.Option(min=1, max=5000, help="Equal steps along the classifier's gradient.")] = 500,
    sure: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=0.9999,
            help="Go on until the classifier is this sure, such as 0.95, however far within --steps; of --set only the "
            "sign counts.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="A feature to hold, repeatable, or none; by default gender.")
    ] = None,
    carry: Annotated[
        bool, typer.Option("--carry", help="Give the change to the face's own latent, so that the rest stays.")
    ] = False,
    strip: Annotated[bool, typer.Option("--strip", help="A .png of the way, side by side.")] = False,
    model: ModelOption = "faces128",
    size: SizeOption = None,
    frames: FramesOption = 10,
    fps: FpsOption = 8,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Equal steps along a feature's gradient, back on the sphere after each; an animation or a strip shows the way."""
    from facelab.media import STRIP_PICTURES, save_animation

    name, sign, value = setting.partition("=")
    strength = number_of(value if sign else "1", f"--set {setting[:40]}")
    job = _Job(Output(out, size, frames, fps, mark=mark, strip=strip), [face], as_json, model)
    filmed = frames if strip or out.suffix in ANIMATIONS else 1
    options, figures = {"frames": filmed, "keep": names_of(keep), "carry": carry}, {}
    if sure is None:
        way = job.studio.circle_walk(job.faces[0], name.strip(), strength, steps=max(steps, filmed), **options)
    else:
        walked = job.studio.circle_until(job.faces[0], name.strip(), strength, sure=sure, most=steps, **options)
        way, strength = walked.faces, walked.strength
        figures = {"walked": walked.steps, "strength": round(strength, 2), "arrived": walked.arrived}
    step = {"op": "circle", "id": name.strip(), "strength": strength}
    if strip:
        save_animation(_drawn(job, way), out, **job.said([step]), mark=mark)
        job.report([step], frames=min(len(way), STRIP_PICTURES), **figures)
    else:
        told = {"frames": len(way)} if out.suffix in ANIMATIONS else {}
        job.finish(way[-1], [step], film=_drawn(job, way), **told, **figures)


@circle_app.command()
def average(
    faces: FacesArgument,
    out: OutOption,
    plain: Annotated[
        bool, typer.Option("--plain", help="The plain mean of the vectors instead, to see it collapse.")
    ] = False,
    model: ModelOption = "faces128",
    size: SizeOption = None,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """The mean of faces on the sphere; the plain mean's norm says how much of them would be left without it."""
    _no_film(out)
    job = _Job(Output(out, size, mark=mark), faces, as_json, model)
    mean = job.studio.circle_average(job.faces)
    figures = {"count": len(faces), "plain_norm": round(mean.norm, 4), "plain": plain}
    job.finish(mean.plain if plain else mean.face, [{"op": "average"}], **figures)


@circle_app.command()
def slerp(
    first: FaceArgument,
    second: FaceArgument,
    out: OutOption,
    t: Annotated[float, typer.Option(min=0, max=1, help="Where on the way: 0 the first, 1 the second.")] = 0.5,
    strip: Annotated[bool, typer.Option("--strip", help="A .png of the way, side by side.")] = False,
    model: ModelOption = "faces128",
    size: SizeOption = None,
    frames: FramesOption = 10,
    fps: FpsOption = 8,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """A face on the great circle between two; an animation or a strip shows the whole way."""
    from facelab.edits.interpolation import positions
    from facelab.media import STRIP_PICTURES, save_animation

    job = _Job(Output(out, size, frames, fps, mark=mark, strip=strip), [first, second], as_json, model)
    if strip or out.suffix in ANIMATIONS:
        way = job.studio.circle_between(*job.faces, positions(frames))
        save_animation(_drawn(job, way), out, fps=fps, **job.said([{"op": "slerp"}]), mark=mark)
        job.report([{"op": "slerp"}], frames=min(frames, STRIP_PICTURES) if out.suffix == ".png" else frames)
    else:
        job.finish(job.studio.circle_between(*job.faces, [t])[0], [{"op": "slerp", "t": t}])


@circle_app.command()
def mix(
    expression: Annotated[str, typer.Argument(help='Such as "A + B - C" or "0.5*A + 0.5*B".')],
    faces: Annotated[list[str], typer.Argument(help="The face of each letter, such as A=a.npz B=b.npz.")],
    out: OutOption,
    model: ModelOption = "faces128",
    size: SizeOption = None,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """A sum of faces, brought back to the sphere."""
    _no_film(out)
    named = assignments_of(faces, "A=a.npz")
    job = _Job(Output(out, size, mark=mark), [Path(path) for path in named.values()], as_json, model)
    result = job.studio.circle_mix(expression, dict(zip(named, job.faces, strict=True)))
    job.finish(result, [{"op": "mix"}])


@circle_app.command()
def neighbours(
    face: FaceArgument,
    out: Annotated[Path, typer.Option(help="A .png of all neighbours, in rows of nine.")],
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many; ISTRC shows 63.")] = 63,
    angle: Annotated[
        float, typer.Option(min=0, max=1, help="Radians from the face; strangers are about 0.58 apart.")
    ] = 0.15,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same faces.")] = 0,
    model: ModelOption = "faces128",
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Faces at an angle from one face, in random directions."""
    from facelab.media import contact_sheet, save_png

    if out.suffix != ".png":
        raise BadSetting(f"--out must end in .png; it is {out.name!r}.")
    job = _Job(Output(out, mark=mark), [face], as_json, model)
    near = job.studio.circle_neighbours(job.faces[0], count, angle=angle, seed=seed)
    sheet = contact_sheet(job.studio.render_many(near), columns=min(9, count))
    save_png(sheet, out, **job.said([{"op": "neighbour"}]), mark=mark)
    job.report([{"op": "neighbour"}], count=count, angle=angle)


@circle_app.command()
def verify(first: FaceArgument, second: FaceArgument, as_json: JsonOption = False) -> None:
    """Whether two faces are one person: by dlib's distance, and by the great circle between them."""
    faces = read_faces([first, second])
    found = open_studio(faces[0].latent.model).verify(*faces)
    figures = {
        "distance": round(found.distance, 4),
        "same_by_distance": found.same_by_distance,
        "angle": round(found.angle, 4),
        "same_by_angle": found.same_by_angle,
    }
    words = {True: "the same person", False: "two people"}
    answer(
        figures,
        as_json,
        f"distance {found.distance:.3f}: {words[found.same_by_distance]}\n"
        f"great circle {found.angle:.3f} rad: {words[found.same_by_angle]}",
    )


class _Job(Job):
    """A job whose faces may be of any model, and whose result is of the circle's."""

    def __init__(self, output: Output, paths: Sequence[Path], as_json: bool, model: str) -> None:
        super().__init__(output, paths, as_json)
        self.studio: Studio = open_studio(model)
        self.studio.circle  # noqa: B018 - a model without one is refused before anything is done


def _drawn(job: Job, way: Sequence[Face]) -> Iterator[np.ndarray]:
    return job.studio.render_each(way, job.output.size or FRAME_SIZE)


def _no_film(out: Path) -> None:
    if out.suffix in ANIMATIONS:
        raise BadSetting(f"--out must end in .npz or .png here; it is {out.name!r}.")
