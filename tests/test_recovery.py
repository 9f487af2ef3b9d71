"""Latent recovery: what a generator drew is found again, within the prior's range, and can be stopped and resumed."""

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from facelab import recovering
from facelab.checkpoints import cards
from facelab.detail import resized
from facelab.embedding import Descent, as_image
from facelab.embedding_settings import PRESETS
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import AlignedFace, Face, Latent
from facelab.recovery import RECOVERY_PRESETS, RecoverySettings, RecoveryState, recover
from facelab.studio import Studio
from tests.tiny_models import put_models

QUICK = RecoverySettings(steps=150, restarts=4, learning_rate=0.1, preview_every=50)
FAMILIES = ("tinyvae", "tinycvae", "tinyvaegan", "tinydcgan", "tinybegan", "tinyprogan")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """The studio of a tiny model; `of` gives those of the other families."""
    folder, patch, threads = tmp_path_factory.mktemp("models"), pytest.MonkeyPatch(), torch.get_num_threads()
    put_models(folder)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield Studio("tinyvae", device="cpu")
    torch.set_num_threads(threads)
    patch.undo()


def drawn(studio, seed=3):
    """A random face and its picture."""
    return studio.sample(1, seed=seed, truncation=1.0)[0]


def as_aligned(picture):
    """A picture as if it had been cut out of a photo, for a model of another size."""
    crop = np.kron(picture, np.ones((512 // len(picture),) * 2 + (1,), np.uint8))
    quad = np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32)
    return AlignedFace(np.zeros((128, 128, 3), np.uint8), crop, quad, (512, 512))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_drawn_picture_is_recovered(studio, name):
    studio = studio.of(name)
    face, picture = drawn(studio)
    *_, last = recover(studio.generator, picture, QUICK)
    assert last.done and last.step == last.total == 150 and len(last.restarts) == 4
    again = Face(last.latent, model_sha256=face.model_sha256)
    assert np.array_equal(studio.render(again), last.image)
    off = np.square(last.image.astype(float) - picture).mean()
    others = np.square(drawn(studio, seed=9)[1].astype(float) - picture).mean()
    assert off < 0.2 * others
    assert min(last.psnr, 45) == pytest.approx(min(10 * np.log10(255**2 / off), 45), abs=1)  # above, pixels are rounded
    assert last.state.best_losses[last.state.order[0]] == last.state.best_loss == min(last.state.best_losses)


@pytest.mark.parametrize("name", FAMILIES)
def test_previews_come_every_so_many_steps_and_the_best_only_gets_better(studio, name):
    studio = studio.of(name)
    steps = list(recover(studio.generator, drawn(studio)[1], QUICK))
    assert [step.step for step in steps if step.image is not None] == [50, 100, 150]
    bests = [step.state.best_loss for step in steps]
    assert all(later <= earlier for earlier, later in pairwise(bests))


@pytest.mark.parametrize(("name", "limit"), [("tinydcgan", 1.0), ("tinyprogan", 2.0), ("tinyvae", 2.0)])
def test_what_leaves_the_priors_range_is_drawn_anew(studio, name, limit):
    generator, goal = studio.of(name).generator, np.full((16, 16, 3), 255, np.uint8)
    settings = replace(QUICK, limit=limit, learning_rate=1.0, steps=30)
    states = [step.state for step in recover(generator, goal, settings)]
    values = torch.stack([state.descent.values for state in states])
    assert values.abs().max() <= max(limit, 1.0) + 3  # a draw of the normal prior may lie beyond the limit for a step
    outside = torch.full((2, 6), 5.0)
    outside[0, :3] = 0.25
    clipped = generator.clip(outside, limit=limit, generator=torch.Generator().manual_seed(0))
    assert torch.equal(clipped[0, :3], outside[0, :3]) and (clipped[0, 3:] != 5).all() and (clipped[1] != 5).all()
    assert len(clipped[1].unique()) == 6, "drawn anew, not put on the border"
    jumps = (values[1:] - values[:-1]).abs()
    assert jumps.max() > 1.0, "nothing was drawn anew on the way, so this shows nothing"
    again = [step.state.descent.values for step in recover(generator, goal, settings)]
    assert torch.equal(again[-1], states[-1].descent.values)


def test_attributes_end_at_0_and_1(studio):
    generator = studio.of("tinycvae").generator
    clipped = generator.clip(torch.tensor([[0.5] * 6 + [-0.4, 1.7]]), limit=3.0)
    assert clipped.tolist() == [[0.5] * 6 + [0.0, 1.0]]


def test_a_stopped_recovery_goes_on_where_it_was(studio):
    generator = studio.of("tinydcgan").generator
    goal = drawn(studio.of("tinydcgan"))[1]
    whole = list(recover(generator, goal, QUICK))
    first = recover(generator, goal, QUICK)
    stopped = [next(first) for _ in range(60)][-1]
    rest = list(recover(generator, goal, QUICK, resume=stopped.state))
    assert rest[0].step == 61 and torch.equal(rest[-1].state.best, whole[-1].state.best)
    assert rest[-1].state.best_losses == whole[-1].state.best_losses


def test_restarts_do_not_disturb_each_other(studio):
    generator = studio.of("tinyprogan").generator
    goal = drawn(studio.of("tinyprogan"))[1]
    settings = RecoverySettings(steps=5, restarts=3, limit=50)
    starts, infinite = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)), float("inf")

    def after(latents):
        begin = RecoveryState(generator.name, "z", Descent.at(latents), latents, (infinite,) * len(latents), seed=0)
        return list(recover(generator, goal, settings, resume=begin))[-1].state.descent.values

    torch.testing.assert_close(after(starts)[1:2], after(starts[1:2]), atol=2e-2, rtol=0)


def test_steps_are_as_long_as_latents_spread(studio):
    studio = studio.of("tinybegan")
    wide = deepcopy(studio.generator)
    with torch.no_grad():
        for value in wide.discriminator.encoder.end.parameters():
            value.mul_(100)
        wide.discriminator.decoder.begin.weight.div_(100)
    torch.testing.assert_close(wide.spread(), 100 * studio.generator.spread())
    goal, settings = drawn(studio)[1], replace(QUICK, steps=60)
    (*_, narrow), (*_, scaled) = recover(studio.generator, goal, settings), recover(wide, goal, settings)
    assert scaled.state.best_losses == pytest.approx(narrow.state.best_losses, rel=0.1)


def test_an_encoder_begins_and_its_word_alone_is_one_step(studio):
    studio = studio.of("tinyvae")
    aligned = as_aligned(drawn(studio)[1])
    (step,) = studio._search(studio.fitted(aligned), RECOVERY_PRESETS["encode"], None)
    seen = studio.generator.encode(as_image(studio.fitted(aligned), studio.generator))[0]
    assert step.phase == "encode" and step.done and torch.equal(step.latent.values, seen)
    further = replace(RECOVERY_PRESETS["encode"], steps=40)
    steps = list(studio._search(studio.fitted(aligned), further, None))
    assert [each.phase for each in steps] == ["encode"] + ["recover"] * 40
    assert steps[-1].state.best_loss < steps[0].state.best_loss and steps[-1].step == steps[-1].total == 40
    assert torch.equal(studio.encode(aligned).latent.values, seen)


def test_a_model_without_an_encoder_begins_at_random(studio):
    studio = studio.of("tinydcgan")
    assert list(studio.presets) == ["recover"] and not studio.has_encoder
    goal = studio.fitted(as_aligned(drawn(studio)[1]))
    steps = list(studio._search(goal, RecoverySettings(start="encoder", steps=3, restarts=2), None))
    assert [step.phase for step in steps] == ["recover"] * 3
    with pytest.raises(BadSetting, match="no encoder"):
        recover(studio.generator, goal, RECOVERY_PRESETS["encode"])


def test_several_recoveries_give_several_combinations(studio):
    studio = studio.of("tinyprogan")
    faces = [drawn(studio, seed)[0] for seed in (1, 2)]
    recoveries = []
    for face in faces:
        *_, last = studio.recoveries(face, replace(QUICK, steps=20))
        recoveries.append(studio.recovered(last.state, face))
    assert len(recoveries[0]) == 4
    best = torch.tensor(last.state.best_losses).argmin()
    assert torch.equal(recoveries[1][0].latent.values[0], last.state.best[best])
    made = studio.combinations(*recoveries)
    assert len(made) == 4 and len({tuple(each.latent.values[0].tolist()) for each in made}) == 4
    one, other = recoveries[0][0].latent.values, recoveries[1][0].latent.values
    direction = (one + other) / (one + other).norm()
    torch.testing.assert_close(made[0].latent.values / made[0].latent.values.norm(), direction)
    assert made[0].operations[-1] == "combine"


def test_an_edited_face_is_recovered_as_it_is_now_and_another_from_its_photo(studio, monkeypatch):
    targets = []
    monkeypatch.setattr(recovering, "recover", lambda generator, target, settings: targets.append(target) or iter(()))
    studio = studio.of("tinyprogan")
    (face, picture), (other, edited) = drawn(studio, 1), drawn(studio, 2)
    crop = as_aligned(picture).crop
    photographed = replace(face, crop=crop)
    changed = replace(other, crop=crop).made_by({"op": "attribute", "id": "smile", "strength": 2.0}, of=[photographed])
    for each in (face, photographed, changed):
        studio.recoveries(each)
    for target, expected in zip(targets, (picture, resized(crop, len(picture)), edited), strict=True):
        assert np.array_equal(target, expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": -1}, "steps"),
        ({"restarts": 0}, "restarts"),
        ({"limit": float("nan")}, "limit"),
        ({"start": "mean"}, "start"),
        ({"steps": 0}, "needs steps"),
    ],
)
def test_settings_out_of_range_are_refused(values, words):
    with pytest.raises(BadSetting, match=words):
        RecoverySettings(**values)


def test_settings_of_the_other_kind_are_refused(studio):
    aligned = as_aligned(drawn(studio)[1])
    with pytest.raises(BadSetting, match="encode or recover"):
        studio.embed(aligned, PRESETS["fast"])
    state = list(recover(studio.generator, drawn(studio)[1], replace(QUICK, steps=1)))[-1].state
    other = studio.of("tinydcgan")
    with pytest.raises(LatentMismatch, match="tinyvae"):
        recover(other.generator, drawn(other)[1], QUICK, resume=state)


@pytest.mark.parametrize("name", FAMILIES)
def test_edits_know_models_of_one_latent(studio, name):
    studio = studio.of(name)
    (one, _), (two, _) = studio.sample(2, seed=5, truncation=1.0)
    for t, face in ((0, one), (1, two)):
        assert torch.equal(studio.morph(one, two, t).latent.values, face.latent.values)
    half = studio.morph(one, two, 0.5).latent.values
    dims = studio.generator.sphere_dims
    if dims:
        lengths = [face.latent.values[:, :dims].norm() for face in (one, two)]
        torch.testing.assert_close(half[:, :dims].norm(), (lengths[0] + lengths[1]) / 2)
    torch.testing.assert_close(half[:, dims:], (one.latent.values + two.latent.values)[:, dims:] / 2)
    mixed = studio.mix("A + B - A", {"A": one, "B": two})
    torch.testing.assert_close(mixed.latent.values, two.latent.values)
    made = [mixed, studio.average([one, two]), studio.combine(one, two), *studio.neighbours(one, 2)]
    assert {face.latent.space for face in made} == {studio.generator.edit_space}
    assert len(studio.render_many(made, 64)) == 5
    with pytest.raises(BadSetting, match="no layers"):
        studio.crossover(one, two)
    with pytest.raises(BadSetting, match="sphere" if not dims else "linear or spherical"):
        studio.morph(one, two, 0.5, path="spherical", space="z" if not dims else "w+")


def test_studios_share_what_belongs_to_no_model(studio):
    one, other = studio.of("tinydcgan"), studio.of("tinybegan")
    assert one.of("tinybegan") is other and one._finder is other._finder and one.generator is not other.generator
    with pytest.raises(LatentMismatch):
        one.render(Face(Latent(torch.zeros(1, 5), "z", "tinydcgan")))


def test_what_is_asked_of_a_face_is_done_by_its_model(studio):
    other = studio.of("tinydcgan")
    (one, picture), (two, _) = other.sample(2, seed=1)
    assert np.array_equal(studio.render(one), picture)
    assert studio.morph(one, two, 0.5).latent.model == "tinydcgan"
    assert studio.mix("A - B", {"A": one, "B": two}).latent.model == "tinydcgan"
    with pytest.raises(LatentMismatch, match=r"Tiny vae.*Tiny dcgan"):
        studio.average([one, drawn(studio)[0]])
    with pytest.raises(LatentMismatch, match=r"'elsewhere'.*Known models: .*tinyvae"):
        studio.render(Face(Latent(torch.zeros(1, 6), "z", "elsewhere")))


def test_a_conditional_models_attributes_are_its_directions(studio):
    studio = studio.of("tinycvae")
    assert list(studio.directions()) == ["smile", "age"]
    face = drawn(studio)[0]
    before = face.latent.values[0]
    after = studio.edit(face, {"smile": 0.5, "age": 1.0}).latent.values[0]
    torch.testing.assert_close(after - before, torch.tensor([0.0] * 6 + [0.5, -1.0]))
