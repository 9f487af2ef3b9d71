"""/compare as a program calls it."""

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.visitors import Sessions
from facelab.worker import Worker


@pytest.fixture(scope="module")
def client():
    worker = Worker()
    page = build_page(Studio(device="cpu"), worker=worker, sessions=Sessions())
    _, url, _ = page.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **launch_options())
    yield Client(url, verbose=False)
    page.close()
    worker.close()


def test_models_are_compared_by_what_is_known_and_by_what_is_measured(client):
    known = client.predict(["faces128"], {}, api_name="/compare")
    assert known["models"] == ["faces128"] and known["side"] in (64, 128)
    assert known["figures"]["training_images"]["values"]["faces128"] > 300_000
    fresh = client.predict(["faces128"], {"measure": 4}, api_name="/compare")
    speed = fresh["figures"]["images_per_second"]
    assert speed["here"] == ["faces128"] and speed["values"]["faces128"] > 0
    assert 1 <= fresh["figures"]["face_score"]["values"]["faces128"] <= 2


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        (["nobody"], {}, "Known models"),
        (["faces128"], {"measure": 100_000}, "between 2 and 1,024"),
        (["faces128"], {"wings": 2}, "not known"),
        ({"a": 1}, {}, "JSON list"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(client, models, options, message):
    with pytest.raises(AppError, match=message):
        client.predict(models, options, api_name="/compare")
