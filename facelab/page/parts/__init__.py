"""Widgets of our own: each is a gr.HTML that its JavaScript file draws from `value` and that sends named events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

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
