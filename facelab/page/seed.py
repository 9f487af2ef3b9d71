"""The number by which random faces are drawn."""

from __future__ import annotations

import gradio as gr

from facelab.seeds import MAX_SEED


def seed_field(value: int = 1, *, label: str = "Seed", info: str = "The same seed draws the same faces.") -> gr.Number:
    """A field for a seed; a number out of range is a message to the visitor. info: one sentence of help."""
    return gr.Number(value, label=label, precision=0, minimum=0, maximum=MAX_SEED, info=info)
