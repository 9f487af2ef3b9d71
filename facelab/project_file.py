"""One person's work as one file: NAME.facelab, a zip of faces, recipes and thumbnails that is read without running it.

`project.json` names everything else: {"format": "facelab-project", "version": 2, "program": ..., "models": {name:
sha256}, "faces": [{"name", "base", "versions": [{"title", "steps"}], "at", "result", "others", "thumbnail"}],
"directions": [...], "presets": [{"name", "strengths"}]}. Faces and directions of one's own lie in it as .npz (stored:
these are compressed already) and thumbnails as PNG. The photos themselves are not in it, only the crops. Version 1 had
neither directions nor presets, and of each face's history the last recipe with its "titles".
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

import facelab
from facelab.edits.attributes import Direction
from facelab.errors import BadFaceFile, BadProject, BadSetting
from facelab.face import MAX_FACE_FILE_BYTES, Face
from facelab.files import write_file
from facelab.history import MAX_VERSIONS
from facelab.names import clean_name
from facelab.own_directions import MAX_DIRECTION_BYTES, by_id, load_direction, save_direction
from facelab.project import NAME_LENGTH, Preset, Project, ProjectFace, SavedVersion
from facelab.recipes import MAX_STEPS, MAX_WALKED, read_recipe, walked

PROJECT_FORMAT, PROJECT_VERSION = "facelab-project", 2
MAX_PROJECT_BYTES = 2**30  # of the file, and of all that it unpacks to
MAX_PROJECT_FACES = 500
MAX_PROJECT_WALKED = 1_000_000  # small steps of all walks that opening it takes again: less than an hour of a device
MAX_MANIFEST_BYTES = 32 * 2**20  # a long history of each face of a full library takes about as much
_MANIFEST = "project.json"
_MAX_THUMBNAIL_BYTES, _MAX_THUMBNAIL_SIDE = 2**21, 1024
_TOO_LARGE = "This project unpacks to more than 1 GB, which no FaceLab project does. It was not opened."
_DAMAGED = "This is not a FaceLab project, or it is damaged. Choose a .facelab file that FaceLab saved."


def save_project(project: Project, target: str | os.PathLike | BinaryIO) -> None:
    """Write a project. Raises BadSetting for one of more than 500 faces or of longer histories than `open_project`
    reads, OSError where the file cannot be written.
    """
    if len(project.faces) > MAX_PROJECT_FACES:
        told = f"A project holds at most {MAX_PROJECT_FACES} faces, not {len(project.faces)}."
        raise BadSetting(f"{told} Save them as two projects.")
    for face in project.faces:
        if any(len(each.steps) > MAX_STEPS or walked(each.steps) > MAX_WALKED for each in face.versions):
            raise BadSetting(
                f"{face.name[:40]} was edited in more steps than a project keeps. Download it as a file, delete it "
                "here and open that file; then save the project again."
            )
    if (steps := _walked(project.faces)) > MAX_PROJECT_WALKED:
        raise BadSetting(
            f"The histories of these {len(project.faces)} faces walk {steps:,} small steps, and a project keeps "
            f"{MAX_PROJECT_WALKED:,} of them. Save the faces in two projects."
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        pool = _Pool(archive)
        entries = [
            {
                "name": face.name[:NAME_LENGTH],
                "base": pool.face(face.base),
                "versions": [{"title": each.title[:NAME_LENGTH], "steps": each.steps} for each in face.versions],
                "at": face.at,
                "result": pool.face(face.result),
                "others": {name: pool.face(each) for name, each in face.others.items() if isinstance(each, Face)},
                "thumbnail": pool.picture(face.thumbnail),
            }
            for face in project.faces
        ]
        manifest = {"format": PROJECT_FORMAT, "version": PROJECT_VERSION, "program": facelab.__version__}
        named = [each for face in project.faces for each in face.others.values() if isinstance(each, Direction)]
        directions = by_id([*project.directions, *named]).values()
        manifest |= {"models": project.models, "faces": entries}
        manifest |= {"directions": [pool.direction(each) for each in directions]}
        manifest |= {"presets": [{"name": each.name, "strengths": dict(each.strengths)} for each in project.presets]}
        text = json.dumps(manifest)
        if len(text) > MAX_MANIFEST_BYTES:
            raise BadSetting(
                f"The histories of these {len(project.faces)} faces take {len(text) / 2**20:.0f} MB, and a project "
                f"holds {MAX_MANIFEST_BYTES // 2**20} MB of them. Save the faces in two projects."
            )
        archive.writestr(_MANIFEST, text)
    write_file(buffer.getvalue(), target)


def open_project(source: str | os.PathLike | BinaryIO) -> Project:
    """Read a project. Nothing in it is executed, and no size is believed before it was checked.

    Raises BadProject for what is damaged, too large, or saved by a newer FaceLab; OSError where there is no such file.
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return open_project(file)
    if source.seek(0, os.SEEK_END) > MAX_PROJECT_BYTES:
        raise BadProject("This file is larger than 1 GB, which no FaceLab project is. It was not opened.")
    try:
        with zipfile.ZipFile(source) as archive:
            return _Reader(archive).project()
    except BadProject:
        raise
    except BadFaceFile as cause:
        raise BadProject(f"A face or a direction in this project is damaged. {cause}") from cause
    # A damaged zip raises nearly anything: BadZipFile, zlib.error, NotImplementedError, RuntimeError if encrypted, ...
    except Exception as cause:
        raise BadProject(_DAMAGED) from cause


class _Pool:
    """Writes each face once, however often it is named."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._names, self._pictures = archive, {}, 0

    def face(self, face: Face) -> str:
        if id(face) not in self._names:
            name, buffer = f"faces/{len(self._names) + 1:04}.npz", io.BytesIO()
            face.save(buffer)
            self._archive.writestr(zipfile.ZipInfo(name), buffer.getvalue())
            self._names[id(face)] = name
        return self._names[id(face)]

    def direction(self, direction: Direction) -> str:
        name, buffer = f"directions/{direction.id}.npz", io.BytesIO()
        save_direction(direction, buffer)
        self._archive.writestr(zipfile.ZipInfo(name), buffer.getvalue())
        return name

    def picture(self, picture: np.ndarray) -> str:
        self._pictures += 1
        name, buffer = f"thumbnails/{self._pictures:04}.png", io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        self._archive.writestr(zipfile.ZipInfo(name), buffer.getvalue())
        return name


class _Reader:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_PROJECT_BYTES:
            raise BadProject(_TOO_LARGE)
        self._archive, self._faces, self._pictures, self._left = archive, {}, {}, MAX_PROJECT_BYTES

    def project(self) -> Project:
        manifest = json.loads(self._read(_MANIFEST, MAX_MANIFEST_BYTES))
        if manifest["format"] != PROJECT_FORMAT:
            raise ValueError("format")
        version = manifest["version"]
        if not isinstance(version, int) or version < 1:
            raise ValueError("version")
        if version > PROJECT_VERSION:
            raise BadProject(
                f"This project was saved by a newer FaceLab ({str(manifest.get('program'))[:20]}, project version "
                f"{version}); this one reads version {PROJECT_VERSION}. Update FaceLab and open it again."
            )
        entries: Sequence[dict[str, Any]] = manifest["faces"]
        if len(entries) > MAX_PROJECT_FACES:
            raise BadProject(f"This project lists more than {MAX_PROJECT_FACES} faces. It was not opened.")
        paths, presets = manifest.get("directions", []), manifest.get("presets", [])
        if len(paths) > MAX_PROJECT_FACES or len(presets) > MAX_PROJECT_FACES:
            raise BadProject(f"This project lists more than {MAX_PROJECT_FACES} directions or presets.")
        directions = tuple(self._direction(path) for path in paths)
        faces = tuple(self._entry(entry, version, by_id(directions)) for entry in entries)
        if _walked(faces) > MAX_PROJECT_WALKED:
            raise BadProject(f"This project walks more than {MAX_PROJECT_WALKED:,} small steps. It was not opened.")
        return Project(
            faces, directions, tuple(Preset.read(each) for each in presets), clean_name(manifest["program"], 40)
        )

    def _entry(self, entry: dict[str, Any], version: int, directions: Mapping[str, Direction]) -> ProjectFace:
        base, result = self._face(entry["base"]), self._face(entry["result"])
        versions = _versions(entry, base.latent.model) if version > 1 else _versions_of_first(entry)
        at = entry["at"] if version > 1 else len(versions)
        if not isinstance(at, int) or not 0 <= at <= len(versions):
            raise ValueError("at")
        used = {text for each in versions for text in _texts(each.steps)}
        others = {str(name)[:NAME_LENGTH]: path for name, path in entry["others"].items()}
        faces = {name: self._face(path) for name, path in others.items() if name in used}
        if version == 1 and versions:  # its faces did not say yet how they were made
            result = result.made_by(*versions[-1].steps, of=[base, *faces.values()])
        return ProjectFace(
            name=clean_name(entry["name"], NAME_LENGTH),
            base=base,
            thumbnail=self._picture(entry["thumbnail"]),
            result=result,
            versions=versions,
            at=at,
            others={**faces, **{id: each for id, each in directions.items() if id in used}},
        )

    def _direction(self, name: str) -> Direction:
        return load_direction(self._arrays(name, MAX_DIRECTION_BYTES))

    def _face(self, name: str) -> Face:
        if name not in self._faces:
            self._faces[name] = Face.load(self._arrays(name, MAX_FACE_FILE_BYTES))
        return self._faces[name]

    def _arrays(self, name: str, limit: int) -> io.BytesIO:
        """An .npz of the project. What all of them unpack to counts, too: a small file may hold gigabytes of zeros."""
        data = io.BytesIO(self._read(name, limit))
        with zipfile.ZipFile(data) as arrays:
            self._take(sum(entry.file_size for entry in arrays.infolist()))
        data.seek(0)
        return data

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise BadProject(_TOO_LARGE)

    def _picture(self, name: str) -> np.ndarray:
        if name not in self._pictures:
            picture = Image.open(io.BytesIO(self._read(name, _MAX_THUMBNAIL_BYTES)), formats=("PNG",))
            if max(picture.size) > _MAX_THUMBNAIL_SIDE:
                raise ValueError("thumbnail")
            self._take(3 * picture.width * picture.height)
            self._pictures[name] = np.array(picture.convert("RGB"))
        return self._pictures[name]

    def _read(self, name: str, limit: int) -> bytes:
        entry = self._archive.getinfo(name)
        if entry.file_size > limit:
            raise BadProject(f"{name} in this project unpacks to {entry.file_size / 2**20:.0f} MB. It was not opened.")
        return self._archive.read(entry)  # never more than file_size bytes, whatever the data holds


def _texts(value: Any) -> Iterator[str]:
    """All texts in steps, the names of faces and directions among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _walked(faces: Sequence[ProjectFace]) -> int:
    """How many small steps of walks it takes to open the histories of faces."""
    return sum(walked(*(version.steps for version in face.versions)) for face in faces)


def _checked(steps: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Steps that sliders can show: the version that is shown is as it was saved, and nothing else tries its steps.

    Raises what reading a damaged project may raise.
    """
    for step in steps:
        if step.get("op") != "attribute":
            continue
        if not isinstance(step["id"], str) or not math.isfinite(float(step["strength"])):
            raise ValueError("attribute")
    return steps


def _versions(entry: dict[str, Any], model: str) -> tuple[SavedVersion, ...]:
    if len(entry["versions"]) > MAX_VERSIONS:
        raise ValueError("versions")

    def steps(values: Any) -> tuple[dict[str, Any], ...]:
        return _checked(read_recipe(json.dumps({"version": 1, "model": model, "steps": values})).steps)

    return tuple(
        SavedVersion(clean_name(each["title"], NAME_LENGTH), steps(each["steps"])) for each in entry["versions"]
    )


def _versions_of_first(entry: dict[str, Any]) -> tuple[SavedVersion, ...]:
    """The history as project version 1 kept it: the last recipe, with titles that may be more or fewer than steps."""
    steps = _checked(read_recipe(json.dumps(entry["recipe"])).steps)
    titles = [clean_name(title, NAME_LENGTH) for title in entry["titles"]]
    if not steps:
        return ()
    if len(titles) < len(steps):
        return (SavedVersion(titles[-1] if titles else "Edit", steps),)
    return tuple(SavedVersion(title, steps[:count]) for count, title in enumerate(titles[-len(steps) :], 1))
