"""A comparison as Markdown: for each paper a table of theirs and ours, its claims, the training behind it, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facelab.evaluation.papers.evidence import Command, Finding

if TYPE_CHECKING:
    from facelab.studio import Studio

FOLDER = "papers"  # of the pictures, beside papers.md
NOT_MEASURED = "not measured"
VERDICTS = {True: "holds", False: "does not hold", None: "not decided"}


@dataclass(frozen=True)
class Entry:
    """A line of the table. theirs: as the paper reports it, with the place, or "" where it reports none. ours: the
    finding, and told: it in words, "" where there is none.
    """

    what: str
    theirs: str
    ours: Finding
    told: str = ""


@dataclass(frozen=True)
class Claim:
    """Something that is so or not. where: in the paper, or whose goal it is. holds: None where a figure is missing.
    told: our figures in a sentence, and why where it is not so. commands: what measured them, or would.
    """

    says: str
    where: str
    holds: bool | None
    told: str
    commands: tuple[Command, ...]
    earlier: bool = False


@dataclass(frozen=True)
class Picture:
    """A figure of generated faces, or of losses. draw: gives the bytes of the file, asked for only when it is made."""

    name: str
    caption: str
    model: str
    draw: Callable[[Studio], bytes]


@dataclass(frozen=True)
class Note:
    """A paragraph or a table, with the commands that made its figures."""

    text: str
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class Section:
    """A paper. about: what it is, and how ours differs. notes: what else is to be said of it."""

    title: str
    about: str
    entries: Sequence[Entry] = ()
    claims: Sequence[Claim] = ()
    notes: Sequence[Note] = ()
    pictures: Sequence[Picture] = ()


@dataclass
class Commands:
    """The commands of a section, numbered in the order in which they are first named."""

    known: dict[Command, int] = field(default_factory=dict)

    def __getitem__(self, command: Command) -> int:
        return self.known.setdefault(command, len(self.known) + 1)

    def lines(self) -> list[str]:
        """A numbered list of them."""
        told = {True: "not run yet", False: "on {machine}"}
        return [
            f"{number}. `{command.text}`, {told[not command.machine].format(machine=command.machine)}"
            for command, number in self.known.items()
        ]


def render(section: Section) -> str:
    """A section as Markdown."""
    commands = Commands()
    parts = [f"## {section.title}", section.about]
    if section.entries:
        rows = [_row(line, commands) for line in section.entries]
        parts.append(as_table([("what", "theirs", "ours", "by"), *rows]))
    parts += [note.text + _by(note.commands, commands) for note in section.notes]
    if section.claims:
        parts.append("\n".join(_claim(claim, commands) for claim in section.claims))
    parts += [f"![{_plain(each.caption)}]({FOLDER}/{each.name})\n\n{each.caption}" for each in section.pictures]
    if commands.known:
        parts.append("Measured by, or to be measured by:\n\n" + "\n".join(commands.lines()))
    return "\n\n".join(parts)


def entry(what: str, theirs: str, ours: Finding, words: Callable[[object], str]) -> Entry:
    """A line of the table whose figure is told by `words`."""
    return Entry(what, theirs, ours, "" if ours.value is None else words(ours.value))


def percent(value: object) -> str:
    """0.753 -> 75.3 %."""
    return f"{round(100 * float(value), 1):g} %"


def number(digits: int, unit: str = "") -> Callable[[object], str]:
    """Words for a figure with so many digits after the point and a unit."""
    return lambda value: f"{float(value):,.{digits}f}{unit and ' ' + unit}"


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as Markdown, the first one as the head; all columns but the first to the right."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _row(line: Entry, commands: Commands) -> tuple[str, ...]:
    why = f" ({line.ours.why})" if line.ours.why and not line.told else ""
    ours = line.told or NOT_MEASURED + why
    ours += " (of earlier weights)" if line.told and line.ours.earlier else ""
    return line.what, line.theirs or "–", ours, f"{commands[line.ours.command]}"


def _claim(claim: Claim, commands: Commands) -> str:
    told = f" {claim.told}" if claim.told else ""
    earlier = " Of earlier weights." if claim.earlier else ""
    return f"- **{claim.says}** ({claim.where}): {VERDICTS[claim.holds]}.{told}{earlier}{_by(claim.commands, commands)}"


def _by(named: Sequence[Command], commands: Commands) -> str:
    numbers = ", ".join(str(commands[command]) for command in dict.fromkeys(named))
    return f" [{numbers}]" if numbers else ""


def _plain(text: str) -> str:
    return text.rstrip(".").replace("[", "").replace("]", "")
