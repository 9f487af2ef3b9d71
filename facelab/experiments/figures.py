"""Figures: sheets of pictures with their labels, curves, and a map of distances."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

from facelab.media import Provenance, encode_jpeg, labelled_sheet

DPI = 100
CELL = 128  # pixels of a picture's side
BLUE, GREY = "#1f5a8a", "#9db4c8"
CYCLE = ("#1f5a8a", "#c8553d", "#5b8c5a", "#8d6a9f", "#d9a441", "#4f6d7a")


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray]]], columns: Sequence[str], *, model: str, done: str) -> bytes:
    """A JPEG of labelled rows of pictures, uint8 [R, R, 3], each under its column's label.

    model, done: what made them, for the file's metadata.
    """
    page = labelled_sheet(rows, columns=columns, side=CELL)
    return encode_jpeg(page, Provenance(model, ["experiment", done]))


def plot_curves(curves: Mapping[str, Sequence[np.ndarray]], *, xlabel: str, ylabel: str) -> bytes:
    """A PNG of a line a class: the mean of its curves [steps], over the band that they fill; both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    for (name, lines), colour in zip(curves.items(), CYCLE, strict=False):
        values = np.stack(list(lines))
        steps = np.arange(1, values.shape[1] + 1)
        if len(values) > 1:
            panel.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        panel.plot(steps, values.mean(axis=0), color=colour, linewidth=1.6, label=name)
    panel.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3, which="both", linewidth=0.5)
    panel.legend(fontsize=9, frameon=False)
    return _png(figure)


def heat_map(distances: np.ndarray, names: Sequence[str]) -> bytes:
    """A PNG of distances [N, N] between named pictures, each with its number."""
    from matplotlib.figure import Figure

    side = 1.8 + 0.52 * len(names)
    figure = Figure(figsize=(side + 0.8, side), dpi=DPI, layout="constrained")
    panel = figure.subplots()
    shown = panel.imshow(distances, cmap="cividis", vmin=0)
    panel.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    panel.set_yticks(range(len(names)), names, fontsize=8)
    half = distances.max() / 2
    for (row, column), value in np.ndenumerate(distances):
        colour = "white" if value < half else "black"
        panel.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(shown, ax=panel, shrink=0.8, label="distance in w+, over all rows")
    return _png(figure)


def _png(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
