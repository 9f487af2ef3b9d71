"""The loss table of a run as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

PANELS_A_ROW = 3
SMOOTHED_OVER = 0.05  # of the run: the window of the running mean
FEW = 20  # values are shown as they are


def plot_losses(rows: Sequence[Mapping[str, str]], columns: Sequence[str], path: Path) -> None:
    """Write a PNG with a panel for each column that has numbers, over the images seen: as logged, and smoothed.

    rows: of a run's table, as text by column; what is no finite number is left out.
    """
    from matplotlib.figure import Figure

    curves = {column: curve(rows, column) for column in columns}
    curves = {column: points for column, points in curves.items() if len(points)}
    if not curves:
        return
    lines = math.ceil(len(curves) / PANELS_A_ROW)
    figure = Figure(figsize=(4 * PANELS_A_ROW, 2.6 * lines), dpi=100, layout="constrained")
    panels = figure.subplots(lines, PANELS_A_ROW, squeeze=False).flat
    for (column, points), panel in zip(curves.items(), panels, strict=False):
        panel.plot(*points.T, color="#9db4c8", linewidth=0.8)
        panel.plot(points[:, 0], smooth(points[:, 1]), color="#1f5a8a", linewidth=1.6)
        panel.set_title(column, fontsize=10)
        panel.set_xlabel("images", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.locator_params(axis="x", nbins=5)
        panel.grid(alpha=0.3)
    for panel in panels:  # what is left of the grid
        panel.set_visible(False)
    partial = path.with_suffix(".partial")
    figure.savefig(partial, format="png")
    partial.replace(path)


def curve(rows: Sequence[Mapping[str, str]], column: str) -> np.ndarray:
    """A column of a run's table as float [N, 2] of images and values; what is no finite number is left out."""
    values = [(float(row["images"]), float(row[column])) for row in rows if row.get(column)]
    points = np.array(values).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]


def smooth(values: np.ndarray) -> np.ndarray:
    """The mean over a window around each value, shorter at both ends; few values stay as they are."""
    half = max(1, round(len(values) * SMOOTHED_OVER / 2)) if len(values) > FEW else 0
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)
