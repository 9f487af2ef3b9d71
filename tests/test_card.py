"""A model's card for people says what was measured, and docs/faces128.md says nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from facelab.checkpoints.cards import find_card
from facelab.evaluation import card as cards
from facelab.evaluation.measured import load_measured

PAGE = Path(__file__).parents[1] / "docs" / "faces128.md"


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
    assert "val portraits, into " in text and ("| Beard | " in text) == (name != "vae64")


def test_figures_of_other_weights_are_told_as_such(monkeypatch):
    card, kept = find_card("vae64"), load_measured("embedding-z", "vae64")
    assert cards.EARLIER not in cards.as_markdown(card)
    monkeypatch.setattr(cards, "load_measured", lambda kind, model: replace(kept, weights={model: "0" * 64}))
    assert cards.EARLIER in cards.as_markdown(card)


def test_a_card_of_which_nothing_was_measured_is_short(monkeypatch):
    monkeypatch.setattr(cards, "load_measured", lambda kind, model: None)
    text = cards.as_markdown(replace(find_card("vae64"), quality={}, training={}, limits=""))
    assert not rows(text) and "**Training.**" not in text and "**Limits.**" not in text
