"""The endpoint that does an edit to a short clip: files and JSON in, an MP4 and JSON out, nothing kept."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import gradio as gr

from facelab.clips import read_clip
from facelab.edits.attributes import DEFAULT_METHOD
from facelab.errors import BadSetting
from facelab.face import Recipe
from facelab.page.answers import answer_folder, as_mapping, as_number, read_options, stateless
from facelab.page.api_edits import own_directions
from facelab.page.backstage import Backstage
from facelab.page.uploads import take_upload
from facelab.recipes import attribute_steps, read_recipe
from facelab.video import film_clip


def build_video_api(backstage: Backstage) -> None:
    """Add /video. Nothing of it is seen in the page."""
    studio, worker = backstage.studio, backstage.worker

    @stateless
    def video(
        clip: str,
        strengths: dict[str, float] | None,
        recipe: dict[str, Any] | None,
        options: dict[str, Any] | None,
        directions: list[str] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Do an edit to one face of a short clip, without flicker; frames that do not show it stay as they are.

        clip: MP4, MOV, WebM, MKV, AVI or GIF, up to 20 seconds and 100 MB. strengths: by attribute, such as
        {"smile": 1.5}; or else recipe: {"version": 1, "model": ..., "steps": [...]}. options: {"face": 1, "method":
        "linear", "keep": ["gender"], "mark": false}; face 1 is the one that is seen largest and longest. directions:
        one's own that strengths or the recipe's steps name, files of /direction.
        Returns the MP4, with the clip's sound, and {"frames", "fps", "size", "faces", "sound", "model", "operations"}.
        """
        chosen = read_options(options, face=1, method=DEFAULT_METHOD, keep=[], mark=False)
        if bool(strengths) == bool(recipe):
            raise BadSetting('Say what is to be done: strengths, such as {"smile": 1.5}, or a recipe.')
        numbers = {str(name): as_number(name, value) for name, value in as_mapping(strengths).items()}
        keep = chosen["keep"] if "keep" in (options or {}) else None
        own = own_directions(directions)
        steps = attribute_steps(numbers, own, method=chosen["method"], keep=keep)
        edit = read_recipe(json.dumps(recipe)) if recipe else Recipe(studio.card.name, tuple(steps))
        footage = read_clip(take_upload(clip))
        count, faces, operations = 0, 0, []
        with closing(worker.iterate(studio.edit_clip, footage, edit, others=own, face=chosen["face"])) as work:
            for step in film_clip(work, footage, mark=chosen["mark"]):
                count += step.frame is not None
                faces = len(step.tracks) or faces
                operations = operations if step.face is None else [*step.face.operations, "clip"]
        with answer_folder() as folder:
            (folder / "clip.mp4").write_bytes(step.film)
        return str(folder / "clip.mp4"), {
            "frames": count,
            "fps": footage.fps,
            "size": list(footage.size),
            "faces": faces,
            "sound": step.sound,
            "model": studio.card.name,
            "operations": operations,
        }

    with gr.Column(visible=False):
        clip = gr.File(label="clip")
        strengths, recipe, options = (gr.JSON(label=name) for name in ("strengths", "recipe", "options"))
        directions = gr.File(label="directions", file_count="multiple")
        answer = [gr.File(label="clip"), gr.JSON(label="report")]
    run = gr.Button("video", visible=False)
    inputs = [clip, strengths, recipe, options, directions]
    run.click(video, inputs, answer, api_name="video", concurrency_limit=None)
