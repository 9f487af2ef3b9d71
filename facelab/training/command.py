"""`python -m facelab train`: train a generator on a folder or a zip of pictures."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelab.errors import BadSetting

if TYPE_CHECKING:
    from facelab.checkpoints.cards import Card
    from facelab.training.stylegan2 import Trainer


class Family(str, Enum):
    """Families that can be trained."""

    stylegan2 = "stylegan2"


def train(
    family: Annotated[Family, typer.Argument(help="The kind of generator.")],
    data: Annotated[Path, typer.Option(help="Folder or zip of pictures; with a labels.csv, its train split.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, losses, sample sheets, weights.")],
    start: Annotated[str | None, typer.Option(help="Go on from this model of the catalogue.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    resolution: Annotated[int, typer.Option(help="Side of the pictures in pixels, a power of two.")] = 128,
    images: Annotated[int, typer.Option(min=1, help="Pictures to see in all.")] = 1_000_000,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 32,
    accumulate: Annotated[int, typer.Option(min=1, help="Parts of a batch, where memory is short.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="Step size of Adam for both networks.")] = 0.002,
    r1_gamma: Annotated[float, typer.Option(min=0, help="Weight of the R1 penalty.")] = 0.2,
    path_interval: Annotated[int, typer.Option(min=0, help="Steps between path-length penalties; 0 for none.")] = 0,
    ada_target: Annotated[
        float, typer.Option(min=0, max=1, help="Share of positive real logits augmentation aims at; 0 for none.")
    ] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is random.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Minutes between checkpoints.")] = 5.0,
) -> None:
    """Train a generator. Ctrl-C stops after the step under way, with a checkpoint; --resume goes on from it."""
    from facelab.allocator import keep_freed_memory
    from facelab.training.data import open_pictures
    from facelab.training.run import Run
    from facelab.training.run import train as train_run
    from facelab.training.settings import TrainSettings
    from facelab.training.stylegan2 import Trainer

    keep_freed_memory()
    settings = TrainSettings(
        images=images,
        batch=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        r1_gamma=r1_gamma,
        path_interval=path_interval,
        ada_target=ada_target,
        seed=seed,
        checkpoint_minutes=minutes,
    )
    if (out / "checkpoint.pt").exists() and not resume:
        raise BadSetting(f"{out} holds a run already. Add --resume to go on with it, or choose another --out.")
    card = _starting_card(start, resolution)
    pictures = open_pictures(data, resolution=card.resolution, cache=out)
    generator, discriminator = _starting_networks(card, filled=start is not None)
    trainer = Trainer(generator, discriminator, settings)
    trainer.images = int(card.training.get("images", 0))
    run = Run(out)
    seconds = run.resume(trainer) if resume else 0.0
    with _progress(trainer) as show:
        train_run(trainer, pictures, run, seconds=seconds, report=show)
    print(run.checkpoint)


def _starting_card(start: str | None, resolution: int) -> Card:
    from facelab.checkpoints.cards import Card, find_card

    if start is not None:
        return find_card(start)
    if resolution < 8 or resolution & (resolution - 1):
        raise BadSetting(f"The resolution must be a power of two from 8 up, not {resolution}.")
    return Card(
        name="run",
        title="",
        family="stylegan2",
        resolution=resolution,
        spaces=("z", "w", "w+"),
        alignment="ffhq",
        downsample="average",
        data="",
        licence="",
        sha256="",
        config={"z_dim": 256, "w_dim": 256, "mapping_layers": 4, "channel_base": 2048, "channel_max": 256},
    )


def _starting_networks(card: Card, *, filled: bool) -> tuple[Any, Any]:
    import torch

    from facelab.checkpoints.weights import build_networks, fill, part, read_weights
    from facelab.studio import best_device

    networks = build_networks(card)
    if filled:
        tensors = read_weights(card.path, sha256=card.sha256)
        for network, prefix in zip(networks, ("g.", "d."), strict=True):
            fill(network, part(tensors, prefix))
    for network in networks:
        network.to(device=best_device(), memory_format=torch.channels_last)
    return networks


@contextlib.contextmanager
def _progress(trainer: Trainer) -> Iterator[Callable[[Trainer, dict[str, float]], None]]:
    """A bar on stderr with images a second, time left and the latest losses."""
    from tqdm import tqdm

    total = trainer.settings.images
    with tqdm(file=sys.stderr, unit="img", initial=trainer.images, total=total, dynamic_ncols=True) as bar:

        def show(trainer: Trainer, numbers: dict[str, float]) -> None:
            bar.set_postfix({name: f"{numbers[name]:.2f}" for name in ("d_loss", "g_loss", "ada_p")}, refresh=False)
            bar.update(trainer.images - bar.n)

        yield show
