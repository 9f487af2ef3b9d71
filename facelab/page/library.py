"""The face library that every tab shares: what a visitor has made, to look at, rename, save and delete."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import PurePath
from secrets import token_hex
from typing import Any
from weakref import WeakKeyDictionary

import gradio as gr

from facelab.checkpoints.cards import title_of
from facelab.embedding_settings import EmbedSettings
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Face
from facelab.history import History, Version
from facelab.importing import import_latents
from facelab.media import Provenance, encode_png
from facelab.page.backstage import Backstage, friendly
from facelab.page.examples import load_examples
from facelab.page.parcels import parcel
from facelab.page.parts import part
from facelab.page.pictures import THUMB_SIDE, jpeg_uri
from facelab.page.uploads import MAX_UPLOAD_BYTES, take_upload
from facelab.project import Preset, Project, ProjectFace
from facelab.project_file import open_project, save_project
from facelab.renewing import cut_again
from facelab.sessions import FACES_GONE, NO_MORE_DIRECTIONS, Embedding, LibraryFace, Session

MAX_PRESETS = 40  # as many as a browser keeps
_THUMBS: WeakKeyDictionary[Version, str] = WeakKeyDictionary()
RENEWED = (
    "Their model has been trained further since they were saved. Each is now what its encoder sees in the photo, with "
    "the edits of its project done again. Open one in the library and press Embed to come nearer to the person."
)


@dataclass(frozen=True)
class Library:
    """The rail in the page. Its `open` event says which face was clicked beside Upload and Embed, by `event.id`; the
    editing tabs' pickers hear of it in the browser. `brought` is the event after a file was opened.
    """

    rail: gr.HTML
    brought: Callable[..., Any]

    def show(self, session: Session | None) -> dict[str, Any]:
        """The rail's value for a visitor; None for one who has no session. Faces of an earlier session are told to be
        gone.
        """
        if session is None:
            return {"session": "", "faces": []}
        with session.lock:
            return {"session": session.number, "faces": [_view(session, face) for face in session.faces.values()]}


def build_library(backstage: Backstage) -> Library:
    """Make the rail, to be rendered where it belongs, and wire what it can do by itself."""
    rail = part("library", {"session": "", "faces": []}, parcel=None, presets=None, gone=FACES_GONE, render=False)

    @friendly
    def on_rename(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        session = backstage.visitor(request)
        session.rename_face(event.id, str(event.name))
        return library.show(session)

    @friendly
    def on_remove(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        session = backstage.visitor(request)
        session.delete_face(event.id)
        return library.show(session)

    @friendly
    def on_examples(request: gr.Request) -> dict[str, Any]:
        session = backstage.visitor(request)
        there = [kept.history.base for kept in session.faces.values()]
        missing = [each for each in load_examples().values() if each.face not in there]
        for example in missing:
            session.add_face(example.face, example.picture, name=example.name, saved=True)
        if not missing:
            gr.Info("All examples are in the library already.", title="Nothing to add")
        return library.show(session)

    @friendly
    def on_bring(event: gr.EventData, request: gr.Request) -> Any:
        session, file = backstage.visitor(request), PurePath(str(event.name))
        data, studio, worker = io.BytesIO(take_upload(event.path)), backstage.studio_of(session), backstage.worker
        histories: list[tuple[str, History, Embedding | None]] = []
        strangers: list[tuple[str, LatentMismatch]] = []
        if file.suffix.lower() == ".facelab":
            project = open_project(data)
            session.check_room(len(project.faces))
            for each in project.faces:
                try:
                    *_, history = worker.iterate(each.history, studio)
                except LatentMismatch as error:
                    strangers.append((each.name, error))
                else:
                    histories.append((each.name, history, _to_go_on(history, each.base, each.name)))
            if strangers and not histories:
                raise strangers[0][1]
        else:
            foreign = file.suffix.lower() in (".npy", ".pt")  # latents of other programs
            faces = worker.run(import_latents, data, studio.generator) if foreign else [Face.load(data)]
            project = Project(())
            session.check_room(len(faces))
            for saved in faces:
                face = worker.run(studio.renewed, saved) if studio.can_renew(saved) else saved
                history = History.begin(face, worker.run(studio.render, face))
                histories.append((file.stem, history, _to_go_on(history, saved, file.stem)))
        session.check_room(len(histories))
        if left_out := session.add_directions(project.directions):
            gr.Warning(
                f"{left_out} of its directions do not fit beside yours; its faces keep what was done with them. "
                f"{NO_MORE_DIRECTIONS}",
                title="Not all were opened",
            )
        for name, history, embedding in histories:
            session.add_history(history, name=name, embedding=embedding, saved=embedding is None)
        if renewed := [name for name, _, embedding in histories if embedding is not None]:
            gr.Info(
                escape(f"Embedded anew: {_listed(renewed)}. {RENEWED}", quote=False), title="Embedded anew", duration=30
            )
        if strangers:
            names = _listed([name for name, _ in strangers])
            words = f"Not opened: {names}. {strangers[0][1]} All other faces are here."
            gr.Warning(escape(words, quote=False), title="Not all were opened")
        presets = {"number": token_hex(4), "items": [asdict(each) for each in project.presets]}
        return gr.update(value=library.show(session), presets=presets)

    @friendly
    def on_project(event: gr.EventData, request: gr.Request) -> Any:
        session, buffer = backstage.visitor(request), io.BytesIO()
        with session.lock:
            kept = list(session.faces.values())
            if not kept:
                return library.show(session)
            faces = tuple(ProjectFace.of(each.name, each.history) for each in kept)
            save_project(Project(faces, tuple(session.directions.values()), _presets(event.presets)), buffer)
            size = buffer.tell()
            if size > MAX_UPLOAD_BYTES:
                raise BadSetting(
                    f"All faces together make a file of {size / 2**20:.0f} MB, and this page opens no more than "
                    f"{MAX_UPLOAD_BYTES // 2**20} MB. Save some faces on their own and delete them here, then the rest."
                )
            for each in kept:
                each.saved = True
        return gr.update(value=library.show(session), parcel=parcel(buffer.getvalue(), "faces", "facelab"))

    @friendly
    def on_mark(event: gr.EventData, request: gr.Request) -> None:
        backstage.visitor(request).mark = bool(event.on)

    @friendly
    def on_download(event: gr.EventData, request: gr.Request) -> Any:
        session = backstage.visitor(request)
        face = session.faces.get(event.id)
        if face is None:
            return library.show(session)
        file = _parcel(face, event.kind, mark=session.mark)
        face.saved = face.saved or event.kind == "npz"  # a picture holds neither latent nor history
        return gr.update(value=library.show(session), parcel=file)

    quiet = {"outputs": rail, "show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
    rail.rename(on_rename, trigger_mode="multiple", **quiet)
    rail.remove(on_remove, trigger_mode="multiple", **quiet)
    rail.examples(on_examples, **quiet)
    library = Library(rail, rail.bring(on_bring, trigger_mode="multiple", **quiet).success)
    rail.project(on_project, **quiet)
    rail.mark(
        on_mark, trigger_mode="multiple", show_progress="hidden", api_visibility="private", concurrency_limit=None
    )
    rail.download(on_download, trigger_mode="multiple", **quiet)
    return library


def _view(session: Session, face: LibraryFace) -> dict[str, Any]:
    opened = face.embedding is not None and face.embedding is session.embedding
    return {
        "id": face.id,
        "name": face.name,
        "model": face.face.latent.model,
        "maker": title_of(face.face.latent.model),
        "picture": _thumb(face.history.now),
        "saved": face.saved,
        "open": opened,
        "running": face.embedding is not None and face.embedding.running,
        "edits": face.history.at,
        "photo": face.face.quad is not None,
        "of": "" if face.photo is None else face.photo.number,
        "crop": session.first_version(face).id,
    }


def _thumb(version: Version) -> str:
    """The small picture of a state of a face, made once: the rail shows all faces anew after every edit of one."""
    if version not in _THUMBS:
        _THUMBS[version] = jpeg_uri(version.picture, side=THUMB_SIDE * 2, quality=88)
    return _THUMBS[version]


def _presets(values: Any) -> tuple[Preset, ...]:
    """The presets that the visitor's browser keeps."""
    try:
        return tuple(Preset.read(each) for each in list(values or ())[:MAX_PRESETS])
    except (ValueError, TypeError, KeyError, AttributeError) as cause:
        raise BadSetting("The presets of this browser could not be read. Reload the page.") from cause


def _to_go_on(history: History, saved: Face, name: str) -> Embedding | None:
    """For a face that was embedded anew: the search that makes more of it than a likeness, not begun yet."""
    if history.base is saved:
        return None
    side = len(history.versions[0].picture)
    return Embedding(cut_again(saved, side), EmbedSettings(), name, image=history.versions[0].picture)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")


def _parcel(face: LibraryFace, kind: str, *, mark: bool) -> dict[str, str]:
    if kind == "npz":
        buffer = io.BytesIO()
        face.face.save(buffer)
        return parcel(buffer.getvalue(), face.name, "npz")
    return parcel(encode_png(face.picture, Provenance.of(face.face), mark=mark), face.name, "png")
