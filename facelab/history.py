"""What was done to one face, step by step: every state has a name, none is lost, and any can be gone back to.

An edit is a step of the recipe on the latent, never on the last picture: the tenth edit is as sharp as the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

import numpy as np

from facelab.face import Face, Recipe
from facelab.recipes import Others

MAX_VERSIONS = 100  # of one face; the oldest edits are forgotten first, the original never


@dataclass(frozen=True, eq=False)
class Version:
    """One state of a face.

    title: what was done last, such as "Smile +1.5". steps: the recipe from the face's origin up to here. face: the
    result. picture: the generator's, uint8 [R, R, 3]. others: the faces that the steps name, by the names they use,
    and the directions of one's own by their ids.
    """

    title: str
    steps: tuple[dict[str, Any], ...]
    face: Face
    picture: np.ndarray
    others: Others = field(default_factory=dict)


class History:
    """The versions of one face: the original first, then one for each edit, and where the visitor stands among them."""

    def __init__(self, versions: Sequence[Version]) -> None:
        """versions: at least the original. The last one is where the history stands."""
        self.versions = list(versions)
        self.at = len(self.versions) - 1

    @classmethod
    def begin(cls, face: Face, picture: np.ndarray, *, title: str = "Original") -> History:
        """The history of a face that nothing was done to yet."""
        return cls([Version(title, (), face, picture)])

    @property
    def now(self) -> Version:
        """The version that is shown and saved."""
        return self.versions[self.at]

    @property
    def base(self) -> Face:
        """The face that the recipe's steps start from."""
        return self.versions[0].face

    @property
    def recipe(self) -> Recipe:
        """The steps from the base to the version that is shown."""
        return Recipe(self.base.latent.model, self.now.steps)

    @property
    def operations(self) -> list[str]:
        """How the version that is shown was made, for the metadata of its pictures."""
        return self.now.face.operations

    @property
    def from_photo(self) -> bool:
        """Whether a photo is behind the version that is shown."""
        return self.now.face.from_photo

    def record(self, version: Version) -> None:
        """Add an edit after the version that is shown; what had been undone is forgotten."""
        del self.versions[self.at + 1 :]
        self.versions.append(version)
        if len(self.versions) > MAX_VERSIONS:
            del self.versions[1]
        self.at = len(self.versions) - 1

    def go(self, index: int) -> Version:
        """Stand at another version, 0 for the original; an index beyond the ends is the nearest end."""
        self.at = min(max(index, 0), len(self.versions) - 1)
        return self.now

    def rebase(self, face: Face, picture: np.ndarray, redo: Callable[[Version], tuple[Face, np.ndarray]]) -> History:
        """The same edits on a better original. redo: does a version's steps to the new one, and draws it."""
        versions = [replace(self.versions[0], face=face, picture=picture)]
        for version in self.versions[1:]:
            edited, drawn = redo(version)
            versions.append(replace(version, face=edited, picture=drawn))
        history = History(versions)
        history.go(self.at)
        return history

    def branch(self) -> History:
        """A history of its own with everything up to here, for a face that goes another way."""
        return History(self.versions[: self.at + 1])


@dataclass(frozen=True, eq=False)
class Result:
    """What a tab has made and shows, before it is kept.

    name: the one that it would get in the library. title: of its last step. face: the new face. source: the history
    that it goes on from, or None for a face that begins here. step: what was done, as a recipe says it; others: what
    the step names.
    """

    name: str
    title: str
    face: Face
    source: History | None = None
    step: Mapping[str, Any] = field(default_factory=dict)
    others: Others = field(default_factory=dict)

    @property
    def before(self) -> Face | None:
        """The face without any edit, which its picture is compared with; None where nothing of its photo is left."""
        if self.source is None or (self.face.crop is None and self.source.base.crop is not None):
            return None
        return self.source.base

    def history(self, picture: np.ndarray) -> History:
        """The history of this result as a face of its own. picture: the generator's, uint8 [R, R, 3]."""
        if self.source is None:
            return History.begin(self.face, picture, title=self.title)
        history = self.source.branch()
        if self.step:
            step, others = _told_apart(self.step, self.others, history.now.others)
            steps, others = (*history.now.steps, step), {**history.now.others, **others}
            history.record(Version(self.title, steps, self.face, picture, others))
        return history

    def rebase(self, history: History, redo: Callable[[Version], tuple[Face, np.ndarray]]) -> Result:
        """The same result of a better source. history: what `History.rebase` has made of the source; redo: as there."""
        if not self.step:
            return replace(self, face=history.now.face)
        version = replace(self, source=history).history(history.now.picture).now
        return replace(self, face=redo(version)[0])


def _told_apart(step: Mapping[str, Any], others: Others, taken: Others) -> tuple[dict[str, Any], Others]:
    """A step and what it names, where a name that means another face already in earlier steps gets a number."""
    names: dict[str, str] = {}
    for name, other in others.items():
        numbered = (f"{name} ({number})" for number in count(2))
        names[name] = next(free for free in chain([name], numbered) if taken.get(free, other) is other)

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(each) for each in value]
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        return names.get(value, value) if isinstance(value, str) else value

    naming = ("with", "neutral", "expressive", "faces")
    told = {key: renamed(value) if key in naming else value for key, value in step.items()}
    return told, {names[name]: other for name, other in others.items()}
