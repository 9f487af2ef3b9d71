"""What the encoder saves as a start: `python -m benchmarks.starts --data DATA` prints a table and the machine.

Portraits of the split "val" are embedded into w+ by the fast preset without refining, from the mean face in all its
steps, and from the encoder in all, a half, a quarter and an eighth of them. One row each: the median PSNR to the
portrait, dlib's median identity distance and the share of faces under 0.6. The first row's figures from the encoder's
quarter are what the start is worth. Embeddings are kept in --cache, so that it can be broken off.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import machine
from facelab.checkpoints.cards import find_card
from facelab.embedding_settings import PRESETS
from facelab.evaluation.embedding import embed_portraits, summarise
from facelab.evaluation.figures import spread
from facelab.training.data import open_pictures


def main() -> None:
    """Embed from both starts and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder or zip of aligned faces with a val split")
    parser.add_argument("--faces", type=int, default=24, help="how many portraits of the val split, evenly spread")
    parser.add_argument("--model", default="faces128", help="a model with an encoder")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "facelab", help="where embeddings stay")
    options = parser.parse_args()

    side = find_card(options.model).resolution
    pictures = open_pictures(options.data, resolution=side, cache=options.cache, split="val").images
    portraits = [pictures[index] for index in spread(len(pictures), options.faces)]
    preset = replace(PRESETS["fast"], refine=False)
    starts = [("mean", 1), ("mean", 4), *(("encoder", part) for part in (1, 2, 4, 8))]
    print(f"{len(portraits)} portraits of {options.model}, {machine()}")
    print("start    steps   PSNR, dB   identity   under 0.6")
    for start, part in starts:
        settings = replace(preset, start=start, steps=preset.steps // part)
        done = embed_portraits(portraits, model=options.model, settings=settings, folder=options.cache)
        row = summarise(done)["latent"]
        print(
            f"{start:<8} {settings.steps:>5} {row['psnr_median']:>10.2f} {row['identity_median']:>10.3f}"
            f" {row['same_person']:>11.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
