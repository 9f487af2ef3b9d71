"""Tab 1, Upload & align: a photo in, its faces found, one of them chosen, its crop corrected by hand."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

import gradio as gr
import numpy as np

from facelab.alignment import adjust_quad, quad_from_eyes
from facelab.detection import FoundFace
from facelab.errors import BadSetting, NoFaceFound
from facelab.page.backstage import Backstage, explain, friendly
from facelab.page.examples import load_examples
from facelab.page.parts import part
from facelab.page.pictures import PHOTO_SIDE, jpeg_uri, thumb_uri
from facelab.page.uploads import face_name, find_upright, take_upload
from facelab.photo import read_photo
from facelab.sessions import Photo, Session

NO_FACE = (
    "No face found in this photo. Click the middle of both eyes to align it by hand, turn the photo if it lies on its "
    "side, or try one where the face is larger."
)
NOT_LOOKED = "This photo has no crop yet. Wait until its faces are looked for; if none is found, click the two eyes."
TURNED_SINCE = "The photo was turned meanwhile. Click the two eyes once more, or choose the face again."
TURNED = {1: "a quarter to the right", 2: "upside down", 3: "a quarter to the left"}
CORRECTIONS = ("dx", "dy", "zoom", "rotate")


def build_upload_tab(backstage: Backstage) -> gr.Button:
    """Build the tab. Returns the button that leads on to the embedding."""
    studio, worker = backstage.studio, backstage.worker
    with gr.Tab("Upload & align", id="upload"):
        drop = part("dropzone", {"compact": False}, examples=[each.view() for each in load_examples().values()])
        with gr.Row(visible=False, elem_classes="fl-split") as desk:
            with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
                stage = part("stage", photo="", thumbs=[])
            with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
                crop = part("crop")
                with gr.Row(elem_classes="fl-actions"):
                    lead_on = gr.Button("Embed this face", variant="primary", size="lg", elem_id="fl-lead-on")
                with gr.Accordion("Advanced", open=False):
                    landmarks = gr.Radio(
                        [("dlib, 68 points", "dlib"), ("MTCNN, 5 points", "mtcnn")],
                        value="dlib",
                        label="Landmarks",
                        info="What places the crop. 68 points are a little steadier; their file was trained on "
                        "pictures for non-commercial use, the five points were not.",
                    )

    def show(photo: Photo) -> dict[Any, Any]:
        return {
            drop: {"compact": True, "number": photo.number},
            desk: gr.Row(visible=True),
            stage: gr.update(value=_stage_view(photo)),
            crop: _crop_view(photo),
            lead_on: gr.Button(interactive=photo.aligned is not None),
        }

    def open_photo(request: gr.Request, read: Callable[[], np.ndarray], name: str, landmarks: str) -> dict[Any, Any]:
        session = newer = None
        try:
            session = backstage.visitor(request)
            newer = session.begin_job("upload")  # set by the next photo
            photo = find_upright(Photo(read(), name), lambda each: find(each, landmarks), backstage)
        except Exception as error:  # shown where the photo was dropped; the photo before it stays
            if newer is not None and newer.is_set():
                return {drop: gr.skip()}
            there = session is not None and session.photo is not None
            return {drop: {"compact": there, "refusal": explain(error), "number": token_hex(4)}}
        with session.lock:
            if newer.is_set():
                return {drop: gr.skip()}
            session.photo, session.opened = photo, False
        return show_anew(photo)

    def show_anew(photo: Photo) -> dict[Any, Any]:
        """Show a photo whose picture the browser does not have yet."""
        update = show(photo)
        thumbs = [thumb_uri(photo.pixels, face.box) for face in photo.faces]
        update[stage] |= {"photo": jpeg_uri(photo.pixels, side=PHOTO_SIDE), "thumbs": thumbs}
        return update

    def look(photo: Photo, landmarks: str) -> list[FoundFace]:
        try:
            return worker.run(studio.find_faces, photo.pixels, landmarks=landmarks)
        except NoFaceFound:
            return []

    def find(photo: Photo, landmarks: str) -> None:
        photo.faces = look(photo, landmarks)
        choose(photo, 0)

    def choose(photo: Photo, index: int) -> None:
        if not photo.faces:
            photo.chosen = photo.aligned = photo.start = None
            return
        photo.aligned = studio.align(photo.pixels, photo.faces[index])
        photo.chosen, photo.start = index, photo.aligned.quad

    @friendly
    def on_discard(event: gr.EventData) -> None:
        """A photo was uploaded when another had been chosen meanwhile: its file goes, as after every event."""

    @friendly
    def on_photo(event: gr.EventData, landmarks: str, request: gr.Request) -> dict[Any, Any]:
        name = face_name(event.name)
        return open_photo(request, lambda: read_photo(take_upload(event.path)), name, landmarks)

    @friendly
    def on_example(event: gr.EventData, landmarks: str, request: gr.Request) -> dict[Any, Any]:
        example = load_examples()[event.id]
        return open_photo(request, example.as_photo, example.name, landmarks)

    @friendly
    def on_turn(landmarks: str, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        with session.lock:
            before = _photo(session)
            photo = session.photo = before.turned(1)
        try:
            find(photo, landmarks)
        except Exception:
            with session.lock:
                session.photo = before if session.photo is photo else session.photo
            raise
        return show_anew(photo) if session.photo is photo else {stage: gr.skip()}  # turned on meanwhile

    @friendly
    def on_choose(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        with session.lock:
            photo = _photo_seen(session, event)
            if not photo.faces:
                raise BadSetting(NOT_LOOKED)
            choose(photo, int(event.index) % len(photo.faces))
            return show(photo)

    @friendly
    def on_eyes(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        with session.lock:
            photo = _photo_seen(session, event)
            left, right = event.points
            photo.aligned = studio.align(photo.pixels, quad_from_eyes(left, right))
            photo.chosen, photo.start = None, photo.aligned.quad
            return show(photo)

    @friendly
    def on_adjust(event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        with session.lock:
            photo = _photo(session)
            if photo.aligned is None:
                raise BadSetting(NOT_LOOKED)
            change = {name: float(event._data[name]) for name in CORRECTIONS if name in event._data}
            photo.aligned = studio.align(photo.pixels, adjust_quad(photo.aligned.quad, **change))
            return show(photo)

    @friendly
    def on_reset(request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        with session.lock:
            photo = _photo(session)
            if photo.start is None:
                raise BadSetting(NOT_LOOKED)
            if photo.chosen is not None:
                choose(photo, photo.chosen)
            else:
                photo.aligned = studio.align(photo.pixels, photo.start)
            return show(photo)

    @friendly
    def on_landmarks(landmarks: str, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        photo, newer = _photo(session), session.begin_job("landmarks")
        faces = look(photo, landmarks)
        with session.lock:
            if newer.is_set() or session.photo is not photo:
                return {stage: gr.skip()}
            photo.faces = faces
            chosen = photo.chosen if photo.chosen is not None and photo.chosen < len(faces) else None
            if _is_by_hand(photo):
                photo.chosen = chosen
            else:
                choose(photo, chosen or 0)
            return show(photo)

    shown = [drop, desk, stage, crop, lead_on]
    quiet = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
    drop.photo(on_photo, landmarks, shown, trigger_mode="multiple", **quiet)
    drop.example(on_example, landmarks, shown, trigger_mode="multiple", **quiet)
    drop.discard(on_discard, trigger_mode="multiple", **quiet)
    stage.choose(on_choose, None, shown, trigger_mode="multiple", **quiet)
    stage.turn(on_turn, landmarks, shown, trigger_mode="multiple", **quiet)
    stage.eyes(on_eyes, None, shown, **quiet)
    crop.adjust(on_adjust, None, shown, trigger_mode="multiple", **quiet)
    crop.reset(on_reset, None, shown, **quiet)
    landmarks.input(on_landmarks, landmarks, shown, **quiet)
    return lead_on


def _photo(session: Session) -> Photo:
    """The photo on the desk, for what is done to it: then it is this one's face that Embed takes."""
    if session.photo is None:
        raise BadSetting("There is no photo any more. Choose it again.")
    session.opened = False
    return session.photo


def _photo_seen(session: Session, event: gr.EventData) -> Photo:
    """`_photo`, for a click in its picture. Raises BadSetting where the page still shows it as it was before a turn."""
    photo = _photo(session)
    if event._data.get("photo") != photo.number:
        raise BadSetting(TURNED_SINCE)
    return photo


def _note(photo: Photo) -> str:
    turned = f" The photo was turned {TURNED[photo.turns]}." if photo.turns else ""
    if photo.aligned is None:
        return NO_FACE + turned
    if photo.chosen is None:
        return "Aligned by your two clicks. Correct the crop with the buttons beside it, or embed it."
    if len(photo.faces) == 1:
        return f"One face found.{turned}"
    if photo.chosen == 0:
        return f"{len(photo.faces)} faces found, the largest is chosen. Click another one to take that.{turned}"
    return f"Face {photo.chosen + 1} of {len(photo.faces)} is chosen."


def _stage_view(photo: Photo) -> dict[str, Any]:
    height, width = photo.pixels.shape[:2]
    return {
        "number": photo.number,
        "size": [width, height],
        "boxes": [face.box.tolist() for face in photo.faces],
        "chosen": photo.chosen,
        "quad": None if photo.aligned is None else photo.aligned.quad.tolist(),
        "note": _note(photo),
        "empty": photo.aligned is None,
    }


def _is_corrected(photo: Photo) -> bool:
    return photo.start is not None and not np.array_equal(photo.start, photo.aligned.quad)


def _is_by_hand(photo: Photo) -> bool:
    """Whether the crop is the visitor's own work, by two clicks or by corrections."""
    return photo.aligned is not None and (photo.chosen is None or _is_corrected(photo))


def _crop_view(photo: Photo) -> dict[str, str] | None:
    aligned = photo.aligned
    if aligned is None:
        return None
    side = float(np.hypot(*(aligned.quad[3] - aligned.quad[0])))
    corrected = _is_corrected(photo)
    how = (
        "corrected by hand" if corrected else "aligned by hand" if photo.chosen is None else "aligned by its landmarks"
    )
    soft = ". The face is small, so the result will be soft" if side < 128 else ""
    return {"picture": jpeg_uri(aligned.crop), "detail": f"{side:.0f} pixels of the photo, {how}{soft}."}
