"""Images a second of StyleGAN2's training at 128 px, batch 32: without augmentation and path length, and with all.

Run: python -m benchmarks.training [--rounds 3] [--threads N] [--profile]
Steps with and without the lazy penalties are timed apart and weighted by how often they come. "All" is augmentation
with p = 0.5, R1 every 16 steps and path length every 8. Beside the clock's figure stands the one by the time that
processors gave to it, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from benchmarks.machine import machine
from facelab.allocator import keep_freed_memory
from facelab.training.data import Pictures
from facelab.training.settings import TrainSettings
from facelab.training.stylegan2 import Trainer, make_trainer

ALL = TrainSettings(r1_interval=16, path_interval=8, ada_target=0.6)
PLAIN = replace(ALL, path_interval=0, ada_target=0.0)
P = 0.5
ORDINARY, WITH_PATH, WITH_BOTH = 1, 8, 0  # step numbers at which no penalty comes, path length does, and R1 as well


def time_step(trainer: Trainer, pictures: Pictures, number: int) -> tuple[float, float]:
    """Seconds of one step by the clock and by the processors, its batch included."""
    trainer.steps, trainer.augmentation.p = number, P if trainer.settings.ada_target else 0.0
    clock, busy = time.perf_counter(), time.process_time()
    trainer.step(pictures.batch(number, size=trainer.settings.batch, seed=0))
    return time.perf_counter() - clock, time.process_time() - busy


def rates(settings: TrainSettings, pictures: Pictures, rounds: int) -> list[float]:
    """Images a second by the clock and by the processors."""
    trainer = make_trainer(settings)
    trainer.images = 100_000
    kinds = [ORDINARY, WITH_BOTH] + ([WITH_PATH] if settings.path_interval else [])
    times: dict[int, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for kind in kinds:  # the first step of a kind asks the system for memory
        time_step(trainer, pictures, kind)
    for _ in range(rounds):
        for kind in kinds:
            times[kind].append(time_step(trainer, pictures, kind))
    figures = []
    for which in range(2):
        seconds = {kind: statistics.median(each[which] for each in values) for kind, values in times.items()}
        paths = 1 / settings.path_interval - 1 / settings.r1_interval if settings.path_interval else 0.0
        mean = seconds[ORDINARY] * (1 - paths - 1 / settings.r1_interval) + seconds[WITH_BOTH] / settings.r1_interval
        mean += seconds.get(WITH_PATH, 0.0) * paths
        figures.append(settings.batch / mean)
        names = {ORDINARY: "ordinary", WITH_PATH: "with path length", WITH_BOTH: "with all penalties due"}
        clock = ("the clock", "the processors")[which]
        print(f"    a step by {clock}: " + ", ".join(f"{names[kind]} {value:.2f} s" for kind, value in seconds.items()))
    return figures


def profile(settings: TrainSettings, pictures: Pictures) -> str:
    """Where an ordinary step goes, by operation."""
    trainer = make_trainer(settings)
    trainer.images = 100_000
    for number in (WITH_BOTH, ORDINARY, ORDINARY):
        time_step(trainer, pictures, number)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as record:
        time_step(trainer, pictures, ORDINARY)
    return record.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=50)


def main() -> None:
    """Print the machine and both rates, and where a step goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None, help="by default torch's own choice")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(machine())
    pictures = Pictures(np.random.default_rng(0).integers(0, 256, (256, 128, 128, 3), np.uint8))
    for name, settings in (("without augmentation and path length", PLAIN), ("with everything", ALL)):
        print(f"{name}:")
        clock, busy = rates(settings, pictures, options.rounds)
        print(f"  {clock:.1f} images a second, {busy:.1f} a second of one processor, {torch.get_num_threads()} threads")
    if options.profile:
        print(profile(ALL, pictures))


if __name__ == "__main__":
    main()
