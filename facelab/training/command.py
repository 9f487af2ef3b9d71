"""`python -m facelab train FAMILY`: a command for each family, with an option for each of its settings."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from facelab.errors import BadSetting
from facelab.training.directions_command import find as find_directions
from facelab.training.families import FAMILIES, Family

if TYPE_CHECKING:
    from facelab.training.run import Run, Trainer

app = typer.Typer(
    help="Train a model on a folder or a zip of pictures. Ctrl-C stops after the step under way, with a checkpoint.",
    no_args_is_help=True,
)

DataOption = Annotated[Path, typer.Option(help="Folder or zip of pictures; with a labels.csv, its train split.")]
OutOption = Annotated[Path, typer.Option(help="Folder of the run: checkpoint, losses, sample sheets, weights.")]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on from the checkpoint in --out, with its settings where none are given.")
]


def run_family(family: Family, *, data: Path, out: Path, resume: bool, settings: dict[str, Any]) -> Path | None:
    """Train a family into the folder `out`; returns the checkpoint's path, if this process wrote it.

    Raises BadSetting where a model to start from has seen all the pictures that are wanted.
    """
    from facelab.allocator import keep_freed_memory
    from facelab.training.distributed import first_alone, joined, rank
    from facelab.training.run import Run, train

    keep_freed_memory()
    run = Run(out)
    with joined():
        trainer = family.make_trainer(family.settings(**settings))
        if not resume and trainer.images >= trainer.settings.images:
            seen = f"{trainer.settings.start} has seen {trainer.images:,} pictures."
            raise BadSetting(f"{seen} Say a larger --images: it counts these and those to come.")
        with first_alone():  # it decodes the pictures, the others find them
            batches = family.open_batches(data, trainer.settings, out)
        seconds = run.resume(trainer) if resume else run.begin(trainer)
        with _progress(trainer) as show:
            train(trainer, batches, run, seconds=seconds, report=show)
        return run.checkpoint if rank() == 0 else None


def _add_command(name: str, family: Family) -> None:
    """Give `app` the command of a family: its options are the fields of its settings."""
    known = fields(family.settings)

    def command(context: typer.Context, data: Path, out: Path, resume: bool, **given: Any) -> None:
        from facelab.training.run import Run

        if out.resolve() == data.resolve():
            raise BadSetting("A run cannot lie among the pictures that it sees. Choose another --out than --data.")
        if resume:
            given = _as_before(context, given, Run(out))
        else:
            Run(out).refuse_another()
        checkpoint = run_family(family, data=data, out=out, resume=resume, settings=given)
        if checkpoint is not None:
            print(checkpoint)

    hints = get_type_hints(family.settings)
    options = {field.name: _option(field, hints[field.name]) for field in known}
    annotations = {"context": typer.Context, "data": DataOption, "out": OutOption, "resume": ResumeOption, **options}
    defaults = {"resume": False} | {field.name: _command_default(field) for field in known}
    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__signature__ = inspect.Signature(
        [
            inspect.Parameter(each, keyword, annotation=kind, default=defaults.get(each, inspect.Parameter.empty))
            for each, kind in annotations.items()
        ]
    )
    command.__annotations__ = annotations
    app.command(name, help=family.title)(command)


def _option(field: Field, kind: type) -> Any:
    limits = {name: value for name, value in field.metadata["limits"].items() if value is not None}
    named = [f"--{field.metadata['name']}"] if field.metadata["name"] else []
    return Annotated[kind, typer.Option(*named, help=field.metadata["help"], **limits)]


def _command_default(field: Field) -> Any:
    return field.default if field.metadata["command"] is None else field.metadata["command"]


def _as_before(context: typer.Context, given: dict[str, Any], run: Run) -> dict[str, Any]:
    """What the command line gives, and where it is silent, what the run was trained with."""
    before = run.read_settings()
    silent = [name for name in given if context.get_parameter_source(name).name == "DEFAULT"]
    return given | {name: before[name] for name in silent if name in before}


@contextlib.contextmanager
def _progress(trainer: Trainer) -> Iterator[Callable[[Trainer, dict[str, float]], None]]:
    """A bar on stderr with images a second, time left and the latest losses."""
    from tqdm import tqdm

    from facelab.training.distributed import rank

    bounds = {"initial": trainer.images, "total": trainer.settings.images}
    with tqdm(file=sys.stderr, unit="img", dynamic_ncols=True, disable=rank() > 0, **bounds) as bar:

        def show(trainer: Trainer, numbers: dict[str, float]) -> None:
            bar.set_postfix(
                {name: f"{numbers[name]:.3g}" for name in trainer.columns[:3] if name in numbers}, refresh=False
            )
            bar.update(trainer.images - bar.n)

        yield show


for _name, _family in FAMILIES.items():
    _add_command(_name, _family)
app.command("directions")(find_directions)
