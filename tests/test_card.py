"""A model's card for people says what was measured; docs/faces128.md and README say the same of faces128."""

from dataclasses import replace
from pathlib import Path

import pytest

from facelab.checkpoints.cards import find_card
from facelab.evaluation import card as cards
from facelab.evaluation.measured import load_measured

ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs" / "faces128.md", ROOT / "README.md"
IN_README = ("smile", "mouth_open", "glasses", "beard", "bangs", "hair_blond", "age", "gender")


def rows(text):
    """The lines of all tables."""
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_the_page_of_faces128_has_every_figure_of_its_card():
    told, page = rows(cards.as_markdown(find_card("faces128"))), rows(PAGE.read_text(encoding="utf-8"))
    assert len(told) > 30 and not [row for row in told if row not in page]


@pytest.mark.parametrize("name", ["vae64", "began64", "dcgan64"])
def test_a_card_of_one_latent_tells_how_it_embeds_and_edits(name):
    text = cards.as_markdown(find_card(name))
    assert text.startswith(f"# Model card: {name}\n") and "**Licence.** Non-commercial" in text
    assert "val portraits, into " in text and "| Beard | " in text


def test_the_card_of_the_model_that_brings_the_eyes_tells_how_well_they_see():
    text = cards.as_markdown(find_card("faces128"))
    assert "**The judge** is right about val in 89% of 40 attributes" in text and "**The reader**" in text
    assert "**The judge**" not in cards.as_markdown(find_card("vae64"))


def test_figures_of_other_weights_are_told_as_such(monkeypatch):
    card, kept = find_card("vae64"), load_measured("embedding-z", "vae64")
    assert cards.EARLIER not in cards.as_markdown(card)
    earlier = replace(kept, weights={"vae64": "0" * 64})
    monkeypatch.setattr(cards, "load_measured", lambda kind, model: earlier if kind == kept.kind else None)
    assert cards.EARLIER in cards.as_markdown(card)


def test_a_card_tells_edits_by_group_where_there_are_enough_faces(monkeypatch):
    kept = load_measured("directions", "faces128")
    groups = {
        "darker": {"faces": 12, "flipped": 0.25, "kept": 1.0},
        "lighter": {"faces": cards.LEAST - 1, "flipped": 1.0, "kept": 1.0},
    }
    edits = kept.figures["directions"]
    beard = {"beard": {**edits["beard"], "default": {**edits["beard"]["default"], "groups": groups}}}
    told = replace(kept, figures={"directions": beard})
    monkeypatch.setattr(cards, "load_measured", lambda kind, model: told if kind == "directions" else None)
    lines = rows(cards.as_markdown(find_card("faces128")))
    assert lines[-2:] == ["| direction | darker | lighter |", "| Beard | 25 / 100% of 12 | – |"]


def test_a_card_of_which_nothing_was_measured_is_short(monkeypatch):
    monkeypatch.setattr(cards, "load_measured", lambda kind, model: None)
    text = cards.as_markdown(replace(find_card("vae64"), training={}, limits=""))
    assert not rows(text) and "**Training.**" not in text and "**Limits.**" not in text


def test_the_figures_of_readme_are_those_that_were_measured():
    text = README.read_text(encoding="utf-8")
    edits = load_measured("directions", "faces128").figures["directions"]
    ways = [edits[id]["default"] for id in IN_README]
    shares = ", ".join(f"{100 * way['flipped']:.0f} / {100 * way['kept']:.0f}" for way in ways)
    assert f"| {shares} % |" in text
    stages = load_measured("embedding-wplus", "faces128").figures["embedding"]
    first, second, last = (f"{100 * stages[name]['same_person']:.1f}" for name in ("encoder", "latent", "refine"))
    assert f"| {first}, {second} and {last} % |" in text
    assert f"| {stages['refine']['identity_median']:.2f} by dlib" in text
    assert f", {stages['refine']['psnr_median']:.1f} dB |" in text
    assert f"| {load_measured('samples', 'faces128').figures['found']:.1%}".replace("%", " %") in text
