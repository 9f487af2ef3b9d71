"""Quality over a training: what a run's weight files measure, as a table that grows and a plot."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from facelab.errors import BadSetting
from facelab.files import write_table
from facelab.training.plot import plot_losses
from facelab.training.run import Run

COLUMNS = ("identity", "shape", "judge", "found")


def measure_run(
    run: Path, measure: Callable[[Path], Mapping[str, Any] | None], *, samples: int, seed: int = 1, every: int = 1
) -> list[dict[str, str]]:
    """Measure the weight files of a run that are not in RUN/quality.csv yet; writes the table and RUN/quality.png.

    measure: of a weight file, the figures that `evaluate` prints of samples; None leaves the file out. Rows are of as
    many samples and of this seed only. every: of so many files in a row one is measured, the last of all and every so
    many before it. Raises BadSetting for a folder without weight files.
    """
    files = Run(run).weight_files()[::-1][::every][::-1]
    if not files:
        raise BadSetting(f"There are no weight files in {run / 'weights'}. Choose the folder of a training run.")
    table = run / "quality.csv"
    rows = _read(table)
    how = {"samples": str(samples), "seed": str(seed)}
    known = {row["images"] for row in rows if how.items() <= row.items()}
    for file in files:
        images = str(int(file.stem))
        if images in known:
            continue
        figures = measure(file)
        if figures is None:
            continue
        values = {"images": images, **how, **figures["frechet"], "found": figures["found"]}
        rows.append({name: "" if value is None else str(value) for name, value in values.items()})
        _write(table, sorted(rows, key=lambda row: int(row["images"])))
    rows = [row for row in sorted(rows, key=lambda row: int(row["images"])) if how.items() <= row.items()]
    plot_losses(rows, COLUMNS, run / "quality.png")
    return rows


def _read(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="") as file:
        reader = csv.DictReader(file)
        return list(reader) if set(COLUMNS) <= set(reader.fieldnames or ()) else []


def _write(table: Path, rows: list[dict[str, str]]) -> None:
    write_table(rows, ("images", "samples", "seed", *COLUMNS), table)
