"""A direction of one's own: faces with something and faces without it, named, used, saved and opened again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import gradio as gr

from facelab.checkpoints.directions import read_directions, write_directions
from facelab.edits.attributes import Direction
from facelab.errors import BadSetting
from facelab.generators.base import Generator
from facelab.page.backstage import Backstage, friendly, take_upload
from facelab.page.parcels import parcel
from facelab.page.parts import part
from facelab.page.picker import picked_faces, picker
from facelab.page.viewer import QUIET
from facelab.sessions import Session

MAX_OWN = 24
MAX_FILE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class OwnDirections:
    """The accordion. `wire` says what has to be drawn anew when there is another direction."""

    backstage: Backstage
    make: gr.Button
    inputs: dict[str, gr.components.Component]
    shelf: gr.HTML

    def wire(self, update: Callable[[Session], Any], sliders: gr.HTML) -> None:
        """update: the sliders' update for a visitor, once their directions have changed."""
        studio, shelf = self.backstage.studio, self.shelf
        name, with_it, without = self.inputs["name"], self.inputs["with"], self.inputs["without"]

        def put(session: Session, direction: Direction) -> dict[Any, Any]:
            if len(session.directions) >= MAX_OWN:
                raise BadSetting(f"There are {MAX_OWN} directions of your own, which is all that fit. Delete one.")
            session.directions[direction.id] = direction
            return {shelf: _shelf(session), sliders: update(session)}

        @friendly
        def on_make(title: str, some: Any, others: Any, request: gr.Request) -> dict[Any, Any]:
            session = self.backstage.visitor(request)
            title = " ".join(str(title or "").split())[:24]
            if not title:
                raise BadSetting("Give the direction a name, such as Freckles.")
            groups = [[each.face for each in picked_faces(session, value)] for value in (some, others)]
            return put(session, studio.new_direction(f"own_{token_hex(4)}", title, *groups))

        @friendly
        def on_open(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
            session, data = self.backstage.visitor(request), take_upload(event.path)
            return put(session, _read(data, studio.generator))

        @friendly
        def on_save(event: gr.EventData, request: gr.Request) -> Any:
            direction = self.backstage.visitor(request).directions.get(str(event.id))
            if direction is None:
                raise BadSetting("This direction is not there any more.")
            return gr.update(parcel=parcel(_written(direction), direction.title, "safetensors"))

        @friendly
        def on_remove(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
            session = self.backstage.visitor(request)
            session.directions.pop(str(event.id), None)
            return {shelf: _shelf(session), sliders: update(session)}

        self.make.click(on_make, [name, with_it, without], [shelf, sliders], **QUIET)
        shelf.bring(on_open, None, [shelf, sliders], **QUIET)
        shelf.save(on_save, None, shelf, **QUIET)
        shelf.remove(on_remove, None, [shelf, sliders], **QUIET)


def build_own_directions(backstage: Backstage) -> OwnDirections:
    """Build the accordion where it is called."""
    with gr.Accordion("New direction", open=False):
        with_it = picker("Faces with it", "own-with", info="The more, the cleaner: five of each or so.", several=True)
        without = picker("Faces without it", "own-without", info="Otherwise as alike as you can find.", several=True)
        name = gr.Textbox(
            label="Name", max_lines=1, placeholder="Freckles", info="What the slider is called; what it raises."
        )
        make = gr.Button("Make the direction", variant="primary")
        shelf = part("shelf", {"items": []}, parcel=None)
    return OwnDirections(backstage, make, {"name": name, "with": with_it, "without": without}, shelf)


def _shelf(session: Session) -> dict[str, Any]:
    return {"items": [{"id": each.id, "title": each.title} for each in session.directions.values()]}


def _written(direction: Direction) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "direction.safetensors"
        write_directions([direction], path)
        return path.read_bytes()


def _read(data: bytes, generator: Generator) -> Direction:
    """The one direction of a file from anywhere. Raises BadWeights or BadSetting where it is none for this model."""
    if len(data) > MAX_FILE_BYTES:
        raise BadSetting("This file is larger than any direction. Choose a .safetensors file that this page saved.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "direction.safetensors"
        path.write_bytes(data)
        found = list(read_directions(path).values())
    layers, dim = generator.num_layers, generator.mean_latent().shape[-1]
    shapes = {tuple(vector.shape) for each in found for vector in (each.difference, each.normal)}
    if len(found) != 1 or not shapes <= {(dim,), (layers, dim)}:
        raise BadSetting("This is not a direction of this model. Choose a .safetensors file that this page saved.")
    if not (found[0].difference.isfinite().all() and found[0].normal.isfinite().all()):
        raise BadSetting("This direction holds numbers that are none. It was not opened.")
    title = " ".join(found[0].title.split())[:24] or "Direction"
    return replace(found[0], id=f"own_{token_hex(4)}", title=title, group="own", held=(), classifier=None)
