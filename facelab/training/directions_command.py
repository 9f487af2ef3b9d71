"""`python -m facelab train directions`: a model's directions, found on portraits with labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

ENCODED = 64  # on so many encoded portraits the rows are tried
REFINED = 24  # and on so many embedded and refined ones, which are harder to change, the strengths


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
    from facelab.embedding_settings import PRESETS
    from facelab.encoder import load_encoder
    from facelab.evaluation.embedding import embed_portraits
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
    tried = np.random.default_rng(0).choice(len(latents), min(ENCODED, len(latents)), replace=False)
    reader = load_reader()
    with _bar("rows", len(WANTED), "direction") as bar:
        directions = reach(directions, generator, reader, latents[tried], progress=lambda *_: bar.update())
    with _bar("embedding", min(REFINED, len(tried)), "face") as bar:
        portraits = [np.array(pictures.images[index]) for index in tried[:REFINED]]
        how = {"model": model, "settings": PRESETS["fast"], "folder": cache / f"refined-{generator.sha256[:8]}"}
        faces = [one.face for one in embed_portraits(portraits, **how, progress=bar.update)]
    refined, deltas = torch.stack([face.latent.values for face in faces]), [face.delta for face in faces]
    with _bar("strengths", len(WANTED), "direction") as bar:
        directions = reach(
            directions,
            generator,
            reader,
            refined,
            deltas=deltas,
            any_rows=False,
            progress=lambda *_: bar.update(),
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_directions(directions, out)
    print(out)


def _bar(name: str, total: int, unit: str) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc=name, unit=unit, file=sys.stderr, dynamic_ncols=True)
