"""Numbers that do not fit their field: Gradio's own message does not say which field it speaks of."""

from __future__ import annotations

import gradio as gr

from facelab.errors import BadSetting
from facelab.page.backstage import as_message
from facelab.ranges import between

_slider, _field = gr.Slider.preprocess, gr.Number.preprocess


def name_numbers() -> None:
    """Let sliders take what lies beyond an end as that end, as they show it once they are left, and number fields say
    by their label what they do not take. It is done for all, as Gradio makes fields anew when it changes them.
    """
    gr.Slider.preprocess, gr.Number.preprocess = _held, _named


def _held(slider: gr.Slider, payload: float | None) -> float:
    number = slider.minimum if payload is None else payload
    return _slider(slider, min(max(number, slider.minimum), slider.maximum))


def _named(field: gr.Number, payload: float | None) -> float | int | None:
    if payload is not None and None not in (field.minimum, field.maximum):
        try:
            between(field.label, payload, field.minimum, field.maximum)
        except BadSetting as refused:
            raise as_message(refused) from None
    return _field(field, payload)
