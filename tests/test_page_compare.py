"""What the tab Compare shows where models are chosen, or work is stopped, while others are measured."""

from typing import Any

from tests.page_visitor import Visitor, told_of

SHORT = {"Models": ["vae64", "dcgan64"], "Faces to measure": 16, "Truncation": 0.7}


def progress(told: dict[str, Any]) -> dict[str, Any]:
    return next(each["progress"] for each in told.values() if "progress" in each)


def shown(update: dict[Any, Any]) -> list[str]:
    """The titles of the table's columns."""
    [table] = [each for each in told_of(update).values() if "progress" in each]
    return [model["title"] for model in table["value"]["models"]]


def test_the_table_is_of_the_models_that_are_chosen_when_measuring_ends(visitor: Visitor) -> None:
    updates = visitor.do("on_measure", "Measure here", SHORT)
    next(updates)
    next(visitor.do("on_models", "Models", SHORT | {"Models": ["dcgan64"]}))
    *_, last = updates
    assert shown(last) == ["DCGAN, 64 px"]


def test_what_was_measured_before_a_stop_is_shown(visitor: Visitor) -> None:
    next(visitor.do("on_models", "Models", SHORT))
    told = []
    for update in visitor.do("on_measure", "Measure here", SHORT):
        told.append(told_of(update))
        if "VAE" in str(progress(told[-1])):  # DCGAN is measured
            visitor.session.stop_job("compare")
    [last] = [each for each in told[-1].values() if "progress" in each]
    assert last["progress"]["text"] == "Stopped." and "measured on this machine" in last["value"]["about"]
