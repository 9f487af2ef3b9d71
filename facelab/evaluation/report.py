"""A comparison as a report: Markdown, with pictures of generated faces only."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facelab.checkpoints.cards import Card
from facelab.comparing import MAPPED, Progress
from facelab.errors import BadSetting
from facelab.evaluation.comparison import load_comparison
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.latent_map import METHODS, THUMB, LatentMap, apart
from facelab.evaluation.machine import machine
from facelab.evaluation.table import Line, markdown
from facelab.files import write_file
from facelab.media import Provenance, contact_sheet, encode_png
from facelab.training.plot import plot_losses
from facelab.training.run import PROGRESS

if TYPE_CHECKING:
    from facelab.studio import Studio

SHOWN, COLUMNS = 24, 8  # faces of each model
CANVAS = 1024  # pixels, of a map
DEFAULT_ATTRIBUTE = "Smiling"


@dataclass
class Report:
    """A report under way: its files so far by name, report.md last."""

    files: dict[str, bytes] = field(default_factory=dict)

    def save(self, folder: Path) -> list[Path]:
        """Write all files into a folder, made if need be; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            write_file(data, folder / name)
        return [folder / name for name in self.files]

    def as_zip(self) -> bytes:
        """All files as one archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.files.items():
                archive.writestr(f"comparison/{name}", data)
        return buffer.getvalue()


def write_report(
    studio: Studio,
    models: Sequence[str],
    report: Report,
    *,
    seed: int = 1,
    truncation: float = 0.7,
    mapped: int = MAPPED,
    method: str = "pca",
    attribute: str = DEFAULT_ATTRIBUTE,
) -> Iterator[Progress]:
    """Fill a report on several models, a short piece of work at a time.

    seed, truncation: of the sample sheets. mapped: faces on each map, 0 for no maps. method: of METHODS. attribute:
    of judge.ATTRIBUTES, by which maps are coloured. Raises UnknownModel and BadSetting.
    """
    check_map(method, attribute)
    studios = [studio.of(model) for model in dict.fromkeys(models)]
    cards, lines = [each.card for each in studios], studio.compare([each.card.name for each in studios])
    parts = [_head(studio, cards, lines)]
    for place, each in enumerate(studios):
        title, name = each.card.title, each.card.name
        yield Progress(f"{title}: sample sheet", 3 * place, 3 * len(studios))
        parts.append(_about(each.card))
        sheet = contact_sheet(each.draw(SHOWN, seed=seed, truncation=truncation), columns=COLUMNS)
        parts.append(_keep(report, f"sheet-{name}.png", encode_png(sheet, Provenance(name, ["sample"]))))
        parts.append(f"{SHOWN} random faces, seed {seed}, truncation {truncation:g}.\n")
        yield Progress(f"{title}: losses", 3 * place + 1, 3 * len(studios))
        curves = draw_losses(each.losses())
        parts.append(
            _keep(report, f"losses-{name}.png", curves) + "Losses over the images seen, as logged and smoothed.\n"
            if curves
            else "No table of losses ships with this model.\n"
        )
        if not mapped:
            continue
        for step in each.map_latents(count=mapped):
            part = 3 * place + 2 + step.done / step.total
            yield Progress(f"{title}: map, {step.done} of {step.total} faces", round(100 * part), 300 * len(studios))
        picture = encode_png(draw_map(step.map, method, attribute), Provenance(name, ["sample", "map"]))
        parts.append(_keep(report, f"map-{name}.png", picture) + _of_map(step.map, method, attribute))
    report.files["report.md"] = "\n".join(parts).encode()
    yield Progress("The report is written", 1, 1)


def check_map(method: str, attribute: str) -> None:
    """Raise BadSetting for a map that cannot be drawn."""
    if method not in METHODS:
        raise BadSetting(f"A map is made by {' or '.join(METHODS)}, not {str(method)[:20]!r}.")
    if attribute not in ATTRIBUTES:
        raise BadSetting(f"{str(attribute)[:40]!r} is no attribute. Known: {', '.join(ATTRIBUTES)}.")


def draw_losses(rows: Sequence[dict[str, str]]) -> bytes:
    """A PNG of a table of losses; empty where there is nothing to draw."""
    columns = [name for name in (rows[0] if rows else ()) if name not in PROGRESS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "losses.png"
        plot_losses(rows, columns, path)
        return path.read_bytes() if path.exists() else b""


def draw_map(faces: LatentMap, method: str, attribute: str) -> np.ndarray:
    """A map as a picture, uint8 [H, W, 3]: to the left its faces where they do not overlap, to the right all of them as
    dots, coloured by how sure the judge is of an attribute.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places, _ = faces.places(method)
    figure = Figure(figsize=(14, 6.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(paste_faces(faces, places))
    seen = faces.seen[:, ATTRIBUTES.index(attribute)]
    dots = right.scatter(*places.T, c=seen, cmap="cividis", vmin=0, vmax=1, s=14)
    figure.colorbar(dots, ax=right, shrink=0.8, label=attribute.replace("_", " "))
    right.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    for axes in (left, right):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def paste_faces(faces: LatentMap, places: np.ndarray) -> np.ndarray:
    """Thumbnails at their places, y upwards, on white: uint8 [CANVAS, CANVAS, 3], none over another."""
    canvas, room = np.full((CANVAS, CANVAS, 3), 255, np.uint8), CANVAS - THUMB
    for index in apart(places, THUMB / room):
        left, top = np.round((places[index] * (1, -1) + (0, 1)) * room).astype(int)
        canvas[top : top + THUMB, left : left + THUMB] = faces.thumbnails[index]
    return canvas


def _head(studio: Studio, cards: Sequence[Card], lines: Sequence[Line]) -> str:
    saved, names = load_comparison(), [card.name for card in cards]
    told = [f"# {', '.join(card.title for card in cards)}", ""]
    if saved is not None and any(saved.row(card) for card in cards):
        told.append(
            f"Figures of {saved.samples:,} faces of each model at {saved.side} px, by `{saved.command}` on "
            f"{saved.machine}."
        )
    if any(cell.here for line in lines for cell in line.cells):
        told.append(f"\\* measured at {studio.comparable_side(names)} px on {machine()}.")
    told += ["", markdown(cards, lines), ""]
    told += [f"- **{line.figure.title}**: {line.figure.help}" + f" {line.why}" * bool(line.why) for line in lines]
    return "\n".join([*told, ""])


def _about(card: Card) -> str:
    lines = [f"## {card.title}", "", f"{card.family}, {card.resolution} px. Trained on: {card.data}. {card.licence}"]
    return "\n".join([*lines, *([card.limits] if card.limits else []), ""])


def _keep(report: Report, name: str, data: bytes) -> str:
    report.files[name] = data
    return f"![{name.removesuffix('.png')}]({name})\n\n"


def _of_map(faces: LatentMap, method: str, attribute: str) -> str:
    _, share = faces.places(method)
    kept = "" if share is None else f", which hold {100 * share:.1f}% of the variance"
    return (
        f"{len(faces)} drawn faces by their latents ({faces.space}), {METHODS[method]}{kept}; coloured by "
        f"{attribute.replace('_', ' ')} as the judge sees it.\n"
    )
