"""The circle of a Studio: faces of any model in, faces of its own model out, and every claim of what was kept."""

import math
import shutil
from itertools import combinations

import pytest
import torch

from facelab.checkpoints import cards
from facelab.circle import DLIB, FEATURES
from facelab.edits.sphere import great_circle
from facelab.errors import BadSetting, BadWeights, LatentMismatch, UnknownModel
from facelab.face import Face, Recipe
from facelab.page.examples import load_examples
from facelab.recipes import attribute_steps
from facelab.studio import Studio
from tests.tiny_circle import put_circle


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    folder, patch, threads = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch(), torch.get_num_threads()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_circle(folder)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture(scope="module")
def studio(shelf):
    return Studio("tinybegan", device="cpu")


@pytest.fixture(scope="module")
def faces():
    """Three of the examples, of another model than the circle's."""
    return [each.face for each in list(load_examples().values())[:3]]


@pytest.fixture(scope="module")
def own(studio, faces):
    """A face of the circle's model."""
    return studio.close_circle(faces[0])


def same(one, other):
    """Whether two faces have one latent, but for the rounding of batches."""
    return torch.allclose(one.latent.values, other.latent.values, atol=1e-3)


def test_a_face_lies_on_the_sphere_and_comes_back_as_a_face_of_the_circle_s_model(studio, faces, own):
    point = studio.point(faces[0])
    assert point.shape == (128,) and float(point.norm()) == pytest.approx(1, abs=1e-6)
    assert own.latent.model == "tinybegan" and own.latent.values.shape == (1, 6)
    assert own.operations == ["sample", "circle"]
    assert studio.vector(faces[0]) is studio.vector(faces[0]), "dlib looks once"
    assert set(studio.answers(faces[0])) == {each.id for each in FEATURES}


def test_an_edit_walks_as_far_as_it_says_and_holds_gender(studio, faces):
    walked = studio.circle_walk(faces[0], "beard", 1.0, frames=5, steps=100)
    assert len(walked) == 6 and [face.operations[-1] for face in walked][-1] == "circle beard 1"
    assert same(walked[0], studio.close_circle(faces[0]))
    values = torch.stack([face.latent.values for face in walked])
    assert (values[1:] != values[:-1]).flatten(1).any(dim=1).all()
    held = studio.circle_walk(faces[0], "beard", 1.0, frames=1, steps=100)[-1]
    plain = studio.circle_walk(faces[0], "beard", 1.0, frames=1, steps=100, keep=[])[-1]
    once, twice = (
        studio.circle_walk(faces[0], "beard", 1.0, frames=1, steps=9, keep=["gender"] * times)[-1] for times in (1, 2)
    )
    assert torch.equal(once.latent.values, twice.latent.values)
    assert not same(held, plain)


def test_a_carried_edit_keeps_what_the_vector_does_not_know(studio, own, faces):
    alone = studio.circle_walk(own, "smile", 1.0, frames=1, steps=20)
    carried = studio.circle_walk(own, "smile", 1.0, frames=1, steps=20, carry=True)
    assert carried[0] is own
    change = alone[1].latent.values - alone[0].latent.values
    assert torch.allclose(carried[1].latent.values - own.latent.values, change, atol=1e-3)
    again = studio.apply(own, Recipe("tinybegan", ({"op": "circle", "id": "smile", "strength": 1.0},)))
    long = studio.circle_walk(own, "smile", 1.0, frames=1, carry=True)[-1]
    assert same(again, long)
    with pytest.raises(LatentMismatch, match="carried"):
        studio.circle_walk(faces[0], "smile", carry=True)


def test_between_and_average_agree_in_the_middle(studio, faces):
    ends = studio.circle_between(faces[0], faces[1], [0.0, 0.5, 1.0])
    assert same(ends[0], studio.close_circle(faces[0]))
    assert same(ends[2], studio.close_circle(faces[1]))
    mean = studio.circle_average(faces[:2])
    assert same(mean.face, ends[1])
    angle = float(great_circle(studio.point(faces[0]), studio.point(faces[1])))
    assert mean.norm == pytest.approx(math.cos(angle / 2), abs=1e-5), "what two vectors have in common"
    assert not same(mean.plain, mean.face)
    heavy = studio.circle_average(faces[:2], [1, 0])
    assert heavy.norm == pytest.approx(1, abs=1e-5) and same(heavy.plain, ends[0]) and same(heavy.face, ends[0])


def test_arithmetic_and_neighbours(studio, faces):
    named = dict(zip("ABC", faces, strict=True))
    assert same(studio.circle_mix("A + B - B", named), studio.close_circle(faces[0]))
    with pytest.raises(BadSetting, match="No face is given for D"):
        studio.circle_mix("A + D", named)
    near = studio.circle_neighbours(faces[0], 5, angle=0.2, seed=3)
    assert len({tuple(face.latent.values.flatten().tolist()) for face in near}) == 5
    with pytest.raises(BadSetting, match="angle"):
        studio.circle_neighbours(faces[0], 5, angle=math.nan)


def test_two_faces_are_verified_by_both_distances(studio, faces):
    one = studio.verify(faces[0], faces[0])
    assert one.distance == 0 and one.angle < 1e-6 and one.same_by_distance and one.same_by_angle
    pairs = [studio.verify(*pair) for pair in combinations(faces, 2)]
    strangers = max(pairs, key=lambda pair: pair.distance)
    assert strangers.distance > 0.6 and not strangers.same_by_distance and not strangers.same_by_angle
    assert strangers.angle > DLIB.arc


def test_an_edit_goes_on_until_the_classifier_is_sure(studio, own, faces, monkeypatch):
    """However far that is: an untrained classifier says little and climbs little, and is asked for little."""
    monkeypatch.setattr("facelab.edits.sphere.SUMMIT_GAIN", 0.0)
    now = studio.answers(own)["smile"]
    sure = max(1 - now, 0.5) + 1e-4
    walked = studio.circle_until(own, "smile", -1, sure=sure, frames=3, keep=[], carry=True)
    assert walked.arrived and 0 < walked.steps <= 500 and walked.strength == pytest.approx(-walked.steps / 100)
    assert walked.faces[0] is own and 2 <= len(walked.faces) <= 4
    fixed = studio.circle_walk(own, "smile", walked.strength, steps=walked.steps, frames=1, keep=[], carry=True)[-1]
    assert torch.allclose(walked.faces[-1].latent.values, fixed.latent.values, atol=1e-5)
    step = {"op": "circle", "id": "smile", "strength": -1.0, "sure": sure, "keep": []}
    again = studio.apply(own, Recipe("tinybegan", (step,)))
    assert torch.allclose(again.latent.values, walked.faces[-1].latent.values, atol=1e-4)
    far = studio.circle_until(faces[0], "smile", 1, sure=0.9999, most=7, frames=10)
    assert not far.arrived and far.steps == 7 and len(far.faces) == 8, "as many frames as there are steps"
    done = studio.circle_until(own, "smile", 1 if now > 0.5 else -1, sure=0.5)
    assert done.arrived and done.steps == 0 and len(done.faces) == 1
    with pytest.raises(BadSetting, match=r"sure must lie between 0\.5"):
        studio.circle_until(own, "smile", 1, sure=1.0)


def test_the_circle_is_a_method_of_attributes(studio, own, faces):
    """Several at once are walks one after the other, and only one change is carried."""
    walked = studio.circle_walk(own, "smile", 1.0, frames=1, steps=100, carry=True)[-1]
    assert torch.allclose(studio.edit(own, {"smile": 1.0}, method="circle").latent.values, walked.latent.values)
    both = studio.edit(own, {"smile": 1.0, "gender": -0.5, "beard": 0}, method="circle")
    assert both.operations[-2:] == ["circle smile 1", "circle gender -0.5"]
    free = studio.circle_walk(own, "smile", 1.0, frames=1, steps=100, keep=[], carry=True)[-1]
    onwards = studio.edit(own, {"smile": 1.0, "gender": 1e-9}, method="circle")
    assert torch.allclose(onwards.latent.values, free.latent.values, atol=1e-5), "what is edited is not held"
    steps = attribute_steps({"smile": 1.0, "gender": -0.5}, {}, method="circle")
    again = studio.apply(own, Recipe("tinybegan", tuple(steps)))
    assert torch.equal(again.latent.values, both.latent.values)
    assert studio.edit(own, {"smile": 0}, method="circle") is own
    shipped = Studio("faces128", device="cpu")
    moved = shipped.edit(faces[0], {"smile": 1.0}, method="circle", rows=slice(0, 5)).latent.values
    change = (moved - shipped._rows(faces[0])).abs().amax(dim=1)
    assert (change[:5] > 0).all() and (change[5:] == 0).all()
    with pytest.raises(BadSetting, match="no feature 'glasses'"):
        studio.edit(own, {"glasses": 1.0}, method="circle")


def test_faces_meet_on_the_circle_in_every_tab(studio, own, faces):
    """A morph, an average and a sum are the circle's where their space is, whatever models the faces are of."""
    named = {"A": own, "B": faces[1]}
    morphed = studio.morph(own, faces[1], 0.25, space="circle")
    assert same(morphed, studio.circle_between(own, faces[1], [0.25])[0]) and morphed.latent.model == "tinybegan"
    assert same(studio.average([own, faces[1]], space="circle"), studio.circle_average([own, faces[1]]).face)
    assert same(studio.mix("2 A - B", named, space="circle"), studio.circle_mix("2 A - B", named))
    film = list(studio.morph_frames(own, faces[1], frames=3, size=16, space="circle"))
    assert len(film) == 3 and (film[1] == studio.render(studio.circle_between(own, faces[1], [0.5])[0], 16)).all()
    names = {"with": "B", "space": "circle"}
    recipe = ({"op": "morph", "t": 0.25, **names}, {"op": "average", "with": ["B"], "space": "circle"})
    again = studio.apply(own, Recipe("tinybegan", recipe), {"B": faces[1]})
    assert same(again, studio.circle_average([morphed, faces[1]]).face)
    step = {"op": "mix", "face": "A", "faces": {"B": "B"}, "expression": "2 A - B", "space": "circle"}
    assert same(studio.apply(own, Recipe("tinybegan", (step,)), {"B": faces[1]}), studio.circle_mix("2 A - B", named))


def test_a_model_without_a_circle_meets_on_that_of_the_page(studio):
    other = studio.of("tinyvae")
    drawn = [face for face, _ in other.sample(2, seed=1)]
    assert other.decoder.card.name == "tinybegan" and Studio("tinyvae", device="cpu").decoder.card.name == "faces128"
    assert studio.average(drawn, space="circle").latent.model == "tinybegan"
    with pytest.raises(UnknownModel, match="No circle leads to"):
        studio.edit(drawn[0], {"smile": 1.0}, method="circle")
    with pytest.raises(BadSetting, match="the model's own, or 'circle'"):
        studio.average(drawn, space="z")
    with pytest.raises(BadSetting, match="great circle's"):
        studio.morph(*drawn, 0.5, space="circle", path="linear")


def test_a_photo_s_face_keeps_its_photo(studio, faces):
    from facelab.evaluation.embedding import as_aligned

    example = next(iter(load_examples().values()))
    face = studio.from_circle(as_aligned(example.as_photo()))
    assert face.crop is not None and face.operations == ["embed"]
    assert torch.allclose(studio.point(face), studio.point(Face(face.latent, crop=face.crop)))


def test_a_studio_decodes_by_its_own_circle_first(studio):
    assert [card.name for card in studio.decoders()] == ["tinybegan", "faces128"]
    assert [card.name for card in Studio("faces128", device="cpu").decoders()] == ["faces128", "tinybegan"]
    assert len(Studio("tinyvae", device="cpu").decoders()) == 2


def test_what_cannot_be_done_is_said(studio, shelf, faces):
    with pytest.raises(BadSetting, match="Known ones: gender"):
        studio.circle_walk(faces[0], "wings")
    with pytest.raises(BadSetting, match="strength"):
        studio.circle_walk(faces[0], "smile", 9)
    with pytest.raises(BadSetting, match="frames must lie between"):
        studio.circle_until(faces[0], "smile", frames=0)
    other = Studio("tinyvae", device="cpu")
    assert not other.has_circle and other.features() == ()
    with pytest.raises(UnknownModel, match="tinybegan"):
        other.close_circle(faces[0])
    (shelf / "tinybegan-circle.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadWeights):
        Studio("tinybegan", device="cpu").close_circle(faces[0])
