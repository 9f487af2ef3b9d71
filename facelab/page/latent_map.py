"""The map of a latent space: drawn faces in a plane, to look at, to keep, and to morph between."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from secrets import token_hex
from typing import Any

import gradio as gr
import numpy as np

from facelab.comparing import MAPPED
from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.latent_map import METHODS, LatentMap
from facelab.history import History
from facelab.media import contact_sheet
from facelab.page.backstage import Backstage, explain, friendly
from facelab.page.film import build_film
from facelab.page.library import Library
from facelab.page.parts import packed, part
from facelab.page.pictures import jpeg_uri
from facelab.page.progress import TOLD_SECONDS, running
from facelab.page.viewer import QUIET

TAB = "map"
FRAMES, FPS = 48, 24.0


def build_map(backstage: Backstage, library: Library) -> None:
    """Build the map where it is called."""
    studio, worker = backstage.studio, backstage.worker
    cards = sorted(studio.models(), key=lambda card: card.name != studio.card.name)  # the page's own comes first
    names = [card.name for card in cards]
    with gr.Column(elem_classes=["fl-card", "fl-compare"], min_width=0):
        view = part(
            "map",
            {"state": "idle"},
            faces=None,
            count=MAPPED,
            models=[{"name": card.name, "title": card.title} for card in cards],
            methods=[{"name": name, "title": title} for name, title in METHODS.items()],
            attributes=[name.replace("_", " ") for name in ATTRIBUTES],
        )
        film = build_film(backstage, TAB)

    def steps_of(model: str) -> Any:
        if model not in names:
            raise BadSetting("This model is not here any more. Reload the page.")
        return lambda: studio.of(model).map_latents(count=MAPPED)

    def map_of(model: str) -> LatentMap:
        """A map that has been drawn before; drawn anew where it has not."""
        *_, last = worker.iterate(steps_of(model))
        return last.map

    @friendly
    def on_ask(event: gr.EventData, request: gr.Request) -> Iterator[Any]:
        stopping, told = backstage.visitor(request).begin_job("map-draw"), time.monotonic()
        model, method = str(event.model), str(event.method)
        yield gr.update(value=running("Waiting for the device …", 0))
        try:
            with closing(worker.iterate(steps_of(model))) as steps:
                for step in steps:
                    if stopping.is_set():
                        yield gr.update(value={"state": "idle", "text": "Stopped."})
                        return
                    if step.map is None and time.monotonic() - told > TOLD_SECONDS:
                        told = time.monotonic()
                        text = f"Drawing faces · {step.done} of {step.total}"
                        yield gr.update(value=running(text, 0.95 * step.done / step.total))
            if method == "tsne":
                yield gr.update(value=running("Finding each face's neighbours …", 0.97))
            faces = _view(step.map, method)  # not on the device's thread: nobody waits for it
        except Exception as error:
            yield gr.update(value={"state": "refused", "text": explain(error)})
            return
        yield gr.update(value={"state": "done"}, faces=faces)

    @friendly
    def on_keep(event: gr.EventData, request: gr.Request) -> Mapping[Any, Any]:
        session, faces, index = backstage.visitor(request), map_of(str(event.model)), _index(event.index)
        face = faces.face(index % len(faces))
        picture = worker.run(studio.render, face)
        session.add_history(History.begin(face, picture), name=f"Map face {index % len(faces) + 1}")
        return {library.rail: library.show(session)}

    @friendly
    def on_morph(event: gr.EventData, request: gr.Request) -> Iterator[Mapping[Any, Any]]:
        session, faces = backstage.visitor(request), map_of(str(event.model))
        first, second = (_index(each) % len(faces) for each in (event.first, event.second))
        updates = film.make(
            session,
            lambda: studio.morph_frames(
                faces.face(first), faces.face(second), frames=FRAMES, easing="smooth", there_and_back=True
            ),
            total=FRAMES,
            fps=FPS,
            name=f"map face {first + 1} to {second + 1}",
            operations=["sample", "morph"],
            model=faces.model,
            from_photo=False,
        )
        for update in updates:
            yield {film.view: update}

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop_job("map-draw")

    view.ask(on_ask, None, view, trigger_mode="multiple", **QUIET)
    view.keep(on_keep, None, [library.rail], trigger_mode="multiple", **QUIET)
    view.morph(on_morph, None, [film.view], **QUIET)
    view.stop(on_stop, None, None, queue=False, **QUIET)


def _view(faces: LatentMap, method: str) -> dict[str, Any]:
    """A map as parts/map.js draws it: one picture of all faces, where they lie, and what is seen in each."""
    places, share = faces.places(method)
    columns = math.ceil(math.sqrt(len(faces.thumbnails)))
    note = "Near means alike to the generator; far apart says little." if share is None else _axes(share)
    return {
        "number": token_hex(4),
        "model": faces.model,
        "method": method,
        "sprite": jpeg_uri(contact_sheet(faces.thumbnails, columns=columns, gap=0), quality=82),  # one request
        "columns": columns,
        "places": packed(np.round(places, 4).tolist()),
        "seen": base64.b64encode(np.round(faces.seen * 255).astype(np.uint8).tobytes()).decode("ascii"),
        "note": f"{len(faces):,} drawn faces by their latents ({faces.space}). {note}",
    }


def _axes(share: float) -> str:
    return f"The two axes hold {100 * share:.1f}% of what differs between them."


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadSetting("Choose a face of the map first.")
    return value
