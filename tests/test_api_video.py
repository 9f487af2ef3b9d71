"""/video as a program calls it."""

import pytest
from footage import ground, streams, with_face, write_clip
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from facelab.embedding_settings import EmbedSettings
from facelab.own_directions import save_direction
from facelab.page.page import build_page, launch_options
from facelab.studio import Studio
from facelab.video import edit_clip
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


def test_a_clip_comes_back_edited(client, finder, tmp_path, monkeypatch):
    monkeypatch.setitem(edit_clip.__kwdefaults__, "settings", EmbedSettings(steps=2, refine=False, preview_every=0))
    studio = Studio(device="cpu")
    faces = (studio.sample(1, seed=seed, truncation=0.5)[0] for seed in range(20))
    face = next(face for face, picture in faces if finder.find_aligned(picture) is not None)
    frames = [with_face(studio.render(face, 256), 80 + 2 * number, 40) for number in range(4)]
    clip = handle_file(str(write_clip(tmp_path / "clip.mp4", frames)))
    path, report = client.predict(clip, {"smile": 1.5}, None, {"mark": True}, api_name="/video")
    assert report["frames"] == 4 and not report["sound"] and report["operations"][-1] == "clip"
    assert "h264" in streams(path) and "Made with AI" in streams(path)
    made = studio.new_direction("Cap", *([face] for face in studio.random_faces(2, seed=7)))
    save_direction(made, tmp_path / "cap.npz")
    own = [handle_file(str(tmp_path / "cap.npz"))]
    _, report = client.predict(clip, {made.id: 0.5}, None, {}, own, api_name="/video")
    assert report["operations"][-2] == "attribute own 0.5"


def test_what_cannot_be_is_said(client, tmp_path):
    empty = handle_file(str(write_clip(tmp_path / "empty.mp4", [ground()] * 3)))
    (tmp_path / "list.mp4").write_bytes(b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")
    for given, word in (
        ((empty, {"smile": 1}, None, None), "No face was found in this clip"),
        ((empty, None, None, None), "strengths"),
        ((handle_file(str(tmp_path / "list.mp4")), {"smile": 1}, None, None), "no video"),
    ):
        with pytest.raises(AppError, match=word):
            client.predict(*given, api_name="/video")
