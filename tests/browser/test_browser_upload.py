"""Upload & align, driven as a visitor does."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect
from visitor import upload, use_example


def crop(page) -> str:
    return page.get_attribute(".fl-crop-picture", "src")


def wait_for_another_crop(page, before: str) -> str:
    page.wait_for_function("before => document.querySelector('.fl-crop-picture').src !== before", arg=before)
    return crop(page)


def test_any_of_several_faces_can_be_chosen_by_box_thumbnail_and_keyboard(visit, shared_photos: Path):
    page = visit()
    upload(page, shared_photos / "several_faces.jpg")
    faces = page.locator(".fl-box").count()
    assert faces >= 4
    expect(page.locator(".fl-thumb")).to_have_count(faces)
    expect(page.locator(".fl-thumb").first).to_have_attribute("aria-checked", "true")
    first = crop(page)
    page.locator(".fl-box").nth(1).click()
    second = wait_for_another_crop(page, first)
    expect(page.locator(".fl-thumb").nth(1)).to_have_attribute("aria-checked", "true")
    page.locator(".fl-thumb").nth(2).click()
    third = wait_for_another_crop(page, second)
    page.locator(".fl-thumb").nth(2).press("ArrowLeft")
    wait_for_another_crop(page, third)
    expect(page.locator(".fl-box").nth(1)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement.classList.contains('fl-thumb')")


def test_the_crop_is_corrected_by_hand_and_reset(visit, shared_photos: Path):
    page = visit()
    upload(page, shared_photos / "astronaut.png")
    pictures = [crop(page)]
    for name in ("Move the frame left", "Move the frame down", "Zoom in", "Zoom out", "Turn the face left"):
        page.get_by_role("button", name=re.compile(name)).click()
        pictures.append(wait_for_another_crop(page, pictures[-1]))
    expect(page.locator(".fl-crop")).to_contain_text("corrected by hand")
    page.get_by_role("button", name=re.compile("Reset all corrections")).focus()
    page.keyboard.press("ArrowUp")
    moved = wait_for_another_crop(page, pictures[-1])
    page.keyboard.press("0")
    assert wait_for_another_crop(page, moved) == pictures[0]


def test_landmarks_can_come_from_five_points(visit, shared_photos: Path):
    page = visit()
    upload(page, shared_photos / "astronaut.png")
    before = crop(page)
    page.get_by_role("button", name="Advanced").first.click()
    page.get_by_label("MTCNN, 5 points").check()
    wait_for_another_crop(page, before)


def test_two_clicks_on_the_eyes_align_where_no_face_is_found(visit, shared_photos: Path):
    page = visit()
    page.set_input_files(".fl-dropzone input[type=file]", str(shared_photos / "no_face.png"))
    expect(page.locator(".fl-eye-pad")).to_be_visible()
    expect(page.locator("#fl-lead-on")).to_be_disabled()
    expect(page.locator(".fl-stage .fl-note")).to_contain_text("No face found")
    area = page.locator(".fl-frame").bounding_box()
    page.locator(".fl-eye-pad").click(position={"x": area["width"] * 0.4, "y": area["height"] * 0.45})
    page.locator(".fl-eye-pad").click(position={"x": area["width"] * 0.6, "y": area["height"] * 0.45})
    page.wait_for_selector(".fl-crop-picture:not([hidden])")
    expect(page.locator("#fl-lead-on")).to_be_enabled()
    before = crop(page)
    page.get_by_role("button", name="Align by two clicks on the eyes").press("Enter")  # and once more by keyboard
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_for_another_crop(page, before)


def test_a_bad_upload_is_a_message_and_the_page_lives_on(visit, tmp_path: Path):
    bad = tmp_path / "holiday.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 this is no picture" + bytes(2000))
    page = visit()
    for _ in range(2):
        page.set_input_files(".fl-dropzone input[type=file]", str(bad))
        expect(page.locator(".fl-drop-status.bad")).to_be_visible()
    assert "Traceback" not in page.content()
    use_example(page)
    expect(page.locator("#fl-lead-on")).to_be_enabled()
    page.set_input_files(".fl-dropzone input[type=file]", str(bad))  # and the photo before a bad one stays
    expect(page.locator(".fl-drop-status.bad")).to_be_visible()
    expect(page.locator(".fl-crop-picture")).to_be_visible()


def test_an_upload_does_not_stay_on_the_disk(visit, shared_photos: Path):
    from gradio.utils import get_upload_folder

    page = visit()
    upload(page, shared_photos / "astronaut.png")
    assert not list(Path(get_upload_folder()).rglob("astronaut*.png"))
