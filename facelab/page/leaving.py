"""What Gradio keeps of a page, let go when its visitor has left.

Gradio holds the last value of every part of every page, photos among them, until ten thousand others have come, and
writes them to the disk for who asks for a link to them.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from fastapi import Response

MOST_PAGES = 256  # whose values Gradio keeps at once, scripts at the API among them: the ones used last
LINKS = "/gradio_api/deep_link"


def forget(page: gr.Blocks, visitor: str) -> None:
    """Let go what Gradio keeps for a visitor's page; where that comes back after all, it begins anew."""
    holder = getattr(page, "state_holder", None)  # there is none before the page is launched
    if holder is not None:
        with holder.lock:
            holder.session_data.pop(visitor, None)
            holder.time_last_used.pop(visitor, None)


class NoLinks:
    """Before the whole server: no link to what a page shows is made, as what it would lead to stays on the disk."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].rstrip("/").endswith(LINKS):
            await Response(status_code=404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
