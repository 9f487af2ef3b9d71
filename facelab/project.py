"""What a person saves together: faces with their histories, own directions and presets (project_file.py writes it)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import facelab
from facelab.edits.attributes import MOST, Direction
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Face, Recipe
from facelab.history import History, Version
from facelab.names import clean_name
from facelab.recipes import MAX_STEPS, Others

if TYPE_CHECKING:
    from facelab.studio import Studio

NAME_LENGTH, PRESET_NAME = 200, 30  # of anything in a project, and of a preset


@dataclass(frozen=True)
class Preset:
    """Attributes that are set together. name: what it is called. strengths: by the direction's id."""

    name: str
    strengths: Mapping[str, float]

    @classmethod
    def read(cls, values: Any) -> Preset:
        """From JSON, {"name": ..., "strengths": {id: number}}. Raises ValueError for anything else."""
        name = clean_name(values["name"], PRESET_NAME)
        strengths = {str(id)[:NAME_LENGTH]: float(each) for id, each in values["strengths"].items()}
        if not name or len(strengths) > MAX_STEPS or not all(abs(each) <= MOST for each in strengths.values()):
            raise ValueError("preset")
        return cls(name, strengths)


@dataclass(frozen=True)
class SavedVersion:
    """A version of a face's history: what it is called, and the recipe's steps from the base up to it."""

    title: str
    steps: tuple[dict[str, Any], ...]


@dataclass(frozen=True, eq=False)
class ProjectFace:
    """One face of a project.

    name: the one it is shown by. base: the face before any edit. versions: what was made of it, one after the other,
    and at: which of them is shown, 0 for the base. result: the face that is shown. others: what the steps name.
    thumbnail: uint8 [S, S, 3].
    """

    name: str
    base: Face
    thumbnail: np.ndarray
    result: Face
    versions: tuple[SavedVersion, ...] = ()
    at: int = 0
    others: Others = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, history: History) -> ProjectFace:
        """A face with the whole history that it is shown with."""
        first, *later = history.versions
        others = {id: other for version in later for id, other in version.others.items()}
        versions = tuple(SavedVersion(version.title, version.steps) for version in later)
        return cls(name, first.face, history.now.picture, history.now.face, versions, history.at, others)

    @property
    def recipe(self) -> Recipe:
        """The steps from the base to the version that is shown."""
        return Recipe(self.base.latent.model, self.versions[self.at - 1].steps if self.at else ())

    def history(self, studio: Studio) -> Iterator[History]:
        """The history again, each `next` one step of it or one picture: as far as it has come, and at last the whole,
        where every version's steps were done to the base and the one that is shown is as it was saved.

        A version that cannot be done again is left out. Of an earlier version of their model, faces are embedded anew
        (`Studio.renewed`), and all is done to these again. Raises what `Studio.replay` and `Studio.render` raise for
        faces of another model.
        """
        others = {id: _of_now(studio, other) for id, other in self.others.items()}
        base, changed = _of_now(studio, self.base), any(others[id] is not other for id, other in self.others.items())
        as_saved = base is self.base and not changed
        versions = [Version("Original", (), base, studio.render(base))]
        shown, way = 0, []
        for number, version in enumerate(self.versions, 1):
            if number == self.at and as_saved:
                face = self.result
            else:
                face, recipe = base, Recipe(base.latent.model, version.steps)
                try:
                    for done in studio.replay(base, recipe, others, way=way):
                        face = done
                        yield History(versions)
                except BadSetting:
                    continue
                except LatentMismatch:
                    if as_saved:
                        raise
                    continue  # it names what is of before and cannot be brought over
            if number == self.at:
                shown = len(versions)
            named = others if version.steps else {}
            versions.append(Version(version.title, version.steps, face, studio.render(face), named))
            yield History(versions)
        history = History(versions)
        history.go(shown)
        yield history


@dataclass(frozen=True, eq=False)
class Project:
    """What was saved together: faces, a person's own directions and presets. program: the FaceLab that saved them."""

    faces: tuple[ProjectFace, ...]
    directions: tuple[Direction, ...] = ()
    presets: tuple[Preset, ...] = ()
    program: str = facelab.__version__

    @property
    def models(self) -> dict[str, str]:
        """The models that the faces belong to, each with the SHA-256 of its weights."""
        return {face.base.latent.model: face.base.model_sha256 for face in self.faces}


def _of_now(studio: Studio, other: Face | Direction) -> Face | Direction:
    """A face of the version of its model that is here; a direction as it is."""
    return studio.renewed(other) if isinstance(other, Face) and studio.can_renew(other) else other
