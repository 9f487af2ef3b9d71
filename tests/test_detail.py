"""The main picture is the photo's crop with the generator's change added, sharp where the photo was sharp."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facelab.detail import Look, find_change, movement, resized
from facelab.face import Latent
from facelab.pasting import QUAD_OF_CROP, paste
from facelab.studio import Studio
from facelab.template import TEMPLATE_LANDMARKS


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def face(studio):
    """A generated face behind which a sharper "photo" is: its own picture, enlarged, with fine grain."""
    face, picture = studio.sample(1, seed=3)[0]
    large = np.asarray(Image.fromarray(picture).resize((512, 512), Image.Resampling.BICUBIC)).astype(np.float32)
    grain = np.random.default_rng(0).normal(0, 12, (512, 512, 1))
    crop = np.clip(large + grain, 0, 255).astype(np.uint8)
    return replace(face, crop=crop, quad=np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32))


def moved(face, amount, seed=8):
    """The face a little way towards another one."""
    other = Studio(device="cpu").sample(1, seed=seed)[0][0]
    values = face.latent.values.lerp(other.latent.values, amount)
    return replace(face, latent=Latent(values, face.latent.space, face.latent.model))


def test_without_an_edit_the_picture_is_the_crop(studio, face):
    assert np.array_equal(studio.picture(face), face.crop)
    same = replace(face, latent=Latent(face.latent.values.clone(), face.latent.space, face.latent.model))
    picture = studio.picture(face, same)
    assert np.array_equal(picture, face.crop) and not np.shares_memory(picture, face.crop)


def test_a_face_without_a_photo_shows_the_generator_enlarged(studio):
    face, picture = studio.sample(1, seed=4)[0]
    shown = studio.picture(face, size=256)
    assert shown.shape == (256, 256, 3)
    assert (
        np.abs(np.asarray(Image.fromarray(shown).resize((128, 128), Image.Resampling.BOX)) - picture.astype(int)).mean()
        < 3
    )


def test_detail_off_shows_the_generator(studio, face):
    edited = moved(face, 0.3)
    assert np.array_equal(studio.picture(face, edited, detail=False), studio.render(edited, 512))


def laplacian(picture):
    grey = picture.astype(np.float32).mean(axis=2)[128:400, 128:400]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())


def test_an_edit_shows_and_the_photos_detail_stays(studio, face):
    edited = moved(face, 0.3)
    picture = studio.picture(face, edited)
    generated, shown = studio.render(edited, 512), studio.render(face, 512)
    wanted = generated.astype(float) - shown
    got = picture.astype(float) - face.crop
    small = [
        np.asarray(Image.fromarray((part.mean(axis=2) + 128).clip(0, 255).astype(np.uint8)).resize((32, 32), 4))
        for part in (wanted, got)
    ]
    agreement = np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1]
    assert agreement > 0.9, "the picture changes where the generator's pictures change"
    assert laplacian(picture) > 5 * laplacian(generated), "as sharp as the photo, not as the generator"


def detail_left(edited, places):
    """How much of a photo's fine stripes an edit of a plain face of 128 px leaves at `places`, 1 for all of them."""
    stripes = 180 + 20 * np.sin(np.arange(512) * 2 * np.pi / 12)
    crop = np.broadcast_to(stripes[:, None, None], (512, 512, 3)).astype(np.uint8)
    landmarks = TEMPLATE_LANDMARKS * 128
    change = find_change(crop, Look(np.full((128, 128, 3), 180, np.uint8), landmarks), Look(edited, landmarks))
    return paste(crop, [(QUAD_OF_CROP, change)])[places].std() / crop[places].std()


def test_the_photo_does_not_shine_through_dark_lenses_but_through_a_darker_skin():
    cheek, lens = (slice(320, 350), slice(170, 210)), (slice(236, 264), slice(180, 240))
    glasses = np.full((128, 128, 3), 180, np.uint8)
    glasses[54:70, 40:88] = 30
    assert detail_left(glasses, lens) < 0.3
    assert detail_left(glasses, cheek) > 0.95
    assert detail_left(np.full((128, 128, 3), 80, np.uint8), lens) > 0.95


@pytest.mark.parametrize("whole", [True, False])
def test_a_fringe_is_dark_up_to_the_hair_that_stays(whole):
    landmarks = TEMPLATE_LANDMARKS * 128
    bald = np.full((128, 128, 3), 190, np.uint8)
    bald[:30] = 30
    fringe = bald.copy()
    fringe[30:46, 36:92] = 30
    change = find_change(resized(bald, 512), Look(bald, landmarks), Look(fringe, landmarks), whole=whole)
    picture = resized(paste(resized(bald, 512), [(QUAD_OF_CROP, change)]), 128).astype(float)
    off = (picture - fringe)[28:44, 42:86].mean(axis=2)
    assert off.max() < 25, "a lighter band was left between the fringe and the hair"
    assert abs((picture - fringe)[90:]).max() < 5, "nothing else has changed"


def test_movement_carries_landmarks_to_where_they_were():
    before = TEMPLATE_LANDMARKS.astype(np.float64)
    after = before.copy()
    after[48:68] += (0.01, 0.02)  # the mouth goes down
    field = movement(before, after, side=64)
    place = after[62]
    column, row = (int(value * 64) for value in place)
    assert field[:, row, column].numpy() == pytest.approx((-0.01, -0.02), abs=0.003)
    assert field[:, 2:].abs().amax() < 0.04 and field[:, 0].abs().max() < 0.002, "the border stays"
    assert movement(before, before).abs().max() < 1e-6


def test_what_is_remembered_goes_with_the_face(studio):
    face = replace(studio.sample(1, seed=5)[0][0], crop=np.zeros((512, 512, 3), np.uint8))
    studio.picture(face, moved(face, 0.2))
    count = len(studio._looks)
    assert count
    del face
    gc.collect()
    assert len(studio._looks) < count
