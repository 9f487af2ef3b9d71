"""Every face of a photo is found, the largest first; where there is none, the list is empty."""

import sys
import threading

import numpy as np
import pytest
from PIL import Image

from facelab.alignment import quad_from_landmarks
from facelab.detection import FaceFinder, FoundFace, _merged, _Sighting, overlap
from facelab.errors import BadSetting
from facelab.page.examples import load_examples
from facelab.photo import read_photo

PORTRAITS = ("angelina_jolie.jpg", "astronaut.png", "kate_siegel.jpg", "paul_rudd.jpg", "shea_whigham.jpg")
ROUTES = ({"detectors": "dlib"}, {"detectors": "both"}, {"landmarks": "mtcnn"})


def turned(photo: np.ndarray, degrees: float) -> np.ndarray:
    image = Image.fromarray(photo).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(image)


def roll(face: FoundFace) -> float:
    across = np.subtract(*quad_from_landmarks(face.landmarks)[[3, 0]])
    return float(np.degrees(np.arctan2(across[1], across[0])))


@pytest.mark.parametrize("name", PORTRAITS)
@pytest.mark.parametrize("route", ROUTES)
def test_each_portrait_has_one_face(name, route, finder, shared_photos):
    photo = read_photo(shared_photos / name)
    (face,) = finder.find(photo, **route)
    points = 5 if route.get("landmarks") == "mtcnn" else 68
    assert face.landmarks.shape == (points, 2) and face.landmarks.dtype == face.box.dtype == np.float32
    left, top, right, bottom = face.box
    assert 0.25 * (right - left) < face.landmarks[:, 0].std() * 2 < right - left
    assert (face.landmarks.mean(axis=0) > (left, top)).all() and (face.landmarks.mean(axis=0) < (right, bottom)).all()


@pytest.mark.parametrize("route", ROUTES)
def test_all_six_faces_are_found_the_largest_first(route, finder, shared_photos):
    faces = finder.find(read_photo(shared_photos / "several_faces.jpg"), **route)
    sizes = [float(np.prod(face.box[2:] - face.box[:2], dtype=np.float64)) for face in faces]
    assert len(faces) == 6 and sizes == sorted(sizes, reverse=True)
    assert all(overlap(a.box, b.box) < 0.2 for i, a in enumerate(faces) for b in faces[:i])


@pytest.mark.parametrize("route", ROUTES)
def test_a_photo_without_a_face_gives_an_empty_list(route, finder, shared_photos):
    assert finder.find(read_photo(shared_photos / "no_face.png"), **route) == []


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("size", [(64, 64), (64, 3000), (2000, 64), (9000, 64)])
def test_odd_pictures_have_no_face_and_no_exception(size, route, finder):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for photo in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        assert finder.find(photo, **route) == []


@pytest.mark.parametrize("degrees", [-60, -40, -20, 20, 40, 60])
def test_a_tilted_face_is_aligned_upright(degrees, finder, shared_photos):
    photo = read_photo(shared_photos / "kate_siegel.jpg")
    (upright,), (tilted,) = finder.find(photo), finder.find(turned(photo, degrees))
    assert abs(roll(tilted) + degrees - roll(upright)) < 3


def test_five_points_give_nearly_the_quad_of_68(finder, shared_photos):
    for name in PORTRAITS:
        photo = read_photo(shared_photos / name)
        full, five = (
            quad_from_landmarks(finder.find(photo, landmarks=kind)[0].landmarks) for kind in ("dlib", "mtcnn")
        )
        assert np.hypot(*(full - five).T).mean() < 0.06 * np.hypot(*(full[3] - full[0]))


def test_a_small_face_in_a_large_photo_is_found(finder, shared_photos):
    portrait = read_photo(shared_photos / "kate_siegel.jpg")
    small = Image.fromarray(portrait).resize((180, 258), Image.Resampling.LANCZOS)
    photo = Image.new("RGB", (1632, 1224), (90, 110, 130))
    photo.paste(small, (1200, 700))
    (found,) = finder.find(np.asarray(photo))
    assert found.detector == "mtcnn" and 30 < found.box[2] - found.box[0] < 60
    expected = finder.find(portrait)[0].landmarks * (180 / portrait.shape[1]) + (1200, 700)
    assert np.hypot(*(found.landmarks - expected).T).mean() < 1.5


def test_what_overlaps_is_one_face_and_a_half_seen_one_needs_the_other_detector():
    def seen(left: float, detector: str, sure: bool = True) -> _Sighting:
        return _Sighting(np.array([left, 0, left + 100, 100], np.float32), 7.0, detector, sure)

    merged = _merged([seen(0, "dlib"), seen(300, "dlib", False), seen(600, "dlib", False)], [seen(20, "mtcnn")])
    assert [(face.detector, face.sure) for face in merged] == [("dlib", True), ("dlib", False), ("dlib", False)]
    merged = _merged([seen(300, "dlib", False)], [seen(310, "mtcnn", False), seen(900, "mtcnn")])
    assert [(face.detector, face.sure) for face in merged] == [("dlib", True), ("mtcnn", True)]


def test_five_points_never_open_the_68_point_file(shared_photos, monkeypatch):
    monkeypatch.setattr(FaceFinder, "_predictor", property(lambda self: pytest.fail("the 68-point file was opened")))
    assert len(FaceFinder().find(read_photo(shared_photos / "astronaut.png"), landmarks="mtcnn")) == 1


def test_the_package_that_needs_pkg_resources_is_not_imported(finder, shared_photos):
    finder.find(read_photo(shared_photos / "astronaut.png"))
    assert "face_recognition_models" not in sys.modules


def test_threads_share_one_finder(finder, shared_photos):
    photo, found = read_photo(shared_photos / "several_faces.jpg"), []
    threads = [threading.Thread(target=lambda: found.append(finder.find(photo))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for faces in found[1:]:
        assert all(np.array_equal(a.landmarks, b.landmarks) for a, b in zip(found[0], faces, strict=True))


def test_unknown_detectors_and_landmarks_are_refused(finder):
    photo = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(BadSetting, match="retina"):
        finder.find(photo, detectors="retina")
    with pytest.raises(BadSetting, match="106"):
        finder.find(photo, landmarks="106")


def test_a_photo_on_its_side_is_known_by_its_faces(finder):
    for example in load_examples().values():
        turned = [np.rot90(example.as_photo(), turns) for turns in range(4)]
        assert [finder.turns_upright(each) for each in turned] == [0, 1, 2, 3], example.name
    assert finder.turns_upright(np.full((200, 300, 3), 128, np.uint8)) == 0
