"""A training run: a folder with checkpoints, a loss table and plot, sample sheets and weight files."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as save_safetensors

from facelab.errors import BadSetting, BadWeights
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2
from facelab.training.data import Pictures
from facelab.training.stylegan2 import Trainer

SHEET_SIDE = 8
SHEET_SEED = 1
LOG_EVERY = 16
COLUMNS = ("step", "images", "seconds", "d_loss", "g_loss", "real_sign", "r1", "path", "ada_p")


class Run:
    """The files of one training in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.pt"
        self.table = folder / "losses.csv"
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, trainer: Trainer, seconds: float) -> None:
        """Write the checkpoint so that a kill at any moment leaves the old one or the new one, whole."""
        partial = self.checkpoint.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save({**trainer.state(), "seconds": seconds, "settings": asdict(trainer.settings)}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.checkpoint)

    def resume(self, trainer: Trainer) -> float:
        """Load the checkpoint into `trainer`; returns the seconds trained so far. Later rows leave the table."""
        if not self.checkpoint.exists():
            raise BadSetting(f"There is no checkpoint in {self.folder} to resume from. Start without --resume.")
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            trainer.load_state(state)
        except (RuntimeError, KeyError, EOFError) as cause:
            raise BadWeights(f"{self.checkpoint} is damaged or of another architecture; start a new run.") from cause
        if self.table.exists():
            with self.table.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= trainer.steps]
            with self.table.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
        return float(state["seconds"])

    def log(self, row: dict[str, float]) -> None:
        """Append a row of COLUMNS to the loss table."""
        new = not self.table.exists()
        with self.table.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(
                {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
            )

    def publish(self, trainer: Trainer) -> None:
        """Write a sheet of fixed seeds and the averaged generator with its discriminator as float16 weights."""
        stem = f"{trainer.images:08d}"
        (self.folder / "sheets").mkdir(exist_ok=True)
        (self.folder / "weights").mkdir(exist_ok=True)
        Image.fromarray(sample_sheet(trainer.average)).save(self.folder / "sheets" / f"{stem}.png")
        write_weights(
            self.folder / "weights" / f"{stem}.safetensors", trainer.average, trainer.discriminator, trainer.images
        )


def write_weights(path: Path, generator: StyleGAN2, discriminator: Discriminator, images: int) -> None:
    """Write both networks as float16 safetensors, named "g." and "d." and the published parameter name."""
    tensors = {
        f"{prefix}.{name}": value.to(dtype=torch.float16, memory_format=torch.contiguous_format).contiguous()
        for prefix, network in (("g", generator), ("d", discriminator))
        for name, value in network.state_dict().items()
        if not name.endswith("resample_filter")
    }
    path.write_bytes(save_safetensors(tensors, metadata={"format": "pt", "images": str(images)}))


@torch.inference_mode()
def sample_sheet(generator: StyleGAN2, *, truncation: float = 1.0) -> np.ndarray:
    """An 8 x 8 sheet of the same latents every time: uint8 [8 R, 8 R, 3]."""
    ws = generator.sample(SHEET_SIDE**2, seed=SHEET_SEED, truncation=truncation)
    images = torch.cat([generator.synthesize(part) for part in ws.split(SHEET_SIDE)])
    size = generator.resolution
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu()
    grid = pixels.reshape(SHEET_SIDE, SHEET_SIDE, 3, size, size).permute(0, 3, 1, 4, 2)
    return grid.reshape(SHEET_SIDE * size, SHEET_SIDE * size, 3).numpy()


def train(
    trainer: Trainer,
    pictures: Pictures,
    run: Run,
    *,
    seconds: float = 0.0,
    steps: int | None = None,
    report: Callable[[Trainer, dict[str, Any]], None] = lambda trainer, numbers: None,
) -> None:
    """Train until settings.images have been seen, `steps` steps were made, or a signal asks to stop.

    Checkpoints go out every few minutes and at the end; `report` is called after every step.
    """
    settings = trainer.settings
    (run.folder / "settings.json").write_text(json.dumps(asdict(settings), indent=2) + "\n")
    stop = _stop_on_signal()
    begun, saved = time.monotonic(), time.monotonic()
    last = None if steps is None else trainer.steps + steps
    latest: dict[str, float] = {}
    while trainer.images < settings.images and trainer.steps != last and not stop:
        before = trainer.images
        numbers = trainer.step(
            pictures.batch(trainer.steps, size=settings.batch, seed=settings.seed, flip=settings.flip)
        )
        latest.update(numbers)
        report(trainer, numbers)
        elapsed = seconds + time.monotonic() - begun
        if trainer.steps % LOG_EVERY == 0:
            run.log({"step": trainer.steps, "images": trainer.images, "seconds": elapsed, **latest})
        if trainer.images // settings.sheet_images > before // settings.sheet_images:
            run.publish(trainer)
        if time.monotonic() - saved > settings.checkpoint_minutes * 60:
            run.save(trainer, elapsed)
            saved = time.monotonic()
    run.save(trainer, seconds + time.monotonic() - begun)
    run.publish(trainer)


def _stop_on_signal() -> list[int]:
    """A list that becomes true when the process is asked to end, so that the step under way is still saved."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda which, frame: received.append(which))
    return received
