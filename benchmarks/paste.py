"""How well edited faces sit in their photos: `python -m benchmarks.paste PHOTOS [--set smile=2] [--megapixels 12]`.

PHOTOS is a folder of portraits. The largest face of each is embedded (a FACE.npz of the photo's name beside it is taken
instead), edited and pasted back. Printed for each photo and, as median and worst, for all:
edge: the mean gradient along the way into the mask, on its feathered edge, over that of the photo (at most 1.1);
sharp: the variance of the Laplacian inside the mask, over the photo's (at least 0.8);
ms: the pasting, and kept: whether every pixel outside the quad stayed as it was;
smile: by how much the judge's logit for "Smiling" rises from the photo to the pasted photo, aligned anew, and at the
end, of those that did not smile, how many do now.
At the end, the seconds that it takes to paste the first face into its photo enlarged to `--megapixels`.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.machine import machine
from facelab.alignment import align, crop_to_photo, quad_from_landmarks
from facelab.detail import find_change
from facelab.embedding import as_picture
from facelab.embedding_settings import PRESETS
from facelab.errors import FaceLabError, NoFaceFound
from facelab.evaluation.judge import ATTRIBUTES, judge, load_judge
from facelab.face import Face
from facelab.photo import read_photo
from facelab.studio import Studio

EDGE, INSIDE = (0.05, 0.95), 0.5  # of the mask


def main() -> None:
    """Paste into every photo of a folder and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--set", default="smile=2", help="the edit, such as smile=2")
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--model", default="faces128")
    options = parser.parse_args()
    name, _, strength = options.set.partition("=")

    print(machine())
    studio, rows, first = Studio(options.model), [], None
    for path in sorted(options.photos.iterdir()):
        if path.suffix == ".npz":
            continue
        try:
            photo = read_photo(path)
            face = embedded(studio, photo, path.with_suffix(".npz"))
        except FaceLabError as error:
            print(f"{path.name:<24} skipped: {str(error).partition('.')[0]}")
            continue
        edited = studio.edit(face, {name: float(strength)})
        rows.append(measure(studio, photo, face, edited))
        first = first or (photo, face, edited)
        print(f"{path.name:<24} {told(rows[-1])}", flush=True)
    if not rows:
        return
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    print(f"{'median':<24} {told({key: statistics.median(values) for key, values in columns.items()})}")
    worst = {"edge": max, "sharp": min, "ms": max, "kept": min, "smile": min, "before": min}
    print(f"{'worst':<24} {told({key: worst[key](values) for key, values in columns.items()})}")
    serious = [row for row in rows if row["before"] <= 0]
    flipped = sum(row["before"] + row["smile"] > 0 for row in serious)
    print(f"the judge sees {flipped} of {len(serious)} serious faces smile")
    good = sum(row["edge"] <= 1.1 and row["sharp"] >= 0.8 for row in rows)
    print(f"{good} of {len(rows)} photos within both bars")
    print(f"into {options.megapixels:g} megapixels: {large(studio, *first, options.megapixels):.2f} s")


def embedded(studio: Studio, photo: np.ndarray, kept: Path) -> Face:
    """The face kept beside the photo, or its largest face, embedded."""
    if kept.exists():
        return Face.load(kept)
    aligned = studio.align(photo, studio.find_faces(photo)[0])
    *_, last = studio.embed(aligned, replace(PRESETS["fast"], preview_every=0))
    return studio.to_face(last, aligned)


def measure(studio: Studio, photo: np.ndarray, face: Face, edited: Face) -> dict[str, float]:
    """The figures of one pasted face."""
    studio.picture(face, edited)  # both pictures are drawn before the clock starts
    started = time.perf_counter()
    pasted = studio.paste(photo, [(face, edited)])
    took = time.perf_counter() - started
    change = find_change(face.crop, studio._look(face), studio._look(edited), whole=False)
    mask = in_photo(change.mask[0].numpy(), face.quad, photo.shape)
    down, right = np.gradient(mask)
    steep = np.hypot(down, right)
    edge = (mask > EDGE[0]) & (mask < EDGE[1]) & (steep > 1e-4)

    def across(picture: np.ndarray) -> float:
        rows, columns = np.gradient(picture)
        return float(np.abs((rows * down + columns * right)[edge] / steep[edge]).mean())

    def laplacian(picture: np.ndarray) -> float:
        around = picture[:-2, 1:-1] + picture[2:, 1:-1] + picture[1:-1, :-2] + picture[1:-1, 2:]
        return float((around - 4 * picture[1:-1, 1:-1])[mask[1:-1, 1:-1] > INSIDE].var())

    before, after = (picture.astype(np.float32) @ np.float32([0.299, 0.587, 0.114]) for picture in (photo, pasted))
    seen = [smiling(studio, picture, face.quad) for picture in (photo, pasted)]
    outside = Image.new("1", photo.shape[1::-1], 1)
    ImageDraw.Draw(outside).polygon([tuple(corner) for corner in face.quad], fill=0, outline=0)
    outside = np.array(outside)
    return {
        "edge": across(after) / across(before),
        "sharp": laplacian(after) / laplacian(before),
        "ms": took * 1000,
        "kept": float(np.array_equal(photo[outside], pasted[outside])),
        "smile": seen[1] - seen[0],
        "before": seen[0],
    }


def smiling(studio: Studio, photo: np.ndarray, quad: np.ndarray) -> float:
    """The judge's logit for "Smiling" of the face in a photo: aligned by what a detector finds near the quad, or, where
    none does, by the quad.
    """
    with contextlib.suppress(NoFaceFound):
        found = min(studio.find_faces(photo), key=lambda face: np.hypot(*(face.landmarks.mean(0) - quad.mean(0))))
        if np.hypot(*(found.landmarks.mean(axis=0) - quad.mean(axis=0))) < 0.25 * np.hypot(*(quad[3] - quad[0])):
            quad = quad_from_landmarks(found.landmarks)
    image = align(photo, quad, resolution=studio.card.resolution).image
    return float(judge(load_judge(), as_picture(image, studio.generator))[0, ATTRIBUTES.index("Smiling")])


def in_photo(mask: np.ndarray, quad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask [R, R] of the crop as the photo's pixels see it, float32 [H, W]."""
    matrix = np.linalg.inv(np.vstack([crop_to_photo(quad, len(mask)), [0, 0, 1]]))[:2]
    return np.asarray(
        Image.fromarray(mask).transform(
            shape[1::-1], Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BICUBIC
        )
    )


def large(studio: Studio, photo: np.ndarray, face: Face, edited: Face, megapixels: float) -> float:
    """Seconds to paste into the photo at so many megapixels; the pictures are drawn already."""
    scale = (megapixels * 1e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
    size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    photo = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))
    face = replace(face, quad=face.quad * np.float32(scale), photo_size=size)
    studio.picture(face, edited)
    started = time.perf_counter()
    studio.paste(photo, [(face, edited)])
    return time.perf_counter() - started


def told(row: dict[str, float]) -> str:
    """One line of figures."""
    seen = f"edge {row['edge']:.3f}  sharp {row['sharp']:.3f}  {row['ms']:6.0f} ms"
    return f"{seen}  kept {row['kept']:.0f}  smile {row['smile']:+.1f}"


if __name__ == "__main__":
    main()
