import dataclasses
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import facelab.studio
from facelab.embedding_settings import PRESETS, EmbedSettings
from facelab.errors import BadSetting, LatentMismatch, NoFaceFound, UnknownModel
from facelab.face import AlignedFace, Face, Latent
from facelab.photo import read_photo
from facelab.studio import Studio

SHORT = dataclasses.replace(PRESETS["fast"], steps=3, refine_steps=3, preview_every=1)


@pytest.fixture(scope="module")
def studio():
    return Studio("faces128", device="cpu")


def as_aligned(picture):
    """A generated picture in the place of an aligned photo."""
    crop = np.asarray(Image.fromarray(picture).resize((512, 512), Image.Resampling.BICUBIC))
    quad = np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32)
    return AlignedFace(picture, crop, quad, (512, 512))


def test_a_portrait_becomes_a_face_of_the_same_person(studio, shared_photos):
    photo = read_photo(shared_photos / "astronaut.png")
    aligned = studio.align(photo, studio.find_faces(photo)[0])
    settings = dataclasses.replace(PRESETS["fast"], steps=40, refine_steps=80)
    steps = list(studio.embed(aligned, settings))
    ends = [step for step in steps if step.phase_done]
    assert [step.phase for step in ends] == ["latent", "refine"]
    assert ends[1].identity_distance < 0.6, "not the same person by dlib's own threshold"
    assert ends[1].identity_distance < ends[0].identity_distance
    assert ends[1].psnr > 22 and ends[1].psnr > ends[0].psnr + 2

    face = studio.to_face(ends[1], aligned)
    assert np.array_equal(studio.render(face), ends[1].image)
    assert studio.identity_distance(face) == pytest.approx(ends[1].identity_distance, abs=1e-6)
    file = io.BytesIO()
    face.save(file)
    assert np.array_equal(studio.render(Face.load(io.BytesIO(file.getvalue()))), ends[1].image)
    assert face.model_sha256 == studio.card.sha256 and face.delta.nbytes <= 500_000


def test_identity_is_measured_at_the_end_of_each_phase_and_rarely_between(studio):
    aligned = as_aligned(studio.sample(1, seed=4)[0][1])
    steps = list(studio.embed(aligned, SHORT))
    assert [step.step for step in steps if step.identity_distance is not None] == [3, 6]


def test_a_photo_without_a_face_says_the_way_out(studio):
    with pytest.raises(NoFaceFound, match=r"640 x 480.*two eyes"):
        studio.find_faces(np.full((480, 640, 3), 128, np.uint8))


def test_a_face_is_aligned_by_a_quad_made_by_hand(studio):
    photo = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    quad = np.array([[100, 50], [100, 250], [300, 250], [300, 50]], np.float32)
    aligned = studio.align(photo, quad)
    assert aligned.image.shape == (128, 128, 3) and aligned.crop.shape == (512, 512, 3)
    assert aligned.detector == "hand" and aligned.photo_size == (400, 300)


def test_samples_are_the_same_for_the_same_seed(studio):
    first, again, other = (studio.sample(2, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one[1], two[1]) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0][1], other[0][1])
    drawn = studio.render(first[0][0]).astype(int)
    assert np.abs(drawn - first[0][1]).mean() < 1, "but for what bfloat16 rounds differently in another batch"
    mean = studio.sample(2, seed=3, truncation=0)
    assert np.array_equal(mean[0][1], mean[1][1])


@pytest.mark.parametrize(
    ("count", "truncation", "words"),
    [(-1, 0.7, "number of faces"), (0, 0.7, "number of faces"), (1, float("nan"), "truncation"), (1, 5, "truncation")],
)
def test_random_faces_that_cannot_be_are_refused(studio, count, truncation, words):
    with pytest.raises(BadSetting, match=words):
        studio.random_faces(count, truncation=truncation)


def test_a_face_is_rendered_at_any_size(studio):
    face = studio.sample(1, seed=1)[0][0]
    assert studio.render(face).shape == (128, 128, 3)
    assert studio.render(face, 300).shape == (300, 300, 3)
    with pytest.raises(BadSetting, match="between 16 and"):
        studio.render(face, 5)


def test_a_face_of_another_model_is_refused(studio):
    face = studio.sample(1, seed=1)[0][0]
    with pytest.raises(LatentMismatch, match="other-model"):
        studio.render(Face(Latent(face.latent.values, "w+", "other-model")))


def test_a_face_of_another_version_of_the_model_is_refused(studio):
    face = studio.sample(1, seed=1)[0][0]
    with pytest.raises(LatentMismatch, match="another version"):
        studio.render(dataclasses.replace(face, model_sha256="0" * 64))


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(UnknownModel, match="faces128"):
        Studio("faces4096")


def test_the_catalogue_is_listed(studio):
    assert "faces128" in [card.name for card in studio.models()]


def test_a_model_is_loaded_once_for_all_threads(monkeypatch):
    calls = []
    plain = facelab.studio.load_model

    def slow_load(*args, **kwargs):
        calls.append(threading.get_ident())
        return plain(*args, **kwargs)

    monkeypatch.setattr(facelab.studio, "load_model", slow_load)
    studio = Studio("faces128", device="cpu")
    assert not calls, "a studio loads nothing before it is needed"
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: studio.sample(1, seed=0)[0][1], range(4)))
    assert len(calls) == 1
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)


def test_a_studio_remembers_nothing_of_a_visitor(studio):
    aligned = as_aligned(studio.sample(1, seed=4)[0][1])
    list(studio.embed(aligned, SHORT))
    resident = set(studio._resident)
    weights = {name: value.clone() for name, value in studio.generator.state_dict().items()}
    list(studio.embed(as_aligned(studio.sample(1, seed=5)[0][1]), SHORT))
    assert set(studio._resident) == resident
    assert all(bool((value == weights[name]).all()) for name, value in studio.generator.state_dict().items())


def test_without_vggs_weights_the_error_says_where_they_go(studio, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACELAB_CHECKPOINTS", str(tmp_path))
    aligned = as_aligned(studio.sample(1, seed=4)[0][1])
    with pytest.raises(facelab.errors.BadWeights, match=r"vgg16-397923af\.pth"):
        studio.embed(aligned, EmbedSettings(perceptual="vgg16"))


def test_everything_that_a_first_visitor_needs_warms_up() -> None:
    studio = Studio("faces128", device="cpu")
    studio.warm_up()
    resident = set(studio._resident)
    aligned = as_aligned(studio.sample(1, seed=5)[0][1])
    studio.find_faces(aligned.crop)
    list(studio.embed(aligned, SHORT))
    assert set(studio._resident) == resident, "nothing is left to be loaded when a photo comes"


def test_a_device_that_is_not_there_is_said_at_once(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(BadSetting, match="no cuda"):
        Studio(device="cuda")
