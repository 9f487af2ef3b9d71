"""Widgets of our own: each is a gr.HTML that its JavaScript file draws from `value` and that sends named events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import EventListener

FOLDER = Path(__file__).parent


def part(name: str, value: Any = None, *, tag: str = "", **props: Any) -> gr.HTML:
    """The widget that parts/<name>.js draws.

    value: what it shows. tag: tells several widgets of one kind apart. props: options of gr.HTML, and what it shows
    that need not be sent anew with each value.
    """
    return gr.HTML(
        value,
        html_template=f'<div class="fl-{name}"></div>',
        js_on_load=(FOLDER / f"{name}.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=f"fl-{name}-{tag}" if tag else f"fl-{name}",
        **props,
    )


def packed(values: Any) -> str:
    """Many numbers as one text, for JSON.parse: at every message Gradio's page copies its widgets' values piece by
    piece, and thousands of pieces would hold it up for seconds.
    """
    return json.dumps(values, separators=(",", ":"))


def event(widget: gr.HTML, name: str) -> EventListener:
    """An event that a widget of ours sends, as a trigger for gr.on.

    Several triggers of one gr.on with trigger_mode="always_last" never overtake each other. What comes while an earlier
    one is under way loses its data, so that such events say nothing that is not in a component's value, too.
    """
    trigger = EventListener(name)
    trigger.__self__ = widget
    return trigger
