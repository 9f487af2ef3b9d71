"""Embedding what was embedded, over and over (Fig. 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from facelab.embedding import signal_to_noise
from facelab.experiments import paper
from facelab.experiments.batch import squared_error
from facelab.experiments.figures import sheet
from facelab.experiments.lab import Lab
from facelab.experiments.pictures import Picture, examples
from facelab.experiments.results import CLEAR, Claim, Figure, Result, Table, mean


def iterated(lab: Lab, pictures: Sequence[Picture]) -> Result:
    """What was embedded is embedded again, seven times."""
    shown, photos = examples(pictures), [picture for picture in pictures if picture.kind == "photo"][:2]
    chosen, now, rounds = [*shown, *photos], [*shown, *photos], []
    for number in range(1, paper.ROUNDS + 1):
        found = lab.embed(now, f"round {number} of {paper.ROUNDS}")
        now = [replace(picture, image=each.image) for picture, each in zip(chosen, found, strict=True)]
        rounds.append(found)
    quality = [
        [signal_to_noise(squared_error(each.image, picture.image)) for each, picture in zip(found, chosen, strict=True)]
        for found in rounds
    ]
    names = [*(picture.name for picture in shown), *(["photos"] if photos else [])]
    rows = []
    for number, values in enumerate(quality, 1):
        last = [mean(values[len(shown) :], 2)] if photos else []
        rows.append((number, *(round(value, 2) for value in values[: len(shown)]), *last))
    lost = mean([first - last for first, last in zip(quality[0], quality[-1], strict=True)], 2)
    figure = sheet(
        [(each.name, [each.image, *(found[at].image for found in rounds)]) for at, each in enumerate(shown)],
        ["picture", *(f"round {number}" for number in range(1, paper.ROUNDS + 1))],
        model=lab.card.name,
        done="iterated",
    )
    return Result(
        name="iterated",
        title="Embedded again and again",
        source="Fig. 11",
        text="Each round embeds the picture that the round before it drew. PSNR to the first picture, in dB.",
        tables=(Table(("round", *names), tuple(rows)),),
        claims=(
            Claim(
                "Details are lost with the rounds.",
                lost > CLEAR,
                f"{lost} dB lost from round 1 to {paper.ROUNDS}, in the mean",
            ),
        ),
        figures=(Figure("iterated.jpg", "Seven rounds.", figure),),
    )
