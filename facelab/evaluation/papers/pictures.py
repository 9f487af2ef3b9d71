"""The figures: each is drawn by one model from seeds, so that no photo of anyone is in any of them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facelab.checkpoints.cards import Card, read_losses
from facelab.circle import FEATURES
from facelab.evaluation.judge import ATTRIBUTES
from facelab.evaluation.measured import load_measured
from facelab.evaluation.papers.document import Picture
from facelab.evaluation.papers.evidence import Evidence
from facelab.media import Provenance, encode_jpeg, labelled_sheet
from facelab.recovery import RecoverySettings

if TYPE_CHECKING:
    from facelab.comparing import Progress
    from facelab.studio import Studio

Rows = Sequence[tuple[str, Sequence[np.ndarray]]]

KINDS = (
    "sheet",
    "losses",
    "quality",
    "map",
    "attributes",
    "walks",
    "slerp",
    "sums",
    "averages",
    "neighbours",
    "recovery",
    "combined",
    "recombined",
    "morph",
)  # what a file's name begins with
SHEET, COLUMNS = 16, 8  # faces of a sheet
SIDE, SMALL = 96, 64  # pixels of a face as shown, at most, and where there are many
TRUNCATION = 0.7
FRAMES = 7  # of a strip
GROUPS = (2, 8, 32, 64)  # faces of an average
MAPPED = 400  # faces of a map, from which the attribute edits' means are taken as well
EDITED = ("Smiling", "Male", "Young", "Eyeglasses")  # of the judge's attributes
RECOVERY = RecoverySettings(steps=500, restarts=4, preview_every=100)


def of_families(evidence: Evidence) -> list[Picture]:
    """A sheet of each model, its losses where they ship, and for auto-encoders the latent space and edits in it."""
    made = []
    for card in evidence.models:
        title, name = card.title, card.name
        drawn = f"{title}: {SHEET} random faces"
        if card.family != "progan":  # which normalises its latent, so that truncation changes nothing
            drawn += f", truncation {TRUNCATION:g}"
        made.append(_picture("sheet", card, f"{drawn}.", draw_sheet))
        if read_losses(card):
            made.append(
                _picture(
                    "losses",
                    card,
                    f"{title}: losses over the pictures seen, as logged and smoothed.",
                    draw_losses,
                    "png",
                )
            )
        run = load_measured("run", name)
        if run is not None:
            told = f"{title}: Fréchet distances to val, and faces found, over the pictures seen, by `{run.command}`."
            made.append(_picture("quality", card, told, draw_quality, "png"))
        if card.family != "vae":
            continue
        if not card.conditions:
            caption = (
                f"{title}: {MAPPED} drawn faces on the two principal components of the latent; right, how sure the "
                "judge is of a smile."
            )
            made.append(_picture("map", card, caption, draw_latents))
        told = "its own attributes" if card.conditions else "differences of mean latents with and without an attribute"
        made.append(
            _picture("attributes", card, f"{title}: {told}, as the judge sees it in {name}'s own faces.", draw_edits)
        )
    return made


def of_circle(card: Card) -> list[Picture]:
    """What the sphere does, through the latent of one model."""
    title = card.title
    return [
        _picture("walks", card, f"{title}: the paper's edits, from a drawn face's vector on; gender held.", draw_walks),
        _picture("slerp", card, f"{title}: from one drawn face to another along the great circle.", draw_slerp),
        _picture("sums", card, f"{title}: arithmetic of drawn faces on the sphere.", draw_sums),
        _picture("averages", card, f"{title}: averages of two separate groups of drawn faces each.", draw_averages),
        _picture(
            "neighbours", card, f"{title}: a vector decoded, upper left, and 63 neighbours of it.", draw_neighbours
        ),
    ]


def of_recovery(evidence: Evidence) -> list[Picture]:
    """Recovery where a model is no encoder itself; combinations and morphs of PGGAN, and of StyleGAN2 beside it."""
    made = []
    for system in ("progan", "dcgan"):
        card = evidence.card(system)
        if card is not None:
            caption = f"{card.title}: G(z') every 100 steps, and to the right the drawn picture that is looked for."
            made.append(_picture("recovery", card, caption, draw_recovery))
    for system in ("progan", "dcgan", "stylegan2"):
        card = evidence.card(system)
        if card is not None:
            made.append(
                _picture("combined", card, f"{card.title}: two drawn faces and their combination.", draw_combined)
            )
            if system != "stylegan2":
                caption = f"{card.title}: two drawn faces, each recovered {RECOVERY.restarts} times, and combinations."
                made.append(_picture("recombined", card, caption, draw_recombined))
            made.append(_picture("morph", card, f"{card.title}: morphs of drawn faces.", draw_morph))
    return made


def draw_sheet(studio: Studio) -> bytes:
    """Random faces."""
    pictures = studio.draw(SHEET, seed=1, truncation=TRUNCATION)
    rows = [("", pictures[first : first + COLUMNS]) for first in range(0, SHEET, COLUMNS)]
    return _strips(studio, rows, "sample")


def draw_losses(studio: Studio) -> bytes:
    """The published losses, as a PNG of few colours."""
    from facelab.evaluation.report import draw_losses as draw

    return _of_few_colours(draw(studio.losses()))


def draw_quality(studio: Studio) -> bytes:
    """The quality that was measured over a training."""
    from facelab.evaluation.report import draw_losses as draw

    rows = load_measured("run", studio.card.name).figures["rows"]
    return _of_few_colours(draw([{name: row[name] for name in row if name != "samples"} for row in rows]))


def _of_few_colours(png: bytes) -> bytes:
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(32)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def draw_latents(studio: Studio) -> bytes:
    """The map of the latent space."""
    from facelab.evaluation.report import draw_map

    page = Image.fromarray(draw_map(_mapped(studio).map, "pca", "Smiling"))
    page.thumbnail((1050, 1050), Image.Resampling.LANCZOS)
    return encode_jpeg(np.asarray(page), _made(studio, "sample", "map"), quality=82)


def draw_edits(studio: Studio) -> bytes:
    """A face with more and less of some attributes: a conditional model's own, otherwise differences of means."""
    if studio.card.conditions:
        known = {name: (name, each.title) for name, each in studio.directions().items()}
        own = {}
    else:
        known, own = {}, {}
        faces = _mapped(studio).map
        for name in EDITED:
            has = faces.seen[:, ATTRIBUTES.index(name)] > 0.5
            if not 0 < has.sum() < len(faces):
                continue
            sides = ([faces.face(index) for index in np.flatnonzero(has == side)] for side in (True, False))
            known[name] = (name, name)
            own[name] = studio.new_direction(name, *sides, longest=math.inf)
    strengths = np.linspace(-1.5, 1.5, FRAMES)
    [(face, _)] = studio.sample(1, seed=3, truncation=TRUNCATION)
    rows = [
        (
            title,
            studio.render_many([studio.edit(face, {id: float(each)}, method="mean", own=own) for each in strengths]),
        )
        for id, title in known.values()
    ] or [("", [studio.render(face)])]
    columns = [_signed(each) for each in strengths]
    return _strips(studio, rows, "attribute", columns=columns)


def draw_walks(studio: Studio) -> bytes:
    """All edits of the paper on one drawn face."""
    [(face, _)] = studio.sample(1, seed=2, truncation=TRUNCATION)
    rows = []
    for feature in FEATURES:
        there = studio.circle_walk(face, feature.id, 2.0, steps=100, frames=FRAMES // 2)
        back = studio.circle_walk(face, feature.id, -2.0, steps=100, frames=FRAMES // 2)
        rows.append((feature.title, studio.render_many([*back[:0:-1], *there])))
    columns = [_signed(each) for each in np.linspace(-2, 2, 2 * (FRAMES // 2) + 1)]
    return _strips(studio, rows, "circle", columns=columns)


def draw_slerp(studio: Studio) -> bytes:
    """Great circles between drawn faces."""
    faces = [face for face, _ in studio.sample(4, seed=4, truncation=TRUNCATION)]
    places = np.linspace(0, 1, FRAMES)
    rows = [("", studio.render_many(studio.circle_between(*pair, places))) for pair in (faces[:2], faces[2:])]
    return _strips(studio, rows, "slerp")


def draw_sums(studio: Studio) -> bytes:
    """Sums of three drawn faces, which are shown as their vectors decode."""
    faces = [face for face, _ in studio.sample(6, seed=4, truncation=TRUNCATION)]
    sums, rows = ("A + B", "A + B - C", "A - B + C"), []
    for letters in (dict(zip("ABC", faces[:3], strict=True)), dict(zip("ABC", faces[3:], strict=True))):
        closed = [studio.close_circle(face) for face in letters.values()]
        rows.append(("", studio.render_many([*closed, *(studio.circle_mix(each, letters) for each in sums)])))
    return _strips(studio, rows, "mix", columns=("A", "B", "C", *sums))


def draw_averages(studio: Studio) -> bytes:
    """Averages on the sphere, of plain vectors, and of plain latents, of two groups that share nobody."""
    count = max(GROUPS)
    faces = [face for face, _ in studio.sample(2 * count, seed=5, truncation=1.0)]
    made: dict[str, list] = {"on the sphere": [], "plain vectors": [], "plain latents": []}
    for size in GROUPS:
        for group in (faces[:size], faces[count : count + size]):
            mean = studio.circle_average(group)
            made["on the sphere"].append(mean.face)
            made["plain vectors"].append(mean.plain)
            made["plain latents"].append(studio.average(group))
    rows = [(name, studio.render_many(means)) for name, means in made.items()]
    columns = [f"{size}, {group}" for size in GROUPS for group in ("first", "second")]
    return _strips(studio, rows, "average", columns=columns)


def draw_neighbours(studio: Studio) -> bytes:
    """A face and 63 neighbours, as the paper's figure 6."""
    [(face, _)] = studio.sample(1, seed=6, truncation=TRUNCATION)
    pictures = studio.render_many([studio.close_circle(face), *studio.circle_neighbours(face, 63)])
    rows = [("", pictures[first : first + 8]) for first in range(0, 64, 8)]
    return encode_jpeg(labelled_sheet(rows, side=SMALL), _made(studio, "neighbours"))


def draw_recovery(studio: Studio) -> bytes:
    """The way of a recovery to each of two drawn pictures, as the paper's figure 3."""
    from facelab.recovery import recover

    rows = []
    for number, picture in enumerate(studio.draw(2, seed=7, truncation=1.0)):
        steps = recover(studio.generator, picture, replace(RECOVERY, seed=number))
        shown = [step.image for step in steps if step.image is not None]
        rows.append((f"picture {number + 1}", [*shown, picture]))
    return _strips(studio, rows, "recover")


def draw_combined(studio: Studio) -> bytes:
    """Pairs of drawn faces, each with its combination."""
    faces = [face for face, _ in studio.sample(8, seed=8, truncation=TRUNCATION)]
    lines = [faces[:4], faces[4:], [studio.combine(*pair) for pair in zip(faces[:4], faces[4:], strict=True)]]
    rows = [(label, studio.render_many(each)) for label, each in zip(("A", "B", "A and B"), lines, strict=True)]
    return _strips(studio, rows, "combine")


def draw_recombined(studio: Studio) -> bytes:
    """Several recoveries of two drawn faces, and the several combinations that they give (PGGAN paper, section 3.3)."""
    faces, rows, recovered = [face for face, _ in studio.sample(2, seed=8, truncation=TRUNCATION)], [], []
    for label, face in zip("AB", faces, strict=True):
        *_, last = studio.recoveries(face, RECOVERY)
        recovered.append(studio.recovered(last.state, face))
        rows.append((label, studio.render_many([face, *recovered[-1]])))
    rows.append(("A and B", studio.render_many([studio.combine(*faces), *studio.combinations(*recovered)])))
    columns = ["drawn", *(f"recovery {number}" for number in range(1, RECOVERY.restarts + 1))]
    return _strips(studio, rows, "combine", columns=columns)


def draw_morph(studio: Studio) -> bytes:
    """Two morphs."""
    faces = [face for face, _ in studio.sample(4, seed=9, truncation=TRUNCATION)]
    pairs = (faces[:2], faces[2:])
    rows = [("", list(studio.morph_frames(*pair, frames=COLUMNS, size=studio.card.resolution))) for pair in pairs]
    return _strips(studio, rows, "morph")


def _mapped(studio: Studio) -> Progress:
    """The last step of the map's drawing."""
    *_, last = studio.map_latents(count=MAPPED)
    return last


def _strips(studio: Studio, rows: Rows, operation: str, *, columns: Sequence[str] = ()) -> bytes:
    """Rows at the model's own size, as far as that is shown."""
    side = min(SIDE, studio.card.resolution)
    return encode_jpeg(labelled_sheet(rows, columns=columns, side=side), _made(studio, operation))


def _signed(value: float) -> str:
    return f"{value:+.1f}" if abs(value) > 1e-9 else "0"


def _made(studio: Studio, *operations: str) -> Provenance:
    return Provenance(studio.card.name, operations)


def _picture(kind: str, card: Card, caption: str, draw: Callable[[Studio], bytes], ending: str = "jpg") -> Picture:
    return Picture(f"{kind}-{card.name}.{ending}", caption, card.name, draw)
