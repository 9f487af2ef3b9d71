"""Face pickers: thumbnails of the library, one or several of them chosen. The browser fills them from the rail."""

from __future__ import annotations

from typing import Any

import gradio as gr

from facelab.errors import BadSetting
from facelab.page.parts import part
from facelab.sessions import FACES_GONE, LibraryFace, Session

MAX_CHOSEN = 63


def picker(
    title: str,
    tag: str,
    *,
    info: str = "",
    place: int = 0,
    several: bool = False,
    letters: bool = False,
    only: str = "",
    edited_here: bool = False,
) -> gr.HTML:
    """A picker whose value is {"chosen": [ids], "picked": how often somebody chose}; its `pick` event says that it
    changed, or that a chosen face looks otherwise by now.

    tag: its own name in the page. info: one sentence of help. place: which face is chosen at first, 0 for the one that
    is open in the library, 1 for the next, -1 for none. several: whether more than one can be chosen.
    letters: mark them A, B, C in the order of choosing. only: "photo" for faces that a photo is behind, "edits" for
    edited ones. edited_here: the tab edits its face itself, and hears of no edit.
    """
    options = {"place": place, "several": several, "letters": letters, "only": only, "edited_here": edited_here}
    return part("picker", {"chosen": []}, tag=tag, title=title, info=info, **options)


def all_picked(*values: Any) -> bool:
    """Whether every one of these pickers has chosen something."""
    return all(isinstance(value, dict) and value.get("chosen") for value in values)


def picked(session: Session, value: Any, title: str) -> LibraryFace:
    """The face that a picker has chosen. Raises BadSetting where there is none."""
    faces = picked_faces(session, value)
    if not faces:
        raise BadSetting(f"Choose a face under “{title}”. Or press Add the examples in the library.")
    return faces[0]


def picked_faces(session: Session, value: Any) -> list[LibraryFace]:
    """The faces that a picker has chosen, in the order of choosing; what was deleted meanwhile is left out.

    Raises BadSetting where the whole library is gone, or more than MAX_CHOSEN are chosen.
    """
    chosen = value.get("chosen") if isinstance(value, dict) else None
    names = [each for each in chosen if isinstance(each, str)] if isinstance(chosen, list) else []
    with session.lock:
        if names and not session.faces:
            raise BadSetting(FACES_GONE)
        faces = [session.faces[name] for name in dict.fromkeys(names) if name in session.faces]
    if len(faces) > MAX_CHOSEN:
        raise BadSetting(f"{len(faces)} faces are chosen. Choose {MAX_CHOSEN} at most.")
    return faces
