"""`python -m facelab publish RUN --name NAME`: a run becomes a model of the catalogue, or a part of one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelab.commands.console import JsonOption, answer, say
from facelab.errors import BadSetting
from facelab.files import write_file, write_table

if TYPE_CHECKING:
    from torch import Tensor

    from facelab.checkpoints.cards import Card
    from facelab.circle import Circle
    from facelab.generators.base import Generator
    from facelab.training.run import Run
    from facelab.training.settings import TrainSettings

LICENCE = "Non-commercial research only, as the training pictures are. The code is MIT; these weights are not."
TITLES = {
    "stylegan2": "StyleGAN2", "vae": "VAE", "vaegan": "VAE/GAN", "dcgan": "DCGAN", "began": "BEGAN", "progan": "PGGAN"
}  # fmt: skip
# What a run of these families becomes, of a model.
COMPANIONS = {
    "encoder": "encoder", "inverter": "encoder", "circle": "circle", "identity": "identity", "judge": "judge"
}  # fmt: skip
# Of the settings, what the card tells of a training beside its length.
NOTED = {
    "vaegan": ("gamma", "similarity_weight", "r1_gamma", "halve_images"),
    "began": ("gamma",),
    "progan": ("grow_images", "fade_images", "loss"),
}
# What measures a companion anew, of what a card may say of it.
MEASURED_BY = {
    "encoder": "--reconstruct 100",
    "circle": "--circle --save",
    "identity": "--samples 0 --eyes",
    "judge": "--samples 0 --eyes",
}
WHATEVER_THE_WEIGHTS = ("identity", "judge")  # companions that know no generator, but serve all
MOST_ROWS = 400  # of the table of losses that ships
# What only training needs and lies in a file of its own; StyleGAN2's discriminator lends its features to embedding.
LEFT_OUT = ("d.", "g.log_variance.")
LEFT_OUT_OF_STYLEGAN2 = ("e.",)


def publish(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a file of directions.")],
    name: Annotated[str, typer.Option(help="The model's name, such as vae64.")],
    data: Annotated[str, typer.Option(help="What it was trained on, for the card.")] = "",
    title: Annotated[str, typer.Option(help="What people call it; by default the family's name and the size.")] = "",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = LICENCE,
    limits: Annotated[str, typer.Option(help="What it does badly.")] = "",
    turned: Annotated[
        bool,
        typer.Option(
            help="Of a StyleGAN2 of faces: draw them turned to the side to which its pictures lean, which training on "
            "mirrored ones forgets."
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--replace", help="In place of a published model of this name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a run's newest weights a model of the catalogue: NAME.safetensors, NAME.json and NAME-losses.csv. A run of
    encoder or inverter becomes the encoder of the model NAME, one of circle its circle, one of identity or judge the
    network that looks at the faces of every model, a file of directions its directions.
    """
    from facelab.checkpoints.cards import COMPARISON, catalogue, checkpoint_folder
    from facelab.training.run import Run

    if f"{name}.json" == COMPARISON:
        raise BadSetting(f"{COMPARISON} holds the saved figures of all models. Choose another name than {name}.")
    if not re.fullmatch(r"[a-z][a-z0-9]{1,30}", name):
        raise BadSetting(f"A model's name is of small letters and digits, such as vae64, not {name[:40]!r}.")
    folder = checkpoint_folder()
    if run.is_file():
        path = publish_directions(run, folder, name)
        answer({"name": path.stem, "bytes": path.stat().st_size, "files": [str(path)]}, as_json, str(path))
        return
    if not run.is_dir():
        raise BadSetting(f"There is no run in {run}. Train one with `train FAMILY --out {run}`.")
    companion = COMPANIONS.get(str(Run(run).read_settings().get("family", "")))
    if companion is not None:
        sha256, figures, dropped = publish_companion(Run(run), folder, name, companion)
        path = folder / f"{name}-{companion}.safetensors"
        if dropped:
            say(_farewell(name, companion, dropped))
        told = {"name": path.stem, "sha256": sha256, **figures, "dropped": dropped, "files": [str(path)]}
        answer(told, as_json, str(path))
        return
    if not data:
        raise BadSetting("Say what it was trained on, for the card: --data 'CelebA-HQ, 24,183 portraits'.")
    if (folder / f"{name}.json").exists() and not again:
        raise BadSetting(f"There is a model {name} already. Add --replace to put this run in its place.")
    parts = set(catalogue()[name].companions) if name in catalogue() else set()
    words = {"title": title, "data": data, "licence": licence, "limits": limits}
    card = publish_run(Run(run), folder, name=name, turned=turned, **words)
    size, gone = card.path.stat().st_size, sorted(parts - set(card.companions))
    figures = {"name": name, "bytes": size, "sha256": card.sha256, **card.training}
    figures["files"] = [str(folder / f"{name}{ending}") for ending in (".safetensors", ".json", "-losses.csv")]
    told = f"{card.title}: {size / 1e6:.1f} MB, {card.training['images']:,} pictures."
    if gone:
        told += f" Its {' and '.join(gone)} belonged to the weights before: train and publish them anew."
    answer(figures | {"to_renew": gone}, as_json, told)


def publish_directions(file: Path, folder: Path, name: str) -> Path:
    """Make a file of directions those of a model; returns its path. Raises BadSetting where they do not fit it."""
    from facelab.checkpoints.cards import write_companion
    from facelab.checkpoints.directions import read_directions
    from facelab.checkpoints.weights import load_model, read_weights
    from facelab.generators.parts import read_parts

    generator = load_model(name)[0]
    rows, dim = generator.latent_shape(generator.edit_space)
    directions = read_directions(file)
    shapes = {tuple(vector.shape) for each in directions.values() for vector in (each.difference, each.normal)}
    if not shapes <= {(dim,), (rows, dim)}:
        raise BadSetting(f"{file.name} holds directions of another model: {name} has latents of {rows} x {dim}.")
    parts = read_parts(read_weights(file))
    if parts is not None and not parts.fits(generator):
        raise BadSetting(f"{file.name} tells the parts of another model's pictures than those of {name}.")
    data = file.read_bytes()
    told = {"sha256": hashlib.sha256(data).hexdigest(), "attributes": list(directions)}
    path = folder / f"{name}-directions.safetensors"
    write_file(data, path)
    write_companion(name, "directions", told)
    return path


def publish_companion(run: Run, folder: Path, name: str, part: str) -> tuple[str, dict[str, float], list[str]]:
    """Make a run of inverter the encoder of the model that it inverts, one of circle its circle, or one of identity or
    judge those that ship; returns its SHA-256, how long it was trained, and what the card no longer says: notes and
    figures of the weights before, which stay only where the same weights are published once more.

    part: of COMPANIONS. Raises BadSetting for a run without weights or with another model's.
    """
    from facelab.checkpoints.cards import READER, find_card, write_companion
    from facelab.checkpoints.weights import fill, load_model, read_weights
    from facelab.circle import fit_circle
    from facelab.encoder import make_encoder
    from facelab.evaluation.judge import Judge
    from facelab.identity import FaceReader

    model = READER.split("-")[0] if part in WHATEVER_THE_WEIGHTS else run.read_settings().get("model")
    if model is None:
        raise BadSetting("The settings.json of this run does not say which model it belongs to. Publish another run.")
    if model != name:
        raise BadSetting(f"This run's {part} belongs to {model}. Say --name {model}.")
    card, (path, images) = find_card(name), _newest(run)
    tensors = read_weights(path)
    if part in WHATEVER_THE_WEIGHTS:
        fill(FaceReader() if part == "identity" else Judge(), tensors)
    else:
        generator = load_model(name)[0]
        if part == "circle":
            circle = fit_circle(generator, tensors)
        else:
            fill(make_encoder(generator), tensors)
    data = path.read_bytes()
    start = Path(run.read_settings().get("start") or "")
    started = hashlib.sha256(start.read_bytes()).hexdigest() if start.is_file() else ""
    sha256, before = hashlib.sha256(data).hexdigest(), card.companions.get(part, {})
    history = _with_before(_history(run, images), before, sha256, started)
    told = {**(before if sha256 == before.get("sha256") else {}), "sha256": sha256, **history}
    if part == "circle":
        told["reach"] = _reach_of(circle, generator)  # minutes, in which file and card still belong together
    write_file(data, folder / f"{name}-{part}.safetensors")
    write_companion(name, part, told)
    return sha256, history, sorted(set(before) - set(told))


def _farewell(name: str, part: str, dropped: list[str]) -> str:
    """What is said where a companion's card loses what it told of the weights before."""
    return (
        f"The card no longer says {', '.join(dropped)} of the {part}: that was of the weights before. "
        f"`python -m facelab evaluate {name} --data DATA {MEASURED_BY[part]}` measures the new ones."
        + (f" A new note goes into {name}.json by hand." if "note" in dropped else "")
    )


def _reach_of(circle: Circle, generator: Generator) -> dict[str, float]:
    """How far each edit has to go; unknown on a sphere whose points the reader does not tell."""
    from facelab.circle import DLIB
    from facelab.identity import has_reader, load_reader
    from facelab.training.circle_reach import find_reach

    return find_reach(circle, generator, load_reader()) if circle.sphere is DLIB and has_reader() else {}


def publish_run(
    run: Run, folder: Path, *, name: str, title: str, data: str, licence: str, limits: str, turned: bool = False
) -> Card:
    """Write the weights, the card and the losses of a run into `folder`, once they have been tried; returns the card.

    turned: whether drawn faces are to be turned as the run's pictures are (turn.py). Raises BadSetting for a run
    without weights, or of a family that is not published like this.
    """
    from facelab.checkpoints.cards import Card, catalogue, write_card
    from facelab.checkpoints.weights import build_networks, fill, part, read_weights
    from facelab.training.families import FAMILIES
    from facelab.training.run import write_weights

    values = run.read_settings()
    family = values.get("family")
    if not isinstance(family, str) or family not in TITLES:
        named = f"its settings name {family[:40]!r}" if isinstance(family, str) else "no settings name its family"
        raise BadSetting(f"{run.folder} is no run of {', '.join(TITLES)}: {named}.")
    known = {each.name for each in fields(FAMILIES[family].settings)}  # a run of another version may name others
    settings = FAMILIES[family].settings(**{key: value for key, value in values.items() if key in known})
    path, images = _newest(run)
    left_out = LEFT_OUT_OF_STYLEGAN2 if family == "stylegan2" else LEFT_OUT
    weights = read_weights(path)
    kept = {key: value for key, value in weights.items() if not key.startswith(left_out)}
    conditions = tuple(getattr(settings, "conditions", ()))
    resolution, config, downsample = settings.resolution, getattr(settings, "config", {}), ""
    if family == "stylegan2":
        resolution, config, downsample = _shape_of(settings, kept)
    before = catalogue().get(name)
    companions = before.companions if before is not None else {}
    card = Card(
        name=name,
        title=title or f"{'Conditional ' if conditions else ''}{TITLES[family]}, {resolution} px",
        family=family,
        resolution=resolution,
        spaces=(),
        alignment="ffhq",
        downsample=downsample,
        data=data,
        licence=licence,
        sha256="",
        config=config,
        training=_history(run, images, goes_on=family == "stylegan2" and bool(settings.start))
        | {"wanted": settings.images, "losses": f"{name}-losses.csv"}
        | _note_of(family, settings),
        companions={part: told for part, told in companions.items() if part in WHATEVER_THE_WEIGHTS},
        conditions=conditions,
        limits=limits,
    )
    generator, critic = build_networks(card)
    fill(generator, part(kept, "g."))
    if family == "stylegan2":
        fill(critic, part(kept, "d."))
    if turned:
        kept |= _turned(generator, run)
    if not all(value.isfinite().all() for value in generator.state_dict().values()):
        raise BadSetting(f"{path} holds NaN or infinite numbers: this training has failed. Publish an earlier run.")
    _write_losses(run, images, folder / f"{name}-losses.csv")  # raises where the table is empty: before all else
    write_weights(folder / f"{name}.safetensors", kept, images)
    sha256 = hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()
    card = replace(card, spaces=generator.spaces, sha256=sha256)
    if family != "stylegan2":
        beside = {key: value for key, value in weights.items() if key not in kept}
        card = replace(card, training=card.training | _write_beside(beside, name, images))
    write_card(card)
    return card


def _turned(generator: Generator, run: Run) -> dict[str, Tensor]:
    """The weights of a StyleGAN2's mapping, moved so that its faces are turned as its run's pictures are."""
    import numpy as np

    from facelab.generators.stylegan2 import StyleGAN2
    from facelab.identity import load_reader
    from facelab.training.data import Pictures
    from facelab.training.turn import restore_turn

    pictures = run.decoded_pictures()
    if not isinstance(generator, StyleGAN2) or pictures is None:
        missing = "a StyleGAN2's mapping" if pictures is not None else "the pictures that its run's folder keeps"
        raise BadSetting(f"--turned needs {missing}, and this run has none. Leave it out.")
    restore_turn(generator, load_reader(), Pictures(np.load(pictures, mmap_mode="r")))
    return {f"g.mapping.{key}": value for key, value in generator.mapping.state_dict().items()}


def _write_beside(tensors: Mapping[str, Tensor], name: str, images: int) -> dict[str, str]:
    """Keep what only further training needs, if it is anything; returns what the card tells of it."""
    from facelab.checkpoints.cards import training_path
    from facelab.training.run import write_weights

    path = training_path(name)
    if not tensors:
        path.unlink(missing_ok=True)
        return {}
    path.parent.mkdir(exist_ok=True)
    write_weights(path, tensors, images)
    return {"beside": hashlib.sha256(path.read_bytes()).hexdigest()}


def _note_of(family: str, settings: TrainSettings) -> dict[str, str]:
    """The settings that a reader of the card asks for."""
    values = {name: getattr(settings, name) for name in NOTED.get(family, ())}
    told = [
        f"{name.replace('_', ' ')} {each if isinstance(each, str) else f'{each:,.10g}'}"
        for name, each in values.items()
    ]
    return {"note": f"{', '.join(told).capitalize()}."} if told else {}


def _shape_of(settings: TrainSettings, weights: Mapping[str, Tensor]) -> tuple[int, dict[str, int], str]:
    """A StyleGAN2's resolution, which may not have grown up yet, its networks' arguments and its way of halving."""
    from facelab.checkpoints.cards import find_card
    from facelab.training.growth import grown_to
    from facelab.training.stylegan2 import NEW_DISCRIMINATOR, NEW_GENERATOR

    resolution = grown_to(weights)
    if settings.start:
        card = find_card(settings.start)
        return resolution, card.config, card.downsample
    return resolution, dict(NEW_GENERATOR), NEW_DISCRIMINATOR["downsample"]


def _newest(run: Run) -> tuple[Path, int]:
    """The newest weight file of a run, and how many pictures it has seen."""
    from facelab.training.run import images_seen

    files = run.weight_files()
    if not files:
        raise BadSetting(f"{run.folder} has no weights yet. Train further, until the first are written.")
    return files[-1], images_seen(files[-1])


def _history(run: Run, images: int, *, goes_on: bool = False) -> dict[str, float]:
    """How long a run has been trained up to a number of pictures: images, epochs where known, and hours.

    goes_on: whether the pictures count on from a start whose hours the run's table does not have.
    """
    import numpy as np

    seconds = [float(row["seconds"]) for row in _losses(run, images)]
    told: dict[str, float] = {"images": images}
    pictures = run.decoded_pictures()
    if pictures is not None:
        told["epochs"] = round(images / len(np.load(pictures, mmap_mode="r")), 2)
    return told if goes_on else told | {"hours": round(max(seconds, default=0.0) / 3600, 2)}


def _with_before(history: dict[str, float], before: Mapping[str, Any], sha256: str, started: str) -> dict[str, float]:
    """The history of a run that went on from the companion which the card tells of: of both trainings together.

    sha256, started: of the weights published and of those that the run began with, if any.
    """
    told = {name: before[name] for name in history if name in before}
    if sha256 == before.get("sha256"):  # published once more
        return told or history
    if not started or started != before.get("sha256"):
        return history
    return {name: round(value + told.get(name, 0), 2) for name, value in history.items()}


def _write_losses(run: Run, images: int, path: Path) -> None:
    """The run's table of losses up to a number of pictures, thinned to the means of neighbouring rows."""
    rows = _losses(run, images)
    if not rows:
        raise BadSetting(f"The table of losses in {run.folder} is empty. Train further.")
    stride = -(-len(rows) // MOST_ROWS)
    groups = [rows[first : first + stride] for first in range(0, len(rows), stride)]
    means = [{name: _mean([row[name] for row in group]) for name in rows[0]} for group in groups]
    write_table(means, list(rows[0]), path)


def _losses(run: Run, images: int) -> list[dict[str, str]]:
    """The rows of the run's table up to a number of pictures."""
    return [row for row in run.read_table() if int(row["images"]) <= images] if run.table.exists() else []


def _mean(texts: list[str]) -> str:
    numbers = [float(text) for text in texts if text]
    if not numbers:
        return ""
    mean = sum(numbers) / len(numbers)
    return f"{mean:.6g}" if abs(mean) < 1e6 else f"{mean:.0f}"
