"""The circle's training: both of its parts learn, the circle closes, and what is not known teaches nothing."""

from functools import partial

import numpy as np
import pytest
import torch

from facelab.circle import FACENET, FEATURES, edit_key, make_circle
from facelab.edits.sphere import great_circle, on_sphere
from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.generators.began import BEGAN
from facelab.generators.stylegan2 import StyleGAN2
from facelab.identity import FaceReader, Reading
from facelab.template import TEMPLATE_LANDMARKS
from facelab.training import circle as training
from facelab.training import circle_crowd, circle_reach
from facelab.training.circle import CLEAR, CircleTrainer, _as_logits
from facelab.training.circle import make_trainer as train_circle
from facelab.training.circle_crowd import SEEN, Crowd, classes_of, sphere_of
from facelab.training.labels import POSE, Labels
from facelab.training.run import write_weights
from facelab.training.settings import CircleSettings
from facelab.training.sight import Sight

COUNT, FIRST = 64, 0
TEMPLATE = torch.tensor(TEMPLATE_LANDMARKS, dtype=torch.float32)


def make_generator():
    torch.manual_seed(0)
    return StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8).eval()


def make_crowd(described=16):
    """Faces whose latent and whose first feature follow from their vector's first number."""
    draw = torch.Generator().manual_seed(1)
    vectors = torch.randn(COUNT, 128, generator=draw) * 0.3 + 0.1
    has = vectors[:, 0] > 0.1
    latents = torch.where(has, 1.0, -1.0)[:, None, None].expand(COUNT, 6, 8).half()
    scores = torch.randn(COUNT, len(FEATURES), generator=draw)
    scores[:, FIRST] = torch.where(has, 2.0, -2.0)
    classes = torch.full((COUNT, len(FEATURES)), torch.nan)
    classes[:, FIRST] = has.float()
    found = torch.arange(described) % 4 != 0
    return Crowd(vectors, latents, scores, classes, described=vectors[:described] * 1.5, found=found)


def make_trainer(generator=None, **settings):
    torch.set_num_threads(1)
    generator = (generator or make_generator()).requires_grad_(False)
    torch.manual_seed(0)
    reader = FaceReader().eval().requires_grad_(False)
    told = CircleSettings(batch=32, **{"images": 32 * 60, "looks": 2, "look_from": 0.0, **settings})
    circle = make_circle(generator, sphere_of(told))
    return CircleTrainer(circle, told, generator=generator, reader=reader, device=torch.device("cpu"))


def test_what_is_seen_of_portraits_is_kept_for_the_same_ones_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(circle_crowd, "PART", 4)
    monkeypatch.setattr(circle_crowd, "CHUNK", 3)
    looks = []
    some, others = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 8, 3), np.uint8)

    def seen(images: np.ndarray) -> torch.Tensor:
        def look(chosen: slice) -> tuple[torch.Tensor]:
            looks.append(chosen)
            return (torch.from_numpy(images[chosen]).float().mean(dim=(1, 2, 3)),)

        return circle_crowd._in_parts(look, 6, tmp_path / "circle", "portraits", shown=images)[0]

    first = seen(some)
    assert first.shape == (6,) and torch.equal(seen(some), first) and len(looks) == 3
    assert not torch.equal(seen(others), first) and len(looks) == 6
    (broken, *_) = tmp_path.glob("circle-00000-4-*.pt")
    broken.write_bytes(broken.read_bytes()[:100])
    assert torch.equal(seen(some), first), "what a kill has cut off is looked at again"


def test_mapping_and_classifiers_learn_what_the_vectors_say():
    trainer, crowd = make_trainer(look_every=30), make_crowd()
    losses = [trainer.step(crowd.batch(step, size=32, seed=0)) for step in range(60)]
    for name in ("latent", "classes"):
        early, late = (np.mean([each[name] for each in part]) for part in (losses[:5], losses[-5:]))
        assert late < 0.7 * early, name
    assert {"identity", "change", "held"} <= losses[0].keys() and "change" not in losses[1]
    circle, vectors = trainer.network.eval(), crowd.goals
    assert ((circle.classifier("gender")(vectors) > 0) == (crowd.classes[:, FIRST] > 0)).float().mean() > 0.9
    assert circle(vectors).shape == (COUNT, 6, 8)
    assert trainer.sheet().shape == (32, 32, 3)


def test_every_other_face_of_a_batch_has_dlib_s_vector_where_it_found_the_face():
    crowd = make_crowd()
    crowd.described = -crowd.described  # to tell them from the reader's
    batch = crowd.batch(0, size=12, seed=0)
    assert torch.allclose(batch.points[::2], -batch.goals[::2]) and torch.allclose(
        batch.points[1::2], batch.goals[1::2]
    )
    assert all(
        torch.equal(one, other)
        for one, other in zip(batch, crowd.batch(0, size=12, seed=0), strict=True)
        if one.isfinite().all()
    )
    missing = -crowd.described[::4]
    assert not any((each == point).all() for each in missing for point in -batch.points[::2])
    assert torch.equal(make_crowd(0).batch(0, size=12, seed=0).points, make_crowd(0).batch(0, size=12, seed=0).goals)


def test_a_circle_learns_from_facenet_s_vectors_alone_where_there_are_any():
    trainer, crowd = make_trainer(identity="facenet", look_every=30), make_crowd()
    assert trainer.network.sphere is FACENET
    turn = torch.randn(128, 512, generator=torch.Generator().manual_seed(3))
    theirs = Crowd(
        crowd.goals, crowd.latents, crowd.scores, crowd.classes, points=on_sphere((crowd.goals - 0.1) @ turn)
    )
    batch = theirs.batch(0, size=8, seed=0)
    assert batch.points.shape == (8, 512) and batch.goals.shape == (8, 128)
    losses = [trainer.step(theirs.batch(step, size=32, seed=0)) for step in range(60)]
    assert losses[-1]["latent"] < 0.7 * losses[0]["latent"] and losses[30]["identity"] > 0
    edited, _ = trainer._edited(theirs.batch(99, size=8, seed=0), FIRST, 8, torch.Generator().manual_seed(0))
    angle = great_circle(edited, theirs.batch(99, size=8, seed=0).points)
    assert float(angle.min()) > 0.6 * FACENET.arc, "strength 1 goes farther there"
    with pytest.raises(BadSetting, match="dlib or facenet"):
        make_trainer(identity="arcface")


def test_no_edit_but_those_that_go_with_it_may_grow_a_beard():
    ids = [each.id for each in FEATURES]

    def weights(id):
        return dict(zip(ids, training._weights(ids.index(id)), strict=True))

    nose, moustache, gender = weights("nose_size"), weights("mustache"), weights("gender")
    assert nose["beard"] == nose["mustache"] == nose["gender"] == training.HELD_WEIGHT > 10 * nose["smile"] > 0
    assert nose["nose_size"] == moustache["beard"] == moustache["mustache"] == gender["beard"] == 0 < gender["smile"]


def test_unknown_classes_teach_no_classifier():
    trainer, crowd = make_trainer(look_every=1000), make_crowd()
    trainer.steps = 1  # no look
    before = {name: value.clone() for name, value in trainer.network.classifiers.named_parameters()}
    trainer.optimizer.param_groups[0]["weight_decay"] = 0.0
    trainer.step(crowd.batch(0, size=32, seed=0))
    for name, value in trainer.network.classifiers.named_parameters():
        assert torch.equal(value, before[name]) != name.startswith("gender."), name


class Glow(torch.nn.Module):
    """Takes bright pictures for men, and all people for one."""

    middle = 0.0

    def forward(self, images):
        count = len(images)
        attributes = torch.zeros(count, len(ATTRIBUTES))
        attributes[:, ATTRIBUTES.index("Male")] = 40 * (images.mean(dim=(1, 2, 3)) - self.middle)
        return Reading(
            torch.ones(count, 128), TEMPLATE.expand(count, 68, 2), attributes, pose=torch.zeros(count, len(POSE))
        )


def test_decoded_faces_have_the_features_of_who_went_in(monkeypatch):
    def apart(weight):
        monkeypatch.setattr(training, "LIKENESS_WEIGHT", weight)
        trainer, crowd = make_trainer(look_every=1, looks=16, images=32 * 60), make_crowd()
        trainer.reader = Glow()
        for step in range(60):
            trainer.step(crowd.batch(step, size=32, seed=0))
        with torch.no_grad():
            drawn = trainer.generator.synthesize(trainer.network.eval()(crowd.goals)).clamp(-1, 1)
        return float((40 * drawn.mean(dim=(1, 2, 3)) - crowd.scores[:, FIRST]).square().mean())

    assert apart(1.0) < 0.5 * apart(0.0)


class LikesLight(torch.nn.Module):
    """A discriminator that takes bright pictures for real ones."""

    def forward(self, images):
        return 10 * images.mean(dim=(1, 2, 3))[:, None]


def test_decoded_faces_and_their_edits_look_real(monkeypatch):
    def light(weight):
        monkeypatch.setattr(training, "REALISM_WEIGHT", weight)
        trainer, crowd = make_trainer(look_every=1, looks=16), make_crowd()
        trainer.discriminator = LikesLight()
        numbers = [trainer.step(crowd.batch(step, size=32, seed=0)) for step in range(60)]
        assert all("realism" in each for each in numbers)
        return float(trainer.shown.mean())

    assert light(5.0) > light(0.0) + 0.1
    trainer = make_trainer(BEGAN(16, z_dim=6, channels=4))
    picture = trainer.generator.decode(torch.zeros(1, 6)).detach()
    again = trainer.generator.discriminator(picture)
    assert torch.allclose(trainer._doubt(picture), training.PIXEL_DOUBT * (again - picture).abs().mean())


@pytest.mark.parametrize(("weight", "agree"), [(5.0, True), (0.0, False)])
def test_classifiers_learn_from_what_is_decoded_where_no_portrait_says_anything(monkeypatch, weight, agree):
    monkeypatch.setattr(training, "DECODED_WEIGHT", weight)
    monkeypatch.setattr(training, "CHANGE_WEIGHT", 0.0)  # by which the mapping follows the classifiers
    trainer, crowd = make_trainer(look_every=1, looks=16, images=32 * 120), make_crowd()
    crowd.classes = torch.full_like(crowd.classes, torch.nan)
    trainer.reader = Glow()

    def brightness():
        with torch.no_grad():
            return trainer.generator.synthesize(trainer.network.eval()(crowd.goals)).clamp(-1, 1).mean(dim=(1, 2, 3))

    trainer.reader.middle = float(brightness().median())
    trainer.network.train()
    for step in range(120):
        trainer.step(crowd.batch(step, size=32, seed=0))
    bright = brightness()
    says = trainer.network.classifier("gender")(crowd.goals).detach()
    agreement = float(torch.corrcoef(torch.stack([says, bright]))[0, 1])
    assert (agreement > 0.4) == agree, agreement


def test_sizes_become_logits_between_the_means_of_those_without_and_with():
    means = torch.tensor([[-1.0, 1.0]] * len(SEEN))
    means[[each.id for each in SEEN].index("lips")] = torch.tensor([0.2, 0.4])
    scores = torch.full((1, len(SEEN)), 0.3)
    named = dict(zip([each.id for each in SEEN], _as_logits(scores, means)[0].tolist(), strict=True))
    assert named["smile"] == pytest.approx(0.3), "the reader's own logit"
    assert named["lips"] == pytest.approx(0.0, abs=1e-5) and named["nose_size"] == pytest.approx(CLEAR * 0.15)


def test_a_circle_goes_on_from_a_weight_file(tmp_path, monkeypatch):
    generator = make_generator()
    monkeypatch.setattr("facelab.training.circle.load_model", lambda name, device: (generator, None))
    monkeypatch.setattr("facelab.training.circle.load_reader", lambda device: FaceReader().eval())
    first = make_trainer(generator)
    write_weights(tmp_path / "circle.safetensors", first.weights(), 32)
    second = train_circle(CircleSettings(start=str(tmp_path / "circle.safetensors")))
    other = train_circle(CircleSettings(seed=5))
    for name, value in first.network.classifiers.state_dict().items():
        assert torch.allclose(second.network.classifiers.state_dict()[name], value, atol=1e-3), name
    assert not torch.allclose(other.network.mapping.end.weight, first.network.mapping.end.weight, atol=1e-3)


def test_a_single_latent_closes_the_circle_as_well():
    torch.manual_seed(0)
    generator = BEGAN(16, z_dim=6, channels=4).eval()
    trainer, crowd = make_trainer(generator, look_every=1), make_crowd()
    crowd.latents = crowd.latents[:, :1, :6]
    numbers = trainer.step(crowd.batch(0, size=32, seed=0))
    assert all(np.isfinite(value) for value in numbers.values())
    assert trainer.network.eval()(crowd.goals[:3]).shape == (3, 1, 6)


def test_most_edits_of_a_training_go_towards_what_is_lacking_and_some_further():
    trainer, crowd = make_trainer(look_every=30), make_crowd()
    for step in range(60):
        trainer.step(crowd.batch(step, size=32, seed=0))
    batch = crowd.batch(99, size=COUNT, seed=0)
    edited, sign = trainer._edited(batch, FIRST, COUNT, torch.Generator().manual_seed(0))
    towards = (sign > 0) == (batch.scores[:, FIRST] < 0)
    assert 0.6 < towards.float().mean() < 0.9
    way = trainer.average.classifier("gender")
    assert (sign * (way(edited) - way(batch.points)) > 0).all()
    angle = great_circle(edited, batch.points)
    assert float(angle.min()) > 0.2 and float(angle.max()) < 0.4
    assert torch.allclose(edited, on_sphere(edited))


def test_classes_are_labels_or_outer_thirds():
    attributes = np.zeros((9, 40), bool)
    attributes[:3] = True
    scores = torch.arange(9.0)[:, None].expand(9, len(SEEN)).contiguous()
    classes = classes_of(Labels(attributes, np.zeros((9, 3), np.float32)), scores)
    named = dict(zip([each.id for each in SEEN], classes.T, strict=True))
    assert named["gender"].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert named["beard"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1], "the label says No_Beard"
    assert named["mouth_size"].isnan().tolist() == [False] * 3 + [True] * 3 + [False] * 3


def test_decoded_faces_are_looked_at_once_the_latents_have_taught():
    trainer, crowd = make_trainer(look_every=1, look_from=0.04), make_crowd()
    seen = ["change" in trainer.step(crowd.batch(step, size=32, seed=0)) for step in range(5)]
    assert seen == [False, False, False, True, True], "of sixty steps"


def test_a_circle_goes_on_exactly_where_it_was_saved():
    crowd = make_crowd()
    whole, first, second = (make_trainer(look_every=2) for _ in range(3))
    for step in range(4):
        whole.step(crowd.batch(step, size=32, seed=0))
    for step in range(2):
        first.step(crowd.batch(step, size=32, seed=0))
    second.load_state(first.state())
    for step in range(2, 4):
        second.step(crowd.batch(step, size=32, seed=0))
    for name, value in whole.weights().items():
        assert torch.equal(value, second.weights()[name]), name


def test_features_and_settings_say_what_they_are():
    assert all(4 <= each.layers <= 7 for each in FEATURES) and len({each.id for each in FEATURES}) == len(FEATURES)
    with pytest.raises(ValueError, match="learning rate"):
        CircleSettings(learning_rate=2.0)


def test_an_edit_reaches_as_far_as_it_is_seen_and_no_further_than_genders_hold(monkeypatch):
    """On a sphere of which everything is known: what is seen of a face grows with how far it has gone."""
    torch.manual_seed(0)
    generator = BEGAN(16, z_dim=6, channels=4).eval().requires_grad_(False)
    circle = make_circle(generator).eval().requires_grad_(False)
    gone = {}

    def walk(points, way, arc, **options):
        gone["strength"] = abs(arc) / circle.sphere.arc
        gone["towards"] = 1 if arc > 0 else -1
        return points[None]

    def look(reader, pictures, wanted):
        count, strength, towards = len(pictures), gone.get("strength", 0.0), gone.get("towards", 1)
        scores = {each.id: np.linspace(-1, 1, 40)[:count] for each in wanted}
        if strength:
            scores = {name: np.full(count, towards * (3.0 if strength >= 1.5 else 0.1)) for name in scores}
            scores["gender"] = np.linspace(-1, 1, 40)[:count] if strength < 1.75 else np.full(count, 5.0)
            scores["gender"][0] = 5.0  # one alone may be an error of the reader's
        return Sight(scores, torch.zeros(count, 128))

    class Finder:
        """What dlib's landmarks say of noses, sooner than the reader does."""

        def __init__(self):
            self.seen = 0

        def landmarks_of_aligned(self, image):
            points, strength = TEMPLATE_LANDMARKS.copy(), gone.get("strength", 0.0)
            points[35, 0] += 0.01 * np.linspace(-1, 1, 40)[self.seen % 40] if not strength else 0.0
            points[35, 0] += gone["towards"] * 0.05 if strength >= 1.25 else 0.0
            self.seen += 1
            return points * np.float32(image.shape[1]), True

    monkeypatch.setattr(circle_reach, "walk_on_sphere", walk)
    monkeypatch.setattr(circle_reach, "see", look)
    monkeypatch.setattr(circle_reach, "Recogniser", Finder)
    reader = FaceReader().eval().requires_grad_(False)
    found = circle_reach.find_reach(circle, generator, reader, tried=40)
    assert set(found) == {edit_key(each.id, sign) for each in FEATURES for sign in (1, -1)}
    assert found["smile +"] == 1.5, "where it is seen"
    assert found["nose_size +"] == 1.25 and found["lips +"] != 1.25, "and a shape where landmarks see it"
    assert found["smile -"] == min(circle_reach.GENTLER), "there genders seem to change at once"


def test_an_edit_that_turns_genders_at_once_goes_less_far():
    def turning_from(limit):
        return lambda strength: circle_reach.Look(strength >= limit, shown=strength / 4, clear=0.0, alike=True)

    assert circle_reach._least(turning_from(1.5)) == 1.25
    assert circle_reach._least(turning_from(0.75)) == 0.5
    assert circle_reach._least(turning_from(0.1)) == min(circle_reach.GENTLER)


def test_an_edit_goes_on_until_it_is_clear_where_that_costs_no_likeness():
    def seen_from(shown, *, clear=9.0, alike_to=9.0):
        def look(strength):
            return circle_reach.Look(False, strength >= shown, max(0.0, 1 - clear + strength), strength <= alike_to)

        return look

    def shown_most_at(best):
        return lambda strength: circle_reach.Look(False, 0.8 - abs(strength - best) / 4, clear=0.0, alike=True)

    assert circle_reach._least(seen_from(1.25, clear=1.75)) == 1.75
    assert circle_reach._least(seen_from(1.25, clear=1.75, alike_to=1.5)) == 1.5
    assert circle_reach._least(seen_from(1.25, clear=1.75, alike_to=1.25)) == 1.25
    assert circle_reach._least(seen_from(1.25, clear=1.75, alike_to=1.0)) == 1.25, "it has to be seen first"
    assert circle_reach._least(shown_most_at(1.5)) == 1.5, "where few show it"
    assert circle_reach._least(shown_most_at(9.0)) == max(circle_reach.STRENGTHS)
    assert circle_reach._least(seen_from(9.0)) == max(circle_reach.STRENGTHS), "nobody can tell"
    assert circle_reach._least(seen_from(1.25)) == 1.25, "farther it is no clearer"

    def shown_by_few(strength, alike_to=9.0):
        return circle_reach.Look(False, 0.35, clear=0.2, alike=strength <= alike_to)

    assert circle_reach._least(shown_by_few) == max(circle_reach.STRENGTHS), "and few are to show it well"
    assert circle_reach._least(partial(shown_by_few, alike_to=1.5)) == 1.5
