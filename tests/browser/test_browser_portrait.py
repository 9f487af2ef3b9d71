"""One visitor with one portrait: uploaded, embedded, edited in every tab, each result saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect
from visitor import (
    add_examples,
    another_picture,
    choose,
    download,
    open_tab,
    picture,
    set_steps,
    upload,
    wait_for_state,
)

from facelab.face import Face
from facelab.own_directions import load_direction
from facelab.project_file import open_project

expect.set_options(timeout=60_000)  # continuous integration has slow machines
FROM_PHOTO = "compositeWithTrainedAlgorithmicMedia"


def save_picture(page, tab: str, folder: Path, *, said: str) -> np.ndarray:
    """Download a tab's main picture; its metadata must tell what was done, and that a photo is behind it."""
    button = page.locator(f"#fl-viewer-{tab}").get_by_role("button", name="Download the picture")
    image = Image.open(download(page, button, folder))
    assert image.size == (512, 512) and said in image.text["Comment"], image.text["Comment"]
    assert FROM_PHOTO in image.text["XML:com.adobe.xmp"]
    return np.asarray(image)


def test_every_edit_is_done_to_an_uploaded_portrait_and_saved(visit, shared_photos: Path, tmp_path: Path):
    page = visit()
    upload(page, shared_photos / "astronaut.png")
    set_steps(page, steps=10, refine_steps=10)
    page.locator("#fl-start").click()
    wait_for_state(page, "done")
    name = page.locator(".fl-face .fl-name").first.input_value()
    saved = download(page, page.get_by_role("button", name=f"Save {name} as a face file"), tmp_path)
    assert Face.load(saved).operations == ["embed", "refine"]

    panel = open_tab(page, "Attributes")
    untouched = picture(page, "attributes")
    add_examples(page)
    panel.get_by_role("button", name="New direction").click()
    choose(page, "own-with", "Ivy", "Mara")
    choose(page, "own-without", "Otto", "Leo")
    panel.get_by_placeholder("Freckles").fill("Long hair")
    panel.get_by_role("button", name="Make the direction").click()
    file = download(page, panel.get_by_role("button", name="Save Long hair as a file"), tmp_path)
    assert file.name == "Long-hair.npz" and load_direction(file).title == "Long hair"
    panel.get_by_role("tab", name="Own").click()
    panel.get_by_label("Long hair: without to with").fill("0.8")
    steps = panel.locator(".fl-step")
    expect(steps).to_have_text(["Original", "Long hair +0.80"])
    panel.get_by_role("tab", name="Expression", exact=True).click()
    panel.get_by_label("Smile: serious to smiling").fill("1.5")
    expect(steps).to_have_text(["Original", "Long hair +0.80", "Smile +1.50"])
    edited = another_picture(page, "attributes", untouched)
    assert save_picture(page, "attributes", tmp_path, said="refine, attribute own 0.8, attribute smile 1.5").any()
    panel.get_by_role("button", name="Save as preset").click()
    panel.get_by_label("Name of the preset").fill("Long and glad")
    page.keyboard.press("Enter")

    open_tab(page, "Morph")
    choose(page, "morph-first", name)
    choose(page, "morph-second", "Otto")
    picture(page, "morph")
    save_picture(page, "morph", tmp_path, said="attribute smile 1.5, morph 0.5")

    open_tab(page, "Style crossover")
    choose(page, "crossover-content", name)
    choose(page, "crossover-style", "Ivy")
    crossed = picture(page, "crossover")
    save_picture(page, "crossover", tmp_path, said="crossover 1")
    page.get_by_role("button", name="Style of any picture").click()
    waves = np.sin(np.linspace(0, 60, 200))[:, None, None] * [90, 60, 20] + [110, 130, 160]
    Image.fromarray(np.broadcast_to(waves, (200, 300, 3)).astype(np.uint8)).save(tmp_path / "waves.png")
    page.set_input_files(".fl-stylise input[type=file]", str(tmp_path / "waves.png"))
    expect(page.get_by_text("waves is open.")).to_be_visible()
    count = page.get_by_label("number input for Steps", exact=True).locator("visible=true")
    count.fill("20")
    count.press("Tab")
    page.get_by_role("button", name="Stylise", exact=True).click()
    page.wait_for_selector(".fl-stylise[data-state=done]")
    expect(page.locator(".fl-stylise .fl-progress-text")).to_contain_text("Step 20 of 20 · style loss")
    another_picture(page, "crossover", crossed)
    save_picture(page, "crossover", tmp_path, said="attribute smile 1.5, stylise")

    open_tab(page, "Expression")
    choose(page, "expression-target", name)
    choose(page, "expression-neutral", "Leo")
    choose(page, "expression-expressive", "Ivy")
    picture(page, "expression")
    save_picture(page, "expression", tmp_path, said="express 1")

    open_tab(page, "Mix")
    choose(page, "mix-several", name, "Ivy")
    page.get_by_role("button", name="Average them").click()
    picture(page, "mix")
    save_picture(page, "mix", tmp_path, said="average")

    open_tab(page, "Back into the photo")
    picture(page, "paste")
    near = page.locator("#fl-viewer-paste").get_by_role("button", name="Look at the face closely")
    shown = page.locator("#fl-viewer-paste .fl-view-after")
    near.click()
    expect(near).to_have_attribute("aria-pressed", "true")
    assert shown.evaluate("image => new DOMMatrix(getComputedStyle(image).transform).a") > 1.5
    near.click()
    assert shown.evaluate("image => new DOMMatrix(getComputedStyle(image).transform).a") == 1
    path = download(page, page.get_by_role("button", name="Download the photo"), tmp_path)
    photo, pasted = Image.open(shared_photos / "astronaut.png").convert("RGB"), Image.open(path)
    assert pasted.size == photo.size and pasted.text["Comment"].endswith("attribute smile 1.5, paste.")
    assert (np.asarray(pasted) != np.asarray(photo)).any()

    path = download(page, page.get_by_role("button", name="Save all as a project"), tmp_path)
    project = open_project(path)
    assert [each.title for each in project.directions] == ["Long hair"]
    assert [each.name for each in project.presets] == ["Long and glad"]
    again = visit()
    again.set_input_files(".fl-library input[type=file]", str(path))
    expect(again.locator(".fl-face")).to_have_count(7)
    panel = open_tab(again, "Attributes")
    expect(panel.locator(".fl-step")).to_have_text(["Original", "Long hair +0.80", "Smile +1.50"])
    assert picture(again, "attributes") == edited, "the face with its history is as it was"
    expect(panel.get_by_role("tab", name="Own")).to_have_count(1)
    expect(panel.get_by_label("Apply a preset").get_by_text("Long and glad")).to_have_count(1)
    open_tab(again, "Back into the photo")
    expect(again.locator("#fl-viewer-paste").get_by_text("The photo of")).to_contain_text("is not here")
