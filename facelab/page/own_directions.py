"""A direction of one's own: faces with something and faces without it, named, used, saved and opened again."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from facelab.edits.attributes import Direction
from facelab.errors import BadSetting, Busy
from facelab.own_directions import TITLE_LENGTH, check_model, load_direction, save_direction
from facelab.page.backstage import Backstage, friendly
from facelab.page.library import Library
from facelab.page.parcels import parcel
from facelab.page.parts import part
from facelab.page.picker import picked_faces, picker
from facelab.page.uploads import take_upload
from facelab.page.viewer import QUIET
from facelab.sessions import NO_MORE_DIRECTIONS, Session


@dataclass(frozen=True)
class OwnDirections:
    """The accordion. `wire` says what has to be drawn anew when there is another direction."""

    backstage: Backstage
    library: Library
    make: gr.Button
    inputs: dict[str, gr.components.Component]
    shelf: gr.HTML

    def wire(self, update: Callable[[Session], Any], sliders: gr.HTML) -> Callable[[Callable[..., Any]], None]:
        """update: the sliders' update for a visitor, once their directions have changed. Returns what has the shelf
        drawn after an event of the page; sliders are drawn with the next face.
        """
        studio, shelf = self.backstage.studio, self.shelf
        name, with_it, without = self.inputs["name"], self.inputs["with"], self.inputs["without"]

        def show(session: Session) -> dict[Any, Any]:
            return {shelf: _shelf(session), sliders: update(session)}

        def put(session: Session, direction: Direction) -> dict[Any, Any]:
            if session.add_directions([direction]):
                raise Busy(NO_MORE_DIRECTIONS)
            return show(session)

        @friendly
        def on_project(request: gr.Request) -> dict[Any, Any]:
            """A project was opened in the library; directions may have come with it."""
            return show(self.backstage.visitor(request))

        @friendly
        def on_page(request: gr.Request) -> dict[str, Any]:
            session = self.backstage.sessions.known(request.session_hash)
            return {"items": []} if session is None else _shelf(session)

        def show_after(event: Callable[..., Any]) -> None:
            event(on_page, None, shelf, **QUIET)

        @friendly
        def on_make(title: str, some: Any, others: Any, request: gr.Request) -> dict[Any, Any]:
            session = self.backstage.visitor(request)
            groups = [[each.face for each in picked_faces(session, value)] for value in (some, others)]
            return put(session, self.backstage.worker.run(studio.new_direction, str(title or ""), *groups))

        @friendly
        def on_open(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
            session, data = self.backstage.visitor(request), take_upload(event.path)
            direction = load_direction(io.BytesIO(data))
            card = {each.name: each for each in studio.models()}.get(direction.model, studio.card)
            check_model(direction, card.name, card.sha256)
            return put(session, direction)

        @friendly
        def on_save(event: gr.EventData, request: gr.Request) -> Any:
            direction = self.backstage.visitor(request).directions.get(str(event.id))
            if direction is None:
                raise BadSetting("This direction is not there any more. Make it again, or open its file.")
            buffer = io.BytesIO()
            save_direction(direction, buffer)
            return gr.update(parcel=parcel(buffer.getvalue(), direction.title, "npz"))

        @friendly
        def on_remove(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
            session = self.backstage.visitor(request)
            session.directions.pop(str(event.id), None)
            return show(session)

        self.make.click(on_make, [name, with_it, without], [shelf, sliders], **QUIET)
        shelf.bring(on_open, None, [shelf, sliders], **QUIET)
        shelf.save(on_save, None, shelf, **QUIET)
        shelf.remove(on_remove, None, [shelf, sliders], **QUIET)
        self.library.brought(on_project, None, [shelf, sliders], **QUIET)
        return show_after


def build_own_directions(backstage: Backstage, library: Library) -> OwnDirections:
    """Build the accordion where it is called."""
    with gr.Accordion("New direction", open=False):
        with_it = picker("Faces with it", "own-with", info="The more, the cleaner: five of each or so.", several=True)
        without = picker("Faces without it", "own-without", info="Otherwise as alike as you can find.", several=True)
        name = gr.Textbox(
            label="Name",
            max_lines=1,
            max_length=TITLE_LENGTH,
            placeholder="Freckles",
            info="What the slider is called; what it raises.",
        )
        make = gr.Button("Make the direction", variant="primary")
        shelf = part("shelf", {"items": []}, parcel=None)
    return OwnDirections(backstage, library, make, {"name": name, "with": with_it, "without": without}, shelf)


def _shelf(session: Session) -> dict[str, Any]:
    return {"items": [{"id": each.id, "title": each.title} for each in session.directions.values()]}
