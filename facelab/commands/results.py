"""What an edit's command leaves behind, by the ending of --out: a face, a picture, or an animation of the way there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelab.commands.console import answer, check_spared, make_folder, open_studio, read_faces
from facelab.errors import BadSetting

if TYPE_CHECKING:
    import numpy as np

    from facelab.face import Face
    from facelab.studio import Studio

ANIMATIONS = (".gif", ".mp4", ".webp")
PICTURE_SIZE, FRAME_SIZE = 512, 256
MAX_PIXELS = 256 * 2**20  # of pictures that are held together, 3 bytes each, and again as what is made of them

OutOption = Annotated[
    Path, typer.Option(help="What to write: .npz a face, .png a picture, .gif, .mp4 or .webp an animation of the edit.")
]
SizeOption = Annotated[
    int | None, typer.Option(min=16, max=4096, help="Side in pixels, by default 512, and 256 of an animation.")
]
FramesOption = Annotated[int, typer.Option(min=2, max=600, help="Frames of an animation.")]
FpsOption = Annotated[float, typer.Option(min=0.1, max=60, help="Frames a second of an animation.")]
RawOption = Annotated[bool, typer.Option("--raw", help="The generator's own picture, not the photo's with the change.")]


@dataclass(frozen=True)
class Output:
    """How a result is to be written: the options that all these commands share."""

    path: Path
    size: int | None = None
    frames: int = 60
    fps: float = 20
    raw: bool = False
    mark: bool = False
    strip: bool = False

    def check(self) -> None:
        """Refuse an --out that cannot be, before any work is done."""
        if self.strip and self.path.suffix != ".png":
            raise BadSetting(f"--strip makes a .png, but --out is {self.path.name!r}.")
        if self.strip or self.path.suffix in (".gif", ".webp"):
            check_pixels(self.frames, self.size or FRAME_SIZE)
        if self.path.suffix not in (".npz", ".png", *ANIMATIONS):
            raise BadSetting(f"--out must end in .npz, .png, .gif, .mp4 or .webp; it is {self.path.name!r}.")
        make_folder(self.path.parent)


def check_pixels(count: int, size: int) -> None:
    """Raise BadSetting for more pictures of size x size than can be held together."""
    if count * size**2 > MAX_PIXELS:
        raise BadSetting(
            f"{count} pictures of {size} x {size} pixels are too many to be held together. Take fewer, a smaller "
            "--size, or for a film .mp4, which is written frame by frame."
        )


class Job:
    """One command under way: its faces, the studio of their model, and how its result is written."""

    def __init__(self, output: Output, paths: Sequence[Path], as_json: bool, *, beside: Sequence[Path] = ()) -> None:
        """paths: of the faces. beside: of what else the command reads; --out may replace none of all these files."""
        self.started = time.perf_counter()
        self.output, self.as_json, self.inputs = output, as_json, (*paths, *beside)
        output.check()
        check_spared(output.path, *self.inputs)
        self.faces: list[Face] = read_faces(paths)
        self.studio = open_studio(self.faces[0].latent.model)

    def said(self, steps: Sequence[Mapping[str, Any]], result: Face | None = None) -> dict[str, Any]:
        """What the file's metadata says: how the result was made, or else what steps have made of the faces; nobody's
        name.
        """
        from facelab.media.provenance import Provenance

        made = Provenance.of(result or self.faces[0].made_by(*steps, of=self.faces))
        return asdict(made if result else replace(made, model=self.studio.card.name))

    def finish(self, result: Face, steps: Sequence[Mapping[str, Any]], *, film: Any = None, **figures: Any) -> None:
        """Write the result and print what was done. film: the frames of an animation, where it is not the usual way."""
        write_result(self.studio, self.output, self.faces[0], result, self.said(steps, result), frames=film)
        self.report(steps, result=result, **figures)

    def report(
        self,
        steps: Sequence[Mapping[str, Any]],
        *,
        result: Face | None = None,
        files: Sequence[Path] | None = None,
        **figures: Any,
    ) -> None:
        """Print what was done. result: what became of it, where that is a face. files: written, by default --out."""
        output, said, files = self.output, self.said(steps, result), files or [self.output.path]
        film = {"frames": output.frames, "fps": output.fps} if output.path.suffix in ANIMATIONS else {}
        answered = {"model": said["model"], "operations": said["operations"], **film, **figures}
        answered["seconds"] = round(time.perf_counter() - self.started, 2)
        answered |= {"bytes": sum(path.stat().st_size for path in files), "files": [str(path) for path in files]}
        answer(answered, self.as_json, "\n".join(answered["files"]))


def write_result(
    studio: Studio,
    output: Output,
    start: Face,
    result: Face,
    said: Mapping[str, Any],
    *,
    frames: Iterator[np.ndarray] | None = None,
) -> None:
    """Write a result as --out asks.

    start: the face that the way to the result begins at, whose photo the picture shows. said: for the metadata: model,
    operations and from_photo. frames: of an animation, by default the way from start to result.
    """
    from facelab.media import save_animation, save_png

    if output.path.suffix == ".npz":
        result.save(output.path)
    elif output.path.suffix == ".png":
        save_png(picture(studio, start, result, output), output.path, **said, mark=output.mark)
    else:
        save_animation(
            frames or way(studio, start, result, output), output.path, fps=output.fps, **said, mark=output.mark
        )


def picture(studio: Studio, start: Face, result: Face, output: Output) -> np.ndarray:
    """The result's main picture: in the photo's crop where there is one and --raw is not set."""
    size = output.size or PICTURE_SIZE
    if result.crop is None:
        return studio.render(result, size)
    return studio.picture(start, result, detail=not output.raw, size=size)


def way(studio: Studio, start: Face, result: Face, output: Output) -> Iterator[np.ndarray]:
    """The frames of the way from a face to what an edit has made of it."""
    from facelab.edits.interpolation import positions

    size = output.size or FRAME_SIZE
    if result.crop is None or output.raw:
        yield from studio.morph_frames(start, result, frames=output.frames, size=size)
        return
    for t in positions(output.frames):
        yield studio.picture(start, studio.morph(start, result, t), size=size)
