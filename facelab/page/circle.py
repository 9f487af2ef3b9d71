"""The tab Circle: a face as a vector on the sphere of identities, edited there and decoded again (ISTRC)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from secrets import token_hex
from typing import Any

import gradio as gr
import numpy as np

from facelab.circle import FEATURES, feature_of
from facelab.circling import EDIT_STEPS, SURE
from facelab.edits.interpolation import positions
from facelab.errors import BadSetting, NoFaceFound
from facelab.history import History, Result
from facelab.page.backstage import Backstage, explain, friendly
from facelab.page.film import build_film
from facelab.page.library import Library
from facelab.page.means import sheet_of_means
from facelab.page.mix import lettered, readable_sum
from facelab.page.parts import event, part
from facelab.page.picker import all_picked, picked, picked_faces, picker
from facelab.page.sheet import Sheet, build_sheet
from facelab.page.uploads import face_name, find_upright, take_upload
from facelab.page.viewer import QUIET, Answer, build_viewer
from facelab.photo import read_photo
from facelab.recognition import SAME_PERSON
from facelab.sessions import LibraryFace, Photo, Session
from facelab.studio import Studio

WAYS = {
    "edit": ("Edit", "Equal steps along a classifier's gradient, back on the sphere after each."),
    "between": ("Between", "The great circle from one face to another."),
    "average": ("Average", "The point nearest to all chosen faces, beside the plain mean, which shrinks."),
    "sum": ("Arithmetic", "A sum of faces, brought back to the sphere."),
    "near": ("Neighbours", "Faces at one angle from a face, in all directions."),
    "verify": ("Verify", "Whether two faces are one person, by two distances."),
}
HINTS = {
    "edit": "Choose a face: it becomes a vector, and a face again",
    "between": "Choose two faces",
    "average": "Choose two or more faces",
    "sum": "Choose the faces that the letters stand for",
    "near": "Choose a face, then draw its neighbours",
    "verify": "Choose two faces",
}
NO_FACE = "No face was found in this photo. Choose another one, or align it by hand in Upload & align and embed it."
REACH = 2.0  # where the slider ends
FRAMES, FRAME_SIDE, FPS = 10, 256, 8
NEIGHBOURS, COLUMNS = 63, 9  # as many as ISTRC shows
FULL = 0.25  # of a vector's numbers: as strong as a colour gets


def build_circle_tab(backstage: Backstage, library: Library) -> None:
    """Build the tab, unless no model ships with a circle."""
    studio, worker = backstage.studio, backstage.worker
    homes = {card.name: card.title for card in studio.decoders()}
    if not homes:
        return
    with gr.Tab("Circle", id="circle"):
        with gr.Row(elem_classes=["fl-split", "fl-live"]):
            with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
                viewer = build_viewer(backstage, library, "circle", hint=HINTS["edit"])
                film = build_film(backstage, "circle")
            with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
                way = gr.Radio(
                    [(words[0], name) for name, words in WAYS.items()],
                    value="edit",
                    label="On the sphere",
                    info=WAYS["edit"][1],
                    elem_classes=["fl-segmented", "fl-wrap"],
                )
                with gr.Column(min_width=0) as for_one:
                    one = picker("Face", "circle-one")
                with gr.Column(visible=False, min_width=0) as for_two:
                    first, second = picker("First", "circle-first"), picker("Second", "circle-second", place=1)
                with gr.Column(visible=False, min_width=0) as for_many:
                    many = picker("Faces", "circle-many", several=True, letters=True)
                numbers = part("circle", {"vectors": [], "rows": []})
                with gr.Column(min_width=0) as for_edit:
                    feature = gr.Dropdown(
                        [(each.title, each.id) for each in FEATURES],
                        value="smile",
                        label="Feature",
                        info="Each has a classifier of its own on the sphere.",
                    )
                    strength = gr.Slider(
                        -REACH,
                        REACH,
                        1,
                        step=0.05,
                        label="How far",
                        info="1 is as far as two photos of one person lie apart. Each feature begins where it shows on "
                        "most faces, if it does before the end; minus goes the other way.",
                        elem_classes="fl-both-ways",
                    )
                    sure = gr.Checkbox(
                        False,
                        label="Until it is sure",
                        info=f"Goes on until the classifier is sure by {SURE:.0%}, however far; the slider only says "
                        "which way.",
                    )
                    hold = gr.Checkbox(
                        True,
                        label="Hold gender",
                        info="Takes out of each step what would change it. Without it, a beard makes a face masculine.",
                    )
                    carry = gr.Radio(
                        [("Vector alone", "alone"), ("Onto the face", "carry")],
                        value="alone",
                        label="Decode",
                        info="Onto the face changes only what the edit does. A vector alone knows who somebody is, but "
                        "no pose, light or hair: its face looks otherwise.",
                        elem_classes="fl-segmented",
                    )
                with gr.Column(visible=False, min_width=0) as for_between:
                    position = gr.Slider(0, 1, 0.5, step=0.01, label="Place", info="0 is the first face, 1 the second.")
                with gr.Column(visible=False, min_width=0) as for_sum:
                    expression = gr.Textbox(
                        "A + B - C",
                        elem_id="fl-circle-sum",
                        label="Expression",
                        max_lines=1,
                        info="The letters are the chosen faces; numbers weigh them, as in A + 0.5 B - 0.5 C.",
                    )
                with gr.Column(visible=False, min_width=0) as for_near:
                    angle = gr.Slider(
                        0.02, 0.6, 0.15, step=0.01, label="Angle", info="In radians; strangers are about 0.58 apart."
                    )
                home = gr.Radio(
                    [(title, name) for name, title in homes.items()],
                    value=next(iter(homes)),
                    label="Decoder",
                    info="The generator that draws a face from its vector.",
                    visible=len(homes) > 1,
                )
                act = gr.Button("Draw the way", variant="primary", size="lg")
        sheet = build_sheet(backstage, "circle", viewer)

    def on_way(name: str) -> list[Any]:
        titles = {
            "edit": "Draw the way",
            "between": "Draw the way",
            "average": "Draw both means",
            "near": "Draw the neighbours",
        }
        return [
            gr.Radio(info=WAYS[name][1]),
            gr.Column(visible=name in ("edit", "near")),
            gr.Column(visible=name in ("between", "verify")),
            gr.Column(visible=name in ("average", "sum")),
            gr.Column(visible=name == "edit"),
            gr.Column(visible=name == "between"),
            gr.Column(visible=name == "sum"),
            gr.Column(visible=name == "near"),
            gr.Button(titles.get(name, ""), visible=name in titles),
            {"state": "idle"},
            {},
        ]

    def on_feature(values: dict[Any, Any]) -> float:
        return of(values).circle_reach(str(values[feature]))

    def of(values: dict[Any, Any]) -> Studio:
        return studio.of(str(values[home])) if values[home] in homes else studio.of(next(iter(homes)))

    def chosen(session: Session, values: dict[Any, Any]) -> list[LibraryFace]:
        """The faces that the way under way is about; none where not all of them are chosen."""
        if values[way] in ("edit", "near"):
            return [picked(session, values[one], "Face")] if all_picked(values[one]) else []
        if values[way] in ("between", "verify"):
            if not all_picked(values[first], values[second]):
                return []
            return [picked(session, values[first], "First"), picked(session, values[second], "Second")]
        return picked_faces(session, values[many])

    def edits(values: dict[Any, Any]) -> dict[str, Any]:
        return {"keep": None if values[hold] else [], "carry": values[carry] == "carry"}

    def result(session: Session, values: dict[Any, Any]) -> Result | None:
        faces, name, circle = chosen(session, values), values[way], of(values)
        if len(faces) < (1 if name in ("edit", "near", "sum") else 2):
            return None
        names = [each.name for each in faces]
        if name == "edit":
            return edited(circle, faces[0], values)
        if name == "between":
            t = float(values[position])
            [face] = worker.run(circle.circle_between, faces[0].face, faces[1].face, [t])
            return Result(" and ".join(names), f"{100 * t:.0f}% of the way to {names[1]}", face)
        if name == "average":
            mean = worker.run(circle.circle_average, [each.face for each in faces])
            return Result(f"Average of {len(faces)}", f"Average of {len(faces)} faces on the sphere", mean.face)
        if name == "sum":
            text = readable_sum(values[expression])
            return Result(f"{len(faces)} faces", text, worker.run(circle.circle_mix, text, lettered(faces)))
        if name == "verify":
            return None
        title = f"{names[0]}, decoded from the vector alone"
        return Result(f"{names[0]}, decoded", title, worker.run(circle.close_circle, faces[0].face))

    def hinted(session: Session, values: dict[Any, Any]) -> str:
        """What stands in the picture's place: what is to be done, or of two faces whether they are one person's."""
        faces = chosen(session, values) if values[way] == "verify" else []
        if len(faces) < 2:
            return HINTS[values[way]]
        found = worker.run(studio.verify, faces[0].face, faces[1].face)
        names = f"{faces[0].name} and {faces[1].name}"
        said = "one person" if found.same_by_distance else "two people"
        limit = f"one person's photos stay under {SAME_PERSON}"
        return Answer(f"{names} are {said}: {found.distance:.2f} apart, and {limit}")

    def edited(circle: Studio, kept: LibraryFace, values: dict[Any, Any]) -> Result:
        found, amount = feature_of(str(values[feature])) or FEATURES[0], float(values[strength])
        options, how = {"frames": 1, **edits(values)}, {"steps": EDIT_STEPS}
        if values[sure]:
            walked = worker.run(circle.circle_until, kept.face, found.id, amount, **options)
            face, amount, how = walked.faces[-1], walked.strength, {"sure": SURE}
            end = f", {'sure' if walked.arrived else 'not sure'} after {walked.steps} steps"
        else:
            face = worker.run(circle.circle_walk, kept.face, found.id, amount, **how, **options)[-1]
            end = ""
        title = f"{found.title} {amount:+.2f} on the sphere{end}".replace("-", "−")
        if not options["carry"] or face is kept.face:
            return Result(f"{kept.name}, {found.title.lower()}", title, face)
        step = {"op": "circle", "id": found.id, "strength": amount, "keep": options["keep"], **how}
        return Result(f"{kept.name}, {found.title.lower()}", title, face, kept.history, step)

    def told(session: Session, values: dict[Any, Any], made: Result | None) -> dict[str, Any]:
        """The vectors of what goes in and of what came out, and what is to be said of them."""
        faces, name = chosen(session, values), values[way]
        if made is None and (name != "verify" or not faces):
            return {"vectors": [], "rows": []}
        vectors = [_vector(each.name, worker.run(studio.point, each.face)) for each in faces[:2]]
        rows: list[list[str]] = []
        if name == "verify":
            found = worker.run(studio.verify, faces[0].face, faces[1].face)
            rows = [
                ["Distance", f"{found.distance:.2f}", _verdict(found.same_by_distance, f"{SAME_PERSON:.1f}")],
                ["Great circle", f"{found.angle:.2f} rad", _verdict(found.same_by_angle, f"{found.limit:.1f} rad")],
            ]
        elif name == "average":
            mean = worker.run(of(values).circle_average, [each.face for each in faces])
            rows = [["Plain mean", f"{mean.norm:.3f} long", "on the sphere it is 1"]]
        if name in ("edit", "near"):
            vectors.append(_vector("Read back", worker.run(studio.point, made.face)))
            back = worker.run(studio.verify, faces[0].face, made.face)
            rows = [["Read back", f"{back.angle:.2f} rad away", _verdict(back.same_by_angle, f"{back.limit:.1f} rad")]]
        return {"vectors": vectors, "rows": rows}

    def find(photo: Photo) -> None:
        with suppress(NoFaceFound):
            photo.faces = worker.run(studio.find_faces, photo.pixels)

    @friendly
    def on_photo(sent: gr.EventData, values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        circle, name = of(values), face_name(str(sent.name))
        try:
            session = backstage.visitor(request)
            photo = find_upright(Photo(read_photo(take_upload(sent.path)), name), find, backstage)
            if not photo.faces:
                raise NoFaceFound(NO_FACE)
            photo.aligned = circle.align(photo.pixels, photo.faces[0])
            face = worker.run(circle.from_circle, photo.aligned)
            picture = worker.run(circle.render, face)
            kept = session.add_history(History.begin(face, picture), name=name, photo=photo)
        except Exception as error:  # shown where the photo was chosen, where no eyes can be clicked
            return {numbers: {"vectors": [], "rows": [], "refusal": explain(error), "number": token_hex(4)}}
        goto = {"number": token_hex(4), "id": kept.id, "tab": "circle"}
        return {library.rail: library.show(session), viewer.view: gr.update(goto=goto)}

    @friendly
    def on_act(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        faces, circle = chosen(session, values), of(values)
        if not faces:
            raise BadSetting(f"{HINTS[values[way]]}. Or press Add the examples in the library.")
        if values[way] == "near":
            yield {sheet: neighbours(session, circle, faces[0], float(values[angle])).view()}
            return
        if values[way] == "average":
            session.keep_sheet("circle", sheet_of_means(worker, circle, [each.face for each in faces], of=faces))
            yield {sheet: session.sheets["circle"].view()}
            return

        faces = [each.as_now() for each in faces]

        def pictures() -> Iterator[np.ndarray]:
            if values[way] == "edit":
                options = {"frames": FRAMES, **edits(values)}
                asked = faces[0].face, str(values[feature]), float(values[strength])
                if values[sure]:
                    made = circle.circle_until(*asked, **options).faces
                else:
                    made = circle.circle_walk(*asked, **options)
            else:
                made = circle.circle_between(faces[0].face, faces[1].face, positions(FRAMES + 1))
            yield from circle.render_many(made, FRAME_SIDE)

        said = f"circle {values[feature]} {values[strength]:g}" if values[way] == "edit" else "slerp"
        tags = ["circle-one"] if values[way] == "edit" else ["circle-first", "circle-second"]
        updates = film.make(
            session,
            pictures,
            total=FRAMES + 1,
            fps=FPS,
            name=f"{faces[0].name} on the sphere",
            operations=[*faces[0].history.operations, said],
            from_photo=any(each.history.from_photo for each in faces),
            model=circle.card.name,
            film=False,
            of=dict(zip(tags, faces, strict=True)),
        )
        for update in updates:
            yield {film.view: update}

    def neighbours(session: Session, circle: Studio, centre: LibraryFace, wide: float) -> Sheet:
        near = worker.run(circle.circle_neighbours, centre.face, NEIGHBOURS, angle=wide)
        drawn = []
        for begin in range(0, len(near), COLUMNS):
            drawn += worker.run(circle.render_many, near[begin : begin + COLUMNS])

        def take(index: int) -> Result:
            return Result(f"{centre.name} {index + 1}", f"Neighbour {index + 1} on the sphere", near[index])

        labels = [f"Take neighbour {number + 1}" for number in range(len(near))]
        made = Sheet(f"{centre.name}, {wide:g} rad around", COLUMNS, drawn, labels, take, of=[centre])
        session.keep_sheet("circle", made)
        return made

    inputs = {way, one, first, second, many, feature, strength, sure, hold, carry, position, expression, angle, home}
    picks = [event(each, "pick") for each in (one, first, second, many)]
    # strength.change: also when a feature brings its preset
    moved = [strength.change, position.input, feature.input, sure.input, hold.input, carry.input, home.input]
    triggers = [*picks, *moved, expression.submit, expression.blur, way.input]
    viewer.follow(triggers, inputs, result, hint=hinted, beside=(numbers, told))
    columns = [for_one, for_two, for_many, for_edit, for_between, for_sum, for_near]
    feature.input(on_feature, {feature, home}, strength, **QUIET)
    way.input(on_way, way, [way, *columns, act, film.view, sheet], **QUIET)
    numbers.photo(on_photo, {home}, [library.rail, viewer.view, numbers], **QUIET)
    act.click(on_act, inputs, [film.view, sheet], **QUIET)


def _vector(title: str, point: Any) -> dict[str, Any]:
    """A point on the sphere as parts/circle.js draws it: whole numbers from -100 to 100."""
    cells = (point / FULL).clamp(-1, 1).mul(100).round().int().tolist()
    return {"title": title, "cells": cells}


def _verdict(same: bool, limit: str) -> str:
    return f"one person, under {limit}" if same else f"not one person, over {limit}"
