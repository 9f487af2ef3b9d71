"""The tab Video: a short clip in, one face of it edited in every frame, the clip with its sound out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import PurePath
from secrets import token_hex
from typing import Any

import gradio as gr

from facelab.clips import MAX_SECONDS, Clip, read_clip
from facelab.edits.attributes import Direction
from facelab.errors import BadSetting
from facelab.face import AlignedFace, Face, Recipe
from facelab.media import Provenance, encode_png
from facelab.page.attribute_words import groups_of, presets_of
from facelab.page.attributes import method_radio, read_strengths, shipped_directions
from facelab.page.backstage import Backstage, explain, friendly
from facelab.page.parcels import file_name, parcel
from facelab.page.parts import event as event_of
from facelab.page.parts import part
from facelab.page.picker import all_picked, picked, picker
from facelab.page.pictures import jpeg_uri, png_file_uri, thumb_uri
from facelab.page.progress import TOLD_SECONDS, running
from facelab.page.uploads import take_upload
from facelab.page.viewer import IN_TURN, MOVING_QUALITY, QUIET
from facelab.pasting import QUAD_OF_CROP
from facelab.recipes import Others, attribute_steps
from facelab.sessions import Session
from facelab.tracking import Track
from facelab.video import EDIT_PASSES, ClipStep, film_clip

TAB = "video"
HINT = "Choose a clip; then this shows the edit on its face"
NOTHING = "Move a slider or choose an edited face first: nothing would change in the video yet."
GONE = (
    "The edit uses a direction of your own that is not here any more. Open its file in Attributes, under New "
    "direction, or choose Reset all."
)
MADE = "video-made"  # in what a session was last asked for: the edit of the video that is there
DRAWN = "video-directions"  # in what a session was last asked for: whose sliders are drawn
SHOWN_SECONDS = 1.0  # at most so often goes a picture to the browser
SHOWN_SIDE = 480
WORDS = {
    "follow": "Following the faces",
    "align": "Cutting the face out",
    "embed": "Embedding the face",
    "encode": "Encoding the frames",
    "edit": "Editing",
    "draw": "Drawing",
}


@dataclass(eq=False)
class Footage:
    """A visitor's clip: its faces, which of them is chosen, and what the preview shows of each."""

    clip: Clip
    name: str
    tracks: list[Track]
    chosen: int = 0
    seen: dict[int, Face] = field(default_factory=dict)

    @property
    def held_bytes(self) -> int:
        """What the clip takes in memory."""
        return len(self.clip.data)


def build_video_tab(backstage: Backstage) -> None:
    """Build the tab."""
    studio, worker, shipped = backstage.studio, backstage.worker, shipped_directions(backstage)
    with gr.Tab("Video", id=TAB) as tab, gr.Row(elem_classes="fl-split"):
        with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
            clip = part("clip", {}, tag=TAB, seconds=8, sound=True, hint=f"Up to {MAX_SECONDS:g} seconds and 100 MB.")
            footage = part("footage", {"state": "idle"}, tag=TAB, faces=[], chosen=0, film=None, stale=False)
            view = part("viewer", {"hint": HINT}, tag=TAB, before="", uses=[], keep="", goto=None)
        with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
            source = gr.Radio(
                [("Sliders", "sliders"), ("An edited face", "face")],
                value="sliders",
                label="The edit",
                info="What is done to the face: what the sliders say, or all that was done to a face of the library.",
                elem_classes="fl-segmented",
            )
            with gr.Column(min_width=0) as by_sliders:
                empty = {"face": "", "strengths": {}}
                sliders = part("sliders", empty, tag=TAB, groups=groups_of(shipped), presets=presets_of(shipped))
                with gr.Accordion("Advanced", open=False):
                    method = method_radio()
            with gr.Column(min_width=0, visible=False) as by_face:
                edited = picker(
                    "Edited face",
                    "video-edited",
                    info="All that was done to this face of the library is done to the one in the clip.",
                    place=-1,
                    only="edits",
                )
            with gr.Row(elem_classes="fl-actions"):
                make = gr.Button("Make the video", variant="primary", size="lg", interactive=False)
            gr.HTML(
                '<p class="fl-small fl-muted">The face is embedded once, in half a minute to two, then frame '
                "after frame is drawn. The clip stays in memory and goes when you close the page. Frames in which the "
                "face is not seen stay as they are. The file says that it was changed with AI.</p>",
                js_on_load=None,
                apply_default_css=False,
            )

    def own_of(session: Session) -> dict[str, Direction]:
        """The visitor's directions for the model that clips are embedded with."""
        return {id: each for id, each in session.directions.items() if each.model == studio.card.name}

    def edit_of(session: Session, values: Mapping[Any, Any]) -> tuple[Recipe, Others] | None:
        """What is done in every frame, as a recipe, and what its steps name."""
        if values[source] == "face":
            if not all_picked(values[edited]):
                return None
            history = picked(session, values[edited], "Edited face").history
            recipe, others = history.recipe, history.now.others
            return (recipe, others) if recipe.steps else None
        said = values[sliders] if isinstance(values[sliders], dict) else {}
        own, asked = own_of(session), said.get("strengths") or {}
        strengths = read_strengths(asked, {**shipped, **own})
        if any(id not in shipped and id not in own for id in asked):
            raise BadSetting(GONE)
        steps = attribute_steps(strengths, own, method=values[method])
        return (Recipe(studio.card.name, tuple(steps)), own) if steps else None

    def preview(session: Session, values: Mapping[Any, Any]) -> Any:
        """The chosen face of the clip with the edit, as an encoder sees it at once."""
        kept = session.clips.get(TAB)
        if kept is None or not studio.has_encoder:
            return {"hint": HINT}
        track = kept.tracks[kept.chosen]
        if kept.chosen not in kept.seen:
            aligned = AlignedFace(track.crop, track.crop, QUAD_OF_CROP, track.crop.shape[1::-1])
            kept.seen[kept.chosen] = worker.run(studio.encode, aligned)
        face, edit = kept.seen[kept.chosen], edit_of(session, values)
        result = face if edit is None else [face, *worker.iterate(studio.replay, face, *edit)][-1]
        pixels = worker.run(studio.picture, face, result)
        moving = values[source] == "sliders" and bool((values[sliders] or {}).get("moving"))
        said = Provenance(studio.card.name, result.operations, from_photo=True)
        value = {
            "number": token_hex(4),
            "name": file_name(kept.name),
            "caption": "The face in the clip" if edit is None else "Preview of the edit",
            "moving": moving,
            "picture": jpeg_uri(pixels, quality=MOVING_QUALITY)
            if moving
            else png_file_uri(encode_png(pixels, said, mark=session.mark)),
        }
        return value if moving else gr.update(value=value, before=jpeg_uri(track.crop, quality=92))

    @friendly
    def on_clip(values: dict[Any, Any], event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        stopping, name = session.begin_job(TAB), PurePath(str(event.name)).name[:40]
        yield {footage: running("Opening the video …", 0), make: gr.Button(interactive=False)}
        as_before = {make: gr.Button(interactive=TAB in session.clips)}
        words = f"“{session.clips[TAB].name}” is still open." if TAB in session.clips else "Choose another video."
        told = {clip: {"number": token_hex(4), "refused": f"That one was not opened. {words}"}}
        try:
            opened = read_clip(take_upload(event.path))
            with closing(worker.iterate(studio.find_tracks, opened)) as steps:
                for step in _now_and_then(steps, TOLD_SECONDS):
                    if stopping.is_set():
                        yield {footage: {"state": "idle", "text": "Stopped."}, **told, **as_before}
                        return
                    yield {footage: running(_told(step), step.done / (step.total or step.done + 100))}
        except Exception as error:  # shown where the clip was chosen; the clip before it stays
            yield {footage: {"state": "refused", "text": explain(error)}, **told, **as_before}
            return
        kept = session.clips[TAB] = Footage(opened, PurePath(name).stem or "clip", list(step.tracks))
        pictures = [thumb_uri(track.crop) for track in kept.tracks] if len(kept.tracks) > 1 else []
        yield {
            clip: {"number": token_hex(4), "name": name, "about": _about(opened)},
            footage: gr.update(value={"state": "idle"}, faces=pictures, chosen=0, film=None),
            make: gr.Button(interactive=True),
        }
        yield {view: preview(session, values)}

    @friendly
    def on_choose(values: dict[Any, Any], event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        kept = _kept(session)
        kept.chosen = min(max(int(event.index), 0), len(kept.tracks) - 1)
        return {
            footage: gr.update(value={"state": "idle"}, chosen=kept.chosen, film=None),
            view: preview(session, values),
        }

    @friendly
    def on_edit(values: dict[Any, Any], request: gr.Request) -> Any:
        session = backstage.visitor(request)
        made, now = session.asked.get(MADE), _asked(edit_of(session, values))
        return {view: preview(session, values), footage: gr.update(stale=made is not None and made != now)}

    @friendly
    def on_make(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        kept, edit = _kept(session), edit_of(session, values)
        if edit is None:
            raise BadSetting(NOTHING)
        stopping, started, shown, mark = session.begin_job(TAB), time.monotonic(), 0.0, session.mark
        yield {footage: running("Waiting for the device …", 0), make: gr.Button(interactive=False)}
        try:
            track = kept.tracks[kept.chosen]
            recipe, others = edit
            with closing(worker.iterate(studio.edit_clip, kept.clip, recipe, others=others, track=track)) as work:
                for step in _now_and_then(film_clip(work, kept.clip, mark=mark), TOLD_SECONDS):
                    if stopping.is_set():
                        yield {footage: {"state": "idle", "text": "Stopped."}, make: gr.Button(interactive=True)}
                        return
                    fraction = step.fraction(since="align")
                    update = running(_told(step, fraction, time.monotonic() - started), fraction)
                    if step.frame is not None and time.monotonic() - shown > SHOWN_SECONDS:
                        shown = time.monotonic()
                        update["picture"] = jpeg_uri(step.frame, side=SHOWN_SIDE)
                    yield {footage: update}
        except Exception as error:
            yield {footage: {"state": "refused", "text": explain(error)}, make: gr.Button(interactive=True)}
            return
        sound = (
            "with its sound" if step.sound else "its sound could not be read" if kept.clip.audio else "without sound"
        )
        words = f"{step.done} frames, {step.done / kept.clip.fps:.1f} s, {sound}"
        session.asked[MADE] = _asked(edit)
        film = {**parcel(step.film, f"{kept.name} edited", "mp4"), "marked": mark}
        yield {
            footage: gr.update(value={"state": "done", "text": words}, film=film, stale=False),
            make: gr.Button(interactive=True),
        }

    @friendly
    def on_open(request: gr.Request) -> Any:
        """The tab is opened: directions may have been made or deleted meanwhile."""
        session = backstage.visitor(request)
        known = {**shipped, **own_of(session)}
        drawn, session.asked[DRAWN] = session.asked.get(DRAWN, repr(list(shipped))), repr(list(known))
        if session.asked[DRAWN] == drawn:
            return gr.skip()
        return gr.update(groups=groups_of(known), presets=presets_of(known))

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop_job(TAB)

    def on_source(chosen: str) -> tuple[Any, Any]:
        return gr.Column(visible=chosen == "sliders"), gr.Column(visible=chosen == "face")

    inputs = {source, sliders, edited, method}
    tab.select(on_open, None, sliders, **QUIET)
    clip.clip(on_clip, inputs, [clip, footage, view, make], **QUIET)
    footage.choose(on_choose, inputs, [footage, view], **QUIET)
    footage.stop(on_stop, None, None, queue=False, **QUIET)
    changes = [source.input, method.input, event_of(sliders, "slide"), event_of(edited, "pick")]
    gr.on([*changes, event_of(view, "detail")], on_edit, inputs, [view, footage], **IN_TURN)
    source.input(on_source, source, [by_sliders, by_face], **QUIET)
    make.click(on_make, inputs, [footage, make], **QUIET)


def _asked(edit: tuple[Recipe, Others] | None) -> str:
    """What tells an edit from another one."""
    return "" if edit is None else edit[0].to_json()


def _kept(session: Session) -> Footage:
    if TAB not in session.clips:
        raise BadSetting("There is no clip here any more. Choose it again.")
    return session.clips[TAB]


def _now_and_then(steps: Iterator[ClipStep], seconds: float) -> Iterator[ClipStep]:
    """Some of the steps, and the last one."""
    told = 0.0
    for step in steps:
        if time.monotonic() - told > seconds or step.film or step.tracks:
            told = time.monotonic()
            yield step


def _told(step: ClipStep, fraction: float = 0.0, elapsed: float = 0.0) -> str:
    """How far it is, in words: "Drawing · 40 of 120 frames · about 20 s left"."""
    what = "steps" if step.phase == "embed" else "frames"
    words = f"{WORDS.get(step.phase, 'Putting it together')} · {step.done}" + (
        f" of {step.total}" if step.total else ""
    )
    if step.phase == "edit":  # a frame is done when it has been through all passes
        words = f"{WORDS['edit']} · {step.done // EDIT_PASSES} of {(step.total or 0) // EDIT_PASSES}"
    left = elapsed * (1 - fraction) / fraction if fraction > 0.02 and elapsed > 2 else 0.0
    return f"{words} {what}" + (f" · about {_rounded(left)} left" if left >= 1 else "")


def _rounded(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{max(5 * round(seconds / 5), 1)} s"


def _about(clip: Clip) -> str:
    width, height = clip.size
    length = f", {clip.seconds:.1f} s" if clip.seconds else ""
    return f"{width} x {height}{length}, {'with' if clip.audio else 'without'} sound"
