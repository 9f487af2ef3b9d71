"""Clips in the page: a face of one edited and filmed again, and the expressions of one carried to another face."""

from __future__ import annotations

from pathlib import Path

import pytest
from footage import ffmpeg, streams, with_face, write_clip
from playwright.sync_api import expect
from visitor import PATIENCE, add_examples, another_picture, choose, download, make_own_direction, open_tab, picture

from facelab.embedding_settings import EmbedSettings
from facelab.page.examples import load_examples
from facelab.video import edit_clip

expect.set_options(timeout=PATIENCE)  # continuous integration has slow machines


@pytest.fixture(autouse=True)
def short_embedding(monkeypatch):
    monkeypatch.setitem(edit_clip.__kwdefaults__, "settings", EmbedSettings(steps=3, refine=False, preview_every=0))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """One of the examples' faces, moving, with a tone."""
    example = next(iter(load_examples().values()))
    frames = [with_face(example.as_photo(), 70 + 3 * number, 45) for number in range(6)]
    return write_clip(tmp_path_factory.mktemp("clip") / "holiday.mp4", frames, sound=True)


def test_a_clip_is_edited_seen_and_downloaded(visit, clip: Path, tmp_path: Path):
    page = visit()
    panel = open_tab(page, "Video")
    make = page.get_by_role("button", name="Make the video")
    expect(make).to_be_disabled()
    (tmp_path / "notes.mp4").write_text("no video")
    page.set_input_files("#fl-clip-video input[type=file]", str(tmp_path / "notes.mp4"))
    expect(panel.get_by_text("This is no video")).to_be_visible()
    expect(panel.get_by_text("That one was not opened. Choose another video.")).to_be_visible()
    page.set_input_files("#fl-clip-video input[type=file]", str(clip))
    expect(panel.get_by_text("holiday.mp4: 400 x 320, 0.6 s, with sound")).to_be_visible()
    before = picture(page, "video")
    make.click()
    expect(page.get_by_text("nothing would change in the video")).to_be_visible()
    panel.get_by_label("Smile: serious to smiling").fill("2")
    another_picture(page, "video", before)
    make.click()
    player = panel.get_by_label("The edited video")
    expect(player).to_be_visible()
    page.wait_for_function("() => document.querySelector('#fl-footage-video video').videoWidth === 400")
    panel.get_by_role("radio", name="Original").click()
    expect(panel.get_by_role("radio", name="Original")).to_have_attribute("aria-checked", "true")
    page.wait_for_function("() => document.querySelector('#fl-footage-video video').videoWidth === 400")
    path = download(page, panel.get_by_role("button", name="Download the video"), tmp_path)
    assert path.name == "holiday-edited.mp4" and "Audio: aac" in streams(path)
    assert "Made with AI by FaceLab" in streams(path)
    add_examples(page)
    mark = page.get_by_label("Write “made with AI” on what I save")
    mark.check()
    expect(panel.get_by_text("made before “made with AI” was ticked")).to_be_visible()
    expect(player).to_be_hidden()
    mark.uncheck()
    expect(player).to_be_visible()
    page.set_input_files("#fl-clip-video input[type=file]", str(tmp_path / "notes.mp4"))
    expect(panel.get_by_text("That one was not opened. “holiday” is still open.")).to_be_visible()
    expect(player).to_be_visible()


def test_a_preset_with_a_direction_of_ones_own_is_done_whole_or_says_what_is_left_out(visit, clip: Path):
    page = visit()
    add_examples(page)
    panel = open_tab(page, "Video")
    page.set_input_files("#fl-clip-video input[type=file]", str(clip))
    before = picture(page, "video")
    open_tab(page, "Attributes")
    make_own_direction(page, "Lightness")
    attributes = page.get_by_role("tabpanel", name="Attributes")
    attributes.get_by_label("Lightness: without to with").fill("2")
    attributes.get_by_role("button", name="Save as preset").click()
    page.get_by_label("Name of the preset").locator("visible=true").fill("Brighter")
    page.keyboard.press("Enter")
    page.set_default_timeout(30_000)  # sliders that wait for a face, which none here has, wait for a minute
    open_tab(page, "Video")
    preset, own = panel.get_by_label("Apply a preset"), panel.get_by_role("tab", name="Own")
    expect(own).to_have_count(1)
    preset.select_option("Brighter")
    another_picture(page, "video", before)
    expect(panel.locator(".fl-sliders").get_by_text("is left out")).to_be_hidden()
    own.click()
    expect(panel.get_by_label("Lightness: without to with")).to_have_value("2")
    panel.get_by_role("button", name="Advanced").click()
    panel.get_by_label("Gradient").check()
    expect(page.get_by_text("Lightness has no classifier")).to_be_visible()
    panel.get_by_label("Linear", exact=True).check()
    open_tab(page, "Attributes")
    page.get_by_role("button", name="Delete Lightness").click()
    page.get_by_role("button", name="Delete Lightness for good").click()
    expect(page.locator(".fl-shelf-items li")).to_have_count(0)
    open_tab(page, "Video")
    expect(own).to_have_count(0)
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_text("direction of your own that is not here any more")).to_be_visible()
    preset.select_option("")
    preset.select_option("Brighter")
    expect(panel.get_by_text("Part of “Brighter” is left out")).to_be_visible()


def test_making_a_video_can_be_stopped(visit, clip: Path, monkeypatch):
    monkeypatch.setitem(edit_clip.__kwdefaults__, "settings", EmbedSettings(steps=2000, preview_every=0))
    page = visit()
    panel = open_tab(page, "Video")
    page.set_input_files("#fl-clip-video input[type=file]", str(clip))
    picture(page, "video")
    panel.get_by_label("Smile: serious to smiling").fill("1")
    page.get_by_role("button", name="Make the video").click()
    expect(panel.get_by_text("Embedding the face")).to_be_visible()
    panel.get_by_role("button", name="Stop").click()
    expect(panel.get_by_text("Stopped.")).to_be_visible()
    expect(page.get_by_role("button", name="Make the video")).to_be_enabled()


def test_a_face_follows_a_clip(visit, clip: Path, tmp_path: Path):
    page = visit()
    add_examples(page)
    open_tab(page, "Expression")
    choose(page, "expression-target", "Leo")
    page.get_by_role("button", name="From a video clip").click()
    (tmp_path / "notes.mp4").write_text("no video")
    page.set_input_files("#fl-clip input[type=file]", str(tmp_path / "notes.mp4"))
    expect(page.locator("#fl-clip").get_by_text("That one was not opened")).to_be_visible()
    page.set_input_files("#fl-clip input[type=file]", str(clip))
    film = page.locator("#fl-film-expression")
    expect(film.locator(".fl-film-picture")).to_be_visible()
    expect(film.locator(".fl-film-frames img")).to_have_count(6)
    expect(film.get_by_text("6 frames, 0.6 s")).to_be_visible()
    assert "h264" in streams(download(page, film.get_by_role("button", name="MP4"), tmp_path))


def test_a_face_follows_the_camera(site, launch, clip: Path, tmp_path: Path):
    """Chromium films a file in the place of a camera."""
    ffmpeg("-stream_loop", "20", "-i", clip, "-an", "-pix_fmt", "yuv420p", tmp_path / "camera.y4m")
    fake = "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"
    chromium = launch(*fake, f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}")
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(site.url)
    page.wait_for_selector(".fl-dropzone button")
    add_examples(page)
    open_tab(page, "Expression")
    page.get_by_role("button", name="From a video clip").click()
    page.get_by_role("button", name="Film 5 seconds").click()
    page.get_by_role("button", name="That is enough").click()
    expect(page.locator("#fl-film-expression .fl-film-picture")).to_be_visible()
    chromium.close()
