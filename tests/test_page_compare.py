"""What the tab Compare shows where it was refused, and where models are chosen or work is stopped meanwhile."""

from typing import Any

import gradio as gr

from tests.page_visitor import Visitor, told_of, told_until_it_fails

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


def test_a_comparison_that_was_refused_is_drawn_when_its_tab_is_opened_again(visitor: Visitor, monkeypatch) -> None:
    values = {"Models": ["faces128"]}
    with monkeypatch.context() as crowd:
        crowd.setattr(visitor.worker, "_max_jobs", 0)
        told_until_it_fails(visitor.do("on_open", "fl-lineup", values), "all it can serve")
    *_, last = map(told_of, visitor.do("on_open", "fl-lineup", values))
    assert len(last["fl-lineup"]["sheets"]) == 1
    there_already = list(visitor.do("on_open", "fl-lineup", values))
    assert there_already == [gr.skip()], "of a handler that says nothing Gradio empties everything"


def test_what_was_drawn_for_an_earlier_choice_of_models_does_not_come_back(visitor: Visitor) -> None:
    values = {"Models": ["vae64", "dcgan64"]}
    first = visitor.do("on_models", "fl-lineup", values)
    next(first)
    second = visitor.do("on_models", "fl-lineup", values)
    next(second)
    assert not list(first) and list(second)
