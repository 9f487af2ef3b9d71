"""The tab Morph: a face between two, anywhere on the way, and the film of the whole way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from facelab.circle import CIRCLE
from facelab.history import Result
from facelab.page.backstage import Backstage, friendly
from facelab.page.film import build_film
from facelab.page.library import Library
from facelab.page.parts import event
from facelab.page.picker import all_picked, picked, picker
from facelab.page.viewer import QUIET, build_viewer
from facelab.sessions import LibraryFace, Session

PATHS = {  # path and space; None is what the model does best
    "own": (None, None),
    "w": ("linear", "w"),
    "z": ("spherical", "z"),
    "circle": (None, CIRCLE),
}
WAYS = [("The model's own", "own"), ("One style (w)", "w"), ("On the sphere (z)", "z")]
ON_THE_CIRCLE = (
    " Circle goes round the sphere of identities, whatever models the faces are of; its ends are the faces as their "
    "vectors are decoded: who somebody is, not pose, light or hair."
)


def build_morph_tab(backstage: Backstage, library: Library) -> None:
    """Build the tab."""
    studio, worker = backstage.studio, backstage.worker
    circle = bool(studio.decoders())
    with gr.Tab("Morph", id="morph"), gr.Row(elem_classes=["fl-split", "fl-live"]):
        with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
            viewer = build_viewer(backstage, library, "morph", hint="Two faces, and every face between them")
        with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
            first = picker("From", "morph-first")
            second = picker("To", "morph-second", place=1)
            position = gr.Slider(
                0, 1, 0.5, step=0.01, label="Position", info="0 is the first face, 1 the second; drag to scrub."
            )
            with gr.Row(elem_classes="fl-actions"):
                make = gr.Button("Make the film", variant="primary", size="lg")
            film = build_film(backstage, "morph")
            with gr.Accordion("Film settings", open=False):
                with gr.Row(elem_classes="fl-pairs"):
                    frames = gr.Slider(10, 180, 60, step=2, label="Frames", info="More make it longer and smoother.")
                    fps = gr.Slider(5, 50, 25, step=1, label="Frames a second", info="How fast they follow.")
                easing = gr.Radio(
                    [("Even", "linear"), ("Slow at the ends", "smooth")],
                    value="smooth",
                    label="Easing",
                    info="Whether it moves evenly, or starts and ends gently.",
                    elem_classes="fl-segmented",
                )
                back = gr.Checkbox(True, label="There and back", info="Returns to the first face, so that it can loop.")
            with gr.Accordion("Advanced", open=False):
                path = gr.Radio(
                    [*WAYS, ("Circle", "circle")] if circle else WAYS,
                    value="own",
                    label="Way",
                    info="The model's own starts and ends at the faces themselves: straight for each layer in w+, "
                    "round the sphere where faces are drawn from the normal distribution. w goes between the nearest "
                    "plain styles; z always goes round the sphere, and needs faces that were embedded in z."
                    + ON_THE_CIRCLE
                    * circle,
                )

    def between(session: Session, values: dict[Any, Any]) -> Result | None:
        if not all_picked(values[first], values[second]):
            return None
        one, other = both(session, values)
        t, (way, space) = float(values[position]), PATHS[values[path]]
        chosen = {name: value for name, value in (("path", way), ("space", space)) if value}
        face = worker.run(studio.morph, one.face, other.face, t, **chosen)
        return Result(
            name=f"{one.name} and {other.name}",
            title=f"Morph, {100 * t:.0f}% {other.name}" + " on the sphere" * (space == CIRCLE),
            face=face,
            source=one.history if face.latent.model == one.face.latent.model else None,
            step={"op": "morph", "with": other.name, "t": t, **chosen},
            others={other.name: other.face},
        )

    def both(session: Session, values: dict[Any, Any]) -> tuple[LibraryFace, LibraryFace]:
        return picked(session, values[first], "From"), picked(session, values[second], "To")

    @friendly
    def on_make(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        one, other = (each.as_now() for each in both(session, values))
        way, space = PATHS[values[path]]
        options = {"easing": values[easing], "there_and_back": bool(values[back]), "path": way, "space": space}
        total, own = int(values[frames]), one.face.latent.model
        updates = film.make(
            session,
            lambda: studio.morph_frames(one.face, other.face, frames=total, **options),
            total=total,
            fps=float(values[fps]),
            name=f"{one.name} to {other.name}",
            operations=[*one.history.operations, "morph"],
            model=(studio.of(own).decoder.card.name if space == CIRCLE else own),
            from_photo=one.history.from_photo or other.history.from_photo,
            of={"morph-first": one, "morph-second": other},
        )
        for update in updates:
            yield {film.view: update}

    inputs = {first, second, position, path}
    triggers = [event(first, "pick"), event(second, "pick"), path.input, position.input]
    viewer.follow(triggers, inputs, between, hint="Choose two faces")
    make.click(on_make, {*inputs, frames, fps, easing, back}, [film.view], **QUIET)
