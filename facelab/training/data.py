"""Training pictures as one memory-mapped array, made once from a folder or a zip."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facelab.errors import BadSetting, UnreadablePhoto
from facelab.photo import read_photo
from facelab.pixels import as_images

SUFFIXES = {".webp", ".png", ".jpg", ".jpeg", ".bmp"}


class Pictures:
    """Square training pictures: `images` is a memory-mapped uint8 array [N, R, R, 3].

    batch() is a pure function of seed and step, so that a resumed training sees what an uninterrupted one would.
    """

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)) -> Tensor:
        """The batch of one step: float32 [size, 3, R, R] in [-1, 1], channels last; half of it mirrored.

        Every epoch is a new permutation; a batch may span two epochs. share: (k, n) gives the k-th of n equal parts,
        for the k-th of n processes.
        """
        return self.batch_with_indices(step, size=size, seed=seed, flip=flip, share=share)[0]

    def batch_with_indices(
        self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)
    ) -> tuple[Tensor, Tensor]:
        """`batch`, and which pictures it shows: int64 [size]."""
        mine = slice(size * share[0] // share[1], size * (share[0] + 1) // share[1])
        epochs, places = np.divmod(np.arange(step * size, (step + 1) * size)[mine], len(self))
        indices = np.empty(len(places), np.int64)
        for epoch in np.unique(epochs):
            indices[epochs == epoch] = _order(len(self), seed, int(epoch))[places[epochs == epoch]]
        pixels = self.images[indices]
        if flip:
            mirrored = np.random.default_rng((seed, step, 1)).random(size)[mine] < 0.5
            pixels[mirrored] = pixels[mirrored, :, ::-1]
        return as_images(pixels), torch.from_numpy(indices)

    def tensor(self, chosen: slice | np.ndarray) -> Tensor:
        """Some of the pictures as they are: float32 [N, 3, R, R] in [-1, 1]."""
        return as_images(np.array(self.images[chosen]))


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of one epoch, which many steps ask for."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def open_pictures(source: Path, *, resolution: int, cache: Path, split: str | None = "train") -> Pictures:
    """Decode the pictures of a folder or a zip into `cache` (once), cropped to squares of `resolution` pixels.

    split: as for `names_of_split`. Raises BadSetting when there is nothing to train on, or to evaluate by.
    """
    names = names_of_split(source, split)
    path = cache / f"pictures-{resolution}-{_made_of(source, names)}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _decode(source, names, resolution, path)
    return Pictures(np.load(path, mmap_mode="r"))


def _made_of(source: Path, names: list[str]) -> str:
    """What decoded pictures depend on, in short: which they are, and of a folder each file's size and time, of a zip
    what its directory says of their bytes.
    """
    told: list[object] = []
    if source.is_dir():
        told = [str(source.resolve())]
        for name in names:
            status = (source / name).stat()
            told.append((name, status.st_size, status.st_mtime_ns))
    else:
        with _archive(source) as archive:
            told = [(name, archive.getinfo(name).file_size, archive.getinfo(name).CRC) for name in names]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def names_of_split(source: Path, split: str | None) -> list[str]:
    """The pictures' names in a folder or a zip, sorted, of one split or all; without splits, all are for training.

    Raises BadSetting for another split than "train" where there are none, where there are no pictures, and as
    `read_label_rows` does.
    """
    if not source.exists():
        raise BadSetting(f"There is no {source}. Give a folder or a zip of pictures.")
    rows = read_label_rows(source)
    if split not in (None, "train") and not _tell_splits(rows):
        raise BadSetting(
            f"{source} does not say which pictures no training sees. Add a labels.csv with the columns image and split "
            f"and a line for each picture: 00017.png,{split} for those, 00018.png,train for the others."
        )
    names = sorted(name for name in _list(source) if _is_picture(name))
    if not names:
        raise BadSetting(f"{source} holds no pictures to train on ({', '.join(sorted(SUFFIXES))}).")
    if split is not None and rows is not None:
        names = [name for name in names if (row := rows.get(Path(name).stem)) and row.get("split", split) == split]
    if not names:
        raise BadSetting(
            f"labels.csv names none of the pictures in {source} as {split}. Its column image holds their file names, "
            f"its column split, where it has one, {split} for some of them."
        )
    return names


def read_label_rows(source: Path) -> dict[str, dict[str, str]] | None:
    """The rows of labels.csv, by the name without ending of the picture that each is of; None where there is none.

    Raises BadSetting for a table that is not in UTF-8 or has no column image.
    """
    data = read_member(source, "labels.csv")
    if data is None:
        return None
    try:
        table = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))  # with a byte order mark, as Excel writes it
    except UnicodeDecodeError as cause:
        raise BadSetting(f"labels.csv in {source} is not in UTF-8. Save it anew as CSV in UTF-8.") from cause
    if "image" not in (table.fieldnames or ()):
        raise BadSetting(
            f"labels.csv in {source} has no column image. Its first line names the columns, with commas between them."
        )
    return {Path(row["image"] or "").stem: row for row in table}


def has_splits(source: Path) -> bool:
    """Whether a labels.csv with a column split tells training pictures from those that no training sees."""
    return source.exists() and _tell_splits(read_label_rows(source))


def _tell_splits(rows: dict[str, dict[str, str]] | None) -> bool:
    return any("split" in row for row in (rows or {}).values())


def _is_picture(name: str) -> bool:
    """By its name. What a Mac puts beside pictures, __MACOSX/._00017.png, is none."""
    path = Path(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith("._") and "__MACOSX" not in path.parts


def _archive(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except zipfile.BadZipFile as cause:
        raise BadSetting(f"{source} is neither a folder nor a zip of pictures.") from cause


def _list(source: Path) -> list[str]:
    """The files' names, but for those of runs in folders within the folder: their sheets are no data."""
    if source.is_dir():
        files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
        runs = {file.parent for file in files if file.match("pictures-*.npy")} - {Path()}
        return [str(file) for file in files if runs.isdisjoint(file.parents)]
    with _archive(source) as archive:
        return archive.namelist()


def read_member(source: Path, name: str) -> bytes | None:
    """One file of a folder or a zip, or None."""
    if source.is_dir():
        path = source / name
        return path.read_bytes() if path.exists() else None
    with _archive(source) as archive:
        return _read(archive, name) if name in archive.namelist() else None


def _contents(source: Path, names: list[str]) -> Iterator[bytes]:
    if source.is_dir():
        yield from ((source / name).read_bytes() for name in names)
        return
    with _archive(source) as archive:
        yield from (_read(archive, name) for name in names)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as cause:
        raise BadSetting(
            f"{name} in {archive.filename} is damaged or encrypted. Make the zip anew without it."
        ) from cause


def _decode(source: Path, names: list[str], resolution: int, path: Path) -> None:
    partial = path.with_suffix(".partial")
    array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(len(names), resolution, resolution, 3))

    def place(index: int, name: str, data: bytes) -> None:
        try:
            picture = Image.fromarray(read_photo(data, min_side=1))
        except UnreadablePhoto as cause:
            raise BadSetting(f"{name} in {source} cannot be trained on. {cause}") from cause
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
        array[index] = np.asarray(picture.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box))

    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for first in range(0, len(names), 1024):  # bounded, so that a large data set is not held twice
                chunk = names[first : first + 1024]
                list(pool.map(place, range(first, first + len(chunk)), chunk, _contents(source, chunk)))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    array.flush()
    partial.replace(path)
