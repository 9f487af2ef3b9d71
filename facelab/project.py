"""One person's work as one file: NAME.facelab, a zip of faces, recipes and thumbnails that is read without running it.

`project.json` names everything else: {"format": "facelab-project", "version": 1, "program": ..., "models": {name:
sha256}, "faces": [{"name", "base", "result", "recipe", "titles", "others", "thumbnail"}]}. Faces lie in it as FACE.npz
(stored: these are compressed already) and thumbnails as PNG. The photos themselves are not in it, only the crops.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

import facelab
from facelab.errors import BadFaceFile, BadProject, BadSetting
from facelab.face import MAX_FACE_FILE_BYTES, Face, Recipe
from facelab.history import History, Version
from facelab.recipes import read_recipe

if TYPE_CHECKING:
    from facelab.studio import Studio

PROJECT_FORMAT, PROJECT_VERSION = "facelab-project", 1
MAX_PROJECT_BYTES = 2**30  # of the file, and of all that it unpacks to
MAX_PROJECT_FACES = 500
_MANIFEST, _MAX_MANIFEST_BYTES = "project.json", 8 * 2**20
_MAX_THUMBNAIL_BYTES, _MAX_THUMBNAIL_SIDE = 2**21, 1024
_MAX_NAME = 200
_DAMAGED = "This is not a FaceLab project, or it is damaged. Choose a .facelab file that FaceLab saved."


@dataclass(frozen=True, eq=False)
class ProjectFace:
    """One face of a project.

    name: the one it is shown by. base: the face before any edit. recipe: the steps since, titles: what each is called.
    result: the face after them. others: the faces that the steps name. thumbnail: uint8 [S, S, 3].
    """

    name: str
    base: Face
    thumbnail: np.ndarray
    recipe: Recipe
    result: Face
    titles: tuple[str, ...] = ()
    others: Mapping[str, Face] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, history: History) -> ProjectFace:
        """A face with the history that it is shown with, up to the version that is shown."""
        now = history.now
        titles = tuple(version.title for version in history.versions[1 : history.at + 1])
        return cls(name, history.base, now.picture, history.recipe, now.face, titles, now.others)

    def history(self, studio: Studio) -> History:
        """The history again: the steps are replayed one by one, the last version is the result as it was saved.

        Raises what `Studio.apply` and `Studio.render_many` raise.
        """
        steps, faces = self.recipe.steps, [self.base]
        for step in steps[:-1]:
            faces.append(studio.apply(faces[-1], Recipe(self.recipe.model, (step,)), self.others))
        if steps:
            faces.append(self.result)
        titles = ["Original", *self.titles[-len(steps) :]] if steps else ["Original"]
        titles += ["Edit"] * (len(faces) - len(titles))
        pictures = studio.render_many(faces)
        return History(
            [
                Version(title, steps[:count], face, picture, self.others if count else {})
                for count, (title, face, picture) in enumerate(zip(titles, faces, pictures, strict=True))
            ]
        )


@dataclass(frozen=True, eq=False)
class Project:
    """Faces that were saved together. program: the version of FaceLab that saved them."""

    faces: tuple[ProjectFace, ...]
    program: str = facelab.__version__

    @property
    def models(self) -> dict[str, str]:
        """The models that the faces belong to, each with the SHA-256 of its weights."""
        return {face.base.latent.model: face.base.model_sha256 for face in self.faces}


def save_project(project: Project, target: str | os.PathLike | BinaryIO) -> None:
    """Write a project. Raises BadSetting for one of more than 500 faces, OSError where the file cannot be written."""
    if len(project.faces) > MAX_PROJECT_FACES:
        raise BadSetting(f"A project holds at most {MAX_PROJECT_FACES} faces, not {len(project.faces)}. Save two.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        pool = _Pool(archive)
        entries = [
            {
                "name": face.name[:_MAX_NAME],
                "base": pool.face(face.base),
                "result": pool.face(face.result),
                "recipe": json.loads(face.recipe.to_json()),
                "titles": list(face.titles),
                "others": {name: pool.face(other) for name, other in face.others.items()},
                "thumbnail": pool.picture(face.thumbnail),
            }
            for face in project.faces
        ]
        manifest = {"format": PROJECT_FORMAT, "version": PROJECT_VERSION, "program": facelab.__version__}
        manifest |= {"models": project.models, "faces": entries}
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
    if isinstance(target, (str, os.PathLike)):
        Path(target).write_bytes(buffer.getvalue())
    else:
        target.write(buffer.getvalue())


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
        raise BadProject(f"A face in this project is damaged. {cause}") from cause
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

    def picture(self, picture: np.ndarray) -> str:
        self._pictures += 1
        name, buffer = f"thumbnails/{self._pictures:04}.png", io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        self._archive.writestr(zipfile.ZipInfo(name), buffer.getvalue())
        return name


class _Reader:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_PROJECT_BYTES:
            raise BadProject(
                "This project unpacks to more than 1 GB, which no FaceLab project does. It was not opened."
            )
        self._archive, self._faces = archive, {}

    def project(self) -> Project:
        manifest = json.loads(self._read(_MANIFEST, _MAX_MANIFEST_BYTES))
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
        return Project(tuple(self._entry(entry) for entry in entries), str(manifest["program"])[:40])

    def _entry(self, entry: dict[str, Any]) -> ProjectFace:
        titles = tuple(str(title)[:_MAX_NAME] for title in entry["titles"])
        return ProjectFace(
            name=str(entry["name"])[:_MAX_NAME],
            base=self._face(entry["base"]),
            thumbnail=self._picture(entry["thumbnail"]),
            recipe=read_recipe(json.dumps(entry["recipe"])),
            result=self._face(entry["result"]),
            titles=titles,
            others={str(name)[:_MAX_NAME]: self._face(path) for name, path in entry["others"].items()},
        )

    def _face(self, name: str) -> Face:
        if name not in self._faces:
            self._faces[name] = Face.load(io.BytesIO(self._read(name, MAX_FACE_FILE_BYTES)))
        return self._faces[name]

    def _picture(self, name: str) -> np.ndarray:
        picture = Image.open(io.BytesIO(self._read(name, _MAX_THUMBNAIL_BYTES)), formats=("PNG",))
        if max(picture.size) > _MAX_THUMBNAIL_SIDE:
            raise ValueError("thumbnail")
        return np.array(picture.convert("RGB"))

    def _read(self, name: str, limit: int) -> bytes:
        entry = self._archive.getinfo(name)
        if entry.file_size > limit:
            raise BadProject(f"{name} in this project unpacks to {entry.file_size / 2**20:.0f} MB. It was not opened.")
        return self._archive.read(entry)  # never more than file_size bytes, whatever the data holds
