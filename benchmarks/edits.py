"""How fast edits are: `python -m benchmarks.edits` prints one JSON object and the machine it was measured on.

slider_ms: median from a slider's movement to the new main picture of a face with a photo and a refined face's delta, on
the server, for an attribute that changes a region; everywhere_slider_ms: where it changes the whole picture;
parts_slider_ms: for one whose region, such as hair, is first seen in the picture without it.
morph_seconds: 60 frames at 256 px between two refined faces; gif_seconds, gif_mb, gif_db: these frames as a GIF, its
size and its PSNR to them. walk_seconds: 500 gradient steps, 10 frames and their pictures. grid_seconds: 5 contents x 5
styles, crossed and drawn. cpu_*: the same in seconds of processor time, which other work on the machine does not
change. Faces are generated, with random deltas of the rank that embedding makes.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageSequence

from benchmarks.machine import machine
from facelab.face import Delta, Face
from facelab.media import save_animation
from facelab.refinement import delta_shapes, fitting_rank
from facelab.regions import BY_PARTS
from facelab.studio import Studio

MOVEMENTS = 30


def refined_faces(studio: Studio, count: int) -> list[Face]:
    """Generated faces in the place of embedded ones: rows that differ, a delta each, and a photo behind them."""
    shapes = delta_shapes(studio.generator, rank=fitting_rank(studio.generator))
    quad = np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32)
    faces = []
    for seed, (face, picture) in enumerate(studio.sample(count, seed=11)):
        random = torch.Generator().manual_seed(seed)
        values = {name: 0.01 * torch.randn(shape, generator=random) for name, shape in shapes.items()}
        crop = np.asarray(Image.fromarray(picture).resize((512, 512), Image.Resampling.LANCZOS))
        faces.append(dataclasses.replace(face, delta=Delta(values), crop=crop, quad=quad, photo_size=(512, 512)))
    return faces


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Seconds on the clock, seconds of the processor, and the result."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - clock, time.process_time() - processor, result


def measure(threads: int | None) -> dict[str, float]:
    """All figures. threads: of torch, by default all cores; the page leaves one to its server."""
    if threads:
        torch.set_num_threads(threads)
    studio = Studio(device="cpu")
    faces = refined_faces(studio, 10)
    attribute = next(iter(studio.directions()))
    by_parts = next(each.id for each in studio.directions().values() if each.region in BY_PARTS)
    studio.picture(faces[0], studio.edit(faces[0], {attribute: 0.1}))
    list(studio.morph_frames(faces[0], faces[1], frames=2))

    def move(attribute: str, at: float, everywhere: bool = False) -> tuple[float, float, object]:
        edit = {"strengths": {attribute: at}, "everywhere": everywhere}
        return timed(lambda: studio.picture(faces[0], studio.edit(faces[0], **edit)))

    moves = [
        (move(attribute, at), move(attribute, at, everywhere=True), move(by_parts, at))
        for at in np.linspace(-2, 2, MOVEMENTS).tolist()
    ]
    figures = {}
    for column, name in enumerate(("slider", "everywhere_slider", "parts_slider")):
        figures[f"{name}_ms"] = 1000 * statistics.median(each[column][0] for each in moves)
        figures[f"cpu_{name}_ms"] = 1000 * statistics.median(each[column][1] for each in moves)

    def note(name: str, work: Callable[[], object]) -> object:
        figures[f"{name}_seconds"], figures[f"cpu_{name}_seconds"], result = timed(work)
        return result

    frames = note("morph", lambda: list(studio.morph_frames(faces[0], faces[1])))
    gif = io.BytesIO()
    note("gif", lambda: save_animation(frames, gif, kind="gif", model=studio.card.name))
    figures["gif_mb"] = gif.tell() / 1e6
    shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(gif))]
    error = np.mean([np.square(one.astype(float) - other).mean() for one, other in zip(shown, frames, strict=True)])
    figures["gif_db"] = 10 * np.log10(255**2 / error)
    note("walk", lambda: studio.render_many(studio.walk(faces[0], attribute, 2.0)))
    note("grid", lambda: studio.crossover_grid(faces[:5], faces[5:]))
    return {name: round(float(value), 3) for name, value in figures.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure how fast edits are.")
    parser.add_argument("--threads", type=int, help="torch's threads, by default all cores")
    print(json.dumps({**measure(parser.parse_args().threads), "machine": machine()}))
