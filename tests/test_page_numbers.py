"""What the page takes for a number that does not fit its field."""

import gradio as gr
import pytest

from facelab.page.numbers import name_numbers


@pytest.fixture(autouse=True)
def named():
    name_numbers()


@pytest.mark.parametrize(("given", "taken"), [(99, 2), (-99, -2), (1.5, 1.5), (None, -2)])
def test_a_slider_takes_what_lies_beyond_an_end_as_that_end(given, taken):
    slider = gr.Slider(-2, 2, 1, step=0.05, label="Strength")
    assert slider.preprocess(given) == taken
    name_numbers()
    assert slider.preprocess(given) == taken, "also where two pages are built"


def test_a_field_says_by_its_name_what_it_does_not_take():
    field = gr.Number(3, label="Seed", precision=0, minimum=0, maximum=10)
    assert field.preprocess(7.0) == 7 and field.preprocess(None) is None
    with pytest.raises(gr.Error, match="Seed must lie between 0 and 10, not 11"):
        field.preprocess(11)
    assert gr.Number(1, label="face").preprocess(99) == 99
