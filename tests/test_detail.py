"""The main picture is the photo's crop with the generator's change added, sharp where the photo was sharp."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facelab.face import Latent
from facelab.studio import Studio


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
