"""Tab 2, Embed: the chosen face goes into the latent space, seen live, stopped and continued at will."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from facelab.embedding import EmbedState
from facelab.embedding_settings import PRESETS, SPACES, EmbedSettings
from facelab.errors import BadSetting
from facelab.face import Face, Recipe
from facelab.history import Version
from facelab.page.backstage import Backstage, friendly
from facelab.page.library import Library
from facelab.page.parts import part
from facelab.page.pictures import jpeg_uri, png_uri
from facelab.recognition import SAME_PERSON
from facelab.sessions import Embedding, Session

FRAME_SECONDS = 0.2  # at most so often goes a picture to the browser; the steps in between cost no message
CURVE_POINTS = 160
FOCUS_TAB = "() => document.querySelector('[role=tab][data-tab-id=embed]').focus({ preventScroll: true })"


def build_embed_tab(backstage: Backstage, library: Library, tabs: gr.Tabs, lead_on: gr.Button) -> None:
    """Build the tab. lead_on: the button of the tab before, which begins the embedding here."""
    studio, worker = backstage.studio, backstage.worker
    with gr.Tab("Embed", id="embed") as tab, gr.Row(elem_classes="fl-split"):
        with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
            view = part("embedding", {}, target="")
        with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
            preset = gr.Radio(
                [("Fast", "fast"), ("Paper", "paper")],
                value="fast",
                label="Preset",
                info="Fast: a few hundred steps, then the generator is refined for this one face. "
                "Paper: the 5,000 small steps of Image2StyleGAN, the generator untouched.",
                elem_classes="fl-segmented",
            )
            with gr.Row(elem_classes="fl-actions"):
                start = gr.Button("Embed", variant="primary", size="lg", interactive=False, elem_id="fl-start")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="fl-stop")
                go_on = gr.Button("Continue", size="lg", interactive=False, elem_id="fl-continue")
            with gr.Accordion("Advanced", open=False):
                controls = build_controls(PRESETS["fast"])

    def buttons(session: Session, *, running: bool) -> dict[Any, Any]:
        embedding = session.embedding
        return {
            start: gr.Button(visible=not running, interactive=target(session) is not None),
            stop: gr.Button(visible=running),
            go_on: gr.Button(interactive=not running and embedding is not None and embedding.step is not None),
        }

    def run(session: Session, embedding: Embedding, resume: EmbedState | None = None) -> Iterator[dict[Any, Any]]:
        session.begin(embedding)
        stopping, embedding.running = embedding.stopping, True
        if resume is None and embedding.settings.start == "encoder":  # a likeness to edit while the search goes on
            keep(session, embedding, worker.run(studio.encode, embedding.aligned))
        picture = gr.update(value=_show(embedding, "waiting"), target=jpeg_uri(embedding.aligned.image, quality=95))
        yield {view: picture, library.rail: library.show(session), **buttons(session, running=True)}
        try:
            steps = worker.iterate(studio.embed, embedding.aligned, embedding.settings, resume=resume)
            with closing(steps):
                shown = began = time.monotonic()
                for step in steps:
                    now = time.monotonic()
                    embedding.seconds += now - began
                    began = now
                    embedding.record(step)
                    if stopping.is_set():
                        break
                    if now - shown >= FRAME_SECONDS and not step.done:
                        shown = now
                        yield {view: _show(embedding, "running")}
            state = "done" if embedding.step is not None and embedding.step.done else "stopped"
        finally:  # also when the page is closed or the device fails: what was found so far is kept
            embedding.running = False
            if embedding.step is not None:
                keep(session, embedding, studio.to_face(embedding.step, embedding.aligned))
        if session.embedding is embedding and embedding.stopping is stopping:
            yield {
                view: _show(embedding, state),
                library.rail: library.show(session),
                **buttons(session, running=False),
            }
        else:
            yield {library.rail: library.show(session)}

    def keep(session: Session, embedding: Embedding, face: Face) -> None:
        """Put what was found into the library, under the edits that were made to it meanwhile."""
        embedding.image = worker.run(studio.render, face)

        def redo(version: Version) -> tuple[Face, np.ndarray]:
            recipe = Recipe(face.latent.model, version.steps)
            edited = worker.run(studio.apply, face, recipe, version.others)
            return edited, worker.run(studio.render, edited)

        known = session.face_of(embedding)
        while known is not None and len(known.history.versions) > 1:
            if session.rebase(known, face, embedding.image, redo):
                return
        session.add_face(face, embedding.image, name=embedding.name, embedding=embedding)

    def target(session: Session) -> Any:
        """The crop that Embed would take: the photo's, or that of the embedding in view."""
        if session.photo is not None and session.photo.aligned is not None:
            return session.photo.aligned
        return None if session.embedding is None else session.embedding.aligned

    @friendly
    def on_start(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        aligned = target(session)
        if aligned is None:
            raise BadSetting("Choose a face first: open a photo in Upload & align.")
        on_desk = session.photo is not None and session.photo.aligned is aligned
        photo = session.photo if on_desk else session.embedding.photo
        name = session.embedding.name if photo is None else photo.name
        yield from run(session, Embedding(aligned, read_controls(values), name, photo))

    @friendly
    def on_continue(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        embedding = session.embedding
        if embedding is None or embedding.step is None:
            raise BadSetting("There is nothing to continue yet. Embed a face first.")
        embedding.settings = further(read_controls(values), embedding)
        yield from run(session, embedding, resume=embedding.step.state)

    def read_controls(values: dict[Any, Any]) -> EmbedSettings:
        """The preset with what Advanced says; a picture at each step, of which the page takes what it can show."""
        empty = next((control.label for control in controls.values() if values[control] is None), None)
        if empty:
            raise BadSetting(f"{empty} is empty. Enter a number, or choose the preset again.")
        chosen = {name: type(getattr(PRESETS["fast"], name))(values[control]) for name, control in controls.items()}
        return replace(PRESETS[values[preset]], **chosen, preview_every=3)

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop()

    @friendly
    def on_tab(request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        embedding = session.embedding
        if embedding is not None and embedding.running:
            return {view: gr.skip()}
        aligned = target(session)
        if aligned is None:
            return buttons(session, running=False)
        if embedding is not None and embedding.aligned is not aligned:
            session.embedding = embedding = None
        if embedding is not None:
            return buttons(session, running=False)
        return {
            view: gr.update(value={"state": "ready"}, target=jpeg_uri(aligned.image, quality=95)),
            library.rail: library.show(session),
            **buttons(session, running=False),
        }

    @friendly
    def on_open(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        face = session.faces.get(event.id)
        if face is None:
            return {library.rail: library.show(session)}
        session.stop()
        session.embedding = face.embedding
        crop = face.face.crop
        known = face.embedding is not None
        value = _show(face.embedding, "stopped") if known else {"state": "idle", "progress": face.name}
        value["picture"] = png_uri(face.picture)
        return {
            view: gr.update(value=value, target="" if crop is None else jpeg_uri(crop, side=256)),
            library.rail: library.show(session),
            tabs: gr.Tabs(selected="embed"),
            **buttons(session, running=False),
        }

    def on_preset(name: str) -> list[Any]:
        return [getattr(PRESETS[name], each) for each in controls]

    outputs = [view, library.rail, start, stop, go_on]
    quiet = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
    inputs = {preset, *controls.values()}
    preset.input(on_preset, preset, list(controls.values()), **quiet)
    shown = lead_on.click(lambda: gr.Tabs(selected="embed"), None, tabs, queue=False, **quiet)
    shown.then(None, js=FOCUS_TAB)  # the button that was pressed is hidden now; the keyboard goes on from here
    lead_on.click(on_start, inputs, outputs, **quiet)
    start.click(on_start, inputs, outputs, **quiet)
    go_on.click(on_continue, inputs, outputs, **quiet)
    stop.click(on_stop, None, None, queue=False, **quiet)
    tab.select(on_tab, None, outputs, **quiet)
    library.rail.open(on_open, None, [*outputs, tabs], **quiet)


def build_controls(settings: EmbedSettings) -> dict[str, gr.components.Component]:
    """The settings under Advanced, each with its sentence of help, by the name of the field that they set."""
    return {
        "space": gr.Radio(
            list(SPACES),
            value=settings.space,
            label="Latent space",
            info="w+ has a style for each layer and comes closest to the photo; w keeps to faces that the generator "
            "would draw itself; z is where it draws them from, and the strictest.",
        ),
        "start": gr.Radio(
            [("Encoder", "encoder"), ("Mean face", "mean"), ("Random", "random")],
            value=settings.start,
            label="Start",
            info="Where the search begins. The encoder sees a likeness at once; the mean face is the papers' start for "
            "portraits; random suits pictures of other things.",
        ),
        "steps": gr.Slider(
            10,
            5000,
            settings.steps,
            step=10,
            label="Steps",
            info="How long the latent is searched. The curve shows when more of them stop helping.",
        ),
        "learning_rate": gr.Number(
            settings.learning_rate,
            label="Learning rate",
            minimum=1e-5,
            maximum=1,
            step=0.001,
            info="How far each step goes. Too high a rate makes the curve jump, too low a rate makes it crawl.",
        ),
        "pixel_weight": gr.Slider(
            0,
            10,
            settings.pixel_weight,
            step=0.1,
            label="Pixel weight",
            info="How much equal colours count, place by place.",
        ),
        "perceptual_weight": gr.Slider(
            0,
            10,
            settings.perceptual_weight,
            step=0.1,
            label="Perceptual weight",
            info="How much likeness of shapes and textures counts, as a network sees them.",
        ),
        "mean_weight": gr.Slider(
            0,
            1,
            settings.mean_weight,
            step=0.01,
            label="Mean weight",
            info="How strongly the latent is held near the mean face: more makes edits cleaner, less comes closer.",
        ),
        "perceptual": gr.Radio(
            [("Discriminator", "discriminator"), ("VGG-16", "vgg16")],
            value=settings.perceptual,
            label="Perceptual network",
            info="Whose eyes judge that likeness: this model's own discriminator, or VGG-16 as in the paper, which "
            "needs its weight file.",
        ),
        "patience": gr.Slider(
            0,
            500,
            settings.patience,
            step=10,
            label="Patience",
            info="Steps without progress after which a phase ends early; 0 goes through all of them.",
        ),
        "refine": gr.Checkbox(
            settings.refine,
            label="Refine the generator for this face",
            info="After the latent, tunes a small correction of the generator for this one face, which is what brings "
            "the person back. It is saved with the face and leaves the shared model alone.",
        ),
        "refine_steps": gr.Slider(
            10, 1000, settings.refine_steps, step=10, label="Refinement steps", info="How long that tuning goes on."
        ),
        "refine_learning_rate": gr.Number(
            settings.refine_learning_rate,
            label="Refinement learning rate",
            minimum=1e-5,
            maximum=1,
            step=0.001,
            info="How far each step of the tuning goes.",
        ),
        "seed": gr.Number(
            settings.seed,
            label="Seed",
            precision=0,
            minimum=0,
            info="The same seed gives the same face again; it matters for a random start and for the refinement.",
        ),
    }


def further(settings: EmbedSettings, embedding: Embedding) -> EmbedSettings:
    """The settings to go on with: as they are while steps are left, else as many steps again."""
    state = embedding.step.state
    if not embedding.step.done:
        return settings
    if state.phase == "refine":
        more = state.descent.steps + settings.refine_steps
        return replace(settings, refine=True, refine_steps=more, patience=0)
    if settings.refine and not embedding.settings.refine:
        return replace(settings, steps=state.descent.steps)
    return replace(settings, steps=state.descent.steps + settings.steps, patience=0)


def _show(embedding: Embedding, state: str) -> dict[str, Any]:
    """What the browser draws of an embedding: numbers as text, the curve thinned, the picture as it is now."""
    step = embedding.step
    if step is None:
        view = {"state": state, "progress": "Waiting for the device …", "title": "The embedding begins"}
        return view if embedding.image is None else {**view, "picture": jpeg_uri(embedding.image, quality=92)}
    best = min(loss for _, loss, _ in embedding.history)
    total = step.total
    phase = "Refining the generator" if step.phase == "refine" else "Finding the latent"
    words = {"waiting": "Going on", "running": phase, "stopped": "Stopped", "done": "Done"}[state]
    identity = embedding.identity
    left = embedding.seconds / len(embedding.history) * (total - step.step)
    view = {
        "state": state,
        "title": phase if embedding.running else f"{words} at step {step.step}",
        "progress": f"{words} · step {step.step} of {total}",
        "left": f"{_duration(left)} left" if embedding.running else f"took {_duration(embedding.seconds)}",
        "fraction": step.step / max(total, 1),
        "numbers": {
            "loss": f"{best:.4f}",
            "psnr": f"{step.psnr:.1f} dB",
            "identity": "–" if identity is None else f"{identity:.2f}",
            "latent": f"{step.latent_distance:.1f}",
        },
        "good": ["identity"] if identity is not None and identity < SAME_PERSON else [],
        "curve": _curve(embedding.history),
        "total": total,
        "split": step.state.steps_before,
    }
    if embedding.image is not None:
        view["picture"] = jpeg_uri(embedding.image, quality=92) if embedding.running else png_uri(embedding.image)
    return view


def _curve(history: list[tuple[int, float, float]]) -> list[tuple[int, float]]:
    stride = -(-len(history) // CURVE_POINTS)
    points = history[::stride] + ([history[-1]] if (len(history) - 1) % stride else [])
    return [(step, float(f"{loss:.4g}")) for step, loss, _ in points]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
