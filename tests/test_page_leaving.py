"""What is left of a visitor whose page was closed: nothing, in Gradio's memory and on the disk."""

from types import SimpleNamespace

from fastapi.testclient import TestClient
from gradio.routes import App

from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.visitors import Sessions


def test_what_gradio_keeps_of_a_page_goes_with_its_visitor() -> None:
    clock = SimpleNamespace(now=0.0)
    sessions = Sessions(grace=60, clock=lambda: clock.now)
    page = build_page(Studio(), sessions=sessions)
    app = App.create_app(page, app_kwargs=launch_options()["app_kwargs"])
    holder = app.state_holder
    for visitor in ("ann", "ben", "cy"):
        assert holder[visitor].config_values, "it remembers what each shows"
    sessions.resume("a" * 32, "ann")
    sessions.of("ann"), sessions.of("cy")
    sessions.leave("ann")
    sessions.leave("ben")  # who did nothing
    assert sessions.resume("a" * 32, "ann again") is not None, "the page was loaded anew"
    clock.now = 59
    sessions.sweep()
    assert {"ann", "ben", "cy"} <= set(holder.session_data)
    clock.now = 61
    sessions.sweep()
    assert set(holder.session_data) == {"cy"} == set(holder.time_last_used)


def test_no_link_to_what_a_page_shows_is_written_to_the_disk() -> None:
    page = build_page(Studio(), sessions=Sessions())
    app = App.create_app(page, app_kwargs=launch_options()["app_kwargs"])
    assert app.state_holder["ann"]
    client = TestClient(app)
    for path in ("/gradio_api/deep_link", "/gradio_api/deep_link/"):
        assert client.get(path, params={"session_hash": "ann"}).status_code == 404
    assert client.get("/gradio_api/info").status_code == 200, "all else is answered"
