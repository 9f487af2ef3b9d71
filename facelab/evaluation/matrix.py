"""The entanglement matrix: what each direction changes, and what it should have left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def draw_matrix(measured: Mapping[str, Mapping], titles: Mapping[str, str], path: Path) -> None:
    """Write a PNG: rows are edits, columns what was seen to change, in deviations of real portraits' scores.

    measured: what `edits.measure_directions` gives. titles: by direction's id.
    """
    from matplotlib.figure import Figure

    edits = [name for name, figures in measured.items() if figures["default"].get("changes")]
    seen = [name for name in titles if any(name in measured[edit]["default"]["changes"] for edit in edits)]
    values = np.array([[measured[edit]["default"]["changes"][name] for name in seen] for edit in edits])
    figure = Figure(figsize=(0.42 * len(seen) + 2.2, 0.36 * len(edits) + 2.0), dpi=110, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="RdBu_r", vmin=-2.5, vmax=2.5)
    axes.set_xticks(range(len(seen)), [titles[name] for name in seen], rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(edits)), [titles[name] for name in edits], fontsize=8)
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if abs(value) >= 0.5:
                shade = "white" if abs(value) > 1.6 else "black"
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=6, color=shade)
    axes.set_ylabel("edited")
    axes.set_title("Mean change of each attribute, in deviations among real portraits", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.7)
    figure.savefig(path)
