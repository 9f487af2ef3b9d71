"""The six example faces: made by our own generator, so that a visitor without a photo can start.

`python -m facelab.page.examples` makes them anew into assets/examples after the weights have changed;
`python -m facelab.page.examples --sheet sheet.png` draws numbered candidates to choose seeds from.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from facelab.face import Face
from facelab.media import save_png
from facelab.page.pictures import png_uri

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
TRUNCATION = 0.65
PHOTO_SIDE = 512  # the detectors look for faces in it as in any photo
# Chosen by eye among seeds 0 to 191 for quality, and for variety of gender, age and skin: seed -> (name, description).
SEEDS = {
    140: ("Mara", "smiling woman, brown hair"),
    10: ("Leo", "man, dark brown hair"),
    157: ("Ivy", "smiling woman, light brown hair"),
    168: ("Sami", "smiling man, black hair"),
    68: ("Nina", "woman, long black hair"),
    160: ("Otto", "smiling man, short grey hair"),
}


@dataclass(frozen=True, eq=False)
class Example:
    """One example face. picture: uint8 [R, R, 3]. name: invented, as the face is."""

    id: str
    name: str
    description: str
    face: Face
    picture: np.ndarray

    def as_photo(self) -> np.ndarray:
        """The picture as a photo to align and embed: uint8 [512, 512, 3]."""
        image = Image.fromarray(self.picture)
        return np.asarray(image.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS))

    def view(self) -> dict[str, str]:
        """What the page shows of it."""
        return {"id": self.id, "title": f"{self.name}, {self.description}", "picture": png_uri(self.picture)}


@cache
def load_examples(folder: Path = FOLDER) -> dict[str, Example]:
    """The examples by id, in their order; none where the assets are not beside the package."""
    found = {}
    for seed, (name, description) in SEEDS.items():
        path = folder / f"{seed}.npz"
        if path.is_file() and path.with_suffix(".png").is_file():
            picture = np.asarray(Image.open(path.with_suffix(".png")).convert("RGB"))
            found[str(seed)] = Example(str(seed), name, description, Face.load(path), picture)
    return found


def make_examples(folder: Path = FOLDER) -> None:
    """Generate the examples of SEEDS: <seed>.npz and <seed>.png each."""
    from facelab.studio import Studio

    studio = Studio()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.*"):
        old.unlink()
    for seed in SEEDS:
        [(face, picture)] = studio.sample(1, seed=seed, truncation=TRUNCATION)
        face.save(folder / f"{seed}.npz")
        save_png(picture, folder / f"{seed}.png", model=face.latent.model, operations=["sample"])


def draw_sheet(path: Path, *, count: int = 192, columns: int = 16) -> None:
    """Draw the faces of seeds 0 to `count`, numbered."""
    from facelab.studio import Studio

    studio = Studio()
    side = studio.card.resolution
    sheet = Image.new("RGB", (columns * side, -(-count // columns) * side))
    draw = ImageDraw.Draw(sheet)
    for seed in range(count):
        place = (seed % columns * side, seed // columns * side)
        sheet.paste(Image.fromarray(studio.sample(1, seed=seed, truncation=TRUNCATION)[0][1]), place)
        draw.text((place[0] + 3, place[1] + 2), str(seed), fill="yellow")
    sheet.save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the example faces, or a sheet of candidates.")
    parser.add_argument("--sheet", type=Path, help="draw numbered candidates here instead")
    arguments = parser.parse_args()
    draw_sheet(arguments.sheet) if arguments.sheet else make_examples()
