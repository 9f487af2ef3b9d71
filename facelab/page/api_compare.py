"""The endpoint that compares models: JSON in, JSON out; there is nothing of anyone to keep."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import gradio as gr

from facelab.checkpoints.cards import find_card
from facelab.comparing import MOST_MEASURED
from facelab.errors import BadSetting
from facelab.evaluation.comparison import load_comparison
from facelab.evaluation.table import as_json
from facelab.page.answers import as_list, read_options, stateless
from facelab.page.backstage import Backstage


def build_compare_api(backstage: Backstage) -> None:
    """Add /compare. Nothing of it is seen in the page."""
    studio, worker = backstage.studio, backstage.worker

    @stateless
    def compare(models: list[str] | None, options: dict[str, Any] | None) -> dict[str, Any]:
        """Models beside each other by their figures.

        models: names of the catalogue, all by default. options: {"measure": 0}: so many fresh faces of each model are
        measured first, up to 1,024; 0 for what is known already.
        Returns {"models", "side", "saved": {"command", "machine", "samples", "side"} or null, "figures": {key:
        {"title", "values": by model, "here": models measured on this machine, "real", "absent": why some have none}}}.
        """
        asked = as_list(models or [card.name for card in studio.models()])
        names = list(dict.fromkeys(find_card(str(name)).name for name in asked))
        count, side, saved = (
            read_options(options, measure=0)["measure"],
            studio.comparable_side(names),
            load_comparison(),
        )
        if count and not 2 <= count <= MOST_MEASURED:
            raise BadSetting(f"measure must be 0, or between 2 and {MOST_MEASURED:,}, not {count}.")
        for name in names if count else []:
            with closing(worker.iterate(studio.of(name).measure, samples=count, side=side)) as steps:
                for _ in steps:
                    pass
        kept = ("command", "machine", "samples", "side")
        said = None if saved is None else {each: getattr(saved, each) for each in kept}
        table = as_json([find_card(name) for name in names], studio.compare(names, side=side))
        return {**table, "side": side, "saved": said}

    with gr.Column(visible=False):
        models, options, answer = (gr.JSON(label=name) for name in ("models", "options", "report"))
    run = gr.Button("compare", visible=False)
    run.click(compare, [models, options], answer, api_name="compare", concurrency_limit=None)
