"""`python -m facelab`: align, embed, models; everything else is in commands/, training/ and evaluation/.

`--json` prints one JSON object alone on stdout; progress goes to stderr. Bad input is one line on stderr and exit
status 2 for a bad command line, 1 for anything else.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from facelab.commands.circle import circle_app
from facelab.commands.console import (
    JsonOption,
    MarkOption,
    ModelOption,
    Space,
    answer,
    check_spared,
    make_folder,
    open_studio,
    say,
)
from facelab.commands.edits import COMMANDS as EDITS
from facelab.commands.experiments import COMMANDS as EXPERIMENTS
from facelab.commands.papers import COMMANDS as PAPERS
from facelab.commands.photo import COMMANDS as PHOTO
from facelab.commands.photo import project_app
from facelab.commands.report import COMMANDS as REPORT
from facelab.commands.sheets import COMMANDS as SHEETS
from facelab.commands.transfers import COMMANDS as TRANSFERS
from facelab.commands.video import COMMANDS as VIDEO
from facelab.errors import BadSetting, FaceLabError, NoFaceFound
from facelab.evaluation.command import evaluate
from facelab.evaluation.recovery import recovery
from facelab.seeds import MAX_SEED
from facelab.training.command import app as train_app
from facelab.training.publish import publish

if TYPE_CHECKING:
    import numpy as np

    from facelab.detection import FoundFace
    from facelab.embedding import EmbedStep
    from facelab.embedding_settings import EmbedSettings
    from facelab.face import AlignedFace
    from facelab.recovery import RecoverySettings
    from facelab.studio import Studio

app = typer.Typer(
    help="FaceLab: find a face, carry it into a generator's latent space, hand the picture back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
models_app = typer.Typer(help="The models FaceLab knows.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")
app.command()(evaluate)
app.command()(publish)
app.command()(recovery)
for command in (*EDITS, *TRANSFERS, *SHEETS):
    app.command()(command)
for name, command in {**PHOTO, **REPORT, **EXPERIMENTS, **PAPERS, **VIDEO}.items():
    app.command(name)(command)
app.add_typer(project_app, name="project")
app.add_typer(circle_app, name="circle")

_ClickException = typer.BadParameter.__mro__[2]  # BadParameter, UsageError, ClickException; only the first is exported


class Landmarks(str, Enum):
    """Which network finds the points that align a face."""

    dlib = "dlib"
    mtcnn = "mtcnn"


class Preset(str, Enum):
    """Embedding presets."""

    fast = "fast"
    paper = "paper"
    encode = "encode"
    recover = "recover"


PhotoArgument = Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, HEIC, AVIF, BMP, TIFF or GIF.")]
LandmarksOption = Annotated[Landmarks, typer.Option(help="dlib (68 points) or mtcnn (5 points).")]


@app.command()
def align(
    photo: PhotoArgument,
    out: Annotated[Path, typer.Option(help="Folder for the aligned faces, face-1.png and so on.")],
    face: Annotated[int | None, typer.Option(min=1, help="Only this face; 1 is the largest.")] = None,
    landmarks: LandmarksOption = Landmarks.dlib,
    model: ModelOption = "faces128",
    as_json: JsonOption = False,
) -> None:
    """Find the faces of a photo and cut them out, aligned, at 512 px."""
    from PIL import Image

    from facelab.files import write_file

    make_folder(out)
    studio = open_studio(model)
    pixels, found = _find(studio, photo, landmarks)
    numbers = [_checked(face, found)] if face else range(1, len(found) + 1)
    paths = [out / f"face-{number}.png" for number in numbers]
    for path in paths:
        check_spared(path, photo)
    faces = []
    for number, path in zip(numbers, paths, strict=True):
        one, png = found[number - 1], io.BytesIO()
        aligned = studio.align(pixels, one)
        Image.fromarray(aligned.crop).save(png, "PNG")
        write_file(png.getvalue(), path)
        faces.append(
            {
                "box": _rounded(one.box),
                "landmarks": _rounded(one.landmarks),
                "quad": _rounded(aligned.quad),
                "detector": one.detector,
            }
        )
    files = [str(path) for path in paths]
    answer({"faces": faces, "files": files}, as_json, "\n".join(files))


@app.command()
def embed(
    photo: PhotoArgument,
    out: Annotated[Path, typer.Option(help="FACE.npz; the generator's picture goes beside it as FACE.png.")],
    face: Annotated[int | None, typer.Option(min=1, help="Which face; 1 is the largest.")] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="fast or paper (Image2StyleGAN's); of models with one latent encode or recover. By default the "
            "model's first."
        ),
    ] = None,
    space: Annotated[Space | None, typer.Option(help="Latent space, by default the preset's (w+).")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the latent, by default the preset's.")] = None,
    refine: Annotated[
        bool | None, typer.Option("--refine/--no-refine", help="Tune the generator on this face after the latent.")
    ] = None,
    restarts: Annotated[int | None, typer.Option(help="Of recover: searches side by side.")] = None,
    limit: Annotated[float | None, typer.Option(help="Of recover: beyond it, a number is drawn anew.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of what is random.")] = 0,
    landmarks: LandmarksOption = Landmarks.dlib,
    model: ModelOption = "faces128",
    mark: MarkOption = False,
    as_json: JsonOption = False,
) -> None:
    """Carry a face into the generator's latent space. Ctrl-C stops and keeps the best so far."""
    from facelab.media import Provenance, save_png

    started = time.perf_counter()
    chosen = {"space": space and space.value, "steps": steps, "refine": refine, "seed": seed}
    chosen |= {"restarts": restarts, "limit": limit}
    studio = open_studio(model)
    settings = _chosen(studio, preset, {name: value for name, value in chosen.items() if value is not None})
    if out.suffix != ".npz":
        raise BadSetting(f"--out must end in .npz, such as face.npz; it is {out.name!r}.")
    picture_path = out.with_suffix(".png")
    for path in (out, picture_path):
        check_spared(path, photo)
    _check_ours(picture_path)
    make_folder(out.parent)
    pixels, found = _find(studio, photo, landmarks)
    if face is None and len(found) > 1:
        say(f"{len(found)} faces; taking the largest. Choose another with --face 2 to --face {len(found)}.")
    aligned = studio.align(pixels, found[_checked(face or 1, found) - 1])
    step = _embed(studio, aligned, settings)
    result = studio.to_face(step, aligned)
    picture = studio.render(result)
    files = [str(out), str(picture_path)]
    result.save(files[0])
    save_png(picture, files[1], **asdict(Provenance.of(result)), mark=mark)
    whole = step.phase_done and step.identity_distance is not None  # a step in between tells of its own picture
    figures = {
        "steps": step.step,
        "loss": round(step.state.best_loss, 6),
        "psnr": round(step.psnr if whole else studio.signal_to_noise(result), 3),
        "identity_distance": round(step.identity_distance if whole else studio.identity_distance(result), 4),
        "latent_distance": round(step.latent_distance, 4),
        **({"restarts": [round(loss, 6) for loss in step.state.best_losses]} if step.restarts else {}),
        "seconds": round(time.perf_counter() - started, 2),
        "files": files,
    }
    answer(
        figures,
        as_json,
        f"{figures['steps']} steps in {figures['seconds']:.1f} s: identity distance "
        f"{figures['identity_distance']:.2f}, PSNR {figures['psnr']:.1f} dB, loss {figures['loss']:.4f}, "
        f"latent distance {figures['latent_distance']:.1f}\n" + "\n".join(files),
    )


@models_app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """The models of the catalogue."""
    from facelab.checkpoints.cards import catalogue

    cards = list(catalogue().values())
    keys = ("name", "title", "family", "resolution", "spaces", "licence")
    entries = [{key: getattr(card, key) for key in keys} for card in cards]
    lines = [f"{card.name}  {card.title} ({card.family}, {card.resolution} px). {card.licence}" for card in cards]
    answer({"models": entries}, as_json, "\n".join(lines))


@models_app.command("card")
def show_card(
    model: Annotated[str, typer.Argument(help="A name that `models list` prints.")], as_json: JsonOption = False
) -> None:
    """A model's card as Markdown: its data, licence and limits, and how its faces, embeddings and edits measure."""
    from facelab.checkpoints.cards import find_card
    from facelab.evaluation.card import as_markdown

    card = find_card(model)
    answer(asdict(card), as_json, as_markdown(card).rstrip())


def main() -> NoReturn:
    """Run the command line and exit. Every failure that a user can act on is one line on stderr."""
    try:
        status = app(prog_name="facelab", standalone_mode=False) or 0
        if status == 130:  # typer answers an interrupt by itself, without a word
            _fail("Stopped.", status)
    except _ClickException as error:
        message, status = error.format_message(), 2
        if message.lstrip().startswith("Usage:"):  # a group of commands without one: its help, as it is
            say(message)
        else:
            _fail(message, status)
    except FaceLabError as error:
        status = _fail(str(error), 1)
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        status = 1
    except OSError as error:
        status = _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        status = _fail("Stopped.", 130)
    sys.exit(status)


def _find(studio: Studio, photo: Path, landmarks: Landmarks) -> tuple[np.ndarray, list[FoundFace]]:
    from facelab.photo import read_photo

    pixels = read_photo(photo)
    try:
        return pixels, studio.find_faces(pixels, landmarks=landmarks.value)
    except NoFaceFound as cause:  # the studio's advice is for somebody who sees the photo
        raise NoFaceFound(
            f"No face was found in this photo ({pixels.shape[1]} x {pixels.shape[0]}). Turn it upright, take one where "
            "the face is larger than about 40 pixels, or align it by hand in the page: python app.py."
        ) from cause


def _check_ours(path: Path) -> None:
    """Raise BadSetting where a file stands that no earlier command wrote, at a path that nobody has named."""
    from PIL import Image

    with contextlib.suppress(OSError), Image.open(path) as picture:
        if str(picture.info.get("Software")).startswith("FaceLab"):
            return
    if path.exists():
        raise BadSetting(f"The generator's picture would replace {path.name}, not one of ours. Choose another --out.")


def _checked(face: int, found: list[FoundFace]) -> int:
    if face > len(found):
        several = f"{len(found)} faces. Choose --face 1 to {len(found)}."
        raise BadSetting(f"--face {face}: this photo has {several if len(found) > 1 else 'one face. Leave it out.'}")
    return face


def _chosen(studio: Studio, preset: Preset | None, given: dict[str, Any]) -> EmbedSettings | RecoverySettings:
    """A preset of the model with what the command line gives."""
    presets, model = studio.presets, studio.card.name
    name = next(iter(presets)) if preset is None else preset.value
    if name not in presets:
        raise BadSetting(f"--preset {name}: {model} embeds by {' or '.join(presets)}.")
    unknown = [f"--{option}" for option in given if not hasattr(presets[name], option)]
    if unknown:
        kind = "searches in w+" if studio.has_layers else "has one latent"
        raise BadSetting(f"{', '.join(unknown)} means nothing to {model}, which {kind}. Leave it out.")
    return replace(presets[name], **given)


def _embed(studio: Studio, aligned: AlignedFace, settings: EmbedSettings | RecoverySettings) -> EmbedStep:
    """All steps, with a bar on stderr; the last one, or the one at which Ctrl-C came."""
    step = None
    steps = studio.embed(aligned, settings)
    try:
        with _progress() as show:
            for step in steps:
                show(step)
    except KeyboardInterrupt:
        if step is None:
            raise
        say(f"Stopped at step {step.step}; keeping the best so far.")
    finally:
        steps.close()
    return step


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    from tqdm import tqdm

    with tqdm(file=sys.stderr, unit="step", mininterval=0.5, dynamic_ncols=True) as bar:

        def show(step: EmbedStep) -> None:
            bar.total = step.total
            bar.set_description(step.phase, refresh=False)
            bar.set_postfix(loss=f"{step.losses['total']:.4f}", psnr=f"{step.psnr:.1f}", refresh=False)
            bar.update(step.step - bar.n)

        yield show


def _rounded(values: np.ndarray) -> list:
    return values.astype(float).round(2).tolist()


def _fail(message: str, status: int) -> int:
    say("facelab: " + " ".join(message.split()))
    return status
