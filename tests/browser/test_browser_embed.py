"""Embed and the library, driven as visitors do, alone and two at once."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import expect
from visitor import (
    another_picture,
    open_tab,
    picture,
    set_steps,
    step_of,
    upload,
    use_example,
    wait_for_state,
    wait_for_step,
)

from facelab.face import Face


def test_a_portrait_becomes_a_face_in_the_library(visit, shared_photos: Path, tmp_path: Path):
    page = visit()
    upload(page, shared_photos / "astronaut.png")
    set_steps(page, steps=20, refine_steps=30)
    page.get_by_role("tab", name="Upload & align").click()
    page.get_by_role("button", name="Embed this face").click()
    expect(page.get_by_role("tab", name="Embed")).to_have_attribute("aria-selected", "true")
    wait_for_state(page, "done")
    assert step_of(page) == 50
    for number in ("loss", "psnr", "identity", "latent"):
        assert any(letter.isdigit() for letter in page.locator(f"[data-number={number}]").inner_text()), number
    assert page.evaluate("facelab.previews") >= 3
    page.get_by_role("button", name="Edit this face").click()
    expect(page.get_by_role("tab", name="Attributes")).to_have_attribute("aria-selected", "true")
    name = page.locator(".fl-name")
    expect(name).to_have_value("Astronaut")
    name.fill("Eileen")
    name.press("Enter")
    expect(page.get_by_role("button", name="Show Eileen")).to_be_visible()
    assert page.evaluate("facelab.unsaved") == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Save Eileen as a face file").click()
    download.value.save_as(tmp_path / "face.npz")
    face = Face.load(tmp_path / "face.npz")
    assert download.value.suggested_filename == "Eileen.npz" and face.delta is not None and face.crop is not None
    page.wait_for_function("facelab.unsaved === 0")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the picture of Eileen").click()
    assert download.value.suggested_filename == "Eileen.png"
    page.get_by_role("button", name="Delete Eileen").click()
    page.get_by_role("button", name="Keep Eileen").click()
    page.get_by_role("button", name="Delete Eileen").click()
    page.get_by_role("button", name="Delete Eileen for good").click()
    expect(page.locator(".fl-face")).to_have_count(0)
    page.set_input_files(".fl-library input[type=file]", str(tmp_path / "face.npz"))
    expect(page.locator(".fl-face")).to_have_count(1)


def test_stop_keeps_the_face_and_continue_goes_on(visit):
    page = visit()
    use_example(page)
    page.get_by_role("tab", name="Embed").click()
    page.get_by_label("Paper").check()
    page.get_by_role("button", name="Embed", exact=True).click()
    wait_for_step(page, 4)
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, "stopped")
    expect(page.locator(".fl-face")).to_have_count(1)
    stopped = step_of(page)
    assert 4 <= stopped < 4000
    page.get_by_role("button", name="Continue").click()
    wait_for_step(page, stopped + 3)
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, "stopped")
    expect(page.locator(".fl-face")).to_have_count(1)
    assert page.locator(".fl-plot .curve").get_attribute("points").count(",") >= stopped + 3  # one curve, begun once


def test_attributes_show_what_became_of_a_face_that_was_edited_while_it_was_embedded(visit):
    page = visit()
    use_example(page)
    set_steps(page, steps=1000, refine_steps=10)
    page.get_by_role("button", name="Embed", exact=True).click()
    expect(page.locator(".fl-face")).to_have_count(1)
    panel = open_tab(page, "Attributes")
    plain = picture(page, "attributes")
    panel.get_by_label("Smile: serious to smiling").fill("2")
    edited = another_picture(page, "attributes", plain)
    open_tab(page, "Embed")
    wait_for_step(page, 4)
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, "stopped")
    open_tab(page, "Attributes")
    another_picture(page, "attributes", edited)


def test_two_visitors_embed_at_once_and_keep_their_faces_apart(visit):
    pages = [visit(), visit()]
    for number, page in enumerate(pages):
        use_example(page, number)
        page.get_by_role("button", name="Embed this face").click()
    steps = [0, 0]
    for page in pages:
        wait_for_step(page, 3)
    for _ in range(2):  # both move on: neither waits for the other's end
        before, steps = steps, [step_of(page) for page in pages]
        assert all(now > then for now, then in zip(steps, before, strict=True)), (before, steps)
        time.sleep(2)
    started = time.monotonic()
    third = visit()
    use_example(third, 2)
    assert time.monotonic() - started < 30, "an upload waited for other people's embeddings"
    for page in pages:
        page.get_by_role("button", name="Stop").click()
        wait_for_state(page, "stopped")
        expect(page.locator(".fl-face")).to_have_count(1)
    expect(third.locator(".fl-face")).to_have_count(0)
    pictures = [page.locator(".fl-face img").get_attribute("src") for page in pages]
    assert pictures[0] != pictures[1]


def test_the_examples_are_faces_to_start_from(visit):
    page = visit()
    page.get_by_role("button", name="Add the examples").click()
    expect(page.locator(".fl-face")).to_have_count(6)
    page.locator(".fl-face-picture").nth(1).click()
    expect(page.get_by_role("tab", name="Embed")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".fl-pair-frame").nth(1).locator("img")).to_be_visible()


def test_a_setting_out_of_range_is_a_message(visit):
    page = visit()
    use_example(page)
    set_steps(page, steps=10, refine_steps=10)
    for label in ("Pixel weight", "Perceptual weight"):
        page.get_by_label(f"number input for {label}").fill("0")
        page.get_by_label(f"number input for {label}").press("Tab")
    page.get_by_role("button", name="Embed", exact=True).click()
    expect(page.get_by_text("cannot both be 0")).to_be_visible()
    expect(page.get_by_role("button", name="Embed", exact=True)).to_be_enabled()


def test_a_closed_page_is_forgotten(visit, site):
    page = visit()
    use_example(page)
    before = len(site.sessions)
    page.get_by_role("button", name="Embed this face").click()
    wait_for_step(page, 1)
    page.close()
    deadline = time.monotonic() + 20
    while len(site.sessions) >= before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(site.sessions) < before


def test_a_face_opened_beside_the_photo_stays_in_view(visit):
    page = visit()
    use_example(page)
    page.evaluate("facelab.addExamples()")
    page.get_by_role("button", name="Show Ivy").click()
    shown = page.get_by_alt_text("Generator's face")
    expect(shown).to_be_visible()
    page.wait_for_timeout(2000)  # the tab opens after the face, and could show the photo's again
    expect(shown).to_be_visible()
    expect(page.locator("#fl-start")).to_be_disabled()
    page.get_by_role("tab", name="Upload & align").click()
    page.get_by_role("button", name="Embed this face").click()
    expect(page.locator("#fl-stop")).to_be_visible()
    expect(page.get_by_alt_text("Target")).to_be_visible()
    page.locator("#fl-stop").click()
    wait_for_state(page, "stopped")


def test_a_second_face_is_embedded_without_waiting_for_the_first(visit):
    page = visit()
    crop, before = page.locator(".fl-crop-picture"), ""
    for number in range(2):
        open_tab(page, "Upload & align")
        use_example(page, number)
        expect(crop).not_to_have_attribute("src", before)
        before = crop.get_attribute("src")
        page.get_by_role("button", name="Embed this face").click()
        wait_for_step(page, 2)
    expect(page.locator(".fl-face")).to_have_count(2)
    assert page.locator(".fl-face.open .fl-name").input_value() == "Leo"
    page.get_by_role("button", name="Stop").click()
    wait_for_state(page, "stopped")
