"""Who asks is known to the queue, in every step of an event and whichever way it came."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest
from gradio_client import Client

from facelab.page.backstage import who_asks


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    def tell() -> Iterator[str]:
        yield who_asks()
        yield who_asks()

    with gr.Blocks() as page:
        told = gr.Textbox()
        gr.Button().click(tell, None, told, api_name="tell")
        gr.Button().click(who_asks, None, told, api_name="tell_at_once", queue=False)
    page.launch(prevent_thread_lock=True, quiet=True, share=False)
    yield page.local_url
    page.close()


def test_a_visitor_is_the_same_in_all_events_and_another_than_the_next_one(address: str) -> None:
    ann, ben = (Client(address, verbose=False) for _ in range(2))
    steps = list(ann.submit(api_name="/tell"))
    assert len(steps) == 2 and set(steps) == {ann.session_hash}
    assert ann.predict(api_name="/tell_at_once") == ann.session_hash
    assert ben.predict(api_name="/tell") == ben.session_hash != ann.session_hash


def test_work_of_no_page_is_nobodys() -> None:
    assert who_asks() == ""
