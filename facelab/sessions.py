"""Who is visiting: each visitor's photo, embeddings and faces, in memory only, from the first upload to the end."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from facelab.alignment import same_place
from facelab.detection import FoundFace
from facelab.edits.attributes import Direction
from facelab.embedding import EmbedStep
from facelab.embedding_settings import EmbedSettings
from facelab.errors import BadSetting, Busy
from facelab.face import AlignedFace, Face
from facelab.history import History, Result, Version
from facelab.names import clean_name
from facelab.recovery import SHOWN_EVERY, RecoverySettings

FACE_DELETED = "A face that this is made of was deleted meanwhile. Choose others and make it again."
FACES_GONE = "This page was away too long, and its faces are gone. Save projects before long breaks."
REFINING = 1.8  # times as long as a step in the latent space takes one of refinement
MAX_PHOTO_BYTES = 2**29  # of the photos behind a library's faces, unpacked; the oldest are let go
MAX_DIRECTIONS = 24  # of a visitor's own
NO_MORE_DIRECTIONS = f"{MAX_DIRECTIONS} directions of your own are all that fit. Delete some in Attributes first."
MAX_FACES = 200  # in one library; each may hold a crop and a delta, a megabyte and a half together
NAME_LENGTH = 40


@dataclass
class Photo:
    """The photo on a visitor's desk and what was done to it.

    pixels: uint8 [H, W, 3], upright. name: from the file's name. faces: found, the largest first. chosen: which of
    them, or None after alignment by hand. aligned: the crop as it is now. start: its quad before corrections by hand.
    turns: quarters of a circle that it was turned to the right since it was opened, 0 to 3.
    """

    pixels: np.ndarray
    name: str
    faces: list[FoundFace] = field(default_factory=list)
    chosen: int | None = None
    aligned: AlignedFace | None = None
    start: np.ndarray | None = None
    turns: int = 0
    number: str = field(default_factory=lambda: secrets.token_hex(4))

    def turned(self, turns: int) -> Photo:
        """The photo turned to the right by so many quarters, with nothing done to it yet: faces that were cut out of it
        as it was keep it as it was.
        """
        pixels = np.ascontiguousarray(np.rot90(self.pixels, -turns))
        return Photo(pixels, self.name, turns=(self.turns + turns) % 4)


@dataclass
class Embedding:
    """One embedding, under way, stopped or finished: enough to show it and to go on with it.

    step: the last step made. image: the last picture, uint8 [R, R, 3]. psnr, identity: the last ones measured; once it
    is at rest, image and both are the kept face's. history: (step, total loss, PSNR) of every step. restarts: the
    losses of a recovery's restarts at every step. pace: by phase, the seconds that so many steps took. strip: (step,
    picture) every hundred steps of a recovery. seconds: spent so far. stopping: set to make it stop. running: whether
    steps are being made. dropped: its face was deleted meanwhile. photo: where the crop is from.
    """

    aligned: AlignedFace
    settings: EmbedSettings | RecoverySettings
    name: str
    photo: Photo | None = None
    step: EmbedStep | None = None
    image: np.ndarray | None = None
    psnr: float | None = None
    identity: float | None = None
    history: list[tuple[int, float, float]] = field(default_factory=list)
    restarts: list[tuple[float, ...]] = field(default_factory=list)
    pace: dict[str, tuple[float, int]] = field(default_factory=dict)
    strip: list[tuple[int, np.ndarray]] = field(default_factory=list)
    seconds: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    running: bool = False
    dropped: bool = False

    def record(self, step: EmbedStep, seconds: float = 0.0) -> None:
        """Take in one more step, which took so long."""
        if self.step is not None and step.phase == self.step.phase:  # a phase's first step is no measure of the others
            spent, steps = self.pace.get(step.phase, (0.0, 0))
            self.pace[step.phase] = (spent + seconds, steps + 1)
        self.step, self.psnr, self.seconds = step, step.psnr, self.seconds + seconds
        self.history.append((step.step, step.losses["total"], step.psnr))
        if step.image is not None:
            self.image = step.image
        if step.restarts:
            self.restarts.append(step.restarts)
            if step.image is not None and (step.done or step.state.descent.steps % SHOWN_EVERY == 0):
                self.strip.append((step.step, step.image))
        if step.identity_distance is not None:
            self.identity = step.identity_distance

    @property
    def seconds_left(self) -> float:
        """About how long the steps that are left will take."""
        left = self.step.total - self.step.step
        spent, steps = self.pace.get(self.step.phase, (self.seconds, len(self.history)))
        refining = self.settings.refine_steps if getattr(self.settings, "refine", False) else 0
        later = min(left, refining) if self.step.phase == "latent" else 0
        return spent / max(steps, 1) * (left + (REFINING - 1) * later)


@dataclass
class LibraryFace:
    """A face in a visitor's library, with everything that was done to it.

    history: its versions. embedding: what it came from, if it was made here. photo: the one that it was cut out of, to
    paste it back. saved: as it is now, in a FACE.npz or a project.
    """

    id: str
    name: str
    history: History
    embedding: Embedding | None = None
    photo: Photo | None = None
    saved: bool = False

    @property
    def face(self) -> Face:
        """The face as it is now, edits and all."""
        return self.history.now.face

    @property
    def picture(self) -> np.ndarray:
        """The generator's picture of it, uint8 [R, R, 3]."""
        return self.history.now.picture

    def as_now(self) -> LibraryFace:
        """The face as it is now, whose history no edit reaches that is made while something is drawn of it."""
        return replace(self, history=self.history.branch())


class Session:
    """One visitor's things. Several events of one page may be under way at once: `lock` guards the library.

    number: its own, by which a page sees that another session has begun. results, clips, sheets: what each tab shows,
    by the tab's id (page/viewer, film and sheet). followed: the tabs whose result is of what is chosen there, and
    made anew when that is edited elsewhere. made_of: the ids of the faces that a tab's film is made of. asked: what it
    was last asked for. directions: of the visitor's own making. style: a picture to stylise by, with its name.
    detail: whether main pictures have the photo's detail. mark: whether pictures that leave are marked for the eye,
    too. model: the one chosen for new faces, or "" for the page's own. opened: whether Embed shows a face that was
    opened in the library, and not the one on the desk.
    """

    def __init__(self) -> None:
        self.number = secrets.token_hex(4)
        self.lock = threading.RLock()
        self.photo: Photo | None = None
        self.embedding: Embedding | None = None
        self.faces: dict[str, LibraryFace] = {}
        self.results: dict[str, Result] = {}
        self.followed: set[str] = set()
        self.clips: dict[str, Any] = {}
        self.sheets: dict[str, Any] = {}
        self.made_of: dict[str, set[str]] = {}
        self.asked: dict[str, str] = {}
        self.directions: dict[str, Direction] = {}
        self.style: tuple[str, np.ndarray] | None = None
        self.detail = True
        self.mark = False
        self.model = ""
        self.opened = False
        self._jobs: dict[str, threading.Event] = {}

    def begin_page(self) -> None:
        """The page was loaded anew and shows nothing yet: faces and directions stay, what its tabs showed goes."""
        with self.lock:
            self.stop_everything()
            for shown in (self.results, self.followed, self.clips, self.sheets, self.made_of, self.asked):
                shown.clear()
            self.photo = self.style = None
            if self.embedding is not None and not self.embedding.running:
                self.embedding = None
            self.detail, self.mark, self.model, self.opened = True, False, "", False

    def add_face(
        self, face: Face, picture: np.ndarray, *, name: str, embedding: Embedding | None = None, saved: bool = False
    ) -> LibraryFace:
        """Put a face into the library. embedding: what made it. Raises Busy when the library is full."""
        with self.lock:
            photo = None if embedding is None else embedding.photo
            return self._add(name, History.begin(face, picture), embedding=embedding, photo=photo, saved=saved)

    def face_of(self, embedding: Embedding) -> LibraryFace | None:
        """The face in the library that an embedding made."""
        with self.lock:
            return next((kept for kept in self.faces.values() if kept.embedding is embedding), None)

    def rebase(
        self, kept: LibraryFace, face: Face, picture: np.ndarray, redo: Callable[[Version], tuple[Face, np.ndarray]]
    ) -> bool:
        """Put a better original under a face's edits, under those of faces that were kept of it meanwhile, and under
        what tabs show of them. False where more was done to one meanwhile: then ask again.
        """
        base = kept.history.base
        with self.lock:
            others = [each for each in self.faces.values() if each.history.base is base and each is not kept]
            faces = [(each, each.history, list(each.history.versions)) for each in (kept, *others)]
        better = {id(history): history.rebase(face, picture, redo) for _, history, _ in faces}
        shown = {tab: each for tab, each in dict(self.results).items() if each.source and each.source.base is base}
        remade = {}
        for tab, each in shown.items():
            if id(each.source) in better:
                remade[tab] = each.rebase(better[id(each.source)], redo)
            else:
                source = each.source.rebase(face, picture, redo)
                remade[tab] = replace(each.rebase(source, redo), source=source)
        with self.lock:
            known = {id(history) for _, history, _ in faces}
            kept_since = any(
                each.history.base is base and id(each.history) not in known for each in self.faces.values()
            )
            if kept_since or any(history.versions != before for _, history, before in faces):
                return False
            for each, history, _ in faces:  # in place: the tabs hold these very histories
                history.versions[:], each.saved = better[id(history)].versions, False
            self.results.update({tab: remade[tab] for tab in shown if self.results.get(tab) is shown[tab]})
            return True

    def check_room(self, count: int) -> None:
        """Raises Busy when the library has no room for so many more faces."""
        with self.lock:
            free = MAX_FACES - len(self.faces)
        if count > free:
            raise Busy(
                f"The library holds {MAX_FACES} faces at most: {free} more fit, not {count}. Save some and delete them."
            )

    def first_version(self, kept: LibraryFace) -> LibraryFace:
        """The first face of the library that was cut out of the same place of the same photo."""
        with self.lock:
            return next((each for each in self.faces.values() if _are_versions(each, kept)), kept)

    def add_history(
        self,
        history: History,
        *,
        name: str,
        photo: Photo | None = None,
        embedding: Embedding | None = None,
        saved: bool = False,
    ) -> LibraryFace:
        """Put a face with its history into the library. embedding: that is to make it better. Raises Busy when the
        library is full.
        """
        with self.lock:
            return self._add(name, history, photo=photo, embedding=embedding, saved=saved)

    def _add(self, name: str, history: History, **options: Any) -> LibraryFace:
        self.check_room(1)
        new = LibraryFace(secrets.token_hex(6), self._free_name(name), history, **options)
        self.faces[new.id] = new
        self.let_photos_go()
        return new

    @property
    def photo_bytes(self) -> int:
        """What the photos on the desk, under way in Embed and behind the library's faces take in memory."""
        holders = [self, self.embedding, *list(self.faces.values())]
        photos = {id(each.photo): each.photo for each in holders if each is not None and each.photo is not None}
        return sum(photo.pixels.nbytes for photo in photos.values())

    def let_photos_go(self, *, but_the_newest: bool = False) -> None:
        """The newest faces keep the photos that they were cut out of, or the newest one alone; the others' have to be
        opened again to paste.
        """
        kept, left = set(), 0 if but_the_newest else MAX_PHOTO_BYTES
        for face in reversed(self.faces.values()):
            if face.photo is None or id(face.photo) in kept:
                continue
            left -= face.photo.pixels.nbytes
            if left >= 0 or not kept:
                kept.add(id(face.photo))
            else:
                face.photo = None
                if face.embedding is not None:
                    face.embedding.photo = None

    def keep_film(self, tab: str, clip: Any, of: Iterable[str]) -> None:
        """Let a tab show a film. of: the ids of the faces that it is made of. Raises BadSetting where one is gone."""
        with self.lock:
            faces = set(of)
            self._check_there(faces)
            self.clips[tab], self.made_of[tab] = clip, faces

    def keep_sheet(self, tab: str, sheet: Any) -> None:
        """Let a tab show a sheet. Raises BadSetting where a face that it is made of is gone."""
        with self.lock:
            self._check_there(sheet.shows)
            self.sheets[tab] = sheet

    def _check_there(self, faces: set[str]) -> None:
        if not faces <= self.faces.keys():
            raise BadSetting(FACE_DELETED)

    @property
    def film_bytes(self) -> int:
        """What the frames of the tabs' films and the opened clip take in memory."""
        return sum(getattr(clip, "held_bytes", 0) for clip in list(self.clips.values()))

    def let_films_go(self) -> None:
        """Forget the tabs' films and the opened clip; they have to be made and opened again."""
        with self.lock:
            for tab in [tab for tab, clip in self.clips.items() if getattr(clip, "held_bytes", 0)]:
                del self.clips[tab]
                self.made_of.pop(tab, None)

    def add_directions(self, directions: Iterable[Direction]) -> int:
        """Take in directions of the visitor's own, as many as fit; returns how many do not."""
        with self.lock:
            merged = {**self.directions, **{each.id: each for each in directions}}
            self.directions = dict(islice(merged.items(), MAX_DIRECTIONS))
            return len(merged) - len(self.directions)

    def rename_face(self, face_id: str, name: str) -> None:
        """Give a face another name; an empty one is ignored, and a taken one gets a number."""
        with self.lock:
            name = clean_name(name, NAME_LENGTH)
            if name and face_id in self.faces and self.faces[face_id].name != name:
                self.faces[face_id].name = self._free_name(name)

    def delete_face(self, face_id: str) -> LibraryFace | None:
        """Take a face out of the library, and the films and sheets that show it. If it is being embedded, that stops,
        and does not bring it back.
        """
        with self.lock:
            gone = self.faces.pop(face_id, None)
            for tab in [tab for tab, faces in self.made_of.items() if face_id in faces]:
                del self.made_of[tab]
                self.clips.pop(tab, None)
            for tab in [tab for tab, sheet in self.sheets.items() if face_id in sheet.shows]:
                del self.sheets[tab]
            if gone is not None and gone.embedding is not None:
                gone.embedding.dropped = True
                gone.embedding.stopping.set()
            return gone

    def begin(self, embedding: Embedding) -> None:
        """Make this the embedding under way; the one before is asked to stop."""
        with self.lock:
            self.stop()
            embedding.stopping, embedding.dropped = threading.Event(), False
            self.embedding = embedding

    def stop(self) -> None:
        """Ask the embedding under way to stop after its step."""
        if self.embedding is not None:
            self.embedding.stopping.set()

    def begin_job(self, tab: str) -> threading.Event:
        """A tab begins something that takes a while; the event says when to stop. What it had under way stops."""
        with self.lock:
            self.stop_job(tab)
            self._jobs[tab] = threading.Event()
            return self._jobs[tab]

    def stop_job(self, tab: str) -> None:
        """Ask what a tab has under way to stop."""
        with self.lock:
            if tab in self._jobs:
                self._jobs[tab].set()

    def stop_everything(self) -> None:
        """The visitor has left."""
        self.stop()
        for tab in list(self._jobs):
            self.stop_job(tab)

    def _free_name(self, name: str) -> str:
        name = clean_name(name, NAME_LENGTH) or "Face"
        taken = {kept.name for kept in self.faces.values()}
        if name not in taken:
            return name
        stem, _, number = name.rpartition(" ")
        if stem not in taken or not number.isdigit():  # else the copy of a copy
            stem = name
        return next(free for count in range(2, len(taken) + 3) if (free := f"{stem} {count}") not in taken)


def _are_versions(one: LibraryFace, other: LibraryFace) -> bool:
    if one is other:
        return True
    if one.photo is not other.photo or one.face.photo_size != other.face.photo_size:
        return False
    quads = one.face.quad, other.face.quad
    return all(quad is not None for quad in quads) and same_place(*quads)
