"""The stateless endpoints of the page's API: files and JSON in, files and JSON out, nothing kept of anyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import gradio as gr
from PIL import Image

from facelab.errors import BadSetting
from facelab.media import Provenance, save_png
from facelab.page.answers import answer_folder, as_mapping, as_number, read_options, stateless
from facelab.page.api_circle import build_circle_api
from facelab.page.api_compare import build_compare_api
from facelab.page.api_edits import MAX_API_STEPS, build_edits_api
from facelab.page.api_photo import build_photo_api
from facelab.page.api_sheets import build_sheets_api
from facelab.page.api_video import build_video_api
from facelab.page.backstage import Backstage
from facelab.page.uploads import take_upload
from facelab.photo import read_photo


def build_api(backstage: Backstage) -> None:
    """Add /align, /embed and all others (see the files api_*). Nothing of them is seen in the page."""
    studio, worker = backstage.studio, backstage.worker

    def find_and_align(photo: str, which: float, landmarks: str) -> tuple[list, Any]:
        pixels = read_photo(take_upload(photo))
        face = int(as_number("face", which))
        faces = worker.run(studio.find_faces, pixels, landmarks=landmarks)
        if not 1 <= face <= len(faces):
            raise BadSetting(f"This photo has {len(faces)} faces; face {face} is not one of 1 to {len(faces)}.")
        return faces, studio.align(pixels, faces[face - 1])

    @stateless
    def align(photo: str, face: float, landmarks: str) -> tuple[str, dict[str, Any]]:
        """Find the faces of a photo and cut one out by the FFHQ template.

        photo: a picture file. face: which one, 1 is the largest. landmarks: "dlib" or "mtcnn".
        Returns the aligned face (PNG, 512 x 512) and {"faces": [{"box", "detector"}], "quad", "photo_size"}.
        """
        faces, aligned = find_and_align(photo, face, landmarks)
        with answer_folder() as folder:
            Image.fromarray(aligned.crop).save(folder / "aligned.png")
        return str(folder / "aligned.png"), {
            "faces": [{"box": each.box.tolist(), "detector": each.detector} for each in faces],
            "quad": aligned.quad.tolist(),
            "photo_size": list(aligned.photo_size),
        }

    @stateless
    def embed(photo: str, face: float, settings: dict[str, Any] | None) -> tuple[str, str, dict[str, Any]]:
        """Embed one face of a photo.

        photo: a picture file. face: which one, 1 is the largest. settings: {"preset": "fast" | "paper", "mark": false}
        and any field of EmbedSettings but preview_every; for another model {"model": "vae64", "preset": "encode" |
        "recover"} and any field of RecoverySettings but that; at most 1,000 steps a phase. mark: write "made with AI"
        into the picture.
        Returns FACE.npz, the generator's picture (PNG) and {"steps", "losses", "psnr", "identity_distance",
        "latent_distance"}.
        """
        values = as_mapping(settings)
        first = {name: values.pop(name, None) for name in ("model", "preset", "mark")}
        first = read_options(first, model=studio.card.name, preset="", mark=False)
        mark, other = first["mark"], studio.of(first["model"])
        chosen = _settings(other.presets, first["preset"], values)
        _, aligned = find_and_align(photo, face, "dlib")
        identity = None
        for step in worker.iterate(other.embed, aligned, chosen):
            identity = identity if step.identity_distance is None else step.identity_distance
        result = studio.to_face(step, aligned)
        picture = worker.finish(studio.render, result)
        with answer_folder() as folder:
            result.save(folder / "FACE.npz")
            save_png(picture, folder / "face.png", **asdict(Provenance.of(result)), mark=mark)
        return (
            str(folder / "FACE.npz"),
            str(folder / "face.png"),
            {
                "steps": step.step,
                "losses": step.losses,
                "psnr": step.psnr,
                "identity_distance": identity,
                "latent_distance": step.latent_distance,
            },
        )

    build_edits_api(backstage)
    build_sheets_api(backstage)
    build_circle_api(backstage)
    build_photo_api(backstage)
    build_video_api(backstage)
    build_compare_api(backstage)
    with gr.Column(visible=False):
        photo, face = gr.File(label="photo"), gr.Number(1, label="face", precision=0)
        landmarks = gr.Textbox("dlib", label="landmarks")
        settings = gr.JSON({"preset": "fast"}, label="settings")
        picture, npz, report = gr.File(label="picture"), gr.File(label="FACE.npz"), gr.JSON(label="report")
        run_align, run_embed = gr.Button("align"), gr.Button("embed")
    run_align.click(align, [photo, face, landmarks], [picture, report], api_name="align", concurrency_limit=None)
    run_embed.click(embed, [photo, face, settings], [npz, picture, report], api_name="embed", concurrency_limit=None)


def _settings(presets: Mapping[str, Any], preset: str, values: dict[str, Any]) -> Any:
    preset = preset or next(iter(presets))
    if preset not in presets:
        raise BadSetting(f"preset must be one of {', '.join(presets)}, not {preset!r}.")
    known = {name: value for name, value in vars(presets[preset]).items() if name != "preview_every"}
    chosen = replace(presets[preset], **read_options(values, **known), preview_every=0)
    if max(chosen.steps, getattr(chosen, "refine_steps", 0)) > MAX_API_STEPS:
        raise BadSetting(
            f"The API makes at most {MAX_API_STEPS} steps a phase. Use the page or the command line for more."
        )
    return chosen
