"""ISTRC's circle as stateless endpoints: faces to points of the sphere, edited there, and decoded again."""

from __future__ import annotations

from typing import Any

import gradio as gr

from facelab.errors import BadSetting
from facelab.page.answers import read_options, stateless
from facelab.page.api_edits import PICTURE, Answer, EditsApi, read_faces
from facelab.page.backstage import Backstage

OPERATIONS = ("decode", "edit", "slerp", "average", "mix")
MAX_STEPS = 1000


def build_circle_api(backstage: Backstage) -> None:
    """Add /circle and /verify. Nothing of them is seen in the page."""
    api, studio = EditsApi(backstage), backstage.studio
    default = next((card.name for card in studio.decoders()), "")

    @stateless
    def circle(faces: list[str], options: dict[str, Any] | None) -> Answer:
        """Edit faces as vectors on the sphere of identities (ISTRC).

        faces: FACE.npz files of any models; one to decode or edit, two to slerp, several to average or mix. options:
        {"op": "decode" | "edit" | "slerp" | "average" | "mix", "feature": "smile", "strength": 1, "steps": 500,
        "sure": 0.95, "keep": ["gender"], "carry": false, "t": 0.5, "expression": "A + B - C", "model": "faces128",
        "size": 512, "raw": false, "mark": false}; strength 1 is as far as two photos of one person lie apart; with sure
        an edit goes on until the classifier is this sure, however far within steps, and only the sign of strength
        counts; carry gives only the change to the face's own latent; model is whose generator decodes.
        Returns FACE.npz, the picture (PNG) and {"version", "model", "operations", "steps"}; of decode also "vector",
        the face's point on the sphere, and "answers", by feature the probability that its classifier gives.
        """
        how = {"op": "decode", "feature": "smile", "strength": 1.0, "steps": 500, "sure": 0.0, "keep": []}
        chosen = read_options(options, **how, carry=False, t=0.5, expression="A + B - C", model=default, **PICTURE)
        read, op, other = read_faces(faces), chosen["op"], studio.of(chosen["model"])
        counts = {"decode": 1, "edit": 1, "slerp": 2}
        if op not in OPERATIONS:
            raise BadSetting(f"op must be one of {', '.join(OPERATIONS)}, not {op[:20]!r}.")
        if counts.get(op, len(read)) != len(read):
            raise BadSetting(f"{op} takes {counts[op]} FACE.npz, not {len(read)}.")
        if not 1 <= chosen["steps"] <= MAX_STEPS:
            raise BadSetting(f"steps must lie between 1 and {MAX_STEPS}, not {chosen['steps']}.")
        step: dict[str, Any] = {"op": op}
        if op == "edit":
            keep = chosen["keep"] if "keep" in (options or {}) else None
            asked, settings = (read[0], chosen["feature"], chosen["strength"]), {"keep": keep, "carry": chosen["carry"]}
            step = {"op": "circle", "id": chosen["feature"], "strength": chosen["strength"]}
            if chosen["sure"]:
                far = {"sure": chosen["sure"], "most": chosen["steps"], "frames": 1}
                walked = api.run(other.circle_until, *asked, **far, **settings)
                result = walked.faces[-1]
                step |= {"strength": walked.strength, "sure": chosen["sure"], "arrived": walked.arrived}
            else:
                result = api.run(other.circle_walk, *asked, steps=chosen["steps"], frames=1, **settings)[-1]
        elif op == "slerp":
            result = api.run(other.circle_between, *read, [chosen["t"]])[0]
            step["t"] = chosen["t"]
        elif op == "average":
            result = api.run(other.circle_average, read).face
        elif op == "mix":
            named = {chr(ord("A") + place): face for place, face in enumerate(read)}
            result = api.run(other.circle_mix, chosen["expression"], named)
            step["expression"] = chosen["expression"]
        else:
            result = api.run(other.close_circle, read[0])
        npz, picture, report = api.answer(read, result, [step], chosen)
        if op == "decode":
            report |= api.run(other.identity, read[0])
        return npz, picture, report

    @stateless
    def verify(first: str, second: str) -> dict[str, Any]:
        """Whether two faces are one person.

        first, second: FACE.npz files. Returns {"distance", "same_by_distance", "angle", "same_by_angle"}: dlib's
        distance (one person below 0.6), and the great circle's angle in radians (below 0.4).
        """
        found = api.run(studio.verify, *read_faces([first, second]))
        return {
            "distance": round(found.distance, 4),
            "same_by_distance": found.same_by_distance,
            "angle": round(found.angle, 4),
            "same_by_angle": found.same_by_angle,
        }

    with gr.Column(visible=False):
        many = gr.File(label="faces", file_count="multiple")
        one, two = gr.File(label="first"), gr.File(label="second")
        options = gr.JSON({}, label="options")
        npz, picture, report = gr.File(label="FACE.npz"), gr.File(label="picture"), gr.JSON(label="report")
        run_circle, run_verify = gr.Button("circle"), gr.Button("verify")
    run_circle.click(circle, [many, options], [npz, picture, report], api_name="circle", concurrency_limit=None)
    run_verify.click(verify, [one, two], report, api_name="verify", concurrency_limit=None)
