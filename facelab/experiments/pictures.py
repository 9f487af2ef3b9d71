"""What is embedded: faces, photos of one's own, pictures that scikit-image carries, drawn shapes.

Faces that may be shown are the generator's own draws, which lie in its range. They are taken out of it as far as that
can be done honestly: two latents crossed, other noise, turned and zoomed a little, other colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from facelab.generators.base import Generator
from facelab.photo import read_photo
from facelab.pixels import as_pixels
from facelab.training.data import has_splits, names_of_split, read_member

TRUNCATION = 0.8
TURN, ZOOM, SHIFT, GAIN, GAMMA = 4.0, 0.06, 0.02, 0.07, 0.15  # largest: degrees, fractions, and of colours
# Pictures in scikit-image's wheel that are free and show nobody: file, name, kind, and centre and side of the square,
# in fractions of the shorter side. Licences as its documentation states them.
BUNDLED = (
    ("chelsea.png", "cat", "cat", (0.74, 0.5, 1.0)),
    ("coffee.png", "coffee", "thing", (0.78, 0.48, 0.9)),
    ("rocket.jpg", "rocket", "thing", (0.75, 0.5, 1.0)),
    ("hubble_deep_field.jpg", "galaxies", "thing", (0.5, 0.5, 0.5)),
)
LICENCES = {
    "cat": "Chelsea the cat by Stefan van der Walt, CC0",
    "coffee": "coffee by Rachel Michetti, CC0",
    "rocket": "rocket by SpaceX, public domain",
    "galaxies": "Hubble deep field by NASA, public domain",
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture to embed: uint8 [R, R, 3]. kind: "face", "photo", "cat", "thing" or "drawing"."""

    name: str
    kind: str
    image: np.ndarray

    @property
    def is_face(self) -> bool:
        """Whether a person's face is in it."""
        return self.kind in ("face", "photo")

    @property
    def shown(self) -> bool:
        """Whether it may be in a figure: no photo of anybody is."""
        return self.kind != "photo"

    @property
    def start(self) -> str:
        """Where its embedding begins: faces at the mean latent, anything else at random (section 5.1)."""
        return "mean" if self.is_face else "random"


def collect(generator: Generator, *, faces: int, photos: Path | None, seed: int) -> list[Picture]:
    """The pictures of a run, faces first. faces: how many drawn ones, and as many photos.

    photos: a folder or a zip of aligned square faces; of one with a labels.csv, the split "val". Raises BadSetting
    where it holds none, UnreadablePhoto for one that is none.
    """
    side = generator.resolution
    drawn = [Picture(f"face {n}", "face", face) for n, face in enumerate(vary_faces(generator, faces, seed=seed), 1)]
    taken = [] if photos is None else take_photos(photos, faces, side=side, seed=seed)
    return [*drawn, *taken, *bundled(side), *(Picture(f"drawing {n}", "drawing", draw(side, n)) for n in (1, 2))]


def examples(pictures: Sequence[Picture], faces: int = 2) -> list[Picture]:
    """The pictures of figures: some faces and the first of each other kind, no photo."""
    counted: dict[str, int] = {}
    kept = []
    for picture in pictures:
        counted[picture.kind] = counted.get(picture.kind, 0) + 1
        if picture.shown and counted[picture.kind] <= (faces if picture.kind == "face" else 1):
            kept.append(picture)
    return kept


@torch.no_grad()
def vary_faces(generator: Generator, count: int, *, seed: int) -> list[np.ndarray]:
    """Random faces, uint8 [R, R, 3], that no latent of the generator draws exactly; the same for the same seed."""
    latents = generator.sample(2 * count, seed=seed, truncation=TRUNCATION)
    rows = generator.num_layers // 2
    crossed = torch.cat([latents[:count, :rows], latents[count:, rows:]], dim=1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn = list(as_pixels(generator.synthesize(crossed, noise="random")))
    random = np.random.default_rng(seed)
    return [_vary(picture, random) for picture in drawn]


def _vary(picture: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turned, zoomed, moved and coloured anew, by a little."""
    side = len(picture)
    pad = side // 4
    wide = Image.fromarray(np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="reflect"))
    turned = wide.rotate(random.uniform(-TURN, TURN), Image.Resampling.BICUBIC)
    size = side / (1 + random.uniform(0, ZOOM))
    left, top = (len(picture) + 2 * pad - size) / 2 + side * random.uniform(-SHIFT, SHIFT, 2)
    moved = turned.resize((side, side), Image.Resampling.BICUBIC, box=(left, top, left + size, top + size))
    gain, gamma = random.uniform(1 - GAIN, 1 + GAIN, 3), random.uniform(1 - GAMMA, 1 + GAMMA)
    coloured = 255 * (np.asarray(moved) / 255) ** gamma * gain
    return coloured.round().clip(0, 255).astype(np.uint8)


def take_photos(source: Path, count: int, *, side: int, seed: int) -> list[Picture]:
    """`count` photos of a folder or a zip by chance, or all where there are fewer; for numbers, never for figures."""
    names = names_of_split(source, "val" if has_splits(source) else None)
    chosen = np.random.default_rng(seed).permutation(len(names))[:count]
    images = [_square(read_photo(read_member(source, names[index])), side) for index in chosen]
    return [Picture(f"photo {number}", "photo", image) for number, image in enumerate(images, 1)]


def bundled(side: int) -> list[Picture]:
    """The free pictures that scikit-image carries, where it is installed. Only files are read; none of it is run."""
    package = find_spec("skimage")
    folder = Path(package.origin).parent / "data" if package and package.origin else None
    return [
        Picture(name, kind, _square(read_photo(folder / file), side, place))
        for file, name, kind, place in BUNDLED
        if folder is not None and (folder / file).is_file()
    ]


def _square(image: np.ndarray, side: int, place: tuple[float, float, float] | None = None) -> np.ndarray:
    """A square of a picture, uint8 [side, side, 3]: its middle, or by centre x, y and size in shorter sides."""
    height, width = image.shape[:2]
    short = min(height, width)
    x, y, share = place or (width / short / 2, height / short / 2, 1.0)
    size = short * share
    left = min(max(x * short - size / 2, 0), width - size)
    top = min(max(y * short - size / 2, 0), height - size)
    box = (left, top, left + size, top + size)
    return np.array(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS, box=box))


def draw(side: int, seed: int) -> np.ndarray:
    """Coloured shapes over a gradient, uint8 [side, side, 3]; other ones for another seed."""
    random, large = np.random.default_rng(seed), 4 * side
    ends = random.integers(60, 230, (2, 3))
    ramp = np.linspace(0, 1, large)[:, None, None]
    canvas = Image.fromarray(np.broadcast_to(ends[0] * (1 - ramp) + ends[1] * ramp, (large, large, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(canvas)
    for number in range(9):
        x, y = random.uniform(0.1, 0.9, 2) * large
        radius, turn = random.uniform(0.08, 0.22) * large, random.uniform(0, 360)
        colour = tuple(int(value) for value in random.integers(20, 245, 3))
        if number % 3 == 0:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        else:
            pen.regular_polygon((x, y, radius), 3 + number % 3, rotation=turn, fill=colour)
    return np.array(canvas.resize((side, side), Image.Resampling.LANCZOS))
