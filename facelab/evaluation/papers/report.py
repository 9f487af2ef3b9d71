"""All papers beside our models as docs/papers.md; its pictures are drawn only when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facelab.evaluation.papers import image2stylegan, istrc, pggan, vaegan
from facelab.evaluation.papers.document import FOLDER, Picture, Section, as_table, render
from facelab.evaluation.papers.evidence import Evidence, collect
from facelab.evaluation.papers.pictures import KINDS
from facelab.evaluation.papers.training import doses
from facelab.evaluation.table import FIGURES, build_table, markdown
from facelab.files import write_file

COMMAND = "python -m facelab papers"
HEAD = f"""# The papers, and ours beside them

Four papers were repeated with systems trained for FaceLab on CelebA-HQ (24,183 portraits) and measured on the \
2,993 of its val split. `{COMMAND}` writes this page from the models' cards and from what the commands named below \
have kept with `--save`; it measures nothing. The papers' own numbers are those of `facelab/evaluation/published.py`. \
DATA is a folder or zip of aligned portraits with a labels.csv. “Our goal” is a bar that was set for FaceLab and that \
no paper names. All faces shown were generated."""


def sections(evidence: Evidence) -> list[Section]:
    """A section a paper."""
    return [each.section(evidence) for each in (vaegan, istrc, pggan, image2stylegan)]


def page(evidence: Evidence, parts: Sequence[Section]) -> str:
    """The whole of papers.md."""
    told = [HEAD, _summary(parts), "## The systems", doses(evidence), *_compared(evidence), *map(render, parts)]
    return "\n\n".join(told) + "\n"


def pictures_of(parts: Sequence[Section]) -> list[Picture]:
    """All pictures that the page shows, each once."""
    return list({each.name: each for part in parts for each in part.pictures}.values())


def write_page(docs: Path, text: str, drawn: dict[str, bytes] | None = None) -> list[Path]:
    """Write papers.md into a folder, and its pictures beside it; pictures of ours that the page no longer shows go.

    drawn: by name; None leaves all pictures as they are. Returns the paths written.
    """
    paths = [docs / "papers.md"]
    write_file(text.encode(), paths[0])
    if drawn is None:
        return paths
    folder = docs / FOLDER
    folder.mkdir(exist_ok=True)
    for name, data in drawn.items():
        write_file(data, folder / name)
        paths.append(folder / name)
    for path in folder.iterdir():
        if path.name not in drawn and path.name.partition("-")[0] in KINDS:
            path.unlink()
    return paths


def read_page(docs: Path) -> tuple[str, list[Picture]]:
    """What the page would be now, and the pictures that it would show, none of them drawn."""
    evidence = collect(docs)
    parts = sections(evidence)
    return page(evidence, parts), pictures_of(parts)


def _summary(parts: Sequence[Section]) -> str:
    """How many claims hold, and how many figures there are, by paper."""
    rows = [("", "claims that hold", "that do not", "not decided", "figures measured")]
    for part in parts:
        counts = [str(sum(claim.holds is verdict for claim in part.claims)) for verdict in (True, False, None)]
        rows.append((part.title, *counts, f"{sum(bool(each.told) for each in part.entries)} of {len(part.entries)}"))
    return as_table(rows)


def _compared(evidence: Evidence) -> list[str]:
    """The table of the tab Compare, of all models whose saved figures are of their weights."""
    saved = evidence.comparison
    if saved is None:
        return [f"No comparison is kept yet. `{evidence.comparing.text}` makes it."]
    cards = evidence.models
    lines = build_table(cards, saved, {}, side=saved.side)
    old = [card.name for card in cards if saved.row(card) is None]
    told = [
        f"{saved.samples:,} faces of each model at {saved.side} px, by `{saved.command}` on {saved.machine}."
        + (f" Of other weights than those measured, or not measured: {', '.join(old)}." if old else ""),
        markdown(cards, lines),
    ]
    helped = {line.figure.key for line in lines}
    return [*told, "\n".join(f"- **{each.title}**: {each.help}" for each in FIGURES if each.key in helped)]
