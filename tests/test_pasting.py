"""An edited face goes back into its photo: nothing else changes, no box is seen, and the photo stays as sharp."""

import io
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.alignment import adjust_quad, align
from facelab.detail import Change, Look, find_change
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Face, Latent
from facelab.pasting import QUAD_OF_CROP, paste
from facelab.studio import Studio
from facelab.template import TEMPLATE_LANDMARKS

R = 128
LANDMARKS = TEMPLATE_LANDMARKS * np.float32(R)


def square(left: float, top: float, side: float, degrees: float = 0.0) -> np.ndarray:
    corners = np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]], np.float32)
    return adjust_quad(corners, rotate=degrees)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Something with the spectrum of a photo: coarse patches, fine ones and a little grain."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((8, 50), (40, 25), (200, 12)):
        patch = random.normal(128, strength * 2, (cells, cells, 3)).clip(0, 255).astype(np.uint8)
        total += np.asarray(Image.fromarray(patch).resize((width, height), Image.Resampling.BICUBIC), np.float32) - 128
    grain = random.normal(0, 8, (height + 1, width + 1, 3))
    total += grain[:-1, :-1] + grain[1:, :-1] + grain[:-1, 1:] + grain[1:, 1:]  # a sensor's is not white
    return (total / 2 + 128).clip(0, 255).astype(np.uint8)


def brighter(amount: float = 0.2, move: tuple[float, float] = (0, 0)) -> Change:
    """A disc in the crop's middle that gets brighter, and that has moved."""
    middles = (torch.arange(R) + 0.5) / R - 0.5
    disc = (1 - ((middles**2 + middles[:, None] ** 2).sqrt() / 0.3) ** 2).clamp(0, 1)[None]
    shift = torch.tensor(move).reshape(2, 1, 1)
    return Change(added=disc * amount * torch.ones(3, 1, 1), faded=0 * disc, move=disc * shift, mask=disc)


def inside(quad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    across, down = quad[3] - quad[0], quad[1] - quad[0]
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    u = ((x - quad[0, 0]) * across[0] + (y - quad[0, 1]) * across[1]) / (across @ across)
    v = ((x - quad[0, 0]) * down[0] + (y - quad[0, 1]) * down[1]) / (down @ down)
    return (u > 0) & (u < 1) & (v > 0) & (v < 1)


@pytest.mark.parametrize("degrees", [0, 20, -75])
def test_a_change_lands_where_the_quad_says_and_nowhere_else(degrees):
    photo, quad = np.full((500, 700, 3), 100, np.uint8), square(250.3, 120.6, 222, degrees)
    result = paste(photo, [(quad, brighter())])
    assert result is not photo and (photo == 100).all()
    added = result.astype(float) - 100
    assert (added[~inside(quad, photo.shape)] == 0).all()
    weight = added[..., 0]
    y, x = np.mgrid[:500, :700] + 0.5
    centre = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
    assert np.hypot(*(centre - quad.mean(axis=0))) < 0.1
    assert weight.max() == pytest.approx(0.2 * 255, abs=1.5)
    assert weight.sum() / (0.2 * 255) == pytest.approx(math.pi / 2 * (0.3 * 222) ** 2, rel=0.01)


def test_a_movement_fetches_the_photo_from_where_it_says():
    photo = noise(600, 600)
    quad = square(100, 100, 400)
    moved = brighter(0.0, (0.05, -0.02))
    moved = replace(moved, move=torch.where(moved.mask > 0.5, torch.tensor([0.05, -0.02]).reshape(2, 1, 1), moved.move))
    result = paste(photo, [(quad, moved)])
    assert (result[270:330, 270:330] == photo[262:322, 290:350]).mean() > 0.99  # 20 pixels right, 8 up: whole ones


def test_what_no_change_reaches_is_the_photo_to_the_bit():
    photo = noise(900, 1200)
    quads = square(90, 200, 380, 10), square(640, 300, 420, -15)
    result = paste(photo, [(quad, brighter(0.1, (0.01, 0.013))) for quad in quads])
    outside = ~(inside(quads[0], photo.shape) | inside(quads[1], photo.shape))
    assert np.array_equal(result[outside], photo[outside])
    for quad in quads:
        assert (result != photo)[inside(quad, photo.shape)].mean() > 0.2
    assert np.array_equal(paste(photo, []), photo)


def test_a_shifted_photo_keeps_its_sharpness():
    photo, quad = noise(700, 700), square(100, 100, 500)
    still = replace(brighter(0.0), move=torch.zeros(2, R, R))
    for shift in ((0.5 / 500, 0.5 / 500), (0.25 / 500, 0.7 / 500), (3.3 / 500, 0)):
        change = replace(still, move=(still.mask > 0).float() * torch.tensor(shift).reshape(2, 1, 1))
        result = paste(photo, [(quad, change)])
        ratio = laplacian(result[250:450, 250:450]) / laplacian(photo[250:450, 250:450])
        assert 0.8 < ratio < 1.15


def laplacian(picture: np.ndarray) -> float:
    grey = picture.astype(np.float32).mean(axis=2)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())


def test_a_face_smaller_than_the_generator_does_not_alias():
    stripes = torch.zeros(R, R)
    stripes[:, ::2] = 1
    change = replace(brighter(), added=brighter().mask * (stripes - 0.5) * torch.ones(3, 1, 1))
    result = paste(np.full((200, 200, 3), 128, np.uint8), [(square(60, 60, 41), change)])
    assert np.abs(result.astype(int) - 128).max() < 12, "stripes finer than the photo's pixels became visible"


def test_strips_leave_no_seam(monkeypatch):
    photo, quad = noise(500, 500), square(40, 40, 420, 5)
    change = brighter(0.1, (0.013, 0.01))
    whole = paste(photo, [(quad, change)])
    monkeypatch.setattr("facelab.pasting._STRIP", 20_000)
    assert np.abs(whole.astype(int) - paste(photo, [(quad, change)])).max() <= 1


def test_an_edit_at_the_photos_edge_stays_inside():
    photo = noise(300, 300)
    result = paste(photo, [(square(-120, 60, 240), brighter(0.2, (0.1, 0.1))), (square(500, 500, 100), brighter())])
    assert result.shape == photo.shape and (result[100:200, :60] != photo[100:200, :60]).any()


def test_an_edit_that_hardly_reaches_into_the_photo_is_pasted():
    photo = noise(200, 200)
    for reached in range(12):
        result = paste(photo, [(square(reached - 192, -20, 240), brighter())])
        assert np.array_equal(result[:, reached + 2 :], photo[:, reached + 2 :])
    assert (result[:, :8] != photo[:, :8]).any(axis=(0, 2)).all()


def test_broad_changes_fade_without_a_box():
    """The generator makes everything darker: the face follows, and at the crop's border nothing is left of it."""
    look = Look(np.full((R, R, 3), 150, np.uint8), LANDMARKS)
    darker = Look(np.full((R, R, 3), 120, np.uint8), LANDMARKS)
    change = find_change(np.full((512, 512, 3), 150, np.uint8), look, darker, whole=False)
    border = torch.ones(R, R, dtype=bool)
    border[2:-2, 2:-2] = False
    assert (change.added[:, border] == 0).all() and (change.mask[:, border] == 0).all()
    assert change.added[0, 64, 64] * 255 == pytest.approx(-30, abs=1.5)
    steps = np.abs(np.gradient(change.added[0].numpy() * 255))
    assert steps.max() < 4
    whole = find_change(np.full((512, 512, 3), 150, np.uint8), look, darker)
    assert whole.added[0, 1, 64] * 255 == pytest.approx(-30, abs=1.5)


def test_new_things_are_painted_over_the_photos_detail():
    """A dark bar where the photo has fine stripes: no stripe may shine through."""
    crop = np.full((512, 512, 3), 150, np.uint8)
    crop[:, ::8] = 200
    base = np.asarray(Image.fromarray(crop).resize((R, R), Image.Resampling.BOX))
    bar = base.copy()
    bar[66:74, 30:98] = 20
    change = find_change(crop, Look(base, LANDMARKS), Look(bar, LANDMARKS))
    result = paste(crop, [(QUAD_OF_CROP, change)])
    middle = result[66 * 4 + 8 : 74 * 4 - 8, 200:312].astype(int)
    assert abs(middle.mean() - 20) < 25 and middle.std(axis=1).max() < 12
    assert np.array_equal(result[440:, 200:312], crop[440:, 200:312])


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def pasted_case(studio):
    """A photo with a generated face in it, the face as embedded, and an edit of it."""
    photo, quad = noise(800, 1000), square(300, 150, 470, 8)
    face, picture = studio.sample(1, seed=3)[0]
    other = studio.sample(1, seed=8)[0][0]
    back = Image.fromarray(picture).resize((470, 470), Image.Resampling.BICUBIC)
    photo[200:670, 310:780] = (0.6 * np.asarray(back) + 0.4 * photo[200:670, 310:780]).astype(np.uint8)
    aligned = align(photo, quad, resolution=R)
    face = replace(face, crop=aligned.crop, quad=aligned.quad, photo_size=aligned.photo_size)
    latent = Latent(face.latent.values.lerp(other.latent.values, 0.4), "w+", face.latent.model)
    return photo, face, replace(face, latent=latent)


def test_studio_pastes_and_leaves_the_photo_alone_without_an_edit(studio, pasted_case):
    photo, face, edited = pasted_case
    assert np.array_equal(studio.paste(photo, [(face, face)]), photo)
    result = studio.paste(photo, [(face, edited)])
    reached = inside(face.quad, photo.shape)
    assert np.array_equal(result[~reached], photo[~reached]) and (result != photo)[reached].mean() > 0.1


def test_a_face_that_was_saved_with_an_edit_still_shows_it(studio, pasted_case, tmp_path):
    photo, face, _ = pasted_case
    edited = studio.edit(face, {"smile": 2.5})
    edited.save(tmp_path / "FACE.npz")
    again = Face.load(tmp_path / "FACE.npz")
    assert np.array_equal(studio.picture(again), studio.picture(face, edited))
    assert np.array_equal(studio.paste(photo, [(again, again)]), studio.paste(photo, [(face, edited)]))
    both, anew = studio.edit(edited, {"bangs": 1}), studio.edit(again, {"bangs": 1})
    assert np.array_equal(studio.picture(again, anew), studio.picture(face, both))


def test_studio_refuses_an_edit_of_another_model_s(studio, pasted_case):
    photo, face, _ = pasted_case
    [other] = studio.of("vae64").random_faces(1, seed=1)
    for shown in (lambda: studio.paste(photo, [(face, other)]), lambda: studio.picture(face, other)):
        with pytest.raises(LatentMismatch, match="Choose faces of one model"):
            shown()


def test_studio_refuses_a_face_of_another_photo(studio, pasted_case):
    photo, face, edited = pasted_case
    with pytest.raises(BadSetting, match="1000 x 800"):
        studio.paste(photo[:700], [(face, edited)])
    with pytest.raises(BadSetting, match="No photo is behind"):
        studio.paste(photo, [(Face(face.latent), edited)])
    with pytest.raises(BadSetting, match="A photo is uint8"):
        studio.paste(photo[..., 0], [(face, edited)])


def test_studio_knows_the_photo_of_a_face_from_others_of_its_size(studio, pasted_case):
    photo, face, edited = pasted_case
    other, elsewhere = photo.copy(), np.roll(photo, 60, axis=1)
    back = Image.fromarray(studio.render(studio.sample(1, seed=21)[0][0])).resize((470, 470))
    other[150:620, 300:770] = np.asarray(back)
    for wrong in (other, elsewhere, noise(800, 1000, seed=1), np.zeros_like(photo)):
        with pytest.raises(BadSetting, match="Open the photo"):
            studio.paste(wrong, [(face, edited)])
    buffer = io.BytesIO()
    Image.fromarray((photo * 0.8 + 30).astype(np.uint8)).save(buffer, "JPEG", quality=20)
    assert studio.paste(np.asarray(Image.open(buffer)), [(face, edited)]).shape == photo.shape


def test_twelve_megapixels_take_about_a_second():
    photo = np.zeros((3000, 4000, 3), np.uint8)
    change = brighter(0.2, (0.01, 0.01))
    paste(photo[:600, :600], [(square(50, 50, 500), change)])
    started = time.process_time()
    paste(photo, [(square(1200, 700, 1600), change)])
    assert time.process_time() - started < 4, "far above the half second of an idle core"


def test_threads_draw_the_same(monkeypatch):
    photo, quad, change = noise(500, 500), square(40, 40, 420, 5), brighter(0.1, (0.013, 0.01))
    whole = paste(photo, [(quad, change)])
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert np.array_equal(paste(photo, [(quad, change)]), whole)
