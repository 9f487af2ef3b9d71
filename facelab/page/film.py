"""Films and strips of frames: made frame by frame with progress, stopped at will, saved in several formats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from facelab.errors import BadSetting
from facelab.media import Provenance, encode_animation, encode_png, filmstrip, some_frames
from facelab.page.backstage import Backstage, friendly
from facelab.page.parcels import parcel
from facelab.page.parts import part
from facelab.page.pictures import gif_file_uri, jpeg_uri
from facelab.page.progress import TOLD_SECONDS, running
from facelab.page.viewer import QUIET
from facelab.sessions import LibraryFace, Session

KINDS = [("gif", "GIF"), ("mp4", "MP4"), ("webp", "WebP"), ("png", "PNG strip")]
STRIP_SIDE, STRIP_QUALITY = 192, 86  # of the pictures that are seen side by side


@dataclass(frozen=True)
class Clip:
    """A film that a tab has made: frames uint8 [S, S, 3], frames a second, what its files are called and say, and the
    frames that its strip shows.
    """

    frames: list[np.ndarray]
    fps: float
    name: str
    provenance: Provenance
    strip: list[np.ndarray]

    @property
    def held_bytes(self) -> int:
        """What the frames take in memory."""
        return sum(frame.nbytes for frame in self.frames)


@dataclass(frozen=True)
class Progress:
    """How far a film is before its first frame: in words, and as a part of the whole, 0 to 1."""

    text: str
    fraction: float


@dataclass(frozen=True)
class Film:
    """A tab's film, drawn by parts/film.js."""

    view: gr.HTML
    backstage: Backstage
    tab: str

    def make(
        self,
        session: Session,
        frames: Callable[[], Iterator[np.ndarray | Progress]],
        *,
        total: int | None,
        fps: float,
        name: str,
        operations: list[str],
        from_photo: bool,
        model: str,
        film: bool = True,
        strip: slice | None = None,
        of: Mapping[str, LibraryFace] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Make the frames on the device, one slice each, and tell how far it is: updates of the view.

        total: how many frames there will be, None where nobody knows. model: whose faces they are. film: show it; or
        else only the strip of all its frames. strip: of which frames ten are shown side by side beside the film. of:
        the faces that it is made of, by the tags of the pickers that chose them: it goes when one of them is deleted.
        """
        faces = {picker: kept.id for picker, kept in (of or {}).items()}
        stopping, made, told = session.begin_job(self.tab), [], time.monotonic()
        yield running("Waiting for the device …", 0)
        try:
            with closing(self.backstage.worker.iterate(frames)) as steps:
                for item in steps:
                    before = isinstance(item, Progress)
                    if not before:
                        made.append(item)
                    if stopping.is_set():
                        break
                    if time.monotonic() - told > TOLD_SECONDS:
                        told = time.monotonic()
                        done = len(made) / max(total or 1, len(made), 1)
                        yield (
                            running(item.text, item.fraction)
                            if before
                            else running(f"Frame {len(made)}" + (f" of {total}" if total else ""), 0.9 * done)
                        )
            if stopping.is_set() or not made:
                yield {"state": "kept", "text": f"Stopped at frame {len(made)}."}
                return
            total = len(made)
            yield running("Putting the frames together …", 0.95)
            said = Provenance(model, operations, from_photo)
            clip = Clip(made, fps, name, said, some_frames(made[strip or slice(None)]) if film else made)
            session.keep_film(self.tab, clip, faces.values())
            seen = [] if film and strip is None else clip.strip
            yield {
                "state": "done",
                "of": faces,
                "text": f"{name[:1].upper()}{name[1:]} · {total} frames" + (f", {total / fps:.1f} s" if film else ""),
                "picture": gif_file_uri(encode(clip, "gif")) if film else "",
                "frames": [jpeg_uri(frame, side=STRIP_SIDE, quality=STRIP_QUALITY) for frame in seen],
                "kinds": KINDS,
            }
        except Exception:
            yield {"state": "kept"}
            raise


def build_film(backstage: Backstage, tab: str, *, wide: bool = False) -> Film:
    """Make a tab's film where it is called, and wire its buttons. wide: a card of its own, across the whole tab."""
    view = part("film", {"state": "idle"}, tag=tab, parcel=None, wide=wide)

    @friendly
    def on_save(event: gr.EventData, request: gr.Request) -> Any:
        session = backstage.visitor(request)
        clip = session.clips.get(tab)
        if clip is None or event.kind not in dict(KINDS):
            raise BadSetting("This film is not there any more. Make it again.")
        return gr.update(parcel=parcel(encode(clip, event.kind, mark=session.mark), clip.name, event.kind))

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop_job(tab)

    view.save(on_save, None, view, trigger_mode="multiple", **QUIET)
    view.stop(on_stop, None, None, queue=False, **QUIET)
    return Film(view, backstage, tab)


def encode(clip: Clip, kind: str, *, mark: bool = False) -> bytes:
    """The film as a file of a kind: "gif", "mp4", "webp", or its strip as a "png"."""
    if kind == "png":
        return encode_png(filmstrip(clip.strip, len(clip.strip)), clip.provenance, mark=mark)
    return encode_animation(clip.frames, kind, clip.provenance, fps=clip.fps, mark=mark)
