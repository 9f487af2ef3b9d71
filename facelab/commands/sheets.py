"""`python -m facelab` walk, crossover-grid, neighbours, sample: many faces at once, in one picture or as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facelab.commands.console import (
    JsonOption,
    MarkOption,
    ModelOption,
    answer,
    check_spared,
    make_folder,
    names_of,
    numbered,
    open_studio,
    save_faces,
)
from facelab.commands.edits import FaceArgument, LayersOption
from facelab.commands.results import FRAME_SIZE, FpsOption, Job, Output, SizeOption, check_pixels
from facelab.errors import BadSetting
from facelab.seeds import MAX_SEED

COLUMNS = 9  # of neighbours, as ISTRC shows them
SheetOption = Annotated[
    Path,
    typer.Option(help="A .png of all; or .npz for the faces: NAME-1.npz and so on, NAME.npz of one."),
]
SideOption = Annotated[
    int | None, typer.Option("--size", min=16, max=1024, help="Side of each picture in pixels; by default the model's.")
]
SeedOption = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same faces.")]


def walk(
    face: FaceArgument,
    attribute: Annotated[str, typer.Option(help="What changes along the way, such as smile.")],
    out: Annotated[
        Path, typer.Option(help=".png a strip of the pictures, .gif, .mp4 or .webp a film, .npz the face at the end.")
    ],
    reach: Annotated[float, typer.Option(help="How far it goes, as a strength of `edit`; minus the other way.")] = 2.0,
    steps: Annotated[int, typer.Option(min=1, max=5000, help="Equal steps along the classifier's gradient.")] = 500,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="An attribute to hold, repeatable, or none; by default what the attribute asks for."),
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Rows of w+ that move, such as 0-7 or middle.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Change the whole picture, not only the attribute's own place in it.")
    ] = False,
    size: SizeOption = None,
    frames: Annotated[int, typer.Option(min=1, max=600, help="Pictures on the way, beside the face itself.")] = 10,
    fps: FpsOption = 8,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Walk from a face along an attribute's gradient: a strip of the pictures on the way, or a film."""
    from facelab.media import filmstrip, save_animation, save_png

    job = Job(Output(out, size, frames, fps, mark=mark, strip=out.suffix == ".png"), [face], as_json)
    rows = job.studio.rows_of(job.faces[0], layers or "")
    how = {"frames": frames, "steps": steps, "keep": names_of(keep), "rows": rows, "everywhere": everywhere}
    way = job.studio.walk(job.faces[0], attribute, reach, **how)
    done = [{"op": "walk", "id": attribute, "strength": reach}]
    if out.suffix == ".npz":
        way[-1].save(out)
    elif out.suffix == ".png":
        strip = filmstrip(job.studio.render_many(way, size or FRAME_SIZE), len(way))
        save_png(strip, out, **job.said(done), mark=mark)
    else:
        save_animation(job.studio.render_each(way, size or FRAME_SIZE), out, fps=fps, **job.said(done), mark=mark)
    job.report(done, frames=len(way))


def crossover_grid(
    contents: Annotated[list[Path], typer.Option("--content", help="A FACE.npz that gets a row; repeatable.")],
    styles: Annotated[list[Path], typer.Option("--style", help="A FACE.npz that gets a column; repeatable.")],
    out: Annotated[Path, typer.Option(help="The grid, a .png.")],
    layers: LayersOption = None,
    strength: Annotated[float, typer.Option(help="0 keeps the content, 1 takes the style.")] = 1.0,
    size: SideOption = None,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Every content in every style: a grid with the contents before its rows and the styles above its columns."""
    from facelab.media import framed_sheet, save_png

    _check_ending(out, ".png")
    job = Job(Output(out, size, mark=mark), [*contents, *styles], as_json)
    check_pixels(len(contents) * len(styles), size or job.studio.card.resolution)
    sides, heads = job.faces[: len(contents)], job.faces[len(contents) :]
    rows = job.studio.rows_of(job.faces[0], layers or "half")
    grid = job.studio.crossover_grid(sides, heads, rows=rows, strength=strength, size=size)
    before, above = job.studio.render_many(sides, size), job.studio.render_many(heads, size)
    sheet = framed_sheet([picture for row in grid for picture in row], heads=above, sides=before)
    done = [{"op": "crossover", "strength": strength}]
    save_png(sheet, out, **job.said(done), mark=mark)
    job.report(done, rows=[rows.start, rows.stop], contents=len(sides), styles=len(heads))


def neighbours(
    face: FaceArgument,
    out: SheetOption,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many; ISTRC shows 63.")] = 63,
    radius: Annotated[
        float, typer.Option(min=0, max=2, help="0 is the face itself, 1 as different as random faces are.")
    ] = 0.25,
    seed: SeedOption = 0,
    size: SideOption = None,
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Faces that look much like one face: small noise on its latent."""
    from facelab.media import contact_sheet, save_png

    _check_ending(out, ".png", ".npz")
    job = Job(Output(out, size, mark=mark), [face], as_json)
    for path in numbered(out, count):
        check_spared(path, face)
    if out.suffix == ".png":
        check_pixels(count, size or job.studio.card.resolution)
    near = job.studio.neighbours(job.faces[0], count, radius=radius, seed=seed)
    done, files = [{"op": "neighbour"}], [out]
    if out.suffix == ".npz":
        files = save_faces(near, out)
    else:
        sheet = contact_sheet(job.studio.render_many(near, size), columns=min(COLUMNS, count))
        save_png(sheet, out, **job.said(done), mark=mark)
    job.report(done, files=files, count=count, radius=radius, seed=seed)


def sample(
    out: SheetOption,
    count: Annotated[int, typer.Option(min=1, max=1024, help="How many faces.")] = 16,
    seed: SeedOption = 1,
    truncation: Annotated[float, typer.Option(min=0, max=1, help="0 the mean face, 1 the full variety.")] = 0.7,
    model: ModelOption = "faces128",
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw random faces."""
    from facelab.media import contact_sheet, save_png

    _check_ending(out, ".png", ".npz")
    make_folder(out.parent)
    studio, files = open_studio(model), [out]
    faces, pictures = zip(*studio.sample(count, seed=seed, truncation=truncation), strict=True)
    if out.suffix == ".npz":
        files = save_faces(faces, out)
    else:
        save_png(contact_sheet(pictures), out, model=studio.card.name, operations=["sample"], mark=mark)
    written = [str(path) for path in files]
    answer({"count": count, "seed": seed, "truncation": truncation, "files": written}, as_json, "\n".join(written))


COMMANDS = (walk, crossover_grid, neighbours, sample)


def _check_ending(out: Path, *endings: str) -> None:
    if out.suffix not in endings:
        raise BadSetting(f"--out must end in {' or '.join(endings)}; it is {out.name!r}.")
