"""What gives many faces at once as stateless endpoints: a walk, a crossover grid, neighbours, random faces."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from facelab.errors import BadSetting
from facelab.media import Provenance, contact_sheet, filmstrip, framed_sheet, save_animation, save_png
from facelab.page.answers import answer_folder, read_options, report_of, stateless
from facelab.page.api_edits import MAX_API_STEPS, Answer, EditsApi, check_film, read_face, read_faces
from facelab.page.backstage import Backstage

MAX_SHEET = 100  # faces of one sheet
COLUMNS = 9  # of neighbours, as ISTRC shows them


def build_sheets_api(backstage: Backstage) -> None:
    """Add /walk, /crossover_grid, /neighbours and /sample. Nothing of them is seen in the page."""
    api, studio = EditsApi(backstage), backstage.studio

    @stateless
    def walk(face: str, attribute: str, options: dict[str, Any] | None) -> Answer:
        """Walk from a face along an attribute's gradient, in equal steps.

        face: FACE.npz. attribute: such as "smile". options: {"reach": 2, "frames": 10, "steps": 500, "keep":
        ["gender"], "layers": "0-7", "everywhere": false, "kind": "png" | "gif" | "mp4" | "webp", "size": 256,
        "fps": 8, "mark": false}; reach is a strength of /edit; frames are the pictures on the way, beside the face
        itself; a PNG is a strip of all of them; without "keep" the attribute holds what it asks for; everywhere changes
        the whole picture.
        Returns FACE.npz at the end, the strip or film and {"version", "model", "operations", "steps"}, a recipe.
        """
        way = {"reach": 2.0, "frames": 10, "steps": 500, "keep": [], "layers": "", "everywhere": False}
        chosen = read_options(options, **way, kind="png", size=256, fps=8.0, mark=False)
        check_film(chosen["kind"], chosen["frames"] + 1, chosen["size"])
        if not 1 <= chosen["steps"] <= MAX_API_STEPS:
            raise BadSetting(f"steps must lie between 1 and {MAX_API_STEPS}, not {chosen['steps']}.")
        start = read_face(face)
        rows = studio.rows_of(start, chosen["layers"])
        keep = chosen["keep"] if "keep" in (options or {}) else None
        how = {name: chosen[name] for name in ("frames", "steps", "everywhere")} | {"keep": keep, "rows": rows}
        faces = api.run(studio.walk, start, str(attribute or ""), chosen["reach"], **how)
        pictures = api.iterate(studio.render_each, faces, chosen["size"])
        said = asdict(Provenance.of(faces[-1]))
        with answer_folder() as folder:
            film = folder / f"walk.{chosen['kind']}"
            if chosen["kind"] == "png":
                save_png(filmstrip(pictures, len(pictures)), film, **said, mark=chosen["mark"])
            else:
                save_animation(pictures, film, fps=chosen["fps"], **said, mark=chosen["mark"])
            faces[-1].save(folder / "FACE.npz")
        step = {"op": "walk", "id": attribute, "strength": chosen["reach"], "steps": chosen["steps"]}
        step |= {"keep": keep} if keep is not None else {}
        step |= {"rows": [rows.start, rows.stop]} if rows is not None else {}
        step |= {"everywhere": True} if chosen["everywhere"] else {}
        return str(folder / "FACE.npz"), str(film), report_of(said, steps=[step])

    @stateless
    def crossover_grid(
        contents: list[str], styles: list[str], options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Every content in every style, as a grid with the contents before its rows and the styles above its columns.

        contents, styles: FACE.npz files, at most 26 and 100 pairs. options: {"layers": "6-11" | "coarse" | "middle" |
        "fine" | "half", "strength": 1, "size": 128, "mark": false}. Returns the grid (PNG) and {"model", "operations"};
        /crossover gives the face of one pair.
        """
        chosen = read_options(options, layers="half", strength=1.0, size=128, mark=False)
        size, sent = chosen["size"], [*(contents or ()), *(styles or ())]
        _check_sheet(len(contents or ()) * len(styles or ()), size)
        faces = read_faces(sent)
        sides, heads = faces[: len(contents)], faces[len(contents) :]
        rows = studio.rows_of(sides[0], chosen["layers"] or "half")
        how = {"rows": rows, "strength": chosen["strength"], "size": size}
        grid = api.run(studio.crossover_grid, sides, heads, **how)
        before, above = (api.run(studio.render_many, faces, size) for faces in (sides, heads))
        sheet = framed_sheet([picture for row in grid for picture in row], heads=above, sides=before)
        said = asdict(Provenance.of(*sides, *heads, then=[f"crossover {chosen['strength']:g}"]))
        with answer_folder() as folder:
            save_png(sheet, folder / "grid.png", **said, mark=chosen["mark"])
        return str(folder / "grid.png"), report_of(said)

    @stateless
    def neighbours(face: str, options: dict[str, Any] | None = None) -> Answer:
        """Faces that look much like one face: small noise on its latent.

        face: FACE.npz. options: {"count": 63, "radius": 0.25, "seed": 0, "number": 1, "size": 128, "mark": false}; at
        radius 1 they are as different as random faces are; number is which of them is given as a face, from 1 on.
        Returns that FACE.npz, the sheet of all (PNG) and {"version", "model", "operations", "steps"}, a recipe.
        """
        how = {"count": 63, "radius": 0.25, "seed": 0}
        chosen = read_options(options, **how, number=1, size=128, mark=False)
        count, number = chosen["count"], chosen["number"]
        _check_sheet(count, chosen["size"])
        if not 1 <= number <= count:
            raise BadSetting(f"number must lie between 1 and {count}, not {number}.")
        how = {name: chosen[name] for name in how}
        near = api.run(studio.neighbours, read_face(face), **how)
        sheet = contact_sheet(api.run(studio.render_many, near, chosen["size"]), columns=min(COLUMNS, count))
        said = asdict(Provenance.of(near[number - 1]))
        with answer_folder() as folder:
            save_png(sheet, folder / "neighbours.png", **said, mark=chosen["mark"])
            near[number - 1].save(folder / "FACE.npz")
        step = {"op": "neighbour", **how, "number": number - 1}
        return str(folder / "FACE.npz"), str(folder / "neighbours.png"), report_of(said, steps=[step])

    @stateless
    def sample(options: dict[str, Any] | None = None) -> tuple[list[str], str, dict[str, Any]]:
        """Draw random faces.

        options: {"count": 16, "seed": 1, "truncation": 0.7, "model": "faces128", "mark": false}; at most 100 of them;
        truncation 0 is the mean face, 1 the full variety. The same seed gives the same faces.
        Returns their FACE.npz files, the sheet of all (PNG) and {"model", "operations"}.
        """
        how = {"count": 16, "seed": 1, "truncation": 0.7}
        chosen = read_options(options, **how, model=studio.card.name, mark=False)
        other = studio.of(chosen["model"])
        _check_sheet(chosen["count"], other.card.resolution)
        if not 0 <= chosen["truncation"] <= 1:
            raise BadSetting(f"truncation must lie between 0 and 1, not {chosen['truncation']:g}.")
        drawn = api.run(other.sample, **{name: chosen[name] for name in how})
        said, sheet = asdict(Provenance.of(drawn[0][0])), contact_sheet([picture for _, picture in drawn])
        with answer_folder() as folder:
            files = [folder / f"FACE-{number}.npz" for number in range(1, len(drawn) + 1)]
            for path, (face, _) in zip(files, drawn, strict=True):
                face.save(path)
            save_png(sheet, folder / "faces.png", **said, mark=chosen["mark"])
        return [str(path) for path in files], str(folder / "faces.png"), report_of(said)

    with gr.Column(visible=False):
        one, options = gr.File(label="face"), gr.JSON({}, label="options")
        many, others = (gr.File(label=name, file_count="multiple") for name in ("contents", "styles"))
        attribute = gr.Textbox("smile", label="attribute")
        npz, picture, report = gr.File(label="FACE.npz"), gr.File(label="picture"), gr.JSON(label="report")
        faces = gr.File(label="faces", file_count="multiple")
        for handler, inputs, gives in (
            (walk, [one, attribute, options], [npz, picture, report]),
            (crossover_grid, [many, others, options], [picture, report]),
            (neighbours, [one, options], [npz, picture, report]),
            (sample, [options], [faces, picture, report]),
        ):
            name = handler.__name__
            gr.Button(name).click(handler, inputs, gives, api_name=name, concurrency_limit=None)


def _check_sheet(count: int, size: int) -> None:
    if not 1 <= count <= MAX_SHEET:
        raise BadSetting(f"The API draws between 1 and {MAX_SHEET} faces at once, not {count}.")
    check_film("png", count, size)
