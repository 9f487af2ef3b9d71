"""The tab Compare: models beside each other by faces, figures and losses, a map of each latent space, and a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import chain
from secrets import token_hex
from typing import Any

import gradio as gr

from facelab.checkpoints.cards import Card, find_card
from facelab.comparing import MEASURED, Progress
from facelab.errors import BadSetting
from facelab.evaluation.comparison import load_comparison
from facelab.evaluation.report import Report, write_report
from facelab.evaluation.table import in_words
from facelab.media import contact_sheet
from facelab.page.backstage import Backstage, explain, friendly
from facelab.page.latent_map import build_map
from facelab.page.library import Library
from facelab.page.parcels import parcel
from facelab.page.parts import packed, part
from facelab.page.pictures import jpeg_uri
from facelab.page.progress import TOLD_SECONDS, running
from facelab.page.seed import seed_field
from facelab.page.viewer import IN_TURN, QUIET
from facelab.sessions import Session
from facelab.studio import Studio
from facelab.training.run import PROGRESS

TAB = "compare"
DRAWING = "compare-drawing"  # in what a session was last asked for: which drawing of it is the newest
CHOICE = "compare-models"  # likewise: which models its table shows
SHOWN, COLUMNS = 12, 4  # faces of each model
MOST_POINTS = 200  # of a curve


def build_compare_tab(backstage: Backstage, library: Library) -> None:
    """Build the tab."""
    studio, worker = backstage.studio, backstage.worker
    names = [card.name for card in studio.models()]
    with gr.Tab("Compare", id=TAB) as tab:
        with gr.Column(elem_classes=["fl-card", "fl-compare"], min_width=0):
            models = gr.CheckboxGroup(
                [(card.title, card.name) for card in studio.models()],
                value=names,
                label="Models",
                info="Which ones stand beside each other.",
                visible=len(names) > 1,
            )
            with gr.Row(elem_classes="fl-pairs"):
                truncation = gr.Slider(
                    0,
                    1,
                    0.7,
                    step=0.05,
                    label="Truncation",
                    info="0 is the mean face, 1 the full variety. PGGAN has no mean face and ignores it.",
                )
                seed = seed_field()
            lineup = part("lineup", {"sheets": []})
        with gr.Column(elem_classes=["fl-card", "fl-compare"], min_width=0) as measuring:
            figures = part("figures", {}, parcel=None, progress={"state": "idle"})
            with gr.Row(elem_classes="fl-pairs"):
                samples = gr.Slider(
                    16,
                    512,
                    MEASURED,
                    step=16,
                    label="Faces to measure",
                    info="More faces take longer and give steadier figures.",
                )
                with gr.Row(elem_classes="fl-compare-do"):
                    measure = gr.Button("Measure here")
                    report = gr.Button("Download the report")
        with gr.Column(elem_classes=["fl-card", "fl-compare"], min_width=0) as training:
            losses = part("losses", {"models": []})
        build_map(backstage, library)

    def table(session: Session) -> dict[str, Any]:
        """What the table shows, of the models that are chosen by now."""
        chosen = session.asked.get(CHOICE, "").split()
        return _table_view(studio, chosen) if chosen else {}

    def sheets(values: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        """The sheets, one more each time."""
        drawn: list[dict[str, str]] = []
        options = {"seed": int(values[seed] or 0), "truncation": float(values[truncation])}
        for name in _chosen(values[models], names):
            pictures = worker.run(studio.of(name).draw, SHOWN, **options)
            picture = jpeg_uri(contact_sheet(pictures, columns=COLUMNS, gap=0), quality=92)
            drawn.append(_titled(find_card(name)) | {"picture": picture})
            yield {lineup: {"sheets": list(drawn)}}
        if not drawn:
            yield {lineup: {"sheets": []}}

    def curves(chosen: Sequence[str]) -> dict[Any, Any]:
        told = [_titled(find_card(name)) | {"curves": packed(_curves(studio.of(name).losses()))} for name in chosen]
        return {losses: {"models": told}}

    def everything(session: Session, values: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        chosen = _chosen(values[models], names)
        session.asked[CHOICE] = " ".join(chosen)
        told = {card: gr.Column(visible=bool(chosen)) for card in (measuring, training)}
        yield told | {figures: table(session)} | curves(chosen)
        yield from sheets(values)

    def newest(session: Session, updates: Iterator[dict[Any, Any]]) -> Iterator[dict[Any, Any]]:
        """Updates, until others are asked for: what was drawn for an earlier choice does not come back."""
        session.asked[DRAWING] = mine = token_hex(4)
        for update in updates:
            if session.asked.get(DRAWING) != mine:
                return
            yield update

    @friendly
    def on_open(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        if TAB in session.asked:
            return
        session.asked[TAB] = "drawn"
        try:
            yield from newest(session, everything(session, values))
        except BaseException:  # also where the page is closed meanwhile: opened again, the tab is drawn
            session.asked.pop(TAB, None)
            raise

    @friendly
    def on_models(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        yield from newest(session, everything(session, values))

    @friendly
    def on_draw(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        yield from newest(backstage.visitor(request), sheets(values))

    def work(
        session: Session,
        jobs: Sequence[Callable[[], Iterator[Progress]]],
        done: Callable[[], dict[str, Any]],
        so_far: Callable[[], dict[str, Any]] = dict,
    ) -> Iterator[dict[Any, Any]]:
        """Do jobs on the device one after the other, with progress and a way to stop; `done` makes the last update,
        `so_far` the one of what has been stopped.
        """
        stopping, told = session.begin_job(TAB), 0.0
        yield {figures: gr.update(progress=running("Waiting for the device …", 0)), **_buttons(False)}
        try:
            for number, job in enumerate(jobs):
                with closing(worker.iterate(job)) as steps:
                    for step in steps:
                        if stopping.is_set():
                            stopped = {"state": "idle", "text": "Stopped."}
                            yield {figures: gr.update(progress=stopped, **so_far()), **_buttons(True)}
                            return
                        if time.monotonic() - told > TOLD_SECONDS:
                            told = time.monotonic()
                            yield {figures: gr.update(progress=_told(step, number, len(jobs)))}
            yield {figures: gr.update(progress={"state": "idle"}, **done()), **_buttons(True)}
        except Exception as error:
            yield {figures: gr.update(progress={"state": "refused", "text": explain(error)}), **_buttons(True)}

    def _buttons(free: bool) -> dict[Any, Any]:
        return {measure: gr.Button(interactive=free), report: gr.Button(interactive=free)}

    @friendly
    def on_measure(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session, chosen = backstage.visitor(request), _some(_chosen(values[models], names))
        session.asked[CHOICE] = " ".join(chosen)
        side, count = studio.comparable_side(chosen), int(values[samples])

        def job(name: str) -> Callable[[], Iterator[Progress]]:
            return lambda: studio.of(name).measure(samples=count, side=side)

        def known() -> dict[str, Any]:
            return {"value": table(session)}

        yield from work(session, [job(name) for name in chosen], known, known)

    @friendly
    def on_report(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        chosen, made = _some(_chosen(values[models], names)), Report()
        options = {"seed": int(values[seed] or 0), "truncation": float(values[truncation])}

        def done() -> dict[str, Any]:
            return {"parcel": parcel(made.as_zip(), "comparison", "zip")}

        yield from work(backstage.visitor(request), [lambda: write_report(studio, chosen, made, **options)], done)

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop_job(TAB)

    drawn_by, shown = {models, truncation, seed}, [lineup, measuring, figures, training, losses]
    tab.select(on_open, drawn_by, shown, **QUIET)
    models.input(on_models, drawn_by, shown, **IN_TURN)
    gr.on([truncation.input, seed.input], on_draw, drawn_by, [lineup], **IN_TURN)
    measure.click(on_measure, {models, samples}, [figures, measure, report], **QUIET)
    report.click(on_report, drawn_by, [figures, measure, report], **QUIET)
    figures.stop(on_stop, None, None, queue=False, **QUIET)


def _chosen(values: Any, names: Sequence[str]) -> list[str]:
    """The chosen models, in the catalogue's order."""
    return [name for name in names if name in (values or ())]


def _some(chosen: list[str]) -> list[str]:
    if not chosen:
        raise BadSetting("Choose at least one model to compare.")
    return chosen


def _titled(card: Card) -> dict[str, str]:
    seen = card.training.get("images")
    return {"name": card.name, "title": card.title, "about": f"{seen:,} pictures seen" if seen else ""}


def _table_view(studio: Studio, chosen: Sequence[str]) -> dict[str, Any]:
    """What parts/figures.js draws."""
    cards, lines, saved = [find_card(name) for name in chosen], studio.compare(chosen), load_comparison()
    side = studio.comparable_side(chosen)
    cells = list(chain.from_iterable(line.cells for line in lines))
    about = []
    if saved is not None and any(saved.row(card) for card in cards):
        about.append(f"Of {saved.samples:,} faces of each model at {saved.side} px, measured on {saved.machine}.")
    if any(cell.here or cell.other is not None for cell in cells):
        about.append(f"Marked figures were measured on this machine, at {side} px.")
    return {
        "models": [{"title": card.title} for card in cards],
        "about": " ".join(about),
        "real": any(line.real is not None for line in lines),
        "lines": packed(
            [
                {
                    "title": line.figure.title,
                    "help": line.figure.help,
                    "why": line.why,
                    "real": in_words(line.real, line.figure),
                    "cells": [
                        {
                            "text": in_words(cell.value, line.figure),
                            "here": cell.here,
                            "other": "" if cell.other is None else in_words(cell.other, line.figure),
                            "best": place in line.best,
                        }
                        for place, cell in enumerate(line.cells)
                    ],
                }
                for line in lines
            ]
        ),
    }


def _curves(rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """The columns of a table of losses as (images, value), thinned to what a small plot can show."""
    thinned = rows[:: -(-len(rows) // MOST_POINTS)] if rows else []
    columns = [name for name in (rows[0] if rows else ()) if name not in PROGRESS]
    curves = [
        {"name": name, "points": [[float(row["images"]), float(row[name])] for row in thinned if row.get(name)]}
        for name in columns
    ]
    return [curve for curve in curves if len(curve["points"]) > 1]


def _told(step: Progress, number: int, jobs: int) -> dict[str, Any]:
    return running(f"{step.text} …", (number + step.done / step.total) / jobs)
