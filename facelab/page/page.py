"""The page: header, tabs, library and footer around one studio, and how it is launched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.middleware import Middleware

from facelab.page.api import build_api
from facelab.page.attributes import MODEL_SHOWN, build_attributes_tab
from facelab.page.backstage import Backstage, who_asks
from facelab.page.circle import build_circle_tab
from facelab.page.compare import build_compare_tab
from facelab.page.crossover import build_crossover_tab
from facelab.page.embed import build_embed_tab
from facelab.page.expression import build_expression_tab
from facelab.page.leaving import MOST_PAGES, NoLinks, forget
from facelab.page.library import build_library
from facelab.page.mix import build_mix_tab
from facelab.page.models_menu import build_models_menu
from facelab.page.morph import build_morph_tab
from facelab.page.numbers import name_numbers
from facelab.page.paste import build_paste_tab
from facelab.page.theme import build_theme
from facelab.page.upload import build_upload_tab
from facelab.page.uploads import MAX_UPLOAD_BYTES, part_uploads
from facelab.page.video import build_video_tab
from facelab.page.viewer import QUIET
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker

FOLDER = Path(__file__).parent
ASSETS = Path(__file__).resolve().parents[2] / "assets"
PROMISE = "Edit a portrait in the latent space of a face generator, and put it back into the photo."
SIGN_SECONDS = 45  # between a page's signs of life: Gradio's own heartbeat does not come back after a lost connection
MAX_EVENTS = 256  # under way at once, those that wait for the device among them: more than it lets wait, for the others
LEAVING_SECONDS = 3.0  # until it is noticed that a page was left
STEP_SECONDS = 60.0  # the longest that an embedding which was stopped is waited for
CACHE_SECONDS = 600  # how long the files of API answers lie in Gradio's cache


def build_page(studio: Studio, *, worker: Worker | None = None, sessions: Sessions | None = None) -> gr.Blocks:
    """Build the whole page around one studio. worker, sessions: its own by default."""
    part_uploads()
    name_numbers()
    backstage = Backstage(studio, worker or Worker(visitor=who_asks), Sessions() if sessions is None else sessions)
    page = gr.Blocks(
        title="FaceLab", analytics_enabled=False, fill_width=True, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)
    )

    backstage.sessions.on_end = partial(forget, page)

    def leave(request: gr.Request) -> None:
        backstage.sessions.leave(request.session_hash)

    def stay(request: gr.Request) -> Any:
        return gr.skip() if backstage.sessions.stay(request.session_hash) else library.show(None)

    async def resume(tab: str, request: gr.Request) -> Any:
        await until(lambda: not backstage.sessions.awaits(tab, request.session_hash), LEAVING_SECONDS)
        session = backstage.sessions.resume(tab, request.session_hash)
        if session is None:
            return gr.skip()
        await asyncio.to_thread(session.begin_page)
        session.asked[MODEL_SHOWN] = ""  # sliders are drawn anew, with those of directions of one's own
        return await asyncio.to_thread(library.show, session)

    async def settle(request: gr.Request) -> Any:
        """What was under way as the page was left ends after its step; then the library shows what has come of it."""
        session = backstage.sessions.known(request.session_hash)
        embedding = None if session is None else session.embedding
        if embedding is None or not embedding.running:
            return gr.skip()
        await until(lambda: not embedding.running, STEP_SECONDS)
        if session.embedding is embedding and not session.opened:
            session.embedding = None  # which this page has never shown
        return await asyncio.to_thread(library.show, session)

    with page:
        with gr.Column(elem_id="fl-top", min_width=0):
            gr.HTML(_header(), js_on_load=HEADER_SCRIPT, apply_default_css=False, elem_id="fl-header")
            models = build_models_menu(studio)
        with gr.Row(elem_id="fl-main"):
            library = build_library(backstage)
            with (
                gr.Column(scale=5, min_width=0, elem_id="fl-work"),
                gr.Tabs(selected="upload", elem_id="fl-tabs", overflow_behavior="wrap") as tabs,
            ):
                lead_on = build_upload_tab(backstage)
                build_embed_tab(backstage, library, tabs, lead_on, models)
                draw_shelf = build_attributes_tab(backstage, library)
                build_morph_tab(backstage, library)
                build_crossover_tab(backstage, library)
                build_expression_tab(backstage, library)
                build_mix_tab(backstage, library)
                build_circle_tab(backstage, library)
                build_paste_tab(backstage)
                build_video_tab(backstage)
                build_compare_tab(backstage, library)
            with gr.Column(scale=1, min_width=0, elem_id="fl-rail"):
                library.rail.render()
        build_api(backstage)
        gr.HTML(_footer(), js_on_load=None, apply_default_css=False, elem_id="fl-footer")
        loaded = page.load(resume, gr.Textbox(visible=False), library.rail, js="() => [facelab.tab()]", **QUIET)
        draw_shelf(loaded.success)
        loaded.success(settle, None, library.rail, **QUIET)
        page.unload(leave)
        gr.Timer(SIGN_SECONDS).tick(stay, None, library.rail, **QUIET)
    return page.queue(default_concurrency_limit=None)  # the worker sees to fair turns and to how many may wait


async def until(true: Callable[[], bool], seconds: float) -> None:
    """Wait until something is true, but no longer than so many seconds."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        await asyncio.sleep(0.1)


def launch_options() -> dict[str, Any]:
    """What `launch` needs for the look, and to keep photos private: no history in the browser, no path served, and
    nothing kept of who has left.
    """
    return {
        "theme": build_theme(),
        "css_paths": [FOLDER / "theme.css", FOLDER / "compare.css"],
        "head": f"<script>{(FOLDER / 'page.js').read_text(encoding='utf-8')}</script>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "favicon_path": ASSETS / "favicon.png" if (ASSETS / "favicon.png").exists() else None,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "allowed_paths": [],
        "max_file_size": MAX_UPLOAD_BYTES,
        "max_threads": MAX_EVENTS,
        "state_session_capacity": MOST_PAGES,
        "app_kwargs": {"middleware": [Middleware(NoLinks)]},
        "ssr_mode": False,
        "show_error": False,
    }


HEADER_SCRIPT = """
facelab.applyTheme();
element.querySelector(".fl-theme").addEventListener("click", facelab.toggleTheme);
"""


def _logo() -> str:
    path = ASSETS / "logo.svg"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _header() -> str:
    return f"""<header class="fl-header">
  <div class="fl-brand">{_logo()}<div><h1>FaceLab</h1><p>{PROMISE}</p></div></div>
  <button type="button" class="fl-theme" aria-label="Dark colours" aria-pressed="false" title="Light or dark">
    <svg viewBox="0 0 24 24" class="fl-icon" aria-hidden="true"><path d="M12 3a9 9 0 1 0 0 18z" fill="currentColor"/>
    <circle cx="12" cy="12" r="9"/></svg></button>
</header>"""


def _footer() -> str:
    return """<footer class="fl-footer">
  <p>Photos stay in memory and go two minutes after you close the page.</p>
  <p>All models: for non-commercial research only, as their training pictures are. Code: MIT licence.</p>
  <nav aria-label="More"><a href="?view=api" target="_blank">Use it as an API</a></nav>
</footer>"""
