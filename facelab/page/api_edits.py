"""The edits as stateless endpoints: FACE.npz files and JSON in, FACE.npz, pictures and JSON out, nothing kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
import numpy as np

from facelab.edits.attributes import DEFAULT_METHOD, Direction
from facelab.edits.expression import THRESHOLD
from facelab.errors import BadSetting
from facelab.face import Face
from facelab.media import KINDS, Provenance, save_animation, save_png
from facelab.own_directions import by_id, load_direction, save_direction
from facelab.page.answers import answer_folder, as_list, as_mapping, as_number, read_options, report_of, stateless
from facelab.page.backstage import Backstage
from facelab.page.uploads import take_upload
from facelab.photo import read_photo
from facelab.recipes import attribute_steps
from facelab.recovery import RecoverySettings
from facelab.stylising import StyliseSettings

MAX_SIZE = 1024
MAX_FILM_PIXELS = 64 * 2**20  # of all frames together
MAX_API_FACES, MAX_API_STEPS = 26, 1000
PICTURE = {"size": 512, "raw": False, "mark": False}  # options of every endpoint that answers with a picture
Answer = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class EditsApi:
    """What the endpoints share."""

    backstage: Backstage

    def run(self, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """One slice on the device."""
        return self.backstage.worker.run(work, *args, **options)

    def iterate(self, work: Callable[..., Iterator[Any]], *args: Any, **options: Any) -> list[Any]:
        """All of an iterator, each `next` one slice on the device."""
        with closing(self.backstage.worker.iterate(work, *args, **options)) as items:
            return list(items)

    def recovered(self, face: Face, settings: RecoverySettings) -> list[Face]:
        """A face recovered anew, from every start, the best first."""
        studio, state = self.backstage.studio, None
        with closing(self.backstage.worker.iterate(studio.recoveries, face, settings)) as steps:
            for step in steps:
                state = step.state
        return self.run(studio.recovered, state, face)

    def answer(
        self, operands: Sequence[Face], result: Face, steps: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]
    ) -> Answer:
        """FACE.npz, the picture and the report of an edit. chosen: the options, those of PICTURE among them."""
        size = chosen["size"]
        if not 16 <= size <= MAX_SIZE:
            raise BadSetting(f"size must be between 16 and {MAX_SIZE} pixels, not {size}.")
        start, said = result if result.crop is None else operands[0], asdict(Provenance.of(result))
        draw, finish = self.backstage.studio.picture, self.backstage.worker.finish
        picture = finish(draw, start, result, detail=not chosen["raw"], size=size)
        with answer_folder() as folder:
            result.save(folder / "FACE.npz")
            save_png(picture, folder / "face.png", **said, mark=chosen["mark"])
        return str(folder / "FACE.npz"), str(folder / "face.png"), report_of(said, steps)


def build_edits_api(backstage: Backstage) -> None:
    """Add the edits, each an endpoint of its own name. Nothing of them is seen in the page."""
    api, studio = EditsApi(backstage), backstage.studio

    @stateless
    def edit(
        face: str, strengths: dict[str, float], options: dict[str, Any] | None, directions: list[str] | None = None
    ) -> Answer:
        """Change attributes of a face.

        face: FACE.npz. strengths: by attribute, such as {"smile": 1.5, "age": -1}; 1 is the distance between people
        without and with it. options: {"method": "linear" | "mean" | "gradient" | "circle", "keep": ["gender"],
        "layers": "0-7", "everywhere": false, "size": 512, "raw": false, "mark": false}; circle walks on the sphere of
        identities; without "keep" each attribute holds what it asks for, and with linear nothing; everywhere changes
        the whole picture, not only each attribute's own place in it; mark writes "made with AI" into the picture.
        directions: one's own, files of /direction, named in strengths by their ids.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}, a recipe.
        """
        chosen = read_options(options, method=DEFAULT_METHOD, keep=[], layers="", everywhere=False, **PICTURE)
        keep = chosen["keep"] if "keep" in (options or {}) else None
        numbers = {str(name): as_number(name, value) for name, value in as_mapping(strengths).items()}
        target, own = read_face(face), own_directions(directions)
        rows = studio.rows_of(target, chosen["layers"])
        how = {"method": chosen["method"], "keep": keep, "rows": rows, "everywhere": chosen["everywhere"]}
        result = api.run(studio.edit, target, numbers, own=own, **how)
        return api.answer([target], result, attribute_steps(numbers, own, **how), chosen)

    @stateless
    def direction(with_it: list[str], without: list[str], title: str) -> tuple[str, dict[str, Any]]:
        """Make a direction of one's own, from faces that have something and faces that do not.

        with_it, without: FACE.npz files. title: what it raises. Returns the direction's file (.npz) and {"id",
        "title", "hash"}; /edit, /paste and /video take the file as a direction; strengths and recipes name its id.
        """
        made = api.run(studio.new_direction, str(title or ""), read_faces(with_it), read_faces(without))
        with answer_folder() as folder:
            save_direction(made, folder / "direction.npz")
        return str(folder / "direction.npz"), {"id": made.id, "title": made.title, "hash": made.hash}

    @stateless
    def morph(first: str, second: str, options: dict[str, Any] | None) -> Answer:
        """Go from one face to another.

        first, second: FACE.npz. options: {"t": 0.5, "kind": "gif" | "mp4" | "webp" | "png", "frames": 60, "size": 256,
        "fps": 20, "easing": "linear" | "smooth", "there_and_back": false, "space": "w+" | "w" | "z" | "circle",
        "mark": false}; a PNG is a strip of ten pictures; by default the way goes through the model's own space, in z on
        its sphere; circle goes round the sphere of identities.
        Returns FACE.npz at t, the film and {"version", "model", "operations", "steps"}.
        """
        film = {"kind": "gif", "frames": 60, "size": 256, "fps": 20.0, "mark": False}
        way = {"easing": "linear", "there_and_back": False, "space": ""}
        chosen = read_options(options, t=0.5, **film, **way)
        kind, frames, size = chosen["kind"], chosen["frames"], chosen["size"]
        check_film(kind, frames, size)
        faces = read_faces([first, second])
        between = api.run(studio.morph, *faces, chosen["t"], space=chosen["space"])
        pictures: list[np.ndarray] = api.iterate(
            studio.morph_frames, *faces, frames=frames, size=size, **{name: chosen[name] for name in way}
        )
        operations, from_photo = [*faces[0].operations, "morph"], any(face.from_photo for face in faces)
        said = {"model": between.latent.model, "operations": operations, "from_photo": from_photo}
        with answer_folder() as folder:
            save_animation(pictures, folder / f"morph.{kind}", fps=chosen["fps"], mark=chosen["mark"], **said)
            between.save(folder / "FACE.npz")
        steps = [{"op": "morph", "t": chosen["t"], "space": chosen["space"]}]
        return str(folder / "FACE.npz"), str(folder / f"morph.{kind}"), report_of(said, steps)

    @stateless
    def crossover(content: str, style: str, options: dict[str, Any] | None) -> Answer:
        """Give a face the style of another.

        content, style: FACE.npz. options: {"layers": "6-11" | "coarse" | "middle" | "fine" | "half", "strength": 1,
        "size": 512, "raw": false, "mark": false}; the layers come from the style, by default the second half.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}.
        """
        chosen = read_options(options, layers="half", strength=1.0, **PICTURE)
        faces = read_faces([content, style])
        rows = studio.rows_of(faces[0], chosen["layers"] or "half")
        result = api.run(studio.crossover, *faces, rows=rows, strength=chosen["strength"])
        step = {"op": "crossover", "rows": [rows.start, rows.stop], "strength": chosen["strength"]}
        return api.answer(faces, result, [step], chosen)

    @stateless
    def stylise(face: str, picture: str, options: dict[str, Any] | None) -> Answer:
        """Give a face the style of any picture: its colours and texture, not what it shows.

        face: FACE.npz. picture: a picture file. options: {"steps": 80, "content_weight": 0.15, "layers": "2-11",
        "size": 512, "raw": false, "mark": false}; at most 1,000 steps. More content_weight keeps more of the face.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}.
        """
        defaults = StyliseSettings()
        how = {"steps": defaults.steps, "content_weight": defaults.content_weight}
        chosen = read_options(options, **how, layers="", **PICTURE)
        check_steps(chosen["steps"])
        target, pixels = read_face(face), read_photo(take_upload(picture))
        rows = studio.rows_of(target, chosen["layers"])
        span = None if rows is None else (rows.start, rows.stop)
        settings = StyliseSettings(**{name: chosen[name] for name in how}, rows=span, preview_every=0)
        last = api.iterate(studio.stylise, target, pixels, settings)[-1]
        step = {"op": "stylise", "rows": list(last.rows)}
        return api.answer([target], studio.stylised(target, last), [step], chosen)

    @stateless
    def express(target: str, neutral: str, expressive: str, options: dict[str, Any] | None) -> Answer:
        """Give a face the expression by which two faces of somebody differ.

        target, neutral, expressive: FACE.npz. options: {"strength": 1, "threshold": 0.138, "normalise": true,
        "everywhere": false, "size": 512, "raw": false, "mark": false}.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}.
        """
        how = {"strength": 1.0, "threshold": THRESHOLD, "normalise": True, "everywhere": False}
        chosen = read_options(options, **how, **PICTURE)
        faces = read_faces([target, neutral, expressive])
        how = {name: chosen[name] for name in how}
        result = api.run(studio.express, *faces, **how)
        return api.answer(faces, result, [{"op": "express", **how}], chosen)

    @stateless
    def average(faces: list[str], weights: list[float] | None, options: dict[str, Any] | None = None) -> Answer:
        """The average of several faces.

        faces: FACE.npz files, at most 26. weights: a number for each, by default all alike. options: {"space":
        "circle", "size": 512, "raw": false, "mark": false}; circle is the sphere of identities, by default faces meet
        in their model's own space.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}.
        """
        read = read_faces(faces)
        numbers = [as_number("weight", weight) for weight in as_list(weights or [])] or None
        chosen = read_options(options, space="", **PICTURE)
        result = api.run(studio.average, read, numbers, space=chosen["space"])
        return api.answer(read, result, [{"op": "average", **_named(chosen["space"])}], chosen)

    @stateless
    def combine(first: str, second: str, options: dict[str, Any] | None = None) -> Answer:
        """One face that has something of two.

        first, second: FACE.npz. options: {"recoveries": 0, "steps": 500, "size": 512, "raw": false, "mark": false};
        with recoveries, for models with one latent, both faces are recovered anew so often first, in so many steps,
        and the best of each are combined.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}.
        """
        chosen, faces = read_options(options, recoveries=0, steps=500, **PICTURE), read_faces([first, second])
        steps: list[dict[str, Any]] = [{"op": "combine"}]
        combined = faces
        if chosen["recoveries"]:
            check_steps(chosen["steps"])
            how = RecoverySettings(steps=chosen["steps"], restarts=chosen["recoveries"], preview_every=0)
            combined = [api.recovered(face, how)[0] for face in faces]
            steps.insert(0, {"op": "recover", "restarts": how.restarts, "steps": how.steps})
        return api.answer(faces, api.run(studio.combine, *combined), steps, chosen)

    @stateless
    def mix(expression: str, faces: list[str], options: dict[str, Any] | None = None) -> Answer:
        """A sum of faces.

        expression: such as "A + B - C" or "0.5*A + 0.5*B". faces: FACE.npz files; the first is A, the second B, ...
        options: {"space": "circle", "size": 512, "raw": false, "mark": false}; circle is the sphere of identities, by
        default faces are summed in their model's own space.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}.
        """
        chosen, read = read_options(options, space="", **PICTURE), read_faces(faces)
        named = {chr(ord("A") + place): face for place, face in enumerate(read)}
        result = api.run(studio.mix, str(expression), named, space=chosen["space"])
        step = {"op": "mix", "expression": str(expression), **_named(chosen["space"])}
        return api.answer(read, result, [step], chosen)

    with gr.Column(visible=False):
        one, two, three = (gr.File(label=name) for name in ("first", "second", "third"))
        many, others, directions = (
            gr.File(label=name, file_count="multiple") for name in ("faces", "without", "directions")
        )
        strengths, options, weights = (
            gr.JSON(label="strengths"),
            gr.JSON({}, label="options"),
            gr.JSON([], label="weights"),
        )
        expression = gr.Textbox(label="text")
        answer = [gr.File(label="FACE.npz"), gr.File(label="picture"), gr.JSON(label="report")]
        endpoints = (
            (edit, [one, strengths, options, directions]),
            (direction, [many, others, expression]),
            (morph, [one, two, options]),
            (crossover, [one, two, options]),
            (stylise, [one, two, options]),
            (express, [one, two, three, options]),
            (average, [many, weights, options]),
            (combine, [one, two, options]),
            (mix, [expression, many, options]),
        )
        for handler, inputs in endpoints:
            name = handler.__name__
            gives = [answer[0], answer[2]] if handler is direction else answer
            gr.Button(name).click(handler, inputs, gives, api_name=name, concurrency_limit=None)


def _named(space: str) -> dict[str, str]:
    return {"space": space} if space else {}


def check_steps(steps: int) -> None:
    """Raise BadSetting for more steps than one request may take."""
    if steps > MAX_API_STEPS:
        raise BadSetting(f"The API makes at most {MAX_API_STEPS} steps. Use the page or the command line for more.")


def read_face(path: str | None) -> Face:
    """The face of an uploaded FACE.npz. Raises BadSetting where none was sent, BadFaceFile for another file."""
    if path is None:
        raise BadSetting("A FACE.npz is missing.")
    return Face.load(io.BytesIO(take_upload(path)))


def read_faces(paths: Sequence[str] | None) -> list[Face]:
    """The faces of several uploaded files, at most 26; one that is sent twice arrives once, and is read once."""
    if not 1 <= len(paths or ()) <= MAX_API_FACES:
        raise BadSetting(f"This takes between 1 and {MAX_API_FACES} FACE.npz files.")
    read = {path: read_face(path) for path in dict.fromkeys(paths)}
    return [read[path] for path in paths]


def own_directions(paths: Sequence[str] | None) -> dict[str, Direction]:
    """Directions of the caller's own, by id, from their files."""
    if len(paths or ()) > MAX_API_FACES:
        raise BadSetting(f"This takes at most {MAX_API_FACES} directions.")
    return by_id(load_direction(io.BytesIO(take_upload(path))) for path in paths or ())


def check_film(kind: str, frames: int, size: int) -> None:
    """Raise BadSetting for a film, strip or sheet of an unknown kind, or of more pixels than the API draws."""
    if kind not in KINDS:
        raise BadSetting(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    if not 16 <= size <= MAX_SIZE or frames * size**2 > MAX_FILM_PIXELS:
        raise BadSetting(
            f"Pictures are 16 to {MAX_SIZE} pixels wide, and this would be too large for the API all together. Ask for "
            "fewer of them or a smaller size."
        )
