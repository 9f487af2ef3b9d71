"""`python -m facelab train directions`: a model's directions, found on portraits with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facelab.commands.console import check_spared, progress_bar, say
from facelab.errors import BadSetting
from facelab.pixels import as_pixels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from facelab.edits.attributes import Direction
    from facelab.encoder import Encode
    from facelab.face import Face
    from facelab.generators.base import Generator
    from facelab.training.data import Pictures
    from facelab.training.direction_reach import Likeness
    from facelab.training.labels import Labels

CROWD = 768  # on so many encoded portraits directions are tuned, and on as many whose latents were searched for
ENCODED = 64  # on so many the rows are tried
READ = 256  # pictures at a time
DRAWN = 24_000  # faces of a model without an encoder of its own
REFINED = 48  # and on so many embedded and refined ones, which are harder to change, the strengths


def find(
    data: Annotated[
        Path,
        typer.Option(help="Folder or zip of aligned portraits; the train split of its labels.csv, where it has one."),
    ],
    out: Annotated[Path, typer.Option(help="The file to write, such as faces128-directions.safetensors.")],
    model: Annotated[str, typer.Option(help="The generator, of the catalogue; it needs its encoder.")] = "faces128",
    cache: Annotated[Path, typer.Option(help="Folder that keeps what dlib sees in the portraits.")] = Path("seen"),
    count: Annotated[int, typer.Option(min=0, help="So many portraits only; 0 for all.")] = 0,
    start: Annotated[Path | None, typer.Option(help="Directions to make better, instead of finding new ones.")] = None,
    only: Annotated[
        str, typer.Option(help="Of --start, only these, by their ids: 'glasses beard'. The others stay as they are.")
    ] = "",
) -> None:
    """A model's directions: found on encoded portraits by their labels, or without a labels.csv by what the reader
    sees; of a model that has an inverter for an encoder, in faces that it draws. Of a model with w+, glasses are found
    on portraits whose latents were searched for, and all directions are then made better through the generator. In the
    end each one's reach is tried.
    """
    import numpy as np
    import torch

    from facelab.checkpoints.directions import read_directions, write_directions
    from facelab.checkpoints.weights import load_model
    from facelab.encoder import load_encode
    from facelab.generators.stylegan2 import fast_dtype
    from facelab.identity import load_reader
    from facelab.training.crowd import SEARCHED, join, look_at, not_encoded
    from facelab.training.data import Pictures, open_pictures
    from facelab.training.direction_list import WANTED
    from facelab.training.direction_reach import reach
    from facelab.training.direction_tuning import towards_means, tune
    from facelab.training.directions import encode_pictures, find_drawn
    from facelab.training.parts import find_parts
    from facelab.training.shades import find_shades

    check_spared(out, data, start)
    begun = {} if start is None else read_directions(start)
    better = chosen_of(begun, only)
    generator, discriminator = load_model(model)
    pictures = open_pictures(data, resolution=generator.resolution, cache=cache)
    pictures = Pictures(pictures.images[: count or None])
    if generator.edit_space != "w+":
        if begun:
            raise BadSetting(f"{model} has one latent: its directions are found, and not tuned. Leave out --start.")
        out.parent.mkdir(parents=True, exist_ok=True)
        write_directions(_of_one_latent(data, pictures, generator), out)
        print(out)
        return
    if discriminator is not None:
        discriminator.compute_dtype = fast_dtype(torch.device("cpu"))
    generator.synthesis.parts = parts = find_parts(generator)
    reader = load_reader()
    order = np.random.default_rng(0).permutation(len(pictures))  # and not sorted: the first ones are a draw, too
    chosen = Pictures(pictures.images[order[:CROWD]])
    encode = load_encode(generator)
    latents = encode_pictures(encode, chosen)
    labels = labels_of(data, pictures)
    if start is None:
        directions = _found(labels, pictures, encode, cache)
        with progress_bar("rows", len(directions), "direction") as bar:
            directions = reach(directions, generator, reader, latents[:ENCODED], progress=lambda *_: bar.update())
    else:
        directions = [begun[id] for id in better]
    having = not_encoded(labels, pictures.images)
    groups = [chosen.images[:SEARCHED], *(pictures.images[places] for places in having.values())]
    searched = [look_at(_searched(group, model, cache), generator, reader) for group in groups]
    drawn = {each.id: each for each in find_drawn(join(*searched), having)}
    directions = [renewed(drawn.get(each.id, each), latents.shape[1]) for each in directions]

    times = max(1, len(latents) // len(searched[0].latents))
    crowd, drawn_well = (
        join(look_at(latents, generator, reader), *[searched[0]] * times, *searched[1:]),
        join(*searched),
    )
    shades = find_shades(generator, encode, pictures, labels)
    with progress_bar("tuning", len(directions), "direction") as bar:
        helpers = {"discriminator": discriminator, "shades": shades, "progress": bar.update}
        directions = [
            tune([each], generator, reader, drawn_well if each.id in having else crowd, **helpers)[0]
            for each in directions
        ]
    known = begun | {each.id: each for each in directions}
    wanted = {each.id: each for each in WANTED}
    directions = [
        towards_means(each, [known[name] for name in each.held if name in known], wanted[each.id].means)
        if wanted[each.id].means
        else each
        for each in directions
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_directions(_merged(begun, directions), out, parts=parts)  # whatever happens to the rest

    portraits = [np.array(pictures.images[index]) for index in order[-REFINED:]]
    faces, likeness = _refined(portraits, model, cache)
    values, deltas = torch.stack([face.latent.values for face in faces]), [face.delta for face in faces]
    how = {"deltas": deltas, "likeness": likeness, "any_rows": False}
    with progress_bar("strengths", len(directions), "direction") as bar:
        directions = reach(directions, generator, reader, values, **how, progress=lambda *_: bar.update())
    write_directions(_merged(begun, directions), out, parts=parts)
    print(out)


def chosen_of(begun: Mapping[str, Direction], only: str) -> list[str]:
    """The ids of the directions that are to be made better: all, or those named. Raises BadSetting for unknown ones."""
    named = only.split()
    if named and not begun:
        raise BadSetting("--only chooses among directions that are there: name their file with --start.")
    if unknown := [id for id in named if id not in begun]:
        raise BadSetting(f"There is no direction {unknown[0][:40]!r} in --start. It has {', '.join(begun)}.")
    return named or list(begun)


def _merged(begun: Mapping[str, Direction], better: Sequence[Direction]) -> list[Direction]:
    """All directions that a training began with, in their order, those made better among them."""
    return list({**begun, **{each.id: each for each in better}}.values())


def _of_one_latent(data: Path, pictures: Pictures, generator: Generator) -> list[Direction]:
    """The directions of a model with one latent: differences of the means of encoded portraits, as in the VAE/GAN
    paper, and beside them the regression and the classifiers; how far each has to go is tried where the reader is here.

    Of a model that has no encoder of its own they are found in faces that it draws, by what the reader sees in these
    (Shen et al. 2020, InterFaceGAN): an inverter only guesses latents, near the mean, where differences are small.
    """
    from facelab.encoder import load_encode
    from facelab.identity import has_reader, load_reader
    from facelab.training.data import Pictures
    from facelab.training.direction_reach import LITTLE_WEIGHT, reach
    from facelab.training.directions import encode_pictures, score_drawn, score_labels

    encode, reader = load_encode(generator), load_reader() if has_reader() else None
    if reader is not None and not hasattr(generator, "encode"):
        say("No encoder of its own: directions are found in drawn faces by what the reader sees, labels or none.")
        with progress_bar("drawing", DRAWN, "face") as bar:
            drawn, scores = score_drawn(generator, reader, DRAWN, progress=bar.update)
        directions, latents = _found_by(drawn, scores), encode_pictures(encode, Pictures(pictures.images[:ENCODED]))
    else:
        labels = labels_of(data, pictures)
        with progress_bar("encoding", len(pictures), "face") as bar:
            latents = encode_pictures(encode, pictures, progress=bar.update)
        directions = _found_by(latents, score_labels(labels))
    if reader is None:
        return directions
    how = {"any_rows": False, "likeness_weight": LITTLE_WEIGHT, "progress": lambda *_: bar.update()}
    with progress_bar("strengths", len(directions), "direction") as bar:
        return reach(directions, generator, reader, latents[:ENCODED], **how)


def _found(labels: Labels, pictures: Pictures, encode: Encode, cache: Path) -> list[Direction]:
    from facelab.evaluation.portraits import describe_split
    from facelab.training.directions import encode_pictures, score_portraits

    with progress_bar("dlib", len(pictures), "face") as bar:
        seen = describe_split(pictures.images, cache=cache, name="train", progress=bar.update)
    with progress_bar("encoding", len(pictures), "face") as bar:
        latents = encode_pictures(encode, pictures, progress=bar.update)
    return _found_by(latents, score_portraits(pictures, labels, seen))


def _found_by(latents: Tensor, scores: dict[str, np.ndarray]) -> list[Direction]:
    """`find_directions`; says which it had to leave out."""
    from facelab.training.direction_list import WANTED
    from facelab.training.directions import find_directions

    directions = find_directions(latents, scores)
    kept = {each.id for each in directions}
    left = [each.title for each in WANTED if each.id in scores and each.id not in kept]
    if left:
        say(f"Left out, for want of portraits both with and without: {', '.join(left)}.")
    return directions


def renewed(direction: Direction, count: int) -> Direction:
    """A direction with the region that is wanted of it, on those of its rows, of `count`, that may move."""
    from facelab.training.direction_list import WANTED

    wanted = next(each for each in WANTED if each.id == direction.id)
    first, last = wanted.rows_of(count)
    rows = max(direction.rows[0], first), min(direction.rows[1], last)
    return replace(direction, region=wanted.region, rows=rows if rows[0] < rows[1] else (first, last))


def labels_of(data: Path, pictures: Pictures) -> Labels:
    """What labels.csv says of pictures, its first ones, and of what it does not tell, faces or poses, what the reader
    sees.
    """
    import numpy as np

    from facelab.evaluation.judge import ATTRIBUTES
    from facelab.identity import load_reader
    from facelab.training.data import read_label_rows
    from facelab.training.labels import POSE, Labels, read_labels

    columns = {name for row in (read_label_rows(data) or {}).values() for name in row}
    labelled = not columns.isdisjoint(ATTRIBUTES)
    if labelled and columns.issuperset(POSE):
        return read_labels(data, pose=True).first(len(pictures))
    reader, attributes, pose = load_reader(), [], []
    with progress_bar("reading", len(pictures), "face") as bar:
        for first in range(0, len(pictures), READ):
            part = reader.read(pictures.tensor(slice(first, first + READ)))
            attributes.append(part.attributes.cpu().numpy() > 0)
            pose.append(part.pose.cpu().numpy())
            bar.update(len(part.pose))
    known = read_labels(data).first(len(pictures)).attributes if labelled else np.concatenate(attributes)
    return Labels(known, np.concatenate(pose))


def _searched(pictures: np.ndarray, model: str, cache: Path) -> Tensor:
    """The latents that the fast preset finds for portraits, uint8 [N, R, R, 3], in w+: float32 [N, L, D]."""
    import torch

    faces = _embedded(pictures, model, cache, refine=False)
    return torch.stack([face.latent.values.float() for face in faces])


def _embedded(portraits: Sequence[np.ndarray], model: str, cache: Path, *, refine: bool) -> list[Face]:
    from facelab.embedding_settings import PRESETS
    from facelab.evaluation.embedding import embed_portraits

    settings = replace(PRESETS["fast"], refine=refine)
    with progress_bar("embedding", len(portraits), "face") as bar:
        done = embed_portraits(portraits, model=model, settings=settings, folder=cache, progress=bar.update)
    return [one.face for one in done]


def _refined(portraits: list[np.ndarray], model: str, cache: Path) -> tuple[list[Face], Likeness]:
    """Portraits as faces, embedded and refined, and how far pictures are from them by dlib."""
    import numpy as np

    from facelab.evaluation.embedding import FAILED
    from facelab.evaluation.portraits import describe

    faces, vectors = _embedded(portraits, model, cache, refine=True), describe(portraits).vectors

    def likeness(pictures: Tensor, whose: Tensor) -> np.ndarray:
        seen = describe(list(as_pixels(pictures)))
        distances = np.linalg.norm(seen.vectors - vectors[whose.numpy()], axis=1)
        return np.where(seen.found, distances, FAILED)

    return faces, likeness
