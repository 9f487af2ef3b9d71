"""Files that people keep are written whole or not at all: what stood there before outlives a full disk."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, TypeVar

Kept = TypeVar("Kept")


def write_file(data: bytes, target: str | os.PathLike | BinaryIO) -> None:
    """Write the bytes of a file to a path or an open file.

    At a path they appear at once, under another name until all are there; a device or a pipe takes them as they come.
    Raises OSError, which names the path, where they cannot be written; the path is then as it was.
    """
    if not isinstance(target, (str, os.PathLike)):
        target.write(data)
        return
    path = Path(target).resolve()  # of a link, the file that it leads to
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    partial = path.with_name(f".{token_hex(8)}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):  # of the name that people know
            error.filename, error.filename2 = str(target), None
        raise


def write_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], path: Path) -> None:
    """Write rows as a CSV file by `write_file`: empty where a row lacks a column, without what has none."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_file(text.getvalue().encode(), path)


def read_or_make(path: Path, read: Callable[[bytes], Kept], make: Callable[[], bytes]) -> Kept:
    """What `read` says of a cache file's bytes. One that is missing or that it cannot read is made anew by `make`."""
    try:
        return read(path.read_bytes())
    except Exception:  # a file that a kill has cut off breaks in as many ways as there are formats
        data = make()
    write_file(data, path)
    return read(data)
