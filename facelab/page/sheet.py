"""A sheet of pictures to take one from: neighbours, random faces, the grid of a crossover."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import numpy as np

from facelab.errors import BadSetting
from facelab.history import Result
from facelab.media import Provenance, contact_sheet, encode_png, framed_sheet
from facelab.page.backstage import Backstage, friendly
from facelab.page.parcels import parcel
from facelab.page.parts import part
from facelab.page.pictures import jpeg_uri
from facelab.page.viewer import QUIET, Viewer
from facelab.sessions import LibraryFace, Session

CELL_SIDE = 128


@dataclass(frozen=True)
class Sheet:
    """What a sheet shows: its pictures, and how each becomes a result when it is taken.

    pictures: uint8 [R, R, 3] each, row by row. labels: what each is. take: number -> Result. heads, sides: faces above
    the columns and before the rows. of: the faces of the library that it is made of, beside these: it goes when one of
    all these is deleted.
    """

    title: str
    columns: int
    pictures: Sequence[np.ndarray]
    labels: Sequence[str]
    take: Callable[[int], Result]
    heads: Sequence[LibraryFace] = field(default_factory=list)
    sides: Sequence[LibraryFace] = field(default_factory=list)
    of: Sequence[LibraryFace] = field(default_factory=list)

    @property
    def shows(self) -> set[str]:
        """The ids of the faces that it is made of."""
        return {face.id for face in (*self.of, *self.heads, *self.sides)}

    def view(self) -> dict[str, Any]:
        """What parts/sheet.js draws."""
        return {
            "title": self.title,
            "text": "Click a face to take it.",
            "columns": self.columns,
            "of": sorted(self.shows),
            "cells": [
                {"picture": _small(picture), "label": label}
                for picture, label in zip(self.pictures, self.labels, strict=True)
            ],
            "heads": [{"picture": _small(face.picture), "label": face.name} for face in self.heads],
            "sides": [{"picture": _small(face.picture), "label": face.name} for face in self.sides],
        }

    def whole(self) -> np.ndarray:
        """All of it as one picture."""
        if not self.heads:
            return contact_sheet(self.pictures, columns=self.columns)
        frame = {"heads": [face.picture for face in self.heads], "sides": [face.picture for face in self.sides]}
        return framed_sheet(self.pictures, **frame)


def build_sheet(backstage: Backstage, tab: str, viewer: Viewer) -> gr.HTML:
    """Make a tab's sheet where it is called: what is taken from it goes to the tab's main picture."""
    view = part("sheet", {}, tag=tab, parcel=None)

    def sheet_of(session: Session) -> Sheet:
        if tab not in session.sheets:
            raise BadSetting("This sheet is not there any more. Draw it again.")
        return session.sheets[tab]

    @friendly
    def on_choose(event: gr.EventData, request: gr.Request) -> Any:
        session = backstage.visitor(request)
        sheet = sheet_of(session)
        return viewer.show(session, sheet.take(int(event.index) % len(sheet.pictures)))

    @friendly
    def on_save(request: gr.Request) -> Any:
        session = backstage.visitor(request)
        sheet = sheet_of(session)
        said = Provenance.of(*(sheet.take(number).face for number in range(len(sheet.pictures))))
        return gr.update(parcel=parcel(encode_png(sheet.whole(), said, mark=session.mark), sheet.title, "png"))

    @friendly
    def on_stop(request: gr.Request) -> None:
        backstage.visitor(request).stop_job(tab)

    view.choose(on_choose, None, viewer.view, trigger_mode="multiple", **QUIET)
    view.save(on_save, None, view, **QUIET)
    view.stop(on_stop, None, None, queue=False, **QUIET)
    return view


def last_sheet(session: Session, tab: str) -> dict[str, Any]:
    """What a tab's sheet shows where a new one came to nothing: the one before, which can still be taken from."""
    return session.sheets[tab].view() if tab in session.sheets else {}


def _small(picture: np.ndarray) -> str:
    return jpeg_uri(picture, side=CELL_SIDE, quality=88)
