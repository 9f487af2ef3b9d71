"""What commands share: how they open a studio, read faces, and answer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelab.errors import BadFaceFile, BadSetting

if TYPE_CHECKING:
    from tqdm import tqdm

    from facelab.edits.attributes import Direction
    from facelab.face import Face, Recipe
    from facelab.studio import Studio


class Space(str, Enum):
    """Latent spaces."""

    z = "z"
    w = "w"
    w_plus = "w+"


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
MarkOption = Annotated[bool, typer.Option("--mark", help='Write "made with AI" into the pictures.')]
DirectionOption = Annotated[
    list[Path] | None, typer.Option("--direction", help="A direction of one's own, as NAME.npz; repeatable.")
]
ModelOption = Annotated[str, typer.Option(help="A name that `models list` prints.")]


def open_studio(model: str) -> Studio:
    """A studio, its models not loaded yet. Raises UnknownModel."""
    from facelab.studio import Studio

    return Studio(model)


def read_faces(paths: Sequence[Path]) -> list[Face]:
    """Faces from their files. Raises BadFaceFile, naming the file, and OSError where there is none."""
    from facelab.face import Face

    faces = []
    for path in paths:
        try:
            with path.open("rb") as file:
                faces.append(Face.load(file))
        except BadFaceFile as error:
            raise BadFaceFile(f"{path.name}: {error}") from error
    return faces


def read_own_directions(paths: Sequence[Path] | None) -> dict[str, Direction]:
    """Directions of one's own from their files, by the name that --set gives them: the file's without its ending.

    Raises BadFaceFile, naming the file, and OSError where there is none.
    """
    from facelab.own_directions import load_direction

    directions = {}
    for path in paths or ():
        try:
            directions[path.stem] = load_direction(path)
        except BadFaceFile as error:
            raise BadFaceFile(f"{path.name}: {error}") from error
    return directions


def read_recipe_file(path: Path) -> Recipe:
    """The recipe in a file. Raises BadSetting where it holds none, and OSError where there is no file."""
    from facelab.recipes import read_recipe

    return read_recipe(path.read_text(encoding="utf-8", errors="replace"))


def names_of(keep: Sequence[str] | None) -> list[str] | None:
    """What --keep says: None where it is not given, which leaves it to each attribute; nothing for `none`."""
    return None if keep is None else [name for name in keep if name != "none"]


def make_folder(folder: Path) -> None:
    """Make the folder that --out needs. Raises BadSetting where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise BadSetting(f"{folder} is not a folder and cannot be made one. Choose another --out.") from cause
    if not os.access(folder, os.W_OK):
        raise BadSetting(f"Nothing can be written into {folder}. Choose another --out.")


def save_faces(faces: Sequence[Face], out: Path) -> list[Path]:
    """Write one face as NAME.npz, several as NAME-1.npz, NAME-2.npz and so on; returns where."""
    files = numbered(out, len(faces))
    for face, file in zip(faces, files, strict=True):
        face.save(file)
    return files


def numbered(out: Path, count: int) -> list[Path]:
    """Where `save_faces` writes so many faces."""
    return [out] if count == 1 else [out.with_stem(f"{out.stem}-{number}") for number in range(1, count + 1)]


def check_spared(out: Path, *inputs: Path | None) -> None:
    """Raise BadSetting where writing `out` would replace a file that the command reads; None is none."""
    for path in inputs:
        if path is not None and path.exists() and out.exists() and out.samefile(path):
            raise BadSetting(f"--out would write over {path.name}, which this command reads. Choose another --out.")


def answer(figures: dict[str, Any], as_json: bool, text: str) -> None:
    """Print the one JSON object, or the text, on stdout."""
    print(json.dumps(figures) if as_json else text)


def say(line: str) -> None:
    """Print a line on stderr."""
    print(line, file=sys.stderr)


def progress_bar(name: str, total: int, unit: str) -> tqdm:
    """A progress bar on stderr."""
    from tqdm import tqdm

    return tqdm(total=total, desc=name, unit=unit, file=sys.stderr, dynamic_ncols=True)
