"""Style crossover's other half: a face in the style of any picture, searched for live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePath
from secrets import token_hex
from typing import Any

import gradio as gr

from facelab.errors import BadSetting
from facelab.history import Result
from facelab.page.backstage import Backstage, explain, friendly
from facelab.page.parts import part
from facelab.page.picker import picked
from facelab.page.pictures import jpeg_uri
from facelab.page.uploads import take_upload
from facelab.page.viewer import QUIET, Viewer
from facelab.photo import read_photo
from facelab.sessions import Session
from facelab.stylising import StyliseSettings, style_picture

JOB = "stylise"
SHOWN_SECONDS, SHOWN_SIDE, CURVE_POINTS = 0.2, 256, 120
KEPT_SIDE = 1024  # of the picture's middle square, which is all of it that gives its style
EYES = {
    "vgg16": "The style is seen by VGG-16's conv4_2, as in Image2StyleGAN.",
    "discriminator": "The style is seen by this model's discriminator, as deep as VGG-16's conv4_2. Put VGG-16's "
    "weights into the checkpoints folder to have it seen as in Image2StyleGAN.",
}


def build_stylise(backstage: Backstage, viewer: Viewer, content: gr.HTML) -> None:
    """Make the accordion where it is called. content: the picker of the face that gets the style."""
    studio, worker, defaults = backstage.studio, backstage.worker, StyliseSettings()
    with gr.Accordion("Style of any picture", open=False):
        view = part("stylise", {"state": "idle"}, style=None)
        likeness = gr.Slider(
            0,
            1,
            defaults.content_weight,
            step=0.05,
            label="Likeness",
            info="More keeps the face, less takes the style.",
        )
        steps = gr.Slider(20, 400, defaults.steps, step=10, label="Steps", info="How long the style is searched for.")
        act = gr.Button("Stylise", variant="primary")
        gr.HTML(
            f'<p class="fl-small fl-muted">{EYES[studio.style_features]}</p>',
            js_on_load=None,
            apply_default_css=False,
        )

    def shown(session: Session, state: str, **more: Any) -> dict[str, Any]:
        return {"state": state, "name": session.style[0] if session.style else "", **more}

    @friendly
    def on_take(event: gr.EventData, request: gr.Request) -> Any:
        try:
            session, pixels = backstage.visitor(request), read_photo(take_upload(event.path))
        except Exception as error:  # shown where the picture was chosen; the one before it stays
            return {"state": "idle", "refusal": explain(error), "number": token_hex(4)}
        square = style_picture(pixels, min(KEPT_SIDE, *pixels.shape[:2]))
        session.style = (PurePath(str(event.name)).stem[:40], square)
        return gr.update(
            value={**shown(session, "idle"), "number": token_hex(4)}, style=jpeg_uri(style_picture(square, SHOWN_SIDE))
        )

    @friendly
    def on_act(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        face = picked(session, values[content], "Content").as_now()
        if session.style is None:
            raise BadSetting("Choose the picture first whose style the face is to take.")
        settings = StyliseSettings(steps=int(values[steps]), content_weight=float(values[likeness]))
        stopping, start, name, losses = session.begin_job(JOB), face.face, session.style[0], []
        yield {view: shown(session, "running", text="Waiting for the device …", fraction=0)}
        told, step = time.monotonic(), None
        try:
            with closing(worker.iterate(studio.stylise, start, session.style[1], settings)) as found:
                for step in found:
                    losses.append(step.losses["style"])
                    if stopping.is_set():
                        break
                    if step.image is not None and time.monotonic() - told >= SHOWN_SECONDS:
                        told = time.monotonic()
                        yield {view: progress(session, "running", step, losses)}
        except Exception:
            yield {view: shown(session, "idle")}
            raise
        made = studio.stylised(start, step)
        rows = list(step.rows)
        result = Result(
            name=f"{face.name} as {name}",
            title=f"Style of {name}",
            face=made,
            source=face.history,
            step={"op": "stylise", "with": f"{face.name} as {name}", "rows": rows},
            others={f"{face.name} as {name}": made},
        )
        yield {
            view: progress(session, "done", step, losses, made),
            viewer.view: viewer.show(session, result, ending=True),
        }

    def progress(session: Session, state: str, step: Any, losses: list[float], made: Any = None) -> dict[str, Any]:
        pixels = step.image if made is None else worker.finish(studio.render, made)
        words = f"Step {step.step} of {step.total}" if made is None or step.done else f"Stopped at step {step.step}"
        stride = -(-len(losses) // CURVE_POINTS)
        curve = [float(f"{loss:.3g}") for loss in losses[::stride]]
        text = f"{words} · style loss {losses[-1]:.2f}"
        return shown(
            session,
            state,
            text=text,
            fraction=step.step / step.total,
            curve=curve,
            picture=jpeg_uri(pixels, quality=92),
        )

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop_job(JOB)

    view.take(on_take, None, view, **QUIET)
    view.stop(on_stop, None, None, queue=False, **QUIET)
    act.click(on_act, {content, likeness, steps}, [view, viewer.view], **QUIET)
