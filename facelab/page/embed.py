"""Tab 2, Embed: the chosen face goes into the latent space, seen live, stopped and continued at will."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from threading import Thread
from typing import Any

import gradio as gr
import numpy as np

from facelab.embedding import EmbedState
from facelab.errors import BadSetting
from facelab.face import AlignedFace, Face, Recipe
from facelab.history import Version
from facelab.page.backstage import Backstage, friendly
from facelab.page.embed_controls import build_groups, build_preset, further
from facelab.page.library import Library
from facelab.page.parts import packed, part
from facelab.page.pictures import THUMB_SIDE, enlarged, jpeg_uri, png_uri
from facelab.page.upload import NOT_LOOKED
from facelab.recognition import SAME_PERSON
from facelab.recovery import RecoveryState
from facelab.sessions import Embedding, Session
from facelab.studio import Studio

FRAME_SECONDS = 0.2  # at most so often goes a picture to the browser; the steps in between cost no message
CURVE_POINTS = 160
STRIP_PICTURES = 20
PHASES = {
    "latent": "Finding the latent",
    "refine": "Refining the generator",
    "encode": "Encoding",
    "recover": "Recovering the latent",
}
REDRAW = "() => document.dispatchEvent(new Event('facelab:redraw'))"  # a face that a tab shows may be better by now
# Embed is hidden while it works, as Stop is afterwards: the keyboard goes on with what has taken its place.
FOCUS_NEXT = """() => {
  let left = 50;
  const look = () => {
    if (document.activeElement !== document.body) return;
    const next = ["stop", "edit"].map((id) => document.querySelector(`#fl-${id}`)).find((each) => each?.offsetParent);
    if (next) next.focus({ preventScroll: true });
    else if ((left -= 1)) setTimeout(look, 200);
  };
  setTimeout(look, 200);
}"""
FOCUS_TAB = """() => {
  const tab = document.querySelector("[role=tab][data-tab-id=embed]");
  if (tab.ariaSelected === "true") tab.focus({ preventScroll: true });
}"""


def build_embed_tab(
    backstage: Backstage, library: Library, tabs: gr.Tabs, lead_on: gr.Button, models: gr.HTML | None
) -> None:
    """Build the tab. lead_on: the button of the tab before, which begins the embedding here. models: the page's menu of
    models, where there is more than one.
    """
    studio, worker = backstage.studio, backstage.worker
    with gr.Tab("Embed", id="embed") as tab, gr.Row(elem_classes="fl-split"):
        with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
            view = part("embedding", {}, target="")
        with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
            preset = build_preset(studio)
            with gr.Row(elem_classes="fl-actions"):
                start = gr.Button("Embed", variant="primary", size="lg", interactive=False, elem_id="fl-start")
                stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="fl-stop")
                go_on = gr.Button("Continue", size="lg", interactive=False, elem_id="fl-continue")
            edit = gr.Button("Edit this face", variant="primary", size="lg", visible=False, elem_id="fl-edit")
            with gr.Accordion("Advanced", open=False):
                controls = build_groups(preset, studio)

    def buttons(session: Session, *, running: bool) -> dict[Any, Any]:
        embedding = session.embedding
        kept = embedding is not None and session.face_of(embedding) is not None
        once_more = kept and embedding.step is not None
        return {
            start: gr.Button(
                "Embed again" if once_more else "Embed",
                variant="secondary" if once_more else "primary",
                visible=not running,
                interactive=target(session) is not None,
            ),
            stop: gr.Button(visible=running),
            edit: gr.Button(visible=kept),
            go_on: gr.Button(interactive=not running and embedding is not None and embedding.step is not None),
        }

    def run(
        session: Session, embedding: Embedding, studio: Studio, resume: EmbedState | RecoveryState | None = None
    ) -> Iterator[dict[Any, Any]]:
        """Embed, live. In the end the view comes to rest, also where something failed."""
        session.begin(embedding)
        stopping = embedding.stopping

        def at_rest() -> dict[Any, Any]:
            if session.embedding is not embedding or embedding.stopping is not stopping:  # another one is seen by now
                return {library.rail: library.show(session)}
            done = embedding.step is not None and embedding.step.done
            return {
                view: _show(embedding, "done" if done else "stopped"),
                library.rail: library.show(session),
                **buttons(session, running=False),
            }

        try:
            yield from search(session, embedding, studio, resume)
        except Exception:
            yield at_rest()
            raise
        yield at_rest()

    def search(
        session: Session, embedding: Embedding, studio: Studio, resume: EmbedState | RecoveryState | None
    ) -> Iterator[dict[Any, Any]]:
        stopping, embedding.running, gone = embedding.stopping, True, False
        try:

            def begun(state: str) -> dict[Any, Any]:
                shown = gr.update(value=_show(embedding, state), target=goal(embedding.aligned, studio))
                return {view: shown, **buttons(session, running=True)}

            yield begun("waiting") | {library.rail: library.show(session)}
            if (
                resume is None
                and embedding.settings.start == "encoder"
                and studio.has_encoder
                and session.face_of(embedding) is None
            ):  # a likeness to edit while the search goes on
                keep(session, embedding, worker.run(studio.encode, embedding.aligned))
                seen = {} if stopping.is_set() else {view: _show(embedding, "waiting")}
                yield {**seen, library.rail: library.show(session), **buttons(session, running=True)}
            steps = worker.iterate(studio.embed, embedding.aligned, embedding.settings, resume=resume)
            with closing(steps):
                shown = began = time.monotonic()
                first = True
                for step in steps:
                    now = time.monotonic()
                    embedding.record(step, now - began)
                    began = now
                    if stopping.is_set():
                        break
                    if now - shown >= FRAME_SECONDS and not step.done:
                        shown = now
                        # a tab that opens just now can lose what it was told first
                        yield begun("running") if first else {view: _show(embedding, "running")}
                        first = False
        except GeneratorExit:
            gone = True
            raise
        finally:  # also when the page is closed or the device fails: what was found so far is kept
            ending = partial(keep_the_best, session, embedding, studio)
            if gone:  # Gradio closes the handlers of a page that is gone on the loop that serves all others
                Thread(target=ending, name="facelab-ending", daemon=True).start()
            else:
                ending()

    def keep_the_best(session: Session, embedding: Embedding, studio: Studio) -> None:
        """What ends a search: the best face of its steps is put into the library."""
        try:
            if embedding.step is not None:
                face = studio.to_face(embedding.step, embedding.aligned)
                keep(session, embedding, face)
                if not embedding.step.done:  # the last step's face is not the best one's, which is kept
                    embedding.psnr = worker.finish(studio.signal_to_noise, face)
                    embedding.identity = worker.finish(studio.identity_distance, face)
        finally:
            embedding.running = False

    def keep(session: Session, embedding: Embedding, face: Face) -> None:
        """Put what was found into the library, under the edits that were made to it meanwhile; if it was deleted there,
        it stays so.
        """
        embedding.image = worker.finish(studio.render, face)
        way, named = [], {}  # what versions begin with alike is done once

        def redo(version: Version) -> tuple[Face, np.ndarray]:
            if any(named.get(name, other) is not other for name, other in version.others.items()):
                way.clear()  # another face's history means somebody else by this name
                named.clear()
            named.update(version.others)
            edited, recipe = face, Recipe(face.latent.model, version.steps)
            steps = studio.replay(face, recipe, version.others, way=way)
            while (done := worker.finish(next, steps, None)) is not None:  # a slice each: others wait for no more
                edited = done
            return edited, worker.finish(studio.render, edited)

        while (known := session.face_of(embedding)) is not None:
            if session.rebase(known, face, embedding.image, redo):
                return
        with session.lock:
            if not embedding.dropped:
                session.add_face(face, embedding.image, name=embedding.name, embedding=embedding)

    def from_desk(session: Session) -> bool:
        """Whether Embed would take the crop of the photo on the desk: not while a face of the library is open."""
        return not session.opened and session.photo is not None and session.photo.aligned is not None

    def target(session: Session) -> AlignedFace | None:
        """The crop that Embed would take: the photo's, or that of the embedding in view."""
        if from_desk(session):
            return session.photo.aligned
        return None if session.embedding is None else session.embedding.aligned

    @friendly
    def on_start(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        aligned, before = target(session), session.embedding
        if aligned is None:
            raise BadSetting("Choose a face first: open a photo in Upload & align.")
        if before is not None and before.aligned is aligned and before.running and not before.stopping.is_set():
            return  # clicked twice
        chosen = backstage.studio_of(session)
        unsearched = before is not None and before.aligned is aligned and before.step is None and not before.running
        kept = session.face_of(before) if unsearched else None
        if unsearched and (kept is None or kept.face.latent.model == chosen.card.name):
            before.settings = controls.read(values, chosen)  # a face that was opened and never searched for here
            yield from run(session, before, chosen)
            return
        photo = session.photo if from_desk(session) else session.embedding.photo
        name = session.embedding.name if photo is None else photo.name
        yield from run(session, Embedding(aligned, controls.read(values, chosen), name, photo), chosen)

    @friendly
    def on_lead_on(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        if session.photo is not None and session.photo.aligned is None:  # turned just now: its faces are looked for
            raise BadSetting(NOT_LOOKED)
        session.opened = False
        yield from on_start(values, request)

    def on_leading(request: gr.Request) -> Any:
        """To the tab, unless what is wrong has to be put right where the button is."""
        session = backstage.sessions.known(request.session_hash)
        photo = None if session is None else session.photo
        return gr.skip() if photo is not None and photo.aligned is None else gr.Tabs(selected="embed")

    @friendly
    def on_continue(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        embedding = session.embedding
        if embedding is None or embedding.step is None:
            raise BadSetting("There is nothing to continue yet. Embed a face first.")
        if embedding.running:
            return  # clicked twice
        chosen = studio.of(embedding.step.latent.model)
        embedding.settings = further(controls.read(values, chosen), embedding)
        yield from run(session, embedding, chosen, resume=embedding.step.state)

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop()

    @friendly
    def on_tab(request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        embedding = session.embedding
        if session.opened or (embedding is not None and embedding.running):
            return {view: gr.skip()}
        aligned = target(session)
        if aligned is None:
            return buttons(session, running=False)
        if embedding is not None and embedding.aligned is not aligned:
            session.embedding = embedding = None
        if embedding is not None:
            return buttons(session, running=False)
        return {
            view: gr.update(value={"state": "ready"}, target=goal(aligned, backstage.studio_of(session))),
            library.rail: library.show(session),
            **buttons(session, running=False),
        }

    def goal(aligned: AlignedFace, chosen: Studio) -> str:
        """What is looked for, as the model will see it."""
        return jpeg_uri(enlarged(chosen.fitted(aligned)), quality=95)

    def choose_model(session: Session, name: str) -> dict[Any, Any]:
        session.model = studio.of(name).card.name
        chosen = backstage.studio_of(session)
        menu = {} if models is None else {models: {"model": session.model}}
        return {**menu, **controls.choose(next(iter(chosen.presets)), chosen)}

    @friendly
    def on_model(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Another model for new faces: what is under way stops, and is kept in the library."""
        session = backstage.visitor(request)
        update = choose_model(session, str(event.model))
        aligned = target(session)
        session.stop()
        session.embedding = None if from_desk(session) else session.embedding
        if aligned is None:
            return {**update, view: gr.update(value={"state": "idle"}, target="")}
        shown = gr.update(value={"state": "ready"}, target=goal(aligned, backstage.studio_of(session)))
        return {**update, view: shown, **buttons(session, running=False)}

    @friendly
    def on_open(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        face = session.faces.get(event.id)
        if face is None:
            return {library.rail: library.show(session)}
        session.opened = True
        embedding = face.embedding
        under_way = embedding is not None and embedding.running and not embedding.stopping.is_set()
        if under_way and embedding is session.embedding:
            return {tabs: gr.Tabs(selected="embed")}  # which shows it already, live
        session.stop()
        session.embedding = face.embedding
        crop = face.face.crop
        known = face.embedding is not None
        value = _show(face.embedding, "stopped") if known else {"state": "idle", "progress": face.name}
        value["picture"] = png_uri(enlarged(face.picture))
        model = face.face.latent.model
        menu = {} if model == backstage.studio_of(session).card.name else choose_model(session, model)
        return {
            **menu,
            view: gr.update(value=value, target="" if crop is None else jpeg_uri(crop, side=256)),
            library.rail: library.show(session),
            tabs: gr.Tabs(selected="embed"),
            **buttons(session, running=False),
        }

    @friendly
    def on_preset(name: str, request: gr.Request) -> dict[Any, Any]:
        return controls.choose(name, backstage.studio_of(backstage.visitor(request)))

    outputs = [view, library.rail, start, stop, go_on, edit]
    quiet = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
    inputs = set(controls.inputs)
    settings = [*controls.groups, *controls.inputs, *([] if models is None else [models])]
    preset.input(on_preset, preset, settings, **quiet)
    if models is not None:
        models.choose(on_model, None, [*outputs, *settings], **quiet)
    shown = lead_on.click(on_leading, None, tabs, queue=False, **quiet)
    shown.then(None, js=FOCUS_TAB)  # the button that was pressed is hidden now; the keyboard goes on from here
    for button, begin in ((lead_on, on_lead_on), (start, on_start), (go_on, on_continue)):
        # "multiple": a click counts while another face is embedded, which stops and is kept
        button.click(begin, inputs, outputs, trigger_mode="multiple", **quiet).then(None, js=REDRAW)
    gr.on([start.click, go_on.click, stop.click], None, js=FOCUS_NEXT)
    edit.click(None, js="() => facelab.goTo('attributes')")
    stop.click(on_stop, None, None, queue=False, **quiet)
    tab.select(on_tab, None, outputs, **quiet)
    library.rail.open(on_open, None, [*outputs, *settings, tabs], **quiet)


def _show(embedding: Embedding, state: str) -> dict[str, Any]:
    """What the browser draws of an embedding: numbers as text, the curve thinned, the picture as it is now."""
    step = embedding.step
    if step is None:
        begins = {"state": state, "progress": "Waiting for the device …", "title": "The embedding begins"}
        view = begins if state == "waiting" else {"state": "ready"}
        return view if embedding.image is None else {**view, "picture": _picture(embedding)}
    best = min(loss for _, loss, _ in embedding.history)
    total = step.total
    phase = PHASES[step.phase]
    words = {"waiting": "Going on", "running": phase, "stopped": "Stopped", "done": "Done"}[state]
    identity = embedding.identity
    times = f"{_duration(embedding.seconds_left)} left", f"took {_duration(embedding.seconds)}"
    view = {
        "state": state,
        "title": phase if embedding.running else f"{words} at step {step.step}",
        "progress": f"{words} · step {step.step} of {total}",
        "left": times[0] if embedding.running else times[1],
        "fraction": step.step / max(total, 1),
        "numbers": {
            "loss": f"{best:.4f}",
            "psnr": f"{embedding.psnr:.1f} dB",
            "identity": "–" if identity is None else f"{identity:.2f}",
            "latent": f"{step.latent_distance:.1f}",
        },
        "good": ["identity"] if identity is not None and identity < SAME_PERSON else [],
        "curve": packed(_curve(embedding.history)),
        "total": total,
        "split": step.state.steps_before if step.phase == "refine" else 0,
        "others": packed(_curves(embedding)),
        "strip": [{"step": number, "picture": jpeg_uri(image, side=THUMB_SIDE)} for number, image in _strip(embedding)],
    }
    if embedding.image is not None:
        view["picture"] = _picture(embedding)
    return view


def _picture(embedding: Embedding) -> str:
    picture = enlarged(embedding.image)
    return jpeg_uri(picture, quality=92) if embedding.running else png_uri(picture)


def _curve(history: list[tuple[int, float, float]]) -> list[tuple[int, float]]:
    return [(step, float(f"{loss:.4g}")) for step, loss, _ in _thinned(history, CURVE_POINTS)]


def _curves(embedding: Embedding) -> list[list[tuple[int, float]]]:
    """The loss of every restart of a recovery by step; none where there is only one."""
    first = len(embedding.history) - len(embedding.restarts)
    steps = [step for step, _, _ in embedding.history[first:]]
    points = _thinned(list(zip(steps, embedding.restarts, strict=True)), CURVE_POINTS // 2)
    if not points or len(points[-1][1]) < 2:
        return []
    return [[(step, float(f"{losses[number]:.3g}")) for step, losses in points] for number in range(len(points[-1][1]))]


def _strip(embedding: Embedding) -> list[tuple[int, np.ndarray]]:
    return _thinned(embedding.strip, STRIP_PICTURES)


def _thinned(items: list[Any], count: int) -> list[Any]:
    """At most about `count` of the items in even steps, the last one among them."""
    stride = max(1, -(-len(items) // count))
    return items[::stride] + (items[-1:] if items and (len(items) - 1) % stride else [])


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
