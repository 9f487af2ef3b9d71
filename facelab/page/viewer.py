"""The main picture of an editing tab: before and after, photo or generator, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import gradio as gr
import numpy as np

from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Face
from facelab.history import Result
from facelab.media import Provenance, encode_png
from facelab.page.backstage import Backstage, friendly
from facelab.page.library import Library
from facelab.page.parcels import file_name
from facelab.page.parts import event as event_of
from facelab.page.parts import part
from facelab.page.pictures import jpeg_uri, png_file_uri
from facelab.sessions import LibraryFace, Photo, Session

PICTURE_SIDE = 512
MOVING_QUALITY = 85
QUIET = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
IN_TURN = QUIET | {"trigger_mode": "always_last"}  # none overtakes another, and of those that wait the last one counts
# Tabs that a result can be carried to, by their ids.
USES = {
    "attributes": "Attributes",
    "morph": "Morph",
    "crossover": "Style crossover",
    "expression": "Expression",
    "mix": "Mix",
    "circle": "Circle",
    "paste": "Back into the photo",
}


class Answer(str):
    """What stands in the picture's place not as a hint, but as the result."""


@dataclass(frozen=True)
class Viewer:
    """One tab's main picture. `show` makes its update; what its buttons do is wired by `build_viewer`."""

    view: gr.HTML
    backstage: Backstage
    library: Library
    tab: str

    def show(
        self, session: Session, result: Result, *, moving: bool = False, ending: bool = False, **more: Any
    ) -> dict[str, Any]:
        """Draw a result and remember it as what this tab shows.

        moving: while a slider moves, for a light JPEG; at rest it is a PNG with its metadata. ending: whether it ends a
        long job, and is drawn however many others wait. more: further props, at rest.
        """
        if session.results.get(self.tab) is not result:
            session.followed.discard(self.tab)
        session.results[self.tab] = result
        run = self.backstage.worker.finish if ending else self.backstage.worker.run
        pixels = self._picture(run, session, result.before, result.face)
        picture = jpeg_uri(pixels, quality=MOVING_QUALITY) if moving else self._png(pixels, result, mark=session.mark)
        value = {
            "number": token_hex(4),
            "name": file_name(result.name),
            "caption": result.title,
            "moving": moving,
            "picture": picture,
            "photo": self._has_photo(result),
            "detail": session.detail,
        }
        return value if moving else gr.update(value=value, before=self._before(run, session, result), **more)

    def follow(
        self,
        triggers: Sequence[Any],
        inputs: set[gr.components.Component],
        make: Callable[[Session, dict[Any, Any]], Result | None],
        *,
        hint: str | Callable[[Session, dict[Any, Any]], str],
        beside: tuple[gr.HTML, Callable[[Session, dict[Any, Any], Result | None], Any]] | None = None,
    ) -> None:
        """Draw what `make` returns of the inputs' values whenever one of the triggers fires: light while they move,
        exact when they rest. Where it returns None the hint is shown, or what a hint of several kinds says of the
        values. beside: another part, and what it shows of a result that rests, or of none.
        """

        @friendly
        def on_change(values: dict[Any, Any], request: gr.Request) -> Any:
            session = self.backstage.visitor(request)
            asked = repr([values[each] for each in sorted(inputs, key=lambda each: each._id)])
            moving = session.asked.get(self.tab) != asked  # what is asked for twice has come to rest
            if not moving and self.tab in session.results and self.tab not in session.followed:
                return gr.skip()  # a face looks otherwise by now: what was taken from a sheet, or stylised, stays
            session.asked[self.tab] = asked
            try:
                result, words = make(session, values), hint if isinstance(hint, str) else hint(session, values)
            except (BadSetting, LatentMismatch) as error:  # said where the picture would be, not over it
                result, words = None, str(error)
            if session.asked[self.tab] != asked:
                return gr.skip()  # a page may send two events at once: the older one would overtake the newer
            if result is None:
                session.results.pop(self.tab, None)
                return {self.view: self.empty(words), **also(session, values, None)}
            session.results[self.tab] = result
            session.followed.add(self.tab)
            companion = {} if moving else also(session, values, result)
            shown = {self.view: self.show(session, result, moving=moving), **companion}
            return shown if session.asked[self.tab] == asked else gr.skip()

        def also(session: Session, values: dict[Any, Any], result: Result | None) -> dict[Any, Any]:
            return {} if beside is None else {beside[0]: beside[1](session, values, result)}

        shown = [self.view] if beside is None else [self.view, beside[0]]
        gr.on([*triggers, event_of(self.view, "settle")], on_change, inputs, shown, **IN_TURN)

    def empty(self, hint: str) -> dict[str, Any]:
        """No picture yet, and why; or an `Answer`."""
        return {"hint": str(hint), "answer": isinstance(hint, Answer)}

    def _before(self, run: Callable[..., np.ndarray], session: Session, result: Result) -> str:
        if result.before is None:
            return ""
        return jpeg_uri(self._picture(run, session, result.before, None), quality=92)

    def _picture(
        self, run: Callable[..., np.ndarray], session: Session, before: Face | None, face: Face | None
    ) -> np.ndarray:
        """A picture, uint8 [512, 512, 3]. run: the worker's way of doing it."""
        faces = [each for each in (before, face) if each is not None]
        return run(self.backstage.studio.picture, *faces, detail=session.detail, size=PICTURE_SIDE)

    def _has_photo(self, result: Result) -> bool:
        return result.before is not None and result.before.crop is not None

    def _png(self, pixels: np.ndarray, result: Result, *, mark: bool) -> str:
        return png_file_uri(encode_png(pixels, Provenance.of(result.face), mark=mark))


def build_viewer(
    backstage: Backstage, library: Library, tab: str, *, hint: str, keep: str = "Keep in library"
) -> Viewer:
    """Make a tab's main picture where it is called, and wire its buttons.

    hint: what an empty one says. keep: the words on the button that puts the result into the library.
    """
    uses = [{"tab": id, "title": title} for id, title in USES.items() if id != tab]
    view = part("viewer", {"hint": hint}, tag=tab, before="", uses=uses, keep=keep, kept=None, goto=None)
    viewer = Viewer(view, backstage, library, tab)

    def result_of(session: Session) -> Result:
        if tab not in session.results:
            raise BadSetting("There is no picture here yet. Choose a face first.")
        return session.results[tab]

    def keep_result(session: Session) -> LibraryFace:
        result = result_of(session)
        picture = backstage.worker.run(backstage.studio.render, result.face)
        return session.add_history(result.history(picture), name=result.name, photo=photo_of(session, result))

    @friendly
    def on_detail(event: gr.EventData, request: gr.Request) -> Any:
        session = backstage.visitor(request)
        session.detail = session.detail if event.on is None else bool(event.on)  # None: drawn anew as it is
        result = result_of(session)
        return viewer.show(session, result)

    @friendly
    def on_keep(request: gr.Request) -> Mapping[Any, Any]:
        session = backstage.visitor(request)
        keep_result(session)
        return {library.rail: library.show(session), view: gr.update(kept=token_hex(4))}

    @friendly
    def on_use(event: gr.EventData, request: gr.Request) -> Mapping[Any, Any]:
        session = backstage.visitor(request)
        face = result_of(session).face
        kept = next((each for each in list(session.faces.values()) if each.face is face), None) or keep_result(session)
        goto = {"number": token_hex(4), "id": kept.id, "tab": str(event.tab)}
        return {library.rail: library.show(session), view: gr.update(goto=goto)}

    view.detail(on_detail, None, view, **QUIET)
    view.keep(on_keep, None, [library.rail, view], **QUIET)
    view.use(on_use, None, [library.rail, view], **QUIET)
    return viewer


def photo_of(session: Session, result: Result) -> Photo | None:
    """The photo that a result can be pasted back into: that of the face it was made from."""
    if result.face.crop is None or result.source is None:
        return None
    with session.lock:
        return next((kept.photo for kept in session.faces.values() if kept.face.crop is result.face.crop), None)
