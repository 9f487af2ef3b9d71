"""The endpoint that puts edited faces back into their photo: files in, a PNG and JSON out, nothing kept."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import gradio as gr

from facelab.errors import BadSetting
from facelab.media import Provenance, save_png
from facelab.page.answers import answer_folder, read_options, report_of, stateless
from facelab.page.api_edits import own_directions, read_face
from facelab.page.backstage import Backstage
from facelab.page.uploads import take_upload
from facelab.photo import read_photo
from facelab.recipes import read_recipe

MAX_PASTED = 16  # faces of one photo


def build_photo_api(backstage: Backstage) -> None:
    """Add /paste. Nothing of it is seen in the page."""
    studio, worker = backstage.studio, backstage.worker

    @stateless
    def paste(
        photo: str,
        faces: list[str],
        edited: list[str] | None,
        recipe: dict[str, Any] | None,
        directions: list[str] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Put edited faces back into the photo that they were cut out of, at the photo's own resolution.

        photo: the picture file. faces: FACE.npz as embedded. edited: for each face what edits have made of it, as
        FACE.npz; or else recipe: {"version": 1, "model": ..., "steps": [...]}, to be done to every face. directions:
        one's own that its steps name, files of /direction. options: {"mark": false}.
        Returns the photo (PNG) and {"model", "operations", "photo_size"}. What no edit reaches keeps its pixels.
        """
        if not 1 <= len(faces or ()) <= MAX_PASTED:
            raise BadSetting(f"Between 1 and {MAX_PASTED} FACE.npz files can go back into a photo.")
        if bool(edited) == bool(recipe):
            raise BadSetting(
                "Give what is to be pasted: edited, a FACE.npz for each face, or a recipe for all of them."
            )
        if edited and len(edited) != len(faces):
            raise BadSetting(f"{len(faces)} faces need as many edited ones, not {len(edited)}.")
        mark = read_options(options, mark=False)["mark"]
        pixels = read_photo(take_upload(photo))
        paths = [*faces, *(edited or ())]
        read = {path: read_face(path) for path in dict.fromkeys(paths)}  # one that is sent twice arrives once
        before, after = ([read[path] for path in each] for each in (faces, edited or ()))
        if not edited:
            chosen, own = read_recipe(json.dumps(recipe)), own_directions(directions)
            after = [[face, *worker.iterate(studio.replay, face, chosen, own)][-1] for face in before]
        result = worker.run(studio.paste, pixels, list(zip(before, after, strict=True)))
        said = asdict(Provenance.of(*after, then=["paste"], into_photo=True))
        with answer_folder() as folder:
            save_png(result, folder / "photo.png", **said, mark=mark)
        report = report_of(said, photo_size=list(pixels.shape[1::-1]))
        return str(folder / "photo.png"), report

    with gr.Column(visible=False):
        photo = gr.File(label="photo")
        faces, edited, directions = (
            gr.File(label=name, file_count="multiple") for name in ("faces", "edited", "directions")
        )
        recipe, options = gr.JSON(label="recipe"), gr.JSON({}, label="options")
        answer = [gr.File(label="picture"), gr.JSON(label="report")]
    run = gr.Button("paste", visible=False)
    inputs = [photo, faces, edited, recipe, directions, options]
    run.click(paste, inputs, answer, api_name="paste", concurrency_limit=None)
