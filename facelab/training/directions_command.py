"""`python -m facelab train directions`: a model's directions, found on portraits with labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

REACH_FACES = 64  # on so many portraits rows and strengths are tried


def find(
    data: Annotated[Path, typer.Option(help="Folder or zip of aligned portraits with a labels.csv; its train split.")],
    out: Annotated[Path, typer.Option(help="The file to write, such as faces128-directions.safetensors.")],
    model: Annotated[str, typer.Option(help="The generator, of the catalogue; it needs its encoder.")] = "faces128",
    cache: Annotated[Path, typer.Option(help="Folder that keeps what dlib sees in the portraits.")] = Path("seen"),
    count: Annotated[int, typer.Option(min=0, help="So many portraits only; 0 for all.")] = 0,
) -> None:
    """A model's directions: portraits are encoded, compared by their labels, and each direction's reach is tried."""
    import numpy as np
    import torch

    from facelab.checkpoints.directions import write_directions
    from facelab.checkpoints.weights import load_model
    from facelab.encoder import load_encoder
    from facelab.evaluation.portraits import describe_split
    from facelab.identity import load_reader
    from facelab.training.data import Pictures, open_pictures
    from facelab.training.direction_list import WANTED
    from facelab.training.direction_reach import reach
    from facelab.training.directions import encode_pictures, find_directions, score_portraits
    from facelab.training.labels import Labels, read_labels

    generator = load_model(model)[0]
    pictures, labels = open_pictures(data, resolution=generator.resolution, cache=cache), read_labels(data)
    if count:
        pictures = Pictures(pictures.images[:count])
        labels = Labels(labels.attributes[:count], labels.pose[:count])
    with _bar("dlib", len(pictures), "face") as bar:
        seen = describe_split(pictures.images, cache=cache, name="train", progress=bar.update)
    with _bar("encoding", len(pictures), "face") as bar:
        latents = encode_pictures(load_encoder(generator), pictures, progress=bar.update)
    directions = find_directions(latents, score_portraits(pictures, labels, seen))
    tried = torch.from_numpy(
        np.random.default_rng(0).choice(len(latents), min(REACH_FACES, len(latents)), replace=False)
    )
    with _bar("reach", len(WANTED), "direction") as bar:
        directions = reach(directions, generator, load_reader(), latents[tried], progress=lambda *_: bar.update())
    out.parent.mkdir(parents=True, exist_ok=True)
    write_directions(directions, out)
    print(out)


def _bar(name: str, total: int, unit: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=name, unit=unit, file=sys.stderr, dynamic_ncols=True)
