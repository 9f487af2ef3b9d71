"""A visitor of the page in tests: its handlers, called as Gradio calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.blocks import Block
from gradio.utils import get_upload_folder
from PIL import Image

from facelab.alignment import adjust_quad, quad_from_eyes
from facelab.embedding_settings import EmbedSettings
from facelab.history import History
from facelab.page.examples import load_examples
from facelab.sessions import Embedding, LibraryFace, Photo, Session
from facelab.studio import Studio
from facelab.template import TEMPLATE_EYES
from facelab.worker import Worker

SHORT = {"Steps": 3, "Refine the generator for this face": False}


@dataclass(frozen=True)
class Visitor:
    """Somebody at the page: what is theirs, and what they do there."""

    page: gr.Blocks
    studio: Studio
    worker: Worker
    session: Session
    name: str

    def do(self, handler: str, part: str, values: dict[str, Any] | None = None, **event: Any) -> Any:
        """Call the handler that has this part among its inputs, outputs and triggers.

        values: of inputs, by label or id; the others have those that the page begins with. event: what it says.
        """
        fn = next(each for each in self.page.fns.values() if each.name == handler and part in self.parts(each))
        given = {each: (values or {}).get(called(each), getattr(each, "value", None)) for each in fn.inputs}
        inputs = iter([given] if fn.inputs_as_dict else given.values())
        told = {
            "gr.EventData": gr.EventData(None, event or None),
            "gr.Request": SimpleNamespace(session_hash=self.name),
        }
        kinds = [each.annotation for each in signature(fn.fn).parameters.values()]
        return fn.fn(*(told[kind] if kind in told else next(inputs) for kind in kinds))

    def parts(self, fn: Any) -> set[str]:
        """What a handler takes, changes and is called by."""
        triggers = [self.page.blocks[id] for id, _ in fn.targets if id in self.page.blocks]
        return {called(each) for each in (*fn.inputs, *fn.outputs, *triggers)}

    def add(self, model: str = "faces128") -> LibraryFace:
        """Put a random face into the library."""
        [face] = self.studio.of(model).random_faces(1, seed=1)
        return self.session.add_history(History.begin(face, self.studio.render(face)), name=model)

    def open_photo(self) -> None:
        """Open an example as a photo, and align it."""
        photo = self.session.photo = Photo(next(iter(load_examples().values())).as_photo(), "Mara")
        photo.aligned = self.studio.align(photo.pixels, quad_from_eyes(*(TEMPLATE_EYES * 512)))

    def cut(self, name: str, *, dx: float = 0.0) -> LibraryFace:
        """Put a face of the photo into the library, as the encoder sees it. dx: how far its crop lies beside the face,
        in sides of it.
        """
        photo = self.session.photo
        aligned = self.studio.align(photo.pixels, adjust_quad(photo.aligned.quad, dx=dx))
        face, embedding = self.studio.encode(aligned), Embedding(aligned, EmbedSettings(), name, photo)
        return self.session.add_face(face, self.studio.render(face), name=name, embedding=embedding)

    def embed(self) -> tuple[LibraryFace, Iterator[dict[Any, Any]]]:
        """Begin to embed a photo: the likeness that the encoder sees, in the library, and the updates after it."""
        self.open_photo()
        updates = self.do("on_start", "fl-start", SHORT)
        next(updates), next(updates)
        [kept] = self.session.faces.values()
        return kept, updates

    def upload_photo(self, *, turns: int = 0) -> str:
        """Send an example as a photo to the server, turned to the right by so many quarters; returns its path there."""
        path = Path(get_upload_folder()) / token_hex(4) / "mara.png"
        path.parent.mkdir(parents=True)
        pixels = next(iter(load_examples().values())).as_photo()
        Image.fromarray(np.rot90(pixels, -turns)).save(path)
        return str(path)

    def edit(self, kept: LibraryFace, **strengths: float) -> dict[str, Any]:
        """Choose a face in Attributes and move sliders, until they rest."""
        said = {"face": kept.id, "strengths": strengths, "moving": False, "stamp": 1}
        values = {"fl-picker-attributes-face": {"chosen": [kept.id]}, "fl-sliders": said}
        return told_of(self.do("on_change", "fl-sliders", values))


def called(block: Any) -> str:
    """How the tests name a part of the page: its id, else its label, else its text."""
    return getattr(block, "elem_id", None) or getattr(block, "label", None) or str(getattr(block, "value", ""))


def told_of(update: dict[Any, Any]) -> dict[str, Any]:
    """An update, by what its parts are called and by their properties."""
    return {called(part): vars(new) if isinstance(new, Block) else new for part, new in update.items()}


def told_until_it_fails(updates: Iterator[dict[Any, Any]], match: str) -> list[dict[str, Any]]:
    """What is told on the way to an error."""
    told: list[dict[str, Any]] = []
    with pytest.raises(gr.Error, match=match):
        told.extend(map(told_of, updates))
    return told


def chosen(*faces: LibraryFace) -> dict[str, Any]:
    """What a picker says with these faces chosen."""
    return {"chosen": [each.id for each in faces]}
