"""What experiments find: tables, claims and figures, as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from facelab.errors import BadSetting
from facelab.files import write_file

Cell = str | int | float | None
CLEAR = 0.5  # dB, above which a difference of means counts
CLEAR_IDENTITY = 0.01  # of dlib's distance, the same


@dataclass(frozen=True)
class Table:
    """Rows under columns. A cell is None where nothing was, or could be, measured."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def markdown(self) -> str:
        """The table; numbers to the right."""
        numeric = [all(isinstance(row[index], (int, float, type(None))) for row in self.rows) for index in self._places]
        lines = [self.columns, ["--:" if each else "---" for each in numeric], *self.rows]
        table = "\n".join(f"| {' | '.join(_text(cell) for cell in line)} |" for line in lines)
        return f"{self.caption}\n\n{table}\n" if self.caption else f"{table}\n"

    @property
    def _places(self) -> range:
        return range(len(self.columns))


@dataclass(frozen=True)
class Claim:
    """What the paper says, whether it holds here (None: cannot be told), and by which numbers. why: what differs from
    the paper, a sentence to be said where it does not hold.
    """

    text: str
    holds: bool | None
    numbers: str
    why: str = ""

    def markdown(self) -> str:
        """One line of a list."""
        verdict = {True: "Holds here", False: "Does not hold here", None: "Cannot be told here"}[self.holds]
        return f"- {self.text} **{verdict}**: {self.told}"

    @property
    def told(self) -> str:
        """The numbers, and why, as sentences."""
        return f"{self.numbers}." + (f" {self.why}" if self.why and not self.holds else "")


def nearer(one: float, other: float) -> bool | None:
    """Whether a mean identity distance is less than another; None where they are too close for a few faces to tell."""
    return None if abs(one - other) < CLEAR_IDENTITY else one < other


@dataclass(frozen=True)
class Figure:
    """A picture file beside the report. data: its bytes, empty where an earlier run wrote it."""

    file: str
    caption: str
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Result:
    """One experiment. source: the paper's figures and tables. text: what was done, where it differs from the paper.
    command, machine, seconds (of processor time): how it was made. weights: SHA-256 of the model's.
    """

    name: str
    title: str
    source: str
    text: str
    tables: tuple[Table, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()
    command: str = ""
    machine: str = ""
    seconds: float = 0.0
    weights: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but the figures' bytes."""
        values = asdict(self)
        for figure in values["figures"]:
            del figure["data"]
        return values

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> Result:
        """What `as_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        tables = tuple(
            Table(tuple(each["columns"]), tuple(map(tuple, each["rows"])), each["caption"]) for each in values["tables"]
        )
        claims = tuple(Claim(**each) for each in values["claims"])
        figures = tuple(Figure(**each) for each in values["figures"])
        return cls(**{**values, "tables": tables, "claims": claims, "figures": figures})

    def markdown(self) -> str:
        """A section of the report."""
        parts = [f"## {self.title}", f"*{self.source}.* {self.text}"]
        parts += [table.markdown().rstrip() for table in self.tables]
        if self.claims:
            parts.append("\n".join(claim.markdown() for claim in self.claims))
        for figure in self.figures:
            parts += [f"![{figure.caption}]({figure.file})", figure.caption]
        of = f", of weights {self.weights[:8]}" if self.weights else ""
        parts.append(f"By `{self.command}`, {self.seconds:,.0f} s of processor time{of}.")
        return "\n\n".join(parts) + "\n"


@dataclass(frozen=True)
class Report:
    """The experiments on one paper that a folder holds, in the order of `order`.

    name: of the files, NAME.md and NAME.json. head: the report's first paragraphs, Markdown. weights: SHA-256 of the
    model's: results of other weights are not kept.
    """

    name: str
    head: str
    order: tuple[str, ...]
    command: str
    machine: str
    weights: str = ""
    results: dict[str, Result] = field(default_factory=dict)

    def with_result(self, result: Result) -> Report:
        """The report with one more, or newer, result."""
        made = replace(result, command=self.command, machine=self.machine, weights=self.weights)
        return replace(self, results={**self.results, result.name: made})

    def with_earlier(self, folder: Path) -> Report:
        """The report with what an earlier run with the same weights left in a folder.

        Raises BadSetting for a file that no run wrote.
        """
        path = folder / f"{self.name}.json"
        if not path.exists():
            return self
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))["experiments"]
            results = [Result.of_dict(each) for name, each in saved.items() if name in self.order]
        except (ValueError, TypeError, KeyError, AttributeError) as cause:
            raise BadSetting(f"{path} is no report of experiments. Delete it, or choose another --out.") from cause
        earlier = {each.name: each for each in results if each.weights == self.weights}
        return replace(self, results={**earlier, **self.results})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        experiments = {name: self.results[name].as_dict() for name in self.order if name in self.results}
        return {"machine": self.machine, "command": self.command, "experiments": experiments}

    def markdown(self) -> str:
        """The whole report, and what is missing in it."""
        missing = [name for name in self.order if name not in self.results]
        parts = [self.head, *(self.results[name].markdown() for name in self.order if name in self.results)]
        if missing:
            command = f"python -m facelab experiments {self.name} --only {','.join(missing)}"
            parts.append(f"Not run yet: {', '.join(missing)}. `{command}` adds them.\n")
        return "\n".join(parts)

    def save(self, folder: Path) -> list[Path]:
        """Write Markdown, JSON and the figures that are new; returns the paths of all, the report's first."""
        files: dict[str, bytes] = {
            f"{self.name}.md": self.markdown().encode(),
            f"{self.name}.json": (json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n").encode(),
        }
        figures = [figure for result in self.results.values() for figure in result.figures]
        files |= {figure.file: figure.data for figure in figures if figure.data}
        for name, data in files.items():
            write_file(data, folder / name)
        return [folder / name for name in dict.fromkeys([*files, *(figure.file for figure in figures)])]


def mean(values: Sequence[float], digits: int = 3) -> float | None:
    """The mean as it is printed; None of nothing."""
    return round(sum(values) / len(values), digits) if len(values) else None


def ratio(value: float, base: float) -> float:
    """One number over another, as it is printed."""
    return round(value / base, 2)


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
