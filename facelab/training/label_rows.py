"""Which picture each line of labels.csv is of: the one at its path, or at as much of the path's end as tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from facelab.errors import BadSetting

Row = dict[str, str]
Claim = tuple[tuple[int, bool], Row]  # a row, and how well it names a picture


def rows_by_picture(rows: Iterable[Row], names: Sequence[str], *, folder: Path) -> dict[str, Row]:
    """The rows of labels.csv by the name of the picture that each is of; those of pictures that are not there stay out.

    names: the pictures' paths in a folder or a zip. folder: where in it labels.csv lies. A row is of the picture whose
    path has the longest end in common with its own, whatever the file's ending: train/1.png is of data/train/1.webp,
    and where only one picture is called 1, of that one. Raises BadSetting for a row that names several pictures alike,
    and for a picture of which several rows say different things.
    """
    ends, claims = _ends(names), defaultdict(list)
    for row in rows:
        path = Path(row["image"] or "")
        picture, common = _picture_at(path, ends, folder)
        if picture is not None:
            claims[picture].append(((common, picture.endswith(path.name)), row))
    return {picture: _nearest(picture, those) for picture, those in claims.items()}


def _ends(names: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """The pictures by each end of their path: data/train/1.png by data/train/1, train/1 and 1; by all of it after "",
    too.
    """
    ends = defaultdict(list)
    for name in names:
        parts = _parts(Path(name))
        ends[("", *parts)].append(name)
        for first in range(len(parts)):
            ends[parts[first:]].append(name)
    return ends


def _parts(path: Path) -> tuple[str, ...]:
    return (*path.parts[:-1], path.stem) if path.parts else ()


def _picture_at(path: Path, ends: dict[tuple[str, ...], list[str]], folder: Path) -> tuple[str | None, int]:
    """The picture that a row's path names, None where there is none, and how many parts of their paths are alike."""
    parts = _parts(path)
    first = next((first for first in range(len(parts)) if parts[first:] in ends), None)
    if first is None:
        return None, 0
    found = ends[parts[first:]]
    if len(found) > 1:  # of namesakes in other folders, those at the row's own path; of these, the one of its ending
        found = ends.get(("", *_parts(folder / path)), found)
        if len(found) == len(ends[("", *_parts(Path(found[0])))]):
            found = [name for name in found if Path(name).name == path.name] or found
    if len(found) == 1:
        return found[0], len(parts) - first
    if first > 0:  # folders were written, and none of these pictures lies in them
        return None, 0
    raise BadSetting(
        f"labels.csv names {path}, and {len(found)} pictures are called that: {found[0]}, {found[1]}"
        f"{' and more' if len(found) > 2 else ''}. Write their paths into its column image, a line for each, such as "
        f"{found[0]}."
    )


def _nearest(picture: str, claims: list[Claim]) -> Row:
    """The row that names a picture best. Raises BadSetting where others name it as well and say something else."""
    best = max(nearness for nearness, _ in claims)
    rows = [row for nearness, row in claims if nearness == best]
    if any({**row, "image": ""} != {**rows[0], "image": ""} for row in rows[1:]):
        raise BadSetting(
            f"labels.csv has {len(rows)} lines for {picture} that say different things. Leave only the right one, or "
            "write the path of each picture into its column image."
        )
    return rows[-1]
