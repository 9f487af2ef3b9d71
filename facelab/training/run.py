"""A training run: a folder with checkpoints, a loss table and plot, sample sheets and weight files.

Everything here serves every family. A family is a module of facelab.training with

- settings, a dataclass derived from settings.RunSettings (in settings.py);
- `make_trainer(settings) -> Trainer`, the protocol below: step, state, load_state, sheet, weights;
- if it needs more than pictures, `open_batches(source, settings, cache) -> Batches`;

and a line in families.FAMILIES, which gives it `python -m facelab train NAME` with an option for each setting,
checkpoints, --resume, tables, plots and the progress bar. networks.NetworksTrainer does most of it for networks that
are moved by a few losses, by several processes as well; fitting.Fitting, by one process, for a network that looks at
faces. The promise: every random number of a step comes from settings.seed and
`steps`, and state() holds all else that the next step depends on; then a resumed run repeats the uninterrupted one bit
for bit.
"""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_safetensors
from torch import Tensor

from facelab.errors import BadSetting, BadWeights
from facelab.files import write_file, write_table
from facelab.media.sheets import contact_sheet
from facelab.pixels import as_pixels
from facelab.training import distributed
from facelab.training.plot import plot_losses
from facelab.training.settings import RunSettings

LOG_EVERY = 16
PROGRESS = ("step", "images", "seconds")  # the table's first columns; the trainer's follow


class Batches(Protocol):
    """What a trainer is fed, such as data.Pictures."""

    def batch(self, step: int, *, size: int, seed: int, flip: bool = True, share: tuple[int, int] = (0, 1)) -> Any:
        """What Trainer.step takes, or the k-th of n equal parts of it for share = (k, n).

        A pure function of its arguments, which another thread calls one step ahead.
        """


class Trainer(Protocol):
    """A training under way: networks, optimisers and all that belongs to them.

    settings: what it was told. steps: made so far. images: pictures seen so far. columns: the numbers that step() may
    return, in the order of the loss table; the first ones also go beside the progress bar.
    """

    settings: RunSettings
    steps: int
    images: int
    columns: Sequence[str]

    def step(self, batch: Any) -> dict[str, float]:
        """Train on one batch, count it in `steps` and `images`, and return numbers by name, from `columns`.

        Steps that do not measure a number leave it out; the table of losses holds the last one.
        """

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as tensors, plain values, lists and dicts."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`; entries that older versions did not write have defaults."""

    def sheet(self) -> np.ndarray | None:
        """A look at the training so far, with the same seeds every time: uint8 [H, W, 3], or None."""

    def weights(self) -> dict[str, Tensor] | None:
        """The tensors to publish, by name, or None while there is nothing worth publishing."""


class Run:
    """The files of one training in `folder`, which is made when something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.pt"
        self.settings = folder / "settings.json"
        self.table = folder / "losses.csv"
        self.plot = folder / "losses.png"
        self.data = ""  # the name of the file of decoded pictures that it sees, where there is one

    def refuse_another(self) -> None:
        """Raise BadSetting where the folder holds a run, or what is left of one, with which a new one would mix."""
        if self.checkpoint.exists():
            raise BadSetting(
                f"{self.folder} holds a run already. Add --resume to go on with it, or choose another --out."
            )
        left = [name for name in ("sheets", "weights") if any((self.folder / name).glob("*"))]
        if left:
            raise BadSetting(
                f"{self.folder} holds {' and '.join(left)} of a run without a checkpoint to go on from. "
                "Remove them, or choose another --out."
            )

    def weight_files(self) -> list[Path]:
        """The weight files, oldest first: those that the checkpoint has come to, all where there is none.

        Later ones are of steps that a kill undid.
        """
        files = sorted((self.folder / "weights").glob("*.safetensors"))
        if not self.checkpoint.exists():
            return files
        images = int(self._load(mmap=True)["images"])
        return [file for file in files if int(file.stem) <= images]

    def read_settings(self) -> dict[str, Any]:
        """The settings that the run was last trained with, by name, and "family": where settings.json does not tell
        them, those in the checkpoint; none for a new run.
        """
        with suppress(OSError, ValueError):
            settings = json.loads(self.settings.read_text(encoding="utf-8"))
            if isinstance(settings, dict):
                return settings
        return self._load(mmap=True)["settings"] if self.checkpoint.exists() else {}

    def write_settings(self, settings: RunSettings) -> None:
        """Note what the run is trained with, and of which family it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file((json.dumps(_noted(settings), indent=2) + "\n").encode(), self.settings)

    def decoded_pictures(self) -> Path | None:
        """The file of decoded pictures that the run saw last: the one that the checkpoint names, or the newest where it
        names none; None where there is no such file.
        """
        named = self._load(mmap=True).get("data") if self.checkpoint.exists() else None
        files = self.folder.glob(named or "pictures-*.npy")
        return max(files, key=lambda file: file.stat().st_mtime, default=None)

    def note_data(self, batches: Batches) -> None:
        """Note for the checkpoints which pictures the run sees, and say so where they are not those it saw before."""
        from tqdm import tqdm

        before, self.data = self.data, _data_of(batches)
        if before and self.data and before != self.data:
            line = (
                f"The pictures, or their files, have changed: this run saw {before}, now it sees {self.data}. It goes "
                "on, but not bit for bit as without the pause. If that was not meant, stop it and resume with the "
                "--data of before."
            )
            tqdm.write(line, file=sys.stderr)  # above the bar

    def save(self, trainer: Trainer, seconds: float) -> None:
        """Write the checkpoint so that a kill at any moment leaves the old one or the new one, whole; and the plot.

        Raises BadSetting as `refuse_diverged` does; the old one stays.
        """
        self.refuse_diverged(trainer)
        told = {"seconds": seconds, "settings": _noted(trainer.settings), "data": self.data}
        partial = self.checkpoint.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save({**trainer.state(), **told}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.checkpoint)
        if self.table.exists():
            plot_losses(self.read_table(), trainer.columns, self.plot)

    def refuse_diverged(self, trainer: Trainer) -> None:
        """Raise BadSetting where the trainer's state is not finite: nothing of it is worth writing."""
        if _is_finite(trainer.state()):
            return
        rate = f"a --learning-rate below {trainer.settings.learning_rate:g}"
        way_out = f"There is no checkpoint yet: start anew with {rate}."
        if self.checkpoint.exists():
            images = int(self._load(mmap=True)["images"])
            way_out = f"The checkpoint of {images:,} pictures is kept: go on from it by --resume with {rate}."
        raise BadSetting(
            f"The training diverged: after {trainer.images:,} pictures not all of its numbers are finite. {way_out}"
        )

    def resume(self, trainer: Trainer) -> float:
        """Load the checkpoint into `trainer`; returns the seconds trained so far. Later rows leave the table.

        Raises BadSetting where there is none, BadWeights for one that is damaged, diverged or of other networks.
        """
        if not self.checkpoint.exists():
            raise BadSetting(f"There is no checkpoint in {self.folder} to resume from. Start without --resume.")
        state = self._load()
        if not _is_finite(state):  # an older version saved whatever there was
            raise BadWeights(f"{self.checkpoint} is of a training that diverged; start a new run.")
        try:
            trainer.load_state(state)
        except (RuntimeError, ValueError, KeyError) as cause:
            raise BadWeights(f"{self.checkpoint} is of another architecture; start a new run.") from cause
        if self.table.exists():
            self._write_table([row for row in self.read_table() if int(row["step"]) <= trainer.steps], trainer.columns)
        self.data = state.get("data", "")
        return float(state["seconds"])

    def begin(self, trainer: Trainer) -> float:
        """Begin the table with that of the training that `trainer` goes on from, and count its steps on; returns the
        seconds trained so far. 0.0 where it begins anew.
        """
        table = getattr(trainer, "earlier", None)
        if table is None:
            if distributed.rank() == 0:
                self.table.unlink(missing_ok=True)  # of a run that was killed before its first checkpoint
            return 0.0
        rows = [row for row in read_rows(table) if float(row["images"]) <= trainer.images]
        for row in rows:
            row.update((name, str(int(float(row[name])))) for name in ("step", "images"))  # means of several, thinned
        self._write_table(rows, trainer.columns)
        trainer.steps = max((int(row["step"]) for row in rows), default=0)
        return max((float(row["seconds"]) for row in rows), default=0.0)

    def _load(self, *, mmap: bool = False) -> dict[str, Any]:
        """The checkpoint. mmap: tensors stay in the file until used. Raises BadWeights when it is damaged."""
        try:
            return torch.load(self.checkpoint, map_location="cpu", weights_only=True, mmap=mmap)
        except (RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as cause:
            raise BadWeights(f"{self.checkpoint} is damaged; start a new run.") from cause

    def _write_table(self, rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
        if distributed.rank() > 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_table(rows, (*PROGRESS, *columns), self.table)

    def read_table(self) -> list[dict[str, str]]:
        """The rows of the loss table, as text by column."""
        return read_rows(self.table)

    def log(self, row: Mapping[str, float], columns: Sequence[str]) -> None:
        """Append a row to the loss table."""
        new = not self.table.exists()
        with self.table.open("a", newline="") as file:
            writer = csv.DictWriter(file, (*PROGRESS, *columns))
            if new:
                writer.writeheader()
            writer.writerow(
                {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
            )

    def publish(self, trainer: Trainer) -> None:
        """Write a sheet of fixed seeds and the weights as float16 safetensors, where the trainer has them.

        Raises BadSetting as `refuse_diverged` does.
        """
        self.refuse_diverged(trainer)
        stem = f"{trainer.images:08d}"
        sheet, weights = trainer.sheet(), trainer.weights()
        if sheet is not None:
            (self.folder / "sheets").mkdir(exist_ok=True)
            Image.fromarray(sheet).save(self.folder / "sheets" / f"{stem}.png")
        if weights is not None:
            (self.folder / "weights").mkdir(exist_ok=True)
            write_weights(self.folder / "weights" / f"{stem}.safetensors", weights, trainer.images)


def _noted(settings: RunSettings) -> dict[str, Any]:
    from facelab.training.families import family_of

    return {"family": family_of(settings), **asdict(settings)}


def _data_of(batches: Batches) -> str:
    """The name of the file of decoded pictures behind `batches`, alone or with labels; "" where they are in memory."""
    images = getattr(getattr(batches, "pictures", batches), "images", None)
    return Path(getattr(images, "filename", None) or "").name


def _is_finite(state: Any) -> bool:
    """Whether a trainer's state, or a part of it, holds finite tensors alone."""
    if isinstance(state, Tensor):
        return bool(state.isfinite().all())
    parts = state.values() if isinstance(state, Mapping) else state if isinstance(state, (list, tuple)) else ()
    return all(_is_finite(part) for part in parts)


def read_rows(table: Path) -> list[dict[str, str]]:
    """The rows of a table of losses, as text by column."""
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write_weights(path: Path, tensors: Mapping[str, Tensor], images: int) -> None:
    """Write tensors as float16 safetensors that say how many pictures were seen; constant filters stay out."""
    kept = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in tensors.items()
        if not name.endswith("resample_filter")
    }
    write_file(save_safetensors(kept, metadata={"format": "pt", "images": str(images)}), path)


def images_seen(path: Path) -> int:
    """How many pictures a weight file says its networks have seen, or 0. Raises BadWeights when it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return int((file.metadata() or {}).get("images", 0))
    except (SafetensorError, OSError, ValueError) as cause:
        raise BadWeights(f"{path} is not a weight file of a run.") from cause


def picture_grid(images: Tensor, *, columns: int) -> np.ndarray:
    """Pictures [N, 3, R, R] in [-1, 1] as one: uint8 [N / columns * R, columns * R, 3]."""
    return contact_sheet(as_pixels(images), columns=columns, gap=0)


def train(
    trainer: Trainer,
    batches: Batches,
    run: Run,
    *,
    seconds: float = 0.0,
    steps: int | None = None,
    report: Callable[[Trainer, dict[str, Any]], None] = lambda trainer, numbers: None,
) -> None:
    """Train until settings.images have been seen, `steps` steps were made, or a signal asks to stop.

    Checkpoints go out every few minutes and at the end; `report` is called after every step. Raises BadSetting when the
    training diverges; the last checkpoint is kept.
    """
    settings, first = trainer.settings, distributed.rank() == 0
    if first:
        run.write_settings(settings)
        run.note_data(batches)
    begun, saved = time.monotonic(), time.monotonic()
    last = None if steps is None else trainer.steps + steps
    latest: dict[str, float] = {}
    share = distributed.rank(), distributed.world()
    with _signals() as stop, ThreadPoolExecutor(1) as loader:

        def load(step: int) -> Future:
            return loader.submit(
                batches.batch, step, size=settings.batch, seed=settings.seed, flip=settings.flip, share=share
            )

        loading = load(trainer.steps)
        while trainer.images < settings.images and trainer.steps != last and not distributed.any_of(bool(stop)):
            before, batch = trainer.images, loading.result()
            loading = load(trainer.steps + 1)
            numbers = trainer.step(batch)
            latest.update(numbers)
            if not first:
                continue
            report(trainer, numbers)
            elapsed = seconds + time.monotonic() - begun
            if trainer.steps % LOG_EVERY == 0:
                if not all(map(math.isfinite, latest.values())):
                    run.refuse_diverged(trainer)  # or only a step was skipped, as happens in float16
                run.log(
                    {"step": trainer.steps, "images": trainer.images, "seconds": elapsed, **latest}, trainer.columns
                )
            if trainer.images // settings.sheet_images > before // settings.sheet_images:
                run.publish(trainer)
            if time.monotonic() - saved > settings.checkpoint_minutes * 60:
                run.save(trainer, elapsed)
                saved = time.monotonic()
        if first:
            run.save(trainer, seconds + time.monotonic() - begun)
            run.publish(trainer)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that becomes true when the process is asked to end, so that the step under way is still saved."""
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda which, frame: received.append(which))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
