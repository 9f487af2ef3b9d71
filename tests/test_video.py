"""Clips: nothing hostile gets to a decoder, the face is followed smoothly, an edit does not flicker."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.alignment import adjust_quad
from facelab.clips import Clip, read_clip
from facelab.embedding_settings import EmbedSettings
from facelab.errors import BadSetting, NoFaceFound, UnreadableClip
from facelab.face import Face, Latent, Recipe
from facelab.media import save_animation
from facelab.regions import local_offsets
from facelab.studio import Studio
from facelab.tracking import Track, _as_track, _Trail, over_time
from facelab.video import PHASES, expressions

FAST = EmbedSettings(steps=2, refine=False, preview_every=0)
FRAMES = 10


def encoded(frames: list[np.ndarray], kind: str = "mp4", fps: float = 10) -> bytes:
    buffer = io.BytesIO()
    save_animation(frames, buffer, model="faces128", kind=kind, fps=fps)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def face(studio):
    """A generated face that a detector finds."""
    for seed in range(20):
        face, picture = studio.sample(1, seed=seed, truncation=0.5)[0]
        if studio._finder.find_aligned(picture) is not None:
            return face
    raise AssertionError("no detector finds any generated face")


@pytest.fixture(scope="module")
def frames(studio, face):
    """The face drifting and tilting over a pattern."""
    y, x = np.mgrid[:320, :400]
    ground = np.stack([120 + 40 * np.sin(x / 31 + c) + 30 * np.cos(y / 23) for c in range(3)], axis=2).astype(np.uint8)
    picture = Image.fromarray(studio.render(face, 220)).convert("RGBA")
    made = []
    for number in range(FRAMES):
        frame = Image.fromarray(ground)
        turned = picture.rotate(6 * math.sin(number / 3), Image.Resampling.BICUBIC, expand=True)
        frame.paste(turned, (80 + 3 * number, 40 + round(8 * math.sin(number / 2))), turned)
        made.append(np.asarray(frame))
    return made


@pytest.fixture(scope="module")
def clip(frames):
    return read_clip(encoded(frames))


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_a_clip_is_read_as_it_was_written(frames, kind):
    clip = read_clip(encoded(frames, kind))
    assert clip.size == (400, 320) and clip.fps == 10
    for _ in range(2):
        again = list(clip.frames())
        assert len(again) == FRAMES and again[0].dtype == np.uint8
        assert np.abs(again[4].astype(int) - frames[4]).mean() < 6


def test_closing_the_frames_stops_the_decoder(clip):
    frames = clip.frames()
    next(frames)
    frames.close()
    with pytest.raises(StopIteration):
        next(frames)


def test_what_is_no_clip_is_refused(clip, monkeypatch, tmp_path):
    playlist = b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"
    listing = b"ffconcat version 1.0\nfile /etc/passwd\n"
    start = clip.data[:60]
    for data in (
        b"",
        b"hello",
        playlist,
        listing,
        start,
        b"\x1aE\xdf\xa3" + bytes(1000),
        clip.data[: len(clip.data) // 3],
    ):
        with pytest.raises(UnreadableClip):
            read_clip(data)
    broken = bytearray(clip.data)
    broken[200:-200] = bytes(len(broken) - 400)
    with pytest.raises(UnreadableClip):
        list(read_clip(bytes(broken)).frames())
    monkeypatch.setattr("facelab.clips.MAX_BYTES", 1000)
    with pytest.raises(UnreadableClip, match="MB"):
        read_clip(io.BytesIO(clip.data))


def test_limits_on_seconds_and_pixels(frames, monkeypatch):
    data = encoded(frames)
    monkeypatch.setattr("facelab.clips.MAX_PIXELS", 100_000)
    with pytest.raises(UnreadableClip, match="400x320"):
        read_clip(data)
    monkeypatch.undo()
    with pytest.raises(UnreadableClip, match="20 are the most"):
        read_clip(encoded([frame[:64, :64] for frame in frames] * 3, fps=1))
    monkeypatch.setattr("facelab.clips.MAX_SIDE", 200)
    assert read_clip(data).size == (200, 160)


def test_smoothing_over_time_shifts_nothing_and_calms():
    steps = np.arange(60, dtype=np.float64)
    assert np.allclose(over_time(steps, 3), steps, atol=1e-6)
    noisy = np.random.default_rng(0).normal(0, 1, (200, 2))
    assert over_time(noisy, 3).std() < 0.45 and np.array_equal(over_time(noisy, 0), noisy)
    sway = np.sin(steps / 6)
    assert np.abs(over_time(sway, 2) - sway).max() < 0.02, "a hand's sway is movement, not noise"


def test_each_scene_is_smoothed_by_itself():
    values, scenes = np.repeat([1.0, 5.0, 2.0], [10, 1, 9]), np.repeat([0, 1, 2], [10, 1, 9])
    assert np.allclose(over_time(values, 3, scenes=scenes), values, atol=1e-4)


def as_track(quads: list[np.ndarray | None]) -> Track:
    """Quads of one scene frame by frame, None where the face is not seen."""
    seen = {number: quad for number, quad in enumerate(quads) if quad is not None}
    return _as_track(_Trail(seen), np.zeros(len(quads), int))


def test_a_tracks_shake_is_smoothed_away_and_its_way_kept():
    square = np.array([[0, 0], [0, 100], [100, 100], [100, 0]], np.float32)
    way = [adjust_quad(square, rotate=170 + number) + np.float32(2 * number) for number in range(40)]  # through 180
    shaken = [
        quad + np.random.default_rng(number).normal(0, 1, (1, 2)).astype(np.float32) for number, quad in enumerate(way)
    ]
    track = as_track(shaken).smoothed(2.5)
    error = np.abs(track.quads - np.stack(way))
    assert error.max() < 1.2 and error.mean() < 0.4 and (track.present == 1).all()
    jerk = np.abs(np.diff(track.quads, n=2, axis=0)).mean()
    assert jerk < 0.25 * np.abs(np.diff(np.stack(shaken), n=2, axis=0)).mean()


def test_frames_without_the_face_are_bridged_and_fade():
    square = np.array([[0, 0], [0, 100], [100, 100], [100, 0]], np.float32)
    quads = [square + np.float32(number) for number in range(30)]
    quads[10:15] = [None] * 5
    quads[24] = None
    track = as_track(quads)
    assert np.allclose(track.quads[12], square + 12) and track.present[9:16].tolist() == [1, 0, 0, 0, 0, 0, 1]
    assert track.present[24] == 1, "a face that is back at once was not gone"
    faded = track.smoothed(2)
    assert (faded.present[10:15] == 0).all() and (np.diff(faded.present[3:11]) <= 0).all()
    assert 0 < faded.present[9] < 0.4 < faded.present[6] < 0.8 and faded.present[3] == 1
    cut = Track(track.quads, track.present, np.repeat([0, 1, 2], [10, 5, 15])).smoothed(2)
    assert cut.present[9] == 1, "at a cut nothing fades"


def test_expressions_are_differences_to_the_neutral_frame():
    random = torch.Generator().manual_seed(0)
    target, latents = torch.randn(12, 256, generator=random), torch.randn(5, 12, 256, generator=random)
    latents[:, 3] = latents[2, 3] + 0.01  # a row that never changes much
    moved = expressions(target, latents, neutral=2, strength=1.5, threshold=1.0)
    assert torch.equal(moved[2], target) and torch.equal(moved[:, 3], target[3].expand(5, -1))
    assert torch.allclose(moved[4, 0], target[0] + 1.5 * (latents[4, 0] - latents[2, 0]))


def knows(face):
    """A quick embedding that has seen the face before."""
    return lambda aligned: replace(face, crop=aligned.crop, quad=aligned.quad)


def towards(other, amount):
    def edit(face: Face) -> Face:
        return replace(
            face, latent=Latent(face.latent.values.lerp(other.latent.values, amount), "w+", face.latent.model)
        )

    return edit


def test_an_edited_clip_changes_the_face_alone_and_does_not_flicker(studio, face, clip):
    other = studio.sample(1, seed=31)[0][0]
    steps = list(studio.edit_clip(clip, towards(other, 0.3), embed_frame=knows(face), settings=FAST))
    result, source = [step.frame for step in steps if step.frame is not None], list(clip.frames())
    assert len(result) == len(source) and {step.phase for step in steps} == set(PHASES)
    edits = [step for step in steps if step.phase == "edit"]
    assert [step.done for step in edits[: len(source)]] == list(range(1, len(source) + 1)), "each can be the last"
    fractions = [step.fraction() for step in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1, "progress goes one way"
    changed = np.stack([(new != old).any(axis=2) for new, old in zip(result, source, strict=True)])
    assert (changed.mean(axis=(1, 2)) > 0.03).all(), "every frame is edited"
    assert not changed[:, :, :40].any() and not changed[:, 300:].any(), "far from the face nothing is"
    region = np.s_[:, 60:260, 100:320]
    flicker = [np.abs(np.diff(np.stack(each).astype(float)[region], n=2, axis=0)).mean() for each in (result, source)]
    assert flicker[0] < 1.15 * flicker[1]


def test_a_recipe_is_replayed_step_by_step_in_every_frame(studio, face, clip):
    recipe = Recipe("faces128", tuple({"op": "walk", "id": id, "strength": 1, "steps": 2} for id in ("smile", "age")))
    steps = list(studio.edit_clip(clip, recipe, embed_frame=knows(face), settings=FAST))
    edits = [step.done for step in steps if step.phase == "edit" and step.done <= FRAMES]
    assert edits[: 2 * FRAMES] == [number for number in range(1, FRAMES + 1) for _ in recipe.steps], "others' turns"
    fractions = [step.fraction() for step in steps]
    assert fractions == sorted(fractions) and steps[-1].face.operations[-2:] == ["walk smile 1", "walk age 1"]


def test_a_recipe_that_walks_too_far_in_all_frames_is_refused_before_the_work(studio, clip, monkeypatch):
    monkeypatch.setattr("facelab.video.find_tracks", lambda *more: pytest.fail("the clip was looked at first"))
    recipe = Recipe("faces128", tuple({"op": "walk", "id": "smile", "strength": 1, "steps": 5000} for _ in range(8)))
    with pytest.raises(BadSetting, match="walks 40,000 small steps, and that in each of 10 frames"):
        next(studio.edit_clip(clip, recipe))


def test_a_clip_that_says_it_is_short_is_counted(studio, face, clip, monkeypatch):
    monkeypatch.setattr("facelab.video.MAX_CLIP_WALKED", 10)
    recipe = Recipe("faces128", ({"op": "walk", "id": "smile", "strength": 1, "steps": 2},))
    silent = replace(clip, seconds=0.0)
    with pytest.raises(BadSetting, match="10 frames"):
        list(studio.edit_clip(silent, recipe, embed_frame=knows(face), settings=FAST))


def test_without_an_edit_every_frame_stays_as_it_was(studio, face, clip):
    steps = studio.edit_clip(clip, lambda face: face, embed_frame=knows(face), settings=FAST)
    result = [step.frame for step in steps if step.frame is not None]
    assert all(np.array_equal(new, old) for new, old in zip(result, clip.frames(), strict=True))


def test_without_an_encoder_frames_follow_the_one_before(studio, clip, monkeypatch):
    monkeypatch.setattr(Studio, "has_encoder", False)
    short = Clip(clip.data, clip.kind, 2.0, clip.size)
    steps = list(studio.edit_clip(short, lambda face: face, settings=FAST))
    faces = [step.face for step in steps if step.face is not None]
    assert len(faces) == 2 and not torch.equal(faces[0].latent.values, faces[1].latent.values)


def test_a_face_takes_on_a_clips_expressions(studio, face, clip):
    other, target = studio.sample(2, seed=41)
    frames_seen = []

    def opening(aligned):
        frames_seen.append(aligned)
        return towards(other[0], 0.05 * len(frames_seen))(face)

    steps = [step for step in studio.follow_clip(target[0], clip, embed_frame=opening) if step.phase == "draw"]
    assert len(steps) == FRAMES and steps[0].frame.shape == (256, 256, 3)
    assert all(torch.equal(step.face.latent.values, target[0].latent.values) for step in steps)
    assert steps[0].face.delta is None
    moved = [local_offsets(step.face.delta)["face"].norm() for step in steps[1:]]
    assert moved == sorted(moved) and moved[0] > 0
    everywhere = [step.face for step in studio.follow_clip(target[0], clip, embed_frame=opening, everywhere=True)][-1]
    assert everywhere.delta is None and (everywhere.latent.values - target[0].latent.values).norm() > 0
    w = Face(Latent(target[0].latent.values[:1], "w", "faces128"))
    plain = [step.face for step in studio.follow_clip(w, clip, embed_frame=opening) if step.phase == "draw"]
    assert plain[0].latent.space == "w+" and torch.equal(plain[0].latent.values, w.latent.values.expand(12, -1))
    with pytest.raises(BadSetting, match="10 frames"):
        list(studio.follow_clip(target[0], clip, embed_frame=opening, neutral=10))


def test_a_clip_without_a_face_says_so(studio):
    empty = read_clip(encoded([np.full((120, 160, 3), 90, np.uint8)] * 3))
    with pytest.raises(NoFaceFound, match="clip"):
        list(studio.edit_clip(empty, lambda face: face))


def test_a_track_is_told_in_the_photos_pixels(studio, clip):
    *_, last = studio.find_tracks(clip)
    [track] = last.tracks
    assert isinstance(track, Track) and track.present.all() and track.crop.shape == (512, 512, 3)
    sides = np.hypot(*(track.quads[:, 3] - track.quads[:, 0]).T)
    assert sides.min() > 150 and sides.max() < 300
    centres = track.quads.mean(axis=1)
    assert 15 < centres[-1, 0] - centres[0, 0] < 45, "it drifts 27 pixels to the right"
