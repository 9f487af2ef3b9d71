"""The tab Style crossover: one face's shape with another one's style, and the grid of several of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from facelab.errors import BadSetting
from facelab.history import Result
from facelab.page.backstage import Backstage, friendly
from facelab.page.library import Library
from facelab.page.parts import event
from facelab.page.picker import all_picked, picked, picked_faces, picker
from facelab.page.sheet import Sheet, build_sheet, last_sheet
from facelab.page.stylise import build_stylise
from facelab.page.viewer import QUIET, build_viewer
from facelab.sessions import LibraryFace, Session

RANGES = {
    "half": ("Half and half", "The finer half of the layers: features, colours and light, as in the paper."),
    "coarse": ("Coarse", "Up to about 8 pixels: pose, the shape of face and head."),
    "middle": ("Middle", "About 16 to 32 pixels: features, expression, hair's shape."),
    "fine": ("Fine", "From about 64 pixels on: colours, light and texture."),
}
MISSING = (
    "Choose a content and a style, both of a StyleGAN model such as faces128: models with one latent for the whole "
    "picture have no layers to cross."
)
MAX_SIDE = 8  # faces on each side of the grid


def build_crossover_tab(backstage: Backstage, library: Library) -> None:
    """Build the tab."""
    studio, worker = backstage.studio, backstage.worker
    with gr.Tab("Style crossover", id="crossover"):
        with gr.Row(elem_classes=["fl-split", "fl-live"]):
            with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
                viewer = build_viewer(backstage, library, "crossover", hint="One face in the style of another")
            with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
                content = picker("Content", "crossover-content", info="The face that stays itself.")
                style = picker("Style", "crossover-style", info="The face whose style it takes.", place=1)
                span = gr.Radio(
                    [(words[0], name) for name, words in RANGES.items()],
                    value="half",
                    label="Layers",
                    info=RANGES["half"][1],
                    elem_classes=["fl-segmented", "fl-two"],
                )
                strength = gr.Slider(
                    0, 1, 1, step=0.02, label="Strength", info="0 keeps the content, 1 takes the style whole."
                )
                with gr.Accordion("Grid of several faces", open=False):
                    contents = picker("Contents", "crossover-contents", info="A row each.", several=True)
                    styles = picker("Styles", "crossover-styles", info="A column each.", several=True)
                    draw = gr.Button("Draw the grid", variant="primary")
                build_stylise(backstage, viewer, content)
                with gr.Accordion("Advanced", open=False):
                    exact = gr.Textbox(
                        "",
                        label="Exact layers",
                        placeholder="the range above",
                        max_lines=1,
                        info="Rows of the latent, such as 6-11; 0 is the coarsest. Empty for the range above.",
                    )
        sheet = build_sheet(backstage, "crossover", viewer)

    def rows_of(values: dict[Any, Any], content: LibraryFace) -> slice:
        return studio.rows_of(content.face, str(values[exact] or "").replace(" ", "")[:12] or values[span])

    def crossed(one: LibraryFace, other: LibraryFace, rows: slice, amount: float) -> Result:
        step = {"op": "crossover", "with": other.name, "rows": [rows.start, rows.stop], "strength": amount}
        return Result(
            name=f"{one.name} as {other.name}",
            title=f"Style of {other.name}, layers {_written(rows)}",
            face=studio.crossover(one.face, other.face, rows=rows, strength=amount),
            source=one.history,
            step=step,
            others={other.name: other.face},
        )

    def result(session: Session, values: dict[Any, Any]) -> Result | None:
        if not all_picked(values[content], values[style]):
            return None
        faces = picked(session, values[content], "Content"), picked(session, values[style], "Style")
        if any(not studio.of(each.face.latent.model).has_layers for each in faces):
            return None
        return crossed(*faces, rows_of(values, faces[0]), float(values[strength]))

    @friendly
    def on_draw(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        amount = float(values[strength])
        sides, heads = picked_faces(session, values[contents]), picked_faces(session, values[styles])
        if not (1 <= len(sides) <= MAX_SIDE and 1 <= len(heads) <= MAX_SIDE):
            raise BadSetting(f"Choose between 1 and {MAX_SIDE} contents and as many styles for the grid.")
        rows = rows_of(values, sides[0])
        sides, heads = ([each.as_now() for each in faces] for faces in (sides, heads))
        yield {sheet: {"title": "Crossover grid", "running": True, "text": "Drawing …"}}
        pictures, stopping = [], session.begin_job("crossover")

        def take(index: int) -> Result:
            return crossed(sides[index // len(heads)], heads[index % len(heads)], rows, amount)

        try:
            for side in sides:
                [row] = worker.run(
                    studio.crossover_grid,
                    [side.face],
                    [head.face for head in heads],
                    rows=rows,
                    strength=amount,
                )
                pictures += row
                if stopping.is_set():
                    sides = sides[: len(pictures) // len(heads)]
                    break
            labels = [f"Take {side.name} in the style of {head.name}" for side in sides for head in heads]
            made = Sheet("Crossover grid", len(heads), pictures, labels, take, heads, sides)
            session.keep_sheet("crossover", made)
        except Exception:
            yield {sheet: last_sheet(session, "crossover")}
            raise
        yield {sheet: made.view()}

    inputs = {content, style, span, strength, exact}
    triggers = [event(content, "pick"), event(style, "pick"), span.input, exact.submit, exact.blur, strength.input]
    viewer.follow(triggers, inputs, result, hint=MISSING)
    span.input(lambda name: gr.Radio(info=RANGES[name][1]), span, span, **QUIET)
    draw.click(on_draw, {*inputs, contents, styles}, [sheet], **QUIET)


def _written(rows: slice) -> str:
    return f"{rows.start}-{rows.stop - 1}" if rows.stop - rows.start > 1 else str(rows.start)
