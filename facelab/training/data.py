"""Training pictures as one memory-mapped array, made once from a folder or a zip."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import math
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facelab.errors import BadSetting, UnreadablePhoto
from facelab.photo import AT_A_TIME, MAX_BYTES, check_bytes, read_photo
from facelab.pixels import as_images
from facelab.training.label_rows import Row, rows_by_picture

LABELS = "labels.csv"
# Of the formats that read_photo reads.
SUFFIXES = {
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".jfif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"
}  # fmt: skip
_NAMED = 5  # of the unreadable pictures in a refusal
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Pictures:
    """Square training pictures: `images` is a memory-mapped uint8 array [N, R, R, 3].

    batch() is a pure function of seed and step, so that a resumed training sees what an uninterrupted one would.
    rows: int64, which of the images batches are made of; all where there are none.
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray | None = None) -> None:
        self.images = images
        self.rows = rows

    def __len__(self) -> int:
        return len(self.images if self.rows is None else self.rows)

    def batch(self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)) -> Tensor:
        """The batch of one step: float32 [size, 3, R, R] in [-1, 1], channels last; half of it mirrored.

        Every epoch is a new permutation; a batch may span two epochs. share: (k, n) gives the k-th of n equal parts,
        for the k-th of n processes.
        """
        return self.batch_with_indices(step, size=size, seed=seed, flip=flip, share=share)[0]

    def batch_with_indices(
        self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)
    ) -> tuple[Tensor, Tensor]:
        """`batch`, and which images it shows: int64 [size]."""
        mine = slice(size * share[0] // share[1], size * (share[0] + 1) // share[1])
        epochs, places = np.divmod(np.arange(step * size, (step + 1) * size)[mine], len(self))
        indices = np.empty(len(places), np.int64)
        for epoch in np.unique(epochs):
            indices[epochs == epoch] = _order(len(self), seed, int(epoch))[places[epochs == epoch]]
        if self.rows is not None:
            indices = self.rows[indices]
        pixels = self.images[indices]
        if flip:
            mirrored = np.random.default_rng((seed, step, 1)).random(size)[mine] < 0.5
            pixels[mirrored] = pixels[mirrored, :, ::-1]
        return as_images(pixels), torch.from_numpy(indices)

    def tensor(self, chosen: slice | np.ndarray) -> Tensor:
        """Some of the images as they are: float32 [N, 3, R, R] in [-1, 1]."""
        return as_images(np.array(self.images[chosen]))


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation of one epoch, which many steps ask for."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def open_pictures(source: Path, *, resolution: int, cache: Path, split: str | None = "train") -> Pictures:
    """Decode the pictures of a folder or a zip into `cache` (once), cropped to squares of `resolution` pixels.

    split: as for `names_of_split`. Raises BadSetting when there is nothing to train on, or to evaluate by, when the
    disk has no room for the decoded pictures, and when some are unreadable: all are tried, the first ones are named.
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
    `read_label_rows` does; where all are asked for, what labels.csv says of which is not looked at.
    """
    if not source.exists():
        raise BadSetting(f"There is no {source}. Give a folder or a zip of pictures.")
    table = _read_table(source)
    if split not in (None, "train") and not _tell_splits(table):
        raise BadSetting(
            f"{source} does not say which pictures no training sees. Add a labels.csv with the columns image and split "
            f"and a line for each picture: 00017.png,{split} for those, 00018.png,train for the others."
        )
    names = _pictures_in(source)
    if not names:
        raise BadSetting(f"{source} holds no pictures to train on ({', '.join(sorted(SUFFIXES))}).")
    if split is not None and table is not None:
        rows = rows_by_picture(table, names, folder=_labels_folder(source))
        names = [name for name in names if (row := rows.get(name)) and row.get("split", split) == split]
    if not names:
        raise BadSetting(
            f"labels.csv names none of the pictures in {source} as {split}. Its column image holds their file names, "
            f"or paths where pictures share a name, its column split, where it has one, {split} for some of them."
        )
    return names


def read_label_rows(source: Path) -> dict[str, Row] | None:
    """The rows of labels.csv, by the name in `source` of the picture that each is of; None where there is none.

    Raises BadSetting for a table that is not in UTF-8 or has no column image, and as `find_labels` and
    `rows_by_picture` do.
    """
    table = _read_table(source)
    if table is None:
        return None
    return rows_by_picture(table, _pictures_in(source), folder=_labels_folder(source))


def _read_table(source: Path) -> list[Row] | None:
    """The rows of labels.csv as they stand there."""
    name = find_labels(source)
    if name is None:
        return None
    data = read_member(source, name)
    try:
        table = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))  # with a byte order mark, as Excel writes it
        columns, rows = table.fieldnames or (), list(table)
    except UnicodeDecodeError as cause:
        raise BadSetting(f"labels.csv in {source} is not in UTF-8. Save it anew as CSV in UTF-8.") from cause
    except csv.Error as cause:
        raise BadSetting(
            f"labels.csv in {source} is no table ({cause}). Look for a quotation mark too many."
        ) from cause
    if "image" not in columns:
        raise BadSetting(
            f"labels.csv in {source} has no column image. Its first line names the columns, with commas between them."
        )
    return rows


def find_labels(source: Path) -> str | None:
    """Which file of a folder or a zip is its labels.csv: the one at its top, or else the only one, as in the zip of a
    folder. Raises BadSetting where there are several further down.
    """
    if source.is_dir() and (source / LABELS).exists():
        return LABELS
    names = [name for name in _list(source) if Path(name).name == LABELS and "__MACOSX" not in Path(name).parts]
    if LABELS in names or not names:
        return LABELS if names else None
    if len(names) > 1:
        raise BadSetting(
            f"{source} has {len(names)} files labels.csv. Put one at its top, with a line for each picture."
        )
    return names[0]


def has_splits(source: Path) -> bool:
    """Whether a labels.csv with a column split tells training pictures from those that no training sees."""
    return source.exists() and _tell_splits(_read_table(source))


def _tell_splits(table: list[Row] | None) -> bool:
    return any("split" in row for row in table or ())


def _labels_folder(source: Path) -> Path:
    """Where in a folder or a zip its labels.csv lies, at which the paths in it begin."""
    return Path(find_labels(source) or LABELS).parent


def _pictures_in(source: Path) -> list[str]:
    return sorted(name for name in _list(source) if _is_picture(name))


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
    """One file of a folder or a zip, or None. Raises BadSetting for one that is damaged or larger than any photo."""
    if source.is_dir():
        path = source / name
        return path.read_bytes() if path.exists() else None
    with _archive(source) as archive:
        if name not in archive.namelist():
            return None
        try:
            check_bytes(archive.getinfo(name).file_size)
            return _read(archive, name, MAX_BYTES)
        except UnreadablePhoto as cause:
            raise BadSetting(f"{name} in {source} cannot be read. {cause}") from cause


def _read(archive: zipfile.ZipFile, name: str, most: int = -1) -> bytes:
    """A member's bytes, or the first `most` of them. Raises UnreadablePhoto where it is damaged or encrypted."""
    try:
        with archive.open(name) as file:
            return file.read(most)
    except Exception as cause:  # BadZipFile, zlib.error, LZMAError, EOFError, OSError, RuntimeError, struct.error, ...
        raise UnreadablePhoto("It is damaged or encrypted within the zip. Make the zip anew without it.") from cause


@contextmanager
def _reader(source: Path) -> Iterator[Callable[[str], np.ndarray]]:
    """What reads one picture of a folder or a zip by its name, on any thread: uint8 [H, W, 3], as `read_photo` does.

    It raises UnreadablePhoto; a file that is larger than a photo may be is not read, nor inflated.
    """
    if source.is_dir():
        yield lambda name: read_photo(source / name, min_side=1)
        return
    with _archive(source) as archive:
        turn = threading.Lock()

        def read(name: str) -> np.ndarray:
            check_bytes(archive.getinfo(name).file_size)
            with turn:  # zipfile does not promise to be for many threads, and pictures inflate faster than they decode
                data = _read(archive, name, MAX_BYTES + 1)
            return read_photo(data, min_side=1)

        yield read


def _decode(source: Path, names: list[str], resolution: int, path: Path) -> None:
    partial = path.with_suffix(".partial")
    refused: dict[str, str] = {}

    def place(index: int, name: str) -> None:
        try:
            picture = Image.fromarray(read(name))
        except UnreadablePhoto as cause:
            refused[name] = str(cause)
            return
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        box = (left, top, left + side, top + side)
        array[index] = np.asarray(picture.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box))

    try:
        array = _make_array(partial, (len(names), resolution, resolution, 3))
        # each holds one file; more than may decode at once, so that others read and scale meanwhile
        workers = min(os.cpu_count() or 1, 2 * AT_A_TIME)
        with _reader(source) as read, ThreadPoolExecutor(workers) as pool:
            for first in range(0, len(names), 1024):  # so that not all of a large data set queues up at once
                chunk = names[first : first + 1024]
                list(pool.map(place, range(first, first + len(chunk)), chunk))
        if refused:
            raise BadSetting(_refusal(source, refused, len(names)))
        array.flush()
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)


def _make_array(path: Path, shape: Sequence[int]) -> np.ndarray:
    """A new uint8 array that is a file's memory, with its bytes given to it by the disk at once where that can be asked
    for: on a disk that is full, a write into a sparse file's memory ends the process without a word (SIGBUS).

    Raises BadSetting when the disk has no room for it.
    """
    needed, free = math.prod(shape), shutil.disk_usage(path.parent).free
    try:
        if needed > free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=tuple(shape))
        _allocate(path)
    except OSError as cause:
        if cause.errno not in _NO_ROOM:
            raise
        raise BadSetting(
            f"The decoded pictures take {needed / 1e6:,.0f} MB, and the disk of {path.parent} has {free / 1e6:,.0f} MB "
            "free, or less for you. Make room, choose an --out or --cache on another disk, or take fewer pictures."
        ) from cause
    return array


def _allocate(path: Path) -> None:
    """Have the disk hold all of a sparse file. Raises OSError where it has no room; not every system can be asked."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as cause:
            if cause.errno in _NO_ROOM:
                raise


def _refusal(source: Path, refused: dict[str, str], count: int) -> str:
    """What is said of the pictures that cannot be read, by name and with the reason of the first."""
    names = sorted(refused)
    first, more = names[0], len(names) - _NAMED
    if len(names) == 1:
        return f"{first} in {source} cannot be trained on. {refused[first]}"
    named = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return (
        f"{len(names)} of the {count} pictures in {source} cannot be trained on: {named}. Replace or remove them. Of "
        f"{first}: {refused[first]}"
    )
