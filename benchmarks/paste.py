"""How well edited faces sit in their photos: `python -m benchmarks.paste PHOTOS [--set smile=2] [--count 50]`.

PHOTOS is a folder of photos, or a zip of aligned portraits with a labels.csv, of which `--count` of the val split are
enlarged to 512 pixels and set into a photo of 768. The largest face of each is embedded, edited and pasted back;
--faces names a folder that keeps the embedded ones, so that a second run need not embed them again. Printed for each
photo and, as median and worst, for all:
edge: the mean gradient along the way into the mask, on its feathered edge, over that of the photo (at most 1.1);
sharp: the variance of the Laplacian inside the mask, over the photo's (at least 0.8);
ms: the pasting, and kept: whether every pixel outside the quad stayed as it was;
smile: by how much the judge's logit for "Smiling" rises from the photo to the pasted photo, aligned anew; own: in the
generator's own picture. At the end, of those that did not smile by the judge, how many do now, in both.
At the end, the seconds that it takes to paste the first face into its photo enlarged to `--megapixels`.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from benchmarks.machine import machine
from facelab.alignment import align, crop_to_photo, quad_from_landmarks
from facelab.detail import find_change
from facelab.edits.attributes import DEFAULT_METHOD, METHODS
from facelab.embedding import as_image
from facelab.embedding_settings import PRESETS
from facelab.errors import FaceLabError, NoFaceFound
from facelab.evaluation.judge import ATTRIBUTES, judge, load_judge
from facelab.face import Face
from facelab.photo import read_photo
from facelab.studio import Studio
from facelab.training.data import names_of_split, read_member

EDGE, INSIDE = (0.05, 0.95), 0.5  # of the mask
PORTRAIT, MARGIN = 512, 128  # pixels of an enlarged portrait, and around it


def main() -> None:
    """Paste into every photo of a folder and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=50, help="how many portraits of a zip")
    parser.add_argument("--faces", type=Path, help="a folder that keeps the embedded faces")
    parser.add_argument("--set", default="smile=2", help="the edit, such as smile=2")
    parser.add_argument("--method", choices=METHODS, default=DEFAULT_METHOD)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--model", default="faces128")
    parser.add_argument("--threads", type=int, help="torch's threads, by default all cores")
    options = parser.parse_args()
    name, _, strength = options.set.partition("=")
    if options.threads:
        torch.set_num_threads(options.threads)

    print(machine())
    studio, rows, first = Studio(options.model), [], None
    for title, read in portraits(options.photos, options.count):
        try:
            photo = read()
            face = embedded(studio, photo, options.faces and options.faces / f"{title}.npz")
        except FaceLabError as error:
            print(f"{title:<24} skipped: {str(error).partition('.')[0]}")
            continue
        edited = studio.edit(face, {name: float(strength)}, method=options.method)
        rows.append(measure(studio, photo, face, edited))
        first = first or (photo, face, edited)
        print(f"{title:<24} {told(rows[-1])}", flush=True)
    if not rows:
        return
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    print(f"{'median':<24} {told({key: statistics.median(values) for key, values in columns.items()})}")
    worst = dict.fromkeys(columns, min) | {"edge": max, "ms": max}
    print(f"{'worst':<24} {told({key: worst[key](values) for key, values in columns.items()})}")
    serious = [row for row in rows if row["before"] <= 0]
    flipped, drawn = (sum(row["before"] + row[key] > 0 for row in serious) for key in ("smile", "own"))
    print(f"the judge sees {flipped} of {len(serious)} serious faces smile, {drawn} in the generator's own picture")
    good = sum(row["edge"] <= 1.1 and row["sharp"] >= 0.8 for row in rows)
    print(f"{good} of {len(rows)} photos within both bars")
    print(f"into {options.megapixels:g} megapixels: {large(studio, *first, options.megapixels):.2f} s")


def portraits(source: Path, count: int) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Names, and what opens them as photos uint8 [H, W, 3], of a folder or of a zip's val split."""
    if source.is_dir():
        for path in sorted(source.iterdir()):
            yield path.stem, lambda path=path: read_photo(path)
        return
    names = names_of_split(source, "val")
    for index in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int):
        yield Path(names[index]).stem, lambda name=names[index]: framed(read_photo(read_member(source, name)))


def framed(portrait: np.ndarray) -> np.ndarray:
    """An aligned portrait as a photo of a larger scene: enlarged, and mirrored at its border."""
    large = Image.fromarray(portrait).resize((PORTRAIT, PORTRAIT), Image.Resampling.LANCZOS)
    return np.pad(np.asarray(large), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="symmetric")


def embedded(studio: Studio, photo: np.ndarray, kept: Path | None) -> Face:
    """The face that was kept before, or the photo's largest one, embedded, and kept."""
    if kept is not None and kept.exists():
        return Face.load(kept)
    aligned = studio.align(photo, studio.find_faces(photo)[0])
    *_, last = studio.embed(aligned, replace(PRESETS["fast"], preview_every=0))
    face = studio.to_face(last, aligned)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        face.save(kept)
    return face


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
    drawn = smile_of(studio, studio.render(edited))
    outside = Image.new("1", photo.shape[1::-1], 1)
    ImageDraw.Draw(outside).polygon([tuple(corner) for corner in face.quad], fill=0, outline=0)
    outside = np.array(outside)
    return {
        "edge": across(after) / across(before),
        "sharp": laplacian(after) / laplacian(before),
        "ms": took * 1000,
        "kept": float(np.array_equal(photo[outside], pasted[outside])),
        "smile": seen[1] - seen[0],
        "own": drawn - seen[0],
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
    return smile_of(studio, align(photo, quad, resolution=studio.card.resolution).image)


def smile_of(studio: Studio, image: np.ndarray) -> float:
    """The judge's logit for "Smiling" of an aligned picture, uint8 [R, R, 3]."""
    return float(judge(load_judge(), as_image(image, studio.generator))[0, ATTRIBUTES.index("Smiling")])


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
    return f"{seen}  kept {row['kept']:.0f}  smile {row['smile']:+.1f} own {row['own']:+.1f} from {row['before']:+.1f}"


if __name__ == "__main__":
    main()
