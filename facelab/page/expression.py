"""The tab Expression: the difference between two pictures of one person, carried to another face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from secrets import token_hex
from typing import Any

import gradio as gr
import numpy as np

from facelab.clips import read_clip
from facelab.edits.expression import THRESHOLD
from facelab.errors import BadSetting
from facelab.history import Result
from facelab.page.backstage import Backstage, friendly
from facelab.page.film import Progress, build_film
from facelab.page.library import Library
from facelab.page.parts import event as event_of
from facelab.page.parts import part
from facelab.page.picker import all_picked, picked, picker
from facelab.page.uploads import take_upload
from facelab.page.viewer import QUIET, build_viewer
from facelab.sessions import LibraryFace, Session

STRONGEST = 2.0
MISSING = (
    "Choose a neutral and an expressive picture of one person. Attributes makes them: move Smile, then keep the result "
    "as a new face."
)
PHASES = {
    "follow": ("Following the face", 0.2),
    "align": ("Cutting the face out", 0.4),
    "encode": ("Encoding the frames", 0.6),
}
FILM_FRAMES, FILM_FPS, FILM_SIDE, BATCH = 48, 24, 256, 12


def build_expression_tab(backstage: Backstage, library: Library) -> None:
    """Build the tab."""
    studio, worker = backstage.studio, backstage.worker
    with gr.Tab("Expression", id="expression"):
        with gr.Row(elem_classes=["fl-split", "fl-live"]):
            with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
                viewer = build_viewer(backstage, library, "expression", hint=MISSING)
            with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
                target = picker("Target", "expression-target", info="The face that gets the expression.")
                neutral = picker("Neutral", "expression-neutral", info="Somebody without it …", place=-1)
                expressive = picker(
                    "Expressive", "expression-expressive", info="… and the same person with it.", place=-1
                )
                strength = gr.Slider(
                    -STRONGEST,
                    STRONGEST,
                    1,
                    step=0.05,
                    label="Strength",
                    info="How much of the difference; minus turns it around.",
                    elem_classes="fl-both-ways",
                )
                with gr.Row(elem_classes="fl-actions"):
                    make = gr.Button("Make the film", variant="primary", size="lg")
                with gr.Accordion("From a video clip", open=False):
                    clip = part("clip", {})
                with gr.Accordion("Advanced", open=False):
                    threshold = gr.Slider(
                        0,
                        1,
                        round(THRESHOLD, 3),
                        step=0.005,
                        label="Threshold",
                        info="Layers that differ by less than this part of a usual distance are left out as noise.",
                    )
                    normalise = gr.Checkbox(
                        True,
                        label="Normalise",
                        info="The same strength is the same intensity, whatever the two pictures.",
                    )
                    where = gr.Radio(
                        [("The face", "face"), ("The whole picture", "everywhere")],
                        value="face",
                        label="Where",
                        info="Hair and what is behind the head stay, or change with the face as in the paper. Models "
                        "of one latent always change them.",
                    )
        film = build_film(backstage, "expression", wide=True)

    def faces_of(session: Session, values: dict[Any, Any]) -> tuple[LibraryFace, LibraryFace, LibraryFace]:
        return (
            picked(session, values[target], "Target"),
            picked(session, values[neutral], "Neutral"),
            picked(session, values[expressive], "Expressive"),
        )

    def options_of(values: dict[Any, Any]) -> dict[str, Any]:
        return {
            "threshold": float(values[threshold]),
            "normalise": bool(values[normalise]),
            "everywhere": values[where] == "everywhere",
        }

    def result(session: Session, values: dict[Any, Any]) -> Result | None:
        if not all_picked(values[target], values[neutral], values[expressive]):
            return None
        face, calm, moved = faces_of(session, values)
        amount, options = float(values[strength]), options_of(values)
        step = {"op": "express", "neutral": calm.name, "expressive": moved.name, "strength": amount, **options}
        return Result(
            name=f"{face.name}, expression",
            title=f"Expression of {moved.name} {amount:+.2f}",
            face=worker.run(studio.express, face.face, calm.face, moved.face, strength=amount, **options),
            source=face.history,
            step=step,
            others={calm.name: calm.face, moved.name: moved.face},
        )

    @friendly
    def on_make(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        face, calm, moved = (each.as_now() for each in faces_of(session, values))
        amount, options = float(values[strength]), options_of(values)
        if not amount:
            raise BadSetting("At strength 0 nothing would move. Move Strength to one side for the film.")

        def frames() -> Iterator[np.ndarray]:
            swing = amount * np.sin(np.linspace(0, 2 * np.pi, FILM_FRAMES, endpoint=False) - np.pi / 2) / 2 + amount / 2
            for first in range(0, FILM_FRAMES, BATCH):
                states = [
                    studio.express(face.face, calm.face, moved.face, strength=float(each), **options)
                    for each in swing[first : first + BATCH]
                ]
                yield from studio.render_many(states, FILM_SIDE)

        updates = film.make(
            session,
            frames,
            total=FILM_FRAMES,
            fps=FILM_FPS,
            strip=slice(FILM_FRAMES // 2 + 1),  # the way there; back it looks the same
            name=f"{face.name} expression",
            operations=[*face.history.operations, f"express {amount:g}"],
            from_photo=any(each.history.from_photo for each in (face, calm, moved)),
            model=face.face.latent.model,
            of={"expression-target": face, "expression-neutral": calm, "expression-expressive": moved},
        )
        for update in updates:
            yield {film.view: update}

    @friendly
    def on_clip(values: dict[Any, Any], event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        try:
            face = picked(session, values[target], "Target").as_now()
            filmed = read_clip(take_upload(event.path))
        except Exception:
            yield {clip: {"number": token_hex(4), "refused": "That one was not opened. Choose it again, or another."}}
            raise
        yield {clip: {"number": token_hex(4), "name": PurePath(str(event.name)).name[:40]}}
        options = {"strength": float(values[strength]), "size": FILM_SIDE, **options_of(values)}
        del options["normalise"]  # a clip's expressions are as strong as they are

        def frames() -> Iterator[np.ndarray | Progress]:
            for step in studio.follow_clip(face.face, filmed, **options):
                if step.frame is not None:
                    yield step.frame
                else:
                    words, share = PHASES.get(step.phase, ("Looking", 0.1))
                    yield Progress(f"{words} · {step.done}" + (f" of {step.total}" if step.total else ""), share)

        updates = film.make(
            session,
            frames,
            total=None,
            fps=filmed.fps,
            strip=slice(None),
            name=f"{face.name} follows",
            operations=[*face.history.operations, f"express {values[strength]:g} from a clip"],
            from_photo=True,
            model=face.face.latent.model,
            of={"expression-target": face},
        )
        for update in updates:
            yield {film.view: update}

    inputs = {target, neutral, expressive, strength, threshold, normalise, where}
    picks = [event_of(each, "pick") for each in (target, neutral, expressive)]
    viewer.follow([*picks, normalise.input, where.input, strength.input, threshold.input], inputs, result, hint=MISSING)
    clip.clip(
        on_clip, {target, strength, threshold, normalise, where}, [clip, film.view], trigger_mode="multiple", **QUIET
    )
    make.click(on_make, inputs, [film.view], **QUIET)
