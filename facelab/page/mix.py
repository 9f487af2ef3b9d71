"""The tab Mix: averages, arithmetic, neighbours, random faces, and two faces in one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from facelab.circle import CIRCLE
from facelab.edits.arithmetic import written_out
from facelab.errors import BadSetting
from facelab.face import Face
from facelab.history import Result
from facelab.page.backstage import Backstage, friendly
from facelab.page.library import Library
from facelab.page.means import sheet_of_means
from facelab.page.picker import picked, picked_faces, picker
from facelab.page.progress import TOLD_SECONDS
from facelab.page.seed import seed_field
from facelab.page.sheet import Sheet, build_sheet, last_sheet
from facelab.page.viewer import IN_TURN, QUIET, build_viewer
from facelab.recovery import RecoverySettings
from facelab.sessions import LibraryFace, Session

TAKEN = "Draw faces, then click one of them to take it"
WAYS = {  # title, button, what it does, and what to do first
    "average": ("Average", "Average them", "The mean of all chosen faces.", "Choose faces, then average them"),
    "arithmetic": (
        "Arithmetic",
        "Calculate",
        "Add what one face has and take away what another has.",
        "Choose faces, write a sum",
    ),
    "combine": ("Combine two", "Combine them", "One face out of two, half of each.", "Choose two faces"),
    "neighbours": ("Neighbours", "Draw the neighbours", "Faces that lie close to one face.", TAKEN),
    "random": ("Random", "Draw faces", "New faces, drawn from the generator.", TAKEN),
}
COLUMNS = 9
NEIGHBOURS = 63  # as many as ISTRC shows
RECOVERIES = RecoverySettings(steps=500, restarts=9)
MOST_DRAWN = 200  # random faces that are averaged along
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def readable_sum(text: Any) -> str:
    """What a visitor has written, in the letters that the faces have and with every sign: 2a is 2*A."""
    return written_out(str(text)[:200].upper())


def lettered(faces: Sequence[LibraryFace]) -> dict[str, Face]:
    """Faces by the letters that a sum has for them. Raises BadSetting where there are more faces than letters."""
    if len(faces) > len(LETTERS):
        raise BadSetting(f"{len(faces)} faces are chosen, and there are letters for {len(LETTERS)}. Choose fewer.")
    return dict(zip(LETTERS, (each.face for each in faces), strict=False))


def build_mix_tab(backstage: Backstage, library: Library) -> None:
    """Build the tab."""
    studio, worker = backstage.studio, backstage.worker
    circle = bool(studio.decoders())
    with gr.Tab("Mix", id="mix"):
        with gr.Row(elem_classes="fl-split"):
            with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
                viewer = build_viewer(backstage, library, "mix", hint=WAYS["average"][3])
            with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
                way = gr.Radio(
                    [(words[0], name) for name, words in WAYS.items()],
                    value="average",
                    label="What to do",
                    info=WAYS["average"][2],
                    elem_classes=["fl-segmented", "fl-wrap"],
                )
                with gr.Column(min_width=0) as for_several:  # hidden by itself, a picker comes back without its props
                    several = picker("Faces", "mix-several", several=True, letters=True)
                with gr.Column(min_width=0) as for_average:
                    along = gr.Slider(
                        0,
                        MOST_DRAWN,
                        0,
                        step=1,
                        label="Random faces besides",
                        info="Drawn and averaged along; averages of more than about 60 faces are all much alike.",
                    )
                with gr.Column(visible=circle, min_width=0) as for_space:
                    space = gr.Radio(
                        [("The model's own", "own"), ("Circle", CIRCLE)],
                        value="own",
                        label="Space",
                        info="The model's own mixes all that a picture shows; the circle who somebody is, on the "
                        "sphere of identities, whatever models the faces are of.",
                        elem_classes="fl-segmented",
                    )
                with gr.Column(visible=False, min_width=0) as for_combining:
                    several_times = gr.Checkbox(
                        False,
                        label="From several recoveries",
                        info="For models with one latent: looks for both latents anew, several times side by side; "
                        "each pair that is found gives another face.",
                    )
                with gr.Column(visible=False, min_width=0) as for_arithmetic:
                    expression = gr.Textbox(
                        "A + B - C",
                        elem_id="fl-sum",
                        label="Expression",
                        max_lines=1,
                        info="The letters are the chosen faces; numbers weigh them, as in A + 0.5 B - 0.5 C.",
                    )
                with gr.Column(visible=False, min_width=0) as for_neighbours:
                    centre = picker("Face", "mix-centre")
                    radius = gr.Slider(
                        0.05,
                        1,
                        0.25,
                        step=0.05,
                        label="Distance",
                        info="How far from the face; at 1 they are strangers.",
                    )
                with gr.Column(visible=False, min_width=0) as for_random:
                    truncation = gr.Slider(
                        0,
                        1,
                        0.7,
                        step=0.05,
                        label="Truncation",
                        info="0 is the mean face, 1 the full variety. PGGAN has no mean face and ignores it.",
                    )
                    count = gr.Slider(9, 63, 27, step=9, label="How many", info="Faces on the sheet.")
                with gr.Column(visible=False, min_width=0) as for_seed:
                    seed = seed_field()
                with gr.Row(elem_classes="fl-actions"):
                    act = gr.Button(WAYS["average"][1], variant="primary", size="lg")
        sheet = build_sheet(backstage, "mix", viewer)

    @friendly
    def on_way(name: str, drawn: float, request: gr.Request) -> list[Any]:
        sheets, words = name in ("neighbours", "random"), WAYS[name]
        session = backstage.sessions.known(request.session_hash)
        nothing = session is None or "mix" not in session.results
        return [
            gr.update(value=viewer.empty(words[3])) if nothing else gr.skip(),
            gr.Column(visible=name == "combine"),
            gr.Radio(info=words[2]),
            gr.Column(visible=not sheets),
            gr.Column(visible=name == "arithmetic"),
            gr.Column(visible=name == "neighbours"),
            gr.Column(visible=name == "random"),
            gr.Column(visible=sheets or (name == "average" and drawn > 0)),
            gr.Column(visible=name == "average"),
            gr.Column(visible=circle and name in ("average", "arithmetic")),
            gr.Button(words[1]),
        ]

    def chosen_ones(session: Session, values: dict[Any, Any]) -> list[LibraryFace]:
        """As they are now: what is made of them keeps to that, whatever is done to them meanwhile."""
        return [each.as_now() for each in picked_faces(session, values[several])]

    def two(session: Session, values: dict[Any, Any]) -> list[LibraryFace]:
        faces = chosen_ones(session, values)
        if len(faces) != 2:
            raise BadSetting(f"Choose exactly two faces to combine; {len(faces)} are chosen.")
        return faces

    def mixed(session: Session, values: dict[Any, Any]) -> Result:
        name, faces = values[way], chosen_ones(session, values)
        if name == "combine":
            faces = two(session, values)
            one = worker.run(studio.combine, faces[0].face, faces[1].face)
            return made(faces, one, {"op": "combine", "with": faces[1].name})
        if not faces:
            raise BadSetting("Choose the faces that the letters stand for: the first one is A, the next one B.")
        named, text, where = lettered(faces), readable_sum(values[expression]), meeting(values)
        names = {letter: each.name for letter, each in zip(LETTERS[1:], faces[1:], strict=False)}
        step = {"op": "mix", "face": "A", "faces": names, "expression": text, **where}
        return made(faces, worker.run(studio.mix, text, named, **where), step, title=text)

    def meeting(values: dict[Any, Any]) -> dict[str, str]:
        """Where faces meet, as `Studio.average` and recipes say it: nothing for the model's own space."""
        return {"space": CIRCLE} if circle and values[space] == CIRCLE else {}

    def averaged(session: Session, values: dict[Any, Any]) -> Iterator[dict[Any, Any]]:
        """The average, and on the circle the means beside it; one of random faces is a face that begins here."""
        chosen, count, where = chosen_ones(session, values), int(values[along]), meeting(values)
        model = chosen[0].face.latent.model if chosen else backstage.studio_of(session).card.name
        drawn = worker.run(studio.of(model).random_faces, count, seed=int(values[seed] or 0)) if count else []
        faces = [*(each.face for each in chosen), *drawn]
        if len(faces) < 2:
            raise BadSetting("Choose two or more faces to average, or add random ones.")
        title, stopping = f"Average of {len(faces)}", session.begin_job("mix")
        for number, face in enumerate(faces if where else ()):  # seen one by one, so that others have their turn
            if stopping.is_set():
                yield {sheet: last_sheet(session, "mix") | {"text": "Stopped."}}
                return
            if not number % COLUMNS:
                yield {sheet: {"title": title, "running": True, "text": f"Reading {number} of {len(faces)}"}}
            worker.run(studio.vector, face)
        mean = worker.run(studio.average, faces, **where)
        if drawn:
            result = Result(title, f"{title} faces" + " on the sphere" * bool(where), mean)
        else:
            result = made(chosen, mean, {"op": "average", "with": [each.name for each in chosen[1:]], **where})
        yield {viewer.view: viewer.show(session, result)}
        if where:
            alike = len({face.latent.model for face in faces}) == 1
            latents = worker.run(studio.average, faces) if alike else None
            home = studio.of(mean.latent.model)
            session.keep_sheet("mix", sheet_of_means(worker, home, faces, of=chosen, latents=latents))
            yield {sheet: session.sheets["mix"].view()}

    def made(faces: list[LibraryFace], face: Face, step: dict[str, Any], *, title: str = "") -> Result:
        names = [each.name for each in faces]
        short = f"{names[0]} and {names[1]}" if len(names) == 2 else f"{len(names)} faces"
        said = {"average": f"Average of {short}", "combine": f"{short}, combined"}.get(step["op"], title)
        said += " on the sphere" * ("space" in step)
        others = {each.name: each.face for each in faces[1:]}
        source = faces[0].history if face.latent.model == faces[0].face.latent.model else None
        return Result(short if len(names) > 1 else names[0], said, face, source, step, others)

    def draw(session: Session, values: dict[Any, Any]) -> Iterator[dict[str, Any]]:
        name = values[way]
        centre_face = picked(session, values[centre], "Face").as_now() if name == "neighbours" else None
        stopping = session.begin_job("mix")
        title, noun = ("Neighbours", "neighbour") if name == "neighbours" else ("Random faces", "random face")
        yield {"title": title, "running": True, "text": "Drawing …"}
        drawing, seeded = [], int(values[seed] or 0)
        if name == "neighbours":
            title = f"Neighbours of {centre_face.name}"
            how = {"radius": float(values[radius]), "seed": seeded}
            faces = worker.run(studio.neighbours, centre_face.face, NEIGHBOURS, **how)
            source = centre_face.history
        else:
            chosen = backstage.studio_of(session)
            options = {"seed": seeded, "truncation": float(values[truncation])}
            faces, source = worker.run(chosen.random_faces, int(values[count]), **options), None
        for first in range(0, len(faces), COLUMNS):
            drawing += worker.run(studio.render_many, faces[first : first + COLUMNS])
            if stopping.is_set():
                break
            yield {"title": title, "running": True, "text": f"{len(drawing)} of {len(faces)}"}

        def take(index: int) -> Result:
            if source is None:
                name = f"Random face {seeded}.{index + 1}"
                return Result(name, f"Random face {index + 1} of seed {seeded}", faces[index])
            step = {"op": "neighbour", "count": NEIGHBOURS, "number": index, **how}
            return Result(f"{centre_face.name} {index + 1}", f"Neighbour {index + 1}", faces[index], source, step)

        labels = [f"Take {noun} {number + 1}" for number in range(len(drawing))]
        made_sheet = Sheet(title, COLUMNS, drawing, labels, take, of=[] if centre_face is None else [centre_face])
        session.keep_sheet("mix", made_sheet)
        yield made_sheet.view()

    def combinations(session: Session, values: dict[Any, Any]) -> Iterator[dict[str, Any]]:
        """Both faces recovered anew, several times, and the pairs of recoveries combined (PGGAN paper, section 3.3)."""
        faces, stopping = two(session, values), session.begin_job("mix")
        title, told, recovered = f"{faces[0].name} and {faces[1].name}, combined", 0.0, []
        yield {"title": title, "running": True, "text": "Recovering …"}
        for each in faces:
            with closing(worker.iterate(studio.recoveries, each.face, RECOVERIES)) as steps:
                for step in steps:
                    if stopping.is_set():
                        yield last_sheet(session, "mix") | {"text": "Stopped."}
                        return
                    if time.monotonic() - told > TOLD_SECONDS:
                        told = time.monotonic()
                        text = f"Recovering {each.name}: step {step.step} of {step.total}, {step.psnr:.1f} dB"
                        yield {"title": title, "running": True, "text": text}
            recovered.append(studio.recovered(step.state, each.face))
        made = worker.finish(studio.combinations, *recovered)

        def take(index: int) -> Result:
            return Result(title, f"Combination {index + 1}, of recoveries of its own", made[index])

        labels = [f"Take combination {number + 1}" for number in range(len(made))]
        drawn = worker.finish(studio.render_many, made)
        session.keep_sheet("mix", Sheet(title, COLUMNS, drawn, labels, take, of=faces))
        yield session.sheets["mix"].view()

    @friendly
    def on_act(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        try:
            if values[way] in ("neighbours", "random"):
                for update in draw(session, values):
                    yield {sheet: update}
            elif values[way] == "combine" and values[several_times]:
                for update in combinations(session, values):
                    yield {sheet: update}
            elif values[way] == "average":
                yield from averaged(session, values)
            else:
                yield {viewer.view: viewer.show(session, mixed(session, values))}
        except Exception:
            yield {sheet: last_sheet(session, "mix")}
            raise

    inputs = {way, several, several_times, expression, centre, radius, truncation, count, seed, along, space}
    columns = [for_several, for_arithmetic, for_neighbours, for_random, for_seed, for_average, for_space]
    shown = [viewer.view, for_combining, way, *columns, act]
    way.input(on_way, [way, along], shown, **IN_TURN)
    along.input(lambda drawn: gr.Column(visible=drawn > 0), along, for_seed, **QUIET)
    act.click(on_act, inputs, [viewer.view, sheet], **IN_TURN)  # also while the sheet of the last one is drawn
    expression.submit(on_act, inputs, [viewer.view, sheet], **QUIET)
