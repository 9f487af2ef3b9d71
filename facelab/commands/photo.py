"""`python -m facelab` paste, import, project: edited faces back into their photo, latents of others, projects."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelab.commands.console import (
    DirectionOption,
    JsonOption,
    MarkOption,
    ModelOption,
    answer,
    check_spared,
    make_folder,
    numbered,
    open_studio,
    read_faces,
    read_own_directions,
    read_recipe_file,
    save_faces,
    say,
)
from facelab.errors import BadSetting

if TYPE_CHECKING:
    import numpy as np

project_app = typer.Typer(help="Faces with their recipes as one .facelab file.", no_args_is_help=True)
FacesArgument = Annotated[list[Path], typer.Argument(metavar="FACE.npz...", help="Faces, as embedding saved them.")]
ProjectArgument = Annotated[Path, typer.Argument(metavar="PROJECT.facelab")]


def paste(
    faces: FacesArgument,
    photo: Annotated[Path, typer.Option(help="The photo that the faces were cut out of.")],
    out: Annotated[Path, typer.Option(help="The edited photo, a PNG of the photo's size.")],
    recipe: Annotated[Path | None, typer.Option(help="Edits to be done to every face, as JSON.")] = None,
    edited: Annotated[
        list[Path] | None, typer.Option(help="What edits have made of a face, as FACE.npz; one --edited for each face.")
    ] = None,
    direction: DirectionOption = None,
    mark: MarkOption = False,
    model: ModelOption = "faces128",
    as_json: JsonOption = False,
) -> None:
    """Put edited faces back into their photo. What no edit reaches keeps its pixels exactly."""
    from facelab.media import Provenance, save_png
    from facelab.own_directions import by_id
    from facelab.photo import read_photo

    started = time.perf_counter()
    if out.suffix != ".png":
        raise BadSetting(f"--out must end in .png; it is {out.name!r}.")
    if (recipe is None) == (not edited):
        raise BadSetting("Say what is to be pasted: --recipe RECIPE.json, or one --edited FACE.npz for each face.")
    if edited and len(edited) != len(faces):
        raise BadSetting(f"{len(faces)} faces need as many --edited, not {len(edited)}.")
    check_spared(out, *faces, photo, recipe, *(edited or ()), *(direction or ()))
    make_folder(out.parent)
    studio, before, pixels = open_studio(model), read_faces(faces), read_photo(photo)
    own = by_id(read_own_directions(direction).values())
    after = read_faces(edited) if edited else [studio.apply(face, read_recipe_file(recipe), own) for face in before]
    result = studio.paste(pixels, list(zip(before, after, strict=True)))
    said = asdict(Provenance.of(*after, then=["paste"], into_photo=True))
    save_png(result, out, **said, mark=mark)
    figures = {
        "faces": len(before),
        "photo_size": list(pixels.shape[1::-1]),
        "changed": round(_changed(pixels, result), 6),
        "operations": said["operations"],
        "seconds": round(time.perf_counter() - started, 2),
        "files": [str(out)],
    }
    answer(figures, as_json, str(out))


def import_latents(
    latents: Annotated[Path, typer.Argument(help="w+ latents of --model, .npy as stylegan-encoder's or .pt as e4e's.")],
    out: Annotated[Path, typer.Option(help="FACE.npz; of several latents FACE-1.npz, FACE-2.npz and so on.")],
    model: ModelOption = "faces128",
    as_json: JsonOption = False,
) -> None:
    """Take in latents that other programs found for a model, as faces."""
    from facelab.importing import import_latents

    if out.suffix != ".npz":
        raise BadSetting(f"--out must end in .npz; it is {out.name!r}.")
    make_folder(out.parent)
    faces = import_latents(latents, open_studio(model).generator)
    for path in numbered(out, len(faces)):
        check_spared(path, latents)
    files = [str(path) for path in save_faces(faces, out)]
    answer({"count": len(faces), "model": model, "files": files}, as_json, "\n".join(files))


@project_app.command("save")
def save(
    target: ProjectArgument,
    faces: FacesArgument,
    recipe: Annotated[Path | None, typer.Option(help="Edits to be done to every face, as JSON.")] = None,
    direction: DirectionOption = None,
    model: ModelOption = "faces128",
    as_json: JsonOption = False,
) -> None:
    """Save faces, with the edits of a recipe and directions of one's own, as a project."""
    from facelab.face import Recipe, describe_step
    from facelab.history import MAX_VERSIONS
    from facelab.own_directions import by_id
    from facelab.project import Project, ProjectFace, SavedVersion
    from facelab.project_file import save_project

    if target.suffix != ".facelab":
        raise BadSetting(f"A project's name ends in .facelab; this is {target.name!r}.")
    check_spared(target, *faces, recipe, *(direction or ()))
    make_folder(target.parent)
    studio, read = open_studio(model), read_faces(faces)
    chosen = Recipe(model) if recipe is None else read_recipe_file(recipe)
    own = by_id(read_own_directions(direction).values())
    parts = [chosen.steps[:count] for count in range(1, len(chosen.steps) + 1)][-MAX_VERSIONS:]
    versions = tuple(SavedVersion(describe_step(steps[-1]), steps) for steps in parts)
    kept = []
    for path, face in zip(faces, read, strict=True):
        result = face if recipe is None else studio.apply(face, chosen, own)
        kept.append(ProjectFace(path.stem, face, studio.render(result), result, versions, len(versions), own))
    save_project(Project(tuple(kept), tuple(own.values())), target)
    answer({"faces": len(kept), "bytes": target.stat().st_size, "files": [str(target)]}, as_json, str(target))


@project_app.command("open")
def unpack(
    project: ProjectArgument,
    out: Annotated[Path, typer.Option(help="Folder for the faces, pictures and recipes.")],
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write what is in a project as files: NAME.npz, NAME-original.npz, NAME.png and NAME.json, the recipe.

    Directions of one's own become direction-NAME.npz, presets presets.json.
    """
    from facelab.files import write_file
    from facelab.media import Provenance, save_png
    from facelab.own_directions import save_direction
    from facelab.project_file import open_project

    opened = open_project(project)
    make_folder(out)
    files = []
    for number, kept in enumerate(opened.faces, 1):
        stem = f"{number:02}-{_file_name(kept.name)}"
        kept.result.save(out / f"{stem}.npz")
        files.append(f"{stem}.npz")
        if kept.recipe.steps:
            kept.base.save(out / f"{stem}-original.npz")
            write_file(kept.recipe.to_json().encode(), out / f"{stem}.json")
            files += [f"{stem}-original.npz", f"{stem}.json"]
        save_png(kept.thumbnail, out / f"{stem}.png", **asdict(Provenance.of(kept.result)), mark=mark)
        files.append(f"{stem}.png")
    for number, each in enumerate(opened.directions, 1):
        files.append(f"direction-{number:02}-{_file_name(each.title)}.npz")
        save_direction(each, out / files[-1])
    if opened.presets:
        files.append("presets.json")
        presets = [asdict(each) for each in opened.presets]
        write_file(json.dumps(presets, indent=1).encode(), out / files[-1])
    files = [str(out / name) for name in files]
    answer({"faces": len(opened.faces), "files": files}, as_json, "\n".join(files))


@project_app.command("show")
def show(project: ProjectArgument, as_json: JsonOption = False) -> None:
    """Say what is in a project."""
    from facelab.face import describe_step
    from facelab.project_file import open_project

    opened = open_project(project)
    faces = [
        {
            "name": kept.name,
            "model": kept.base.latent.model,
            "space": kept.base.latent.space,
            "photo": kept.base.crop is not None,
            "refined": kept.base.delta is not None,
            "steps": [describe_step(step) for step in kept.recipe.steps],
            "versions": [version.title for version in kept.versions],
        }
        for kept in opened.faces
    ]
    lines = [f"{face['name']}  ({face['model']}) {', '.join(face['steps']) or 'not edited'}" for face in faces]
    directions, presets = [each.title for each in opened.directions], [each.name for each in opened.presets]
    lines += [f"direction: {title}" for title in directions] + [f"preset: {name}" for name in presets]
    shown = {"program": opened.program, "models": opened.models, "faces": faces}
    answer({**shown, "directions": directions, "presets": presets}, as_json, "\n".join(lines))
    if not faces:
        say("This project is empty.")


def _changed(before: np.ndarray, after: np.ndarray) -> float:
    """The fraction of the photo's pixels that are not as they were."""
    return float((before != after).any(axis=2).mean())


def _file_name(name: str) -> str:
    """A name from a project, as a file of ours may be called."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")[:80] or "face"


COMMANDS = {"paste": paste, "import": import_latents}
