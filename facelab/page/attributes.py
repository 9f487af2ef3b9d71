"""The tab Attributes: a face changed by sliders, live; every state of it is kept in its history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np

from facelab.circle import CIRCLE, feature_of
from facelab.edits.attributes import DEFAULT_METHOD, Direction
from facelab.errors import BadSetting, FaceLabError
from facelab.face import Face, Recipe
from facelab.history import History, Result, Version
from facelab.names import clean_name
from facelab.page.attribute_words import groups_of, presets_of
from facelab.page.backstage import Backstage, friendly, log
from facelab.page.film import build_film
from facelab.page.library import Library
from facelab.page.own_directions import build_own_directions
from facelab.page.parts import event, part
from facelab.page.picker import all_picked, picked, picker
from facelab.page.viewer import IN_TURN, QUIET, build_viewer
from facelab.project import PRESET_NAME
from facelab.recipes import attribute_steps
from facelab.sessions import LibraryFace, Session

HINT = "Choose a face, then move a slider"
MODEL_SHOWN = "attributes-model"  # in what a session was last asked for: whose sliders are drawn
LIMIT = 3.0  # where the sliders end
WALK_SIDE, WALK_FPS = 256, 8
METHODS = {"linear": "Linear", "mean": "Mean difference", "gradient": "Gradient", CIRCLE: "Circle"}
ROWS_SAID = "attributes-rows"  # in what a session was last asked for: the text of the field of layers
CIRCLE_SHOWN = "attributes-circle"  # in what a session was last asked for: whether the sliders are the circle's


def build_attributes_tab(backstage: Backstage, library: Library) -> Callable[[Callable[..., Any]], None]:
    """Build the tab. Returns what has the shelf of a visitor's own directions drawn after an event of the page."""
    studio, worker = backstage.studio, backstage.worker
    shipped = shipped_directions(backstage)
    names, walks = names_of(shipped), names_of(shipped, walked=True)
    with gr.Tab("Attributes", id="attributes"):
        with gr.Row(elem_classes=["fl-split", "fl-live"]):
            with gr.Column(scale=3, min_width=0, elem_classes="fl-card"):
                viewer = build_viewer(backstage, library, "attributes", hint=HINT, keep="Keep as a new face")
            with gr.Column(scale=2, min_width=0, elem_classes=["fl-card", "fl-side"]):
                face = picker("Face", "attributes-face", edited_here=True)
                sliders = part(
                    "sliders",
                    {"face": "", "strengths": {}},
                    groups=groups_of(shipped),
                    presets=presets_of(shipped),
                )
                with gr.Accordion("Walk", open=False):
                    walked = gr.Dropdown(
                        walks,
                        value=walks[0][1] if walks else None,
                        label="Attribute",
                        info="What changes along the way.",
                    )
                    reach = gr.Slider(
                        -LIMIT,
                        LIMIT,
                        2,
                        step=0.1,
                        label="Reach",
                        info="How far the walk goes.",
                        elem_classes="fl-both-ways",
                    )
                    frames = gr.Slider(4, 24, 10, step=1, label="Frames", info="Pictures on the way.")
                    walk = gr.Button("Draw the walk", variant="primary", interactive=bool(walks))
                own = build_own_directions(backstage, library)
                with gr.Accordion("Advanced", open=False):
                    method = method_radio(circle=studio.has_circle)
                    keeping = gr.Radio(
                        [("Recommended", "default"), ("Nothing", "nothing"), ("These", "these")],
                        value="default",
                        label="Keep",
                        info="What stays as it is while something else changes. Recommended trusts Linear to do so, "
                        "and with the other methods keeps, for instance, gender while a beard grows.",
                    )
                    kept_ones = gr.CheckboxGroup(
                        names,
                        value=[],
                        label="To keep",
                        info="What each edit is kept from changing along.",
                        visible=False,
                    )
                    where = gr.Radio(
                        [("Its own place", "place"), ("The whole picture", "everywhere")],
                        value="place",
                        label="Where",
                        info="What an edit changes. In its own place glasses change the eyes alone, a colour the hair, "
                        "age the person and not what is behind; turning and gender change the whole picture in any "
                        "case.",
                    )
                    rows = gr.Textbox(
                        "",
                        label="Layers",
                        placeholder="each attribute's own",
                        max_lines=1,
                        info="Rows of the latent that move, such as 0-7; 0 is the coarsest. Empty for each one's own.",
                    )
        film = build_film(backstage, "attributes", wide=True)

    def shipped_of(model: str) -> dict[str, Direction]:
        """The directions of a model other than the page's own, too."""
        return shipped if model == studio.card.name else studio.of(model).directions()

    def known(session: Session) -> dict[str, Direction]:
        """The directions of the model whose face is shown, and the visitor's own of that model."""
        model = session.asked.get(MODEL_SHOWN) or studio.card.name
        own = {id: each for id, each in session.directions.items() if each.model == model}
        return {**shipped_of(model), **own}

    def own_of(session: Session, kept: LibraryFace) -> dict[str, Direction]:
        """The visitor's directions, and those that were used for this face before they were deleted."""
        used = {id: each for id, each in kept.history.now.others.items() if isinstance(each, Direction)}
        return {**used, **session.directions}

    def settings(kept: LibraryFace, values: dict[Any, Any]) -> dict[str, Any]:
        """Method, keep, rows and everywhere as `Studio.edit` takes them; to keep, what the face's model knows."""
        text = str(values[rows] or "").replace(" ", "")[:12]
        these = [id for id in values[kept_ones] or [] if id in shipped_of(kept.face.latent.model)]
        keep = {"default": None, "nothing": []}.get(values[keeping], these)
        if values[method] == CIRCLE and keep:
            keep = [id for id in keep if feature_of(id)]
        return {
            "method": values[method],
            "keep": keep,
            "rows": studio.rows_of(kept.face, text),
            "everywhere": values[where] == "everywhere",
        }

    def show(
        session: Session, kept: LibraryFace, stamp: int | None = None, *, circle: bool | None = None
    ) -> dict[Any, Any]:
        """The face as its history has it now. stamp: which of the sliders' states this answers, 0 before their first; a
        later one stays. None where they are to follow whatever they are at. circle: whether that is the chosen method,
        or None where it has not changed.
        """
        history = kept.history
        result = Result(kept.name, history.now.title, history.now.face, history)
        titles = {"titles": [each.title for each in history.versions], "at": history.at}
        _, strengths = attribute_block(history)
        value = {"face": kept.id, "strengths": strengths, "stamp": stamp}
        model, before = kept.face.latent.model, session.asked.get(MODEL_SHOWN, studio.card.name)
        session.asked[MODEL_SHOWN] = model
        was = session.asked.get(CIRCLE_SHOWN, False)
        session.asked[CIRCLE_SHOWN] = was if circle is None else circle
        redraw, more = model != before or was != session.asked[CIRCLE_SHOWN], {}
        if model != before:
            having = studio.of(model).has_circle
            fallen_back = {"value": DEFAULT_METHOD} if was and not having else {}
            names, walks = names_of(shipped_of(model)), names_of(shipped_of(model), walked=True)
            more = {
                method: gr.update(choices=methods(having), **fallen_back),
                kept_ones: gr.update(choices=names, value=[]),
                walked: gr.update(choices=walks, value=walks[0][1] if walks else None),
                walk: gr.update(interactive=bool(walks)),
            }
        return {
            viewer.view: viewer.show(session, result, history=titles),
            sliders: gr.update(value=value, **drawn(session)) if redraw else value,
            **more,
        }

    def drawn(session: Session) -> dict[str, Any]:
        """The sliders and presets of the face that is shown; those that the circle does not know are off on it."""
        everything, on = known(session), session.asked.get(CIRCLE_SHOWN, False)
        usable = {id: each for id, each in everything.items() if feature_of(id) or not on}
        return {"groups": groups_of(everything, circle=on), "presets": presets_of(usable)}

    def start_of(kept: LibraryFace) -> tuple[Version | None, Face]:
        version, _ = attribute_block(kept.history)
        if version is not None:
            return version, version.face
        steps = _without_block(kept.history.now.steps)
        base = kept.history.base
        recipe = Recipe(base.latent.model, steps)
        return None, [base, *worker.iterate(studio.replay, base, recipe, kept.history.now.others)][-1]

    @friendly
    def on_change(values: dict[Any, Any], request: gr.Request) -> dict[Any, Any]:
        """A face was chosen, a slider moves or rests, or a setting has changed."""
        session = backstage.visitor(request)
        if not all_picked(values[face]):  # not even its history is left of a face that was deleted
            nothing = gr.update(value=viewer.empty(HINT), history=None)
            return {viewer.view: nothing, sliders: {"face": "", "strengths": {}}}
        session.asked[ROWS_SAID] = str(values[rows] or "")
        kept, said = picked(session, values[face], "Face"), values[sliders]
        said = said if isinstance(said, dict) else {}
        left, sent = session.faces.get(str(said.get("face"))), values
        values, strengths = read(session, kept, sent)
        if left is not kept:
            told = {}
            if left is not None and "moving" in said:  # another face was chosen before its sliders had come to rest
                settle(session, left, *read(session, left, sent), said)
                told = {library.rail: library.show(session)}
            return show(session, kept, 0, circle=values[method] == CIRCLE) | told
        if not said.get("moving"):
            return settle(session, kept, values, strengths, said)
        own = own_of(session, kept)
        _, start = start_of(kept)
        moved = worker.run(studio.edit, start, strengths, own=own, **settings(kept, values)) if strengths else start
        _, before = attribute_block(kept.history)
        titles = {**shipped_of(kept.face.latent.model), **own}
        result = Result(kept.name, title_of(strengths, before, titles), moved, kept.history)
        return {viewer.view: viewer.show(session, result, moving=True)}

    def read(session: Session, kept: LibraryFace, values: dict[Any, Any]) -> tuple[dict[Any, Any], dict[str, float]]:
        """The values and the sliders' strengths, as far as a face can take them."""
        model, said = kept.face.latent.model, values[sliders] if isinstance(values[sliders], dict) else {}
        if values[method] == CIRCLE and not studio.of(model).has_circle:
            values = {**values, method: DEFAULT_METHOD}  # the radio of another model's face
        strengths = read_strengths(said.get("strengths"), {**shipped_of(model), **own_of(session, kept)})
        if values[method] == CIRCLE:
            strengths = {id: each for id, each in strengths.items() if feature_of(id)}
        return values, strengths

    def settle(
        session: Session,
        kept: LibraryFace,
        values: dict[Any, Any],
        strengths: dict[str, float],
        said: Mapping[str, Any],
    ) -> dict[Any, Any]:
        """Put what the sliders say into the face's history."""
        chosen, stamp, own = settings(kept, values), said.get("stamp"), own_of(session, kept)
        stamp = stamp if isinstance(stamp, int) else 0
        with session.lock:
            history = kept.history
            _, before = attribute_block(history)
            steps = (*_without_block(history.now.steps), *attribute_steps(strengths, own, **chosen))
            circle = values[method] == CIRCLE
            if steps == history.now.steps:
                return show(session, kept, stamp, circle=circle)
            _, start = start_of(kept)
            result = worker.run(studio.edit, start, strengths, own=own, **chosen) if strengths else start
            picture = worker.run(studio.render, result)
            titles = {**shipped_of(kept.face.latent.model), **own}
            title = clean_name(said.get("preset") or "", PRESET_NAME)
            title = title or title_of_settings(steps, history.now.steps, titles) or title_of(strengths, before, titles)
            others = {**history.now.others, **{id: own[id] for id in strengths if id in own}}
            history.record(Version(title, steps, result, picture, others))
            kept.saved = False
            return {**show(session, kept, stamp, circle=circle), library.rail: library.show(session)}

    @friendly
    def on_leave(values: dict[Any, Any], request: gr.Request) -> Any:
        """The field of layers was left: it is an edit where it says something else than before."""
        known = backstage.visitor(request).asked.get(ROWS_SAID, "")
        return gr.skip() if str(values[rows] or "") == known else on_change(values, request)

    @friendly
    def on_go(value: Any, chosen: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Undo and redo go `by` so many versions, a click on the history to an `index`."""
        session = backstage.visitor(request)
        kept = picked(session, value, "Face")
        with session.lock:  # an edit under way is recorded first: it would take the place of what is shown here
            history = kept.history
            history.go(history.at + int(chosen.by) if hasattr(chosen, "by") else int(chosen.index))
            kept.saved = False  # a FACE.npz holds the version that was shown
            return {**show(session, kept), library.rail: library.show(session)}

    @friendly
    def on_walk(values: dict[Any, Any], request: gr.Request) -> Iterator[dict[Any, Any]]:
        session = backstage.visitor(request)
        kept = picked(session, values[face], "Face").as_now()
        chosen = settings(kept, values)
        count, far, attribute = int(values[frames]), float(values[reach]), str(values[walked])

        def pictures() -> Iterator[np.ndarray]:
            how = {name: value for name, value in chosen.items() if name != "method"}
            way = studio.walk(kept.face, attribute, far, frames=count, **how)
            yield from studio.render_many(way, WALK_SIDE)

        updates = film.make(
            session,
            pictures,
            total=count + 1,
            fps=WALK_FPS,
            name=f"{kept.name} {attribute}",
            operations=[*kept.face.operations, f"walk {attribute} {far:g}"],
            from_photo=kept.face.from_photo,
            model=kept.face.latent.model,
            film=False,
            of={"attributes-face": kept},
        )
        for update in updates:
            yield {film.view: update}

    inputs = {face, sliders, method, keeping, kept_ones, where, rows}
    shown = [viewer.view, sliders, library.rail, method, kept_ones, walked, walk]
    changes = [
        event(face, "pick"),
        event(sliders, "slide"),
        *(each.input for each in (method, keeping, kept_ones, where)),
    ]
    changed = gr.on([*changes, rows.submit], on_change, inputs, shown, **IN_TURN)
    rows.blur(on_leave, inputs, shown, **IN_TURN)
    changed.failure(None, js="() => document.dispatchEvent(new Event('facelab:refused'))")
    viewer.view.go(on_go, face, shown, trigger_mode="multiple", **QUIET)
    walk.click(on_walk, {*inputs, walked, reach, frames}, [film.view], **QUIET)
    keeping.input(lambda chosen: gr.CheckboxGroup(visible=chosen == "these"), keeping, kept_ones, **QUIET)
    # Both at once: of a tab that was never open, what an update leaves out is lost.
    return own.wire(lambda session: gr.update(**drawn(session)), sliders)


def names_of(directions: Mapping[str, Direction], *, walked: bool = False) -> list[tuple[str, str]]:
    """Titles and ids of directions. walked: only those with a classifier, whose gradient can be walked along."""
    return [(each.title, each.id) for each in directions.values() if each.classifier or not walked]


def methods(circle: bool) -> list[tuple[str, str]]:
    """Titles and names of the methods. circle: whether the circle is one of them."""
    return [(title, name) for name, title in METHODS.items() if circle or name != CIRCLE]


def method_radio(*, circle: bool = False) -> gr.Radio:
    """The choice of how attributes are changed. circle: whether the circle is one of the ways."""
    return gr.Radio(
        methods(circle),
        value=DEFAULT_METHOD,
        label="Method",
        info="Linear changes one attribute and leaves the others; the difference of the means takes along what comes "
        "with it; the gradient of a classifier bends with the face."
        + " The circle takes equal steps on the sphere of identities, for what has a classifier there."
        * circle,
    )


def attribute_block(history: History) -> tuple[Version | None, dict[str, float]]:
    """What the sliders act on: the version before the attribute steps that the recipe ends with (None where it was
    forgotten), and the strengths of these steps.
    """
    steps = history.now.steps
    before = _without_block(steps)
    strengths: dict[str, float] = {}
    for step in steps[len(before) :]:
        strengths[step["id"]] = strengths.get(step["id"], 0.0) + float(step["strength"])
    found = (version for version in history.versions[: history.at + 1] if version.steps == before)
    return next(found, None), strengths


def read_strengths(values: Any, known: Mapping[str, Direction]) -> dict[str, float]:
    """What the browser says of the sliders, checked."""
    if not isinstance(values, dict):
        raise BadSetting("The sliders could not be read. Reload the page.")
    numbers = {id: float(each) for id, each in values.items() if id in known and isinstance(each, (int, float))}
    return {id: max(-LIMIT, min(LIMIT, each)) for id, each in numbers.items() if math.isfinite(each) and each}


def title_of(strengths: Mapping[str, float], before: Mapping[str, float], known: Mapping[str, Direction]) -> str:
    """A version's name: what is new in it."""
    changed = [id for id in {**before, **strengths} if strengths.get(id, 0) != before.get(id, 0)]
    if not strengths:
        return "Attributes reset" if before else "Original"
    if len(changed) == 1 and changed[0] in known:
        return f"{known[changed[0]].title} {strengths.get(changed[0], 0):+.2f}".replace("-", "−")
    return f"{len(changed)} attributes"


def title_of_settings(
    steps: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]], known: Mapping[str, Direction]
) -> str:
    """A version's name where its steps differ from those before in their settings alone; otherwise nothing."""
    settings = ("method", "keep", "rows", "everywhere")
    if not steps or [_without(step, settings) for step in steps] != [_without(step, settings) for step in before]:
        return ""
    now, then = steps[-1], before[-1]
    if now.get("method") != then.get("method"):
        return METHODS[now["method"]]
    if now.get("rows") != then.get("rows"):
        return f"Layers {now['rows'][0]}-{now['rows'][1] - 1}" if now.get("rows") else "Each one's own layers"
    if now.get("everywhere") != then.get("everywhere"):
        return "The whole picture" if now.get("everywhere") else "Each in its own place"
    if "keep" not in now:
        return "Keep what is recommended"
    return f"Keep {', '.join(known[id].title.lower() for id in now['keep'] if id in known) or 'nothing'}"


def _without(step: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name not in names}


def _without_block(steps: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    end = len(steps)
    while end and steps[end - 1].get("op") == "attribute":
        end -= 1
    return steps[:end]


def shipped_directions(backstage: Backstage) -> dict[str, Direction]:
    """The page's model's directions; none, and a line in the log, where their file is damaged."""
    try:
        return backstage.studio.directions()
    except FaceLabError as error:  # the page works without them, and says why
        log.warning("No directions: %s", error)
        return {}
