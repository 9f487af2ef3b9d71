"""The tab Back into the photo: the edited faces where they came from, at the photo's own resolution."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import gradio as gr
import numpy as np

from facelab.errors import BadSetting
from facelab.media import Provenance, encode_jpeg, encode_png, stamp
from facelab.page.backstage import Backstage, friendly
from facelab.page.parcels import file_name, parcel
from facelab.page.parts import event as event_of
from facelab.page.parts import part
from facelab.page.picker import picked_faces, picker
from facelab.page.pictures import PHOTO_SIDE, jpeg_file_uri, jpeg_uri, within
from facelab.page.viewer import IN_TURN, QUIET
from facelab.sessions import LibraryFace, Photo, Session

HINT = "Faces that were cut out of an opened photo go back into it here: open a photo, embed a face and edit it"


def build_paste_tab(backstage: Backstage) -> None:
    """Build the tab."""
    studio, worker = backstage.studio, backstage.worker
    with gr.Tab("Back into the photo", id="paste"), gr.Row(elem_classes="fl-split"):
        with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
            view = part("viewer", {"hint": HINT}, tag="paste", before="", uses=[], keep="", large=True, parcel=None)
        with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
            faces = picker(
                "Faces of the photo",
                "paste-faces",
                info="Faces that were cut out of one photo. Several can go back together.",
                several=True,
                only="photo",
            )
            with gr.Row(elem_classes="fl-actions"):
                fetch = gr.Button("Download the photo (PNG)", variant="primary", size="lg", interactive=False)
            gr.HTML(
                '<p class="fl-small fl-muted">Only what an edit changes is painted anew, in the light and the grain of '
                "your photo. Everything else keeps its pixels exactly. The file says that it was changed with AI.</p>",
                js_on_load=None,
                apply_default_css=False,
            )

    def pasted(session: Session, value: Any) -> tuple[Photo, list[LibraryFace], np.ndarray]:
        chosen = picked_faces(session, value)
        if not chosen:
            raise BadSetting("Choose the faces that go back into the photo.")
        photos = [_photo_of(session, face) for face in chosen]
        if any(photo is not photos[0] for photo in photos):
            raise BadSetting("These faces come from different photos. Choose faces of one photo.")
        places: dict[str, LibraryFace] = {}
        for face in chosen:
            other = places.setdefault(session.first_version(face).id, face)
            if other is not face:
                raise BadSetting(f"{other.name} and {face.name} are one face of the photo. Choose one of them.")
        pairs = [(face.history.base, face.face) for face in chosen]
        return photos[0], chosen, worker.run(studio.paste, photos[0].pixels, pairs)

    @friendly
    def on_pick(value: Any, request: gr.Request) -> dict[Any, Any]:
        session = backstage.visitor(request)
        if not picked_faces(session, value):
            return {view: {"hint": HINT}, fetch: gr.Button(interactive=False)}
        try:
            photo, chosen, pixels = pasted(session, value)
        except BadSetting as error:  # the tab chooses faces by itself: what is missing is said in the picture's place
            return {view: {"hint": str(error)}, fetch: gr.Button(interactive=False)}
        height, width = pixels.shape[:2]
        edited = sum(face.face is not face.history.base.as_photographed for face in chosen)
        words = f"{width} x {height} pixels" if edited else "No face edited yet"
        small = within(pixels, PHOTO_SIDE)
        shared = encode_jpeg(stamp(small) if session.mark else small, said_of(chosen), quality=93)
        value = {
            "number": token_hex(4),
            "name": file_name(photo.name),
            "caption": words,
            "picture": jpeg_file_uri(shared),
            "ratio": width / height,
            "same": not edited,
            "focus": _focus(chosen[0].face.quad, width, height),
        }
        before = jpeg_uri(photo.pixels, side=PHOTO_SIDE, quality=93)
        return {view: gr.update(value=value, before=before), fetch: gr.Button(interactive=edited > 0)}

    @friendly
    def on_fetch(value: Any, request: gr.Request) -> Any:
        session = backstage.visitor(request)
        photo, chosen, pixels = pasted(session, value)
        file = encode_png(pixels, said_of(chosen), mark=session.mark)
        return gr.update(parcel=parcel(file, f"{photo.name} edited", "png"))

    gr.on([event_of(faces, "pick"), event_of(view, "detail")], on_pick, faces, [view, fetch], **IN_TURN)
    fetch.click(on_fetch, faces, view, **QUIET)
    view.fetch(on_fetch, faces, view, **QUIET)


def said_of(faces: list[LibraryFace]) -> Provenance:
    """What a photo with these faces in it says."""
    return Provenance.of(*(face.face for face in faces), then=["paste"])


def _focus(quad: np.ndarray, width: int, height: int) -> list[float]:
    """Where a face is in its photo: its middle, and how wide it is, in parts of the photo's width and height."""
    x, y = quad.mean(axis=0) / (width, height)
    return [round(float(each), 4) for each in (x, y, np.hypot(*(quad[3] - quad[0])) / width)]


def _photo_of(session: Session, face: LibraryFace) -> Photo:
    """The photo that a face was cut out of; for a face from a file, the photo on the desk if it may be that one."""
    if face.photo is not None:
        return face.photo
    desk = session.photo
    if desk is not None and face.face.photo_size == desk.pixels.shape[1::-1]:
        return desk
    raise BadSetting(f"The photo of {face.name} is not here. Open it in Upload & align, then come back.")
