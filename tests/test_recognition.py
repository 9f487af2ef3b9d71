"""The identity vector is dlib's own, raw, and knows whether it saw a face."""

import numpy as np
import pytest
from PIL import Image

from facelab.alignment import align, quad_from_landmarks
from facelab.errors import BadSetting
from facelab.photo import read_photo
from facelab.recognition import SAME_PERSON, Recogniser, _as_68, identity_distance
from facelab.template import TEMPLATE_LANDMARKS

PORTRAITS = ("angelina_jolie.jpg", "astronaut.png", "kate_siegel.jpg", "paul_rudd.jpg", "shea_whigham.jpg")


@pytest.fixture(scope="module")
def recogniser(finder):
    return Recogniser(finder)


@pytest.fixture(scope="module")
def portraits(finder, shared_photos):
    """(photo, landmarks, aligned face) of five people."""
    found = []
    for name in PORTRAITS:
        photo = read_photo(shared_photos / name)
        points = finder.find(photo)[0].landmarks
        found.append((photo, points, align(photo, quad_from_landmarks(points), resolution=128, landmarks=points)))
    return found


def test_a_person_is_near_themselves_and_far_from_others(recogniser, portraits):
    crops, found = zip(*(recogniser.vector_of_aligned(face.crop) for _, _, face in portraits), strict=True)
    small, found_small = zip(*(recogniser.vector_of_aligned(face.image) for _, _, face in portraits), strict=True)
    assert crops[0].shape == (128,) and crops[0].dtype == np.float32 and all(found) and all(found_small)
    for i, a in enumerate(crops):
        assert identity_distance(a, small[i]) < 0.15  # 128 px keep a face
        assert all(identity_distance(a, b) > SAME_PERSON for b in crops[:i])


def test_vectors_are_raw(recogniser, portraits):
    norms = [np.linalg.norm(recogniser.vector(photo, points)) for photo, points, _ in portraits]
    assert all(1.3 < norm < 1.8 for norm in norms) and np.std(norms) > 0.01


def test_photo_and_aligned_crop_give_the_same_person(recogniser, portraits):
    for photo, points, face in portraits:
        assert identity_distance(recogniser.vector(photo, points), recogniser.vector(face.crop)) < 0.15


def test_five_points_give_the_same_person(recogniser, finder, portraits):
    for photo, points, _ in portraits:
        five = finder.find(photo, landmarks="mtcnn")[0].landmarks
        assert identity_distance(recogniser.vector(photo, points), recogniser.vector(photo, five)) < 0.35


def test_without_a_face_the_template_stands_in_and_says_so(recogniser):
    grey = np.full((128, 128, 3), 120, np.uint8)
    points, found = recogniser.landmarks_of_aligned(grey)
    assert not found and np.allclose(points, TEMPLATE_LANDMARKS * 128) and points.dtype == np.float32
    vector, found = recogniser.vector_of_aligned(grey)
    assert not found and vector.shape == (128,) and np.isfinite(vector).all()


def test_the_templates_landmarks_would_know_the_person_too(recogniser, portraits):
    for _, _, face in portraits:
        assumed = recogniser.vector(face.crop, TEMPLATE_LANDMARKS * 512)
        assert identity_distance(assumed, recogniser.vector(face.crop)) < 0.4


def test_landmarks_of_an_aligned_face_are_in_its_own_pixels(recogniser, portraits):
    for _, _, face in portraits:
        for image in (face.image, face.crop):
            points, found = recogniser.landmarks_of_aligned(image)
            assert found and points.shape == (68, 2)
            assert np.abs(points / image.shape[0] - TEMPLATE_LANDMARKS).mean() < 0.05


def test_somebody_in_the_background_is_not_the_face(recogniser, portraits):
    crowd = np.full((512, 512, 3), 128, np.uint8)
    crowd[:180, :180] = np.asarray(Image.fromarray(portraits[2][2].crop).resize((180, 180), Image.Resampling.LANCZOS))
    assert recogniser.landmarks_of_aligned(crowd)[1] is False


def test_a_distance_is_of_raw_vectors():
    vectors = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    assert identity_distance(vectors[0], vectors[1]) == pytest.approx(np.linalg.norm(vectors[0] - vectors[1]))


def test_five_points_carry_the_template_by_a_similarity():
    angle = np.radians(20)
    turn = 300 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = TEMPLATE_LANDMARKS @ turn.T + (50, 70)
    five = [moved[part].mean(axis=0) for part in (range(36, 42), range(42, 48), [30], [48], [54])]
    assert np.allclose(_as_68(np.array(five)), moved, atol=1e-2)
    with pytest.raises(BadSetting):
        _as_68(np.zeros((7, 2)))
