"""What a tab's events reach: the studio, the worker before it, and the session of the visitor who asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from html import escape
from inspect import isgeneratorfunction
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from facelab.errors import FaceLabError
from facelab.page.uploads import drop_uploads
from facelab.sessions import Session
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker

log = logging.getLogger("facelab.page")


@dataclass(frozen=True)
class Backstage:
    """The models, the device's queue and the visitors. One for the whole page; holds nobody's data itself."""

    studio: Studio
    worker: Worker
    sessions: Sessions

    def visitor(self, request: gr.Request) -> Session:
        """The session of the page that sent this event."""
        return self.sessions.of(request.session_hash)

    def studio_of(self, session: Session) -> Studio:
        """The studio of the model that a visitor has chosen for new faces."""
        return self.studio.of(session.model or self.studio.card.name)


def who_asks() -> str:
    """The page, or the script at the API, whose event is being handled in this thread; "" where it is nobody's."""
    request = LocalContext.request.get(None)
    return str(getattr(request, "session_hash", None) or "")


def friendly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what a handler raises into a message in the page: ours as it is, anything else without its traceback. A file
    that an event brings is off the disk afterwards, also where it was refused unread.
    """
    if isgeneratorfunction(handler):

        @wraps(handler)
        def guarded(*args: Any) -> Any:
            told = False
            try:
                with closing(handler(*args)) as updates:
                    for update in updates:
                        told = True
                        yield update
                if not told:
                    yield gr.skip()  # else Gradio empties all that the handler may change
            except Exception as error:
                raise as_message(error) from None
            finally:
                drop_uploads(_brought(args))
    else:

        @wraps(handler)
        def guarded(*args: Any) -> Any:
            try:
                return handler(*args)
            except Exception as error:
                raise as_message(error) from None
            finally:
                drop_uploads(_brought(args))

    return guarded


def _brought(args: Sequence[Any]) -> list[str]:
    """The file among what a handler was given, if an event says where it is."""
    told = [each._data for each in args if isinstance(each, gr.EventData) and isinstance(each._data, dict)]
    return [data["path"] for data in told if isinstance(data.get("path"), str)]


def explain(error: Exception) -> str:
    """What to tell the visitor: our own errors speak for themselves, anything else goes to the log."""
    if isinstance(error, FaceLabError):
        return str(error)
    log.exception("An event of the page failed", exc_info=error)
    return "Something went wrong on this server. Your faces are kept; try again, and report it if it happens twice."


def as_message(error: Exception, *, plain: bool = False) -> Exception:
    """An error as Gradio shows it in the page, which takes it for HTML. plain: for scripts, as it is."""
    if isinstance(error, gr.Error):
        return error
    words = explain(error) if plain else escape(explain(error), quote=False)
    return gr.Error(words, title="That did not work", print_exception=False)
