"""`facelab video`: a clip in, the edited clip out."""

import json

import pytest
from footage import streams, with_face, write_clip

from facelab.embedding_settings import EmbedSettings
from facelab.face import Recipe
from facelab.own_directions import save_direction
from facelab.studio import Studio
from facelab.video import edit_clip


@pytest.fixture(scope="module")
def clip(finder, tmp_path_factory):
    """A generated face that moves a little, with a tone."""
    studio = Studio(device="cpu")
    for seed in range(20):
        face, picture = studio.sample(1, seed=seed, truncation=0.5)[0]
        if finder.find_aligned(picture) is not None:
            frames = [with_face(studio.render(face, 256), 80 + 2 * number, 40) for number in range(5)]
            return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames, sound=True)
    raise AssertionError("no detector finds any generated face")


def test_a_clip_is_edited_with_its_sound_and_says_so(facelab, clip, tmp_path, monkeypatch):
    monkeypatch.setitem(edit_clip.__kwdefaults__, "settings", EmbedSettings(steps=2, refine=False, preview_every=0))
    out = tmp_path / "new" / "edited.mp4"
    status, printed, err = facelab("video", clip, "--set", "smile=2", "--out", out, "--json")
    answer = json.loads(printed)
    assert status == 0 and answer["frames"] == 5 and answer["size"] == [400, 320] and answer["faces"] == 1
    assert answer["sound"] and answer["operations"][-2:] == ["attribute smile 2", "clip"] and "100%" in err
    said = streams(out)
    assert "Audio: aac" in said and "h264" in said and "Made with AI by FaceLab" in said
    assert b"compositeWithTrainedAlgorithmicMedia" in out.read_bytes() and "location" not in said


def test_an_edit_that_cannot_be_is_refused_before_the_work(facelab, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("facelab.video.find_tracks", lambda *more: pytest.fail("the clip was looked at first"))
    for wrong in ("nosuch=1", "smile=99"):
        status, _, said = facelab("video", clip, "--set", wrong, "--out", tmp_path / "x.mp4")
        assert status == 1 and wrong.partition("=")[0] in said
    assert not (tmp_path / "x.mp4").exists()


def test_a_direction_of_ones_own_is_used_in_every_frame(facelab, clip, tmp_path, monkeypatch):
    monkeypatch.setitem(edit_clip.__kwdefaults__, "settings", EmbedSettings(steps=2, refine=False, preview_every=0))
    studio = Studio(device="cpu")
    (cap, recipe), out = (tmp_path / "cap.npz", tmp_path / "r.json"), tmp_path / "x.mp4"
    made = studio.new_direction("Cap", *([face] for face in studio.random_faces(2, seed=7)))
    save_direction(made, cap)
    step = {"op": "attribute", "id": made.id, "hash": made.hash, "strength": 0.5}
    recipe.write_text(Recipe("faces128", (step,)).to_json())
    for edit in (("--set", "cap=0.5"), ("--recipe", recipe)):
        status, printed, said = facelab("video", clip, *edit, "--direction", cap, "--out", out, "--json")
        assert status == 0 and json.loads(printed)["operations"][-2] == "attribute own 0.5", said
    status, _, said = facelab("video", clip, "--recipe", recipe, "--out", out)
    assert status == 1 and "--direction" in said


def test_what_is_missing_is_one_line(facelab, clip, tmp_path):
    (tmp_path / "clip.txt").write_text("no clip")
    for given, word in (
        ((clip, "--out", tmp_path / "x.mp4"), "--set"),
        ((clip, "--set", "smile=2", "--out", tmp_path / "x.gif"), ".mp4"),
        ((clip, "--set", "smile", "--out", tmp_path / "x.mp4"), "smile=2"),
        ((tmp_path / "clip.txt", "--set", "smile=2", "--out", tmp_path / "x.mp4"), "no video"),
        ((clip, "--set", "smile=2", "--face", "3", "--out", tmp_path / "x.mp4"), "this clip has 1 face"),
    ):
        status, out, err = facelab("video", *given)
        assert status == 1 and not out and word in err and "Traceback" not in err
        assert not (tmp_path / "x.mp4").exists()
