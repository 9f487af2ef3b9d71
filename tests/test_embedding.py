import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from facelab.embedding import Descent, as_image, as_rows, embed, learning_rate_at
from facelab.embedding_settings import PRESETS, SPACES, EmbedSettings
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Delta
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2
from facelab.perceptual import discriminator_distance
from facelab.pixels import as_pixels
from facelab.refinement import Edit
from facelab.regions import moved_locally

SETTINGS = EmbedSettings(
    steps=8, learning_rate=0.05, refine=True, refine_steps=6, refine_rank=2, preview_every=3, perceptual_weight=0.5
)


def tiny_generator(seed=0):
    """A random StyleGAN2 of 16 px whose noise shows and whose mean face is not at zero."""
    torch.manual_seed(seed)
    generator = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=256, channel_max=8)
    with torch.no_grad():
        generator.mapping.w_avg.normal_()
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.3)
            if "torgb.weight" in name:
                parameter.mul_(0.3)
    generator.name = "tiny"
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def generator():
    return tiny_generator()


@pytest.fixture(scope="module")
def perceptual():
    torch.manual_seed(1)
    judge = Discriminator(16, channel_base=256, channel_max=8).eval().requires_grad_(False)
    return lambda target: discriminator_distance(judge, target)


@pytest.fixture(scope="module")
def target(generator):
    """A picture that the generator can make, but not at its mean."""
    return as_pixels(generator.synthesize(generator.sample(1, seed=5), dtype=torch.float32))[0]


def run(generator, target, perceptual, **changes):
    return list(embed(generator, target, dataclasses.replace(SETTINGS, **changes), perceptual=perceptual))


def test_a_step_is_adam_as_torch_computes_it():
    torch.manual_seed(0)
    values = torch.randn(4, 3)
    theirs = values.clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.05, betas=(0.8, 0.99), eps=1e-8)
    ours = Descent.at(values)
    for _ in range(20):
        gradient = torch.sin(3 * ours.values) + ours.values
        theirs.grad = gradient.clone()
        optimiser.step()
        ours = ours.step(gradient, learning_rate=0.05, betas=(0.8, 0.99), epsilon=1e-8)
    torch.testing.assert_close(ours.values, theirs.detach())


def test_the_paper_preset_has_the_papers_figures():
    paper = PRESETS["paper"]
    assert (paper.learning_rate, paper.betas, paper.epsilon) == (0.01, (0.9, 0.999), 1e-8)
    assert (paper.steps, paper.pixel_weight, paper.perceptual_weight) == (5000, 1, 1)
    assert (paper.space, paper.start, paper.schedule, paper.noise) == ("w+", "mean", "constant", "constant")
    assert not paper.refine


def test_the_fast_preset_refines_and_can_be_told_not_to():
    assert PRESETS["fast"].refine
    assert not dataclasses.replace(PRESETS["fast"], refine=False).refine


@pytest.mark.parametrize(
    "wrong",
    [
        {"space": "w++"},
        {"start": "middle"},
        {"schedule": "linear"},
        {"perceptual": "lpips"},
        {"noise": "loud"},
        {"steps": 0},
        {"learning_rate": math.nan},
        {"learning_rate": -0.1},
        {"epsilon": 0},
        {"refine_rank": 0},
        {"pivot": 1.5},
        {"betas": (0.9, 1.0)},
        {"pixel_weight": 0, "perceptual_weight": 0},
        {"patience": -1},
        {"identity_weight": -0.1},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(BadSetting):
        EmbedSettings(**wrong)


def test_embedding_comes_closer_and_then_refining_closer_still(generator, target, perceptual):
    steps = run(generator, target, perceptual, steps=30, refine_steps=30)
    latent = [step.losses["total"] for step in steps if step.phase == "latent"]
    refine = [step.losses["total"] for step in steps if step.phase == "refine"]
    assert len(latent) == len(refine) == 30
    assert min(latent) < 0.7 * latent[0]
    assert min(refine) < 0.9 * min(latent)


def test_each_step_says_where_it_is(generator, target, perceptual):
    steps = run(generator, target, perceptual)
    assert [step.step for step in steps] == list(range(1, 15))
    assert {step.total for step in steps} == {14}
    assert [step.phase for step in steps] == ["latent"] * 8 + ["refine"] * 6
    assert [step.step for step in steps if step.phase_done] == [8, 14]
    assert [step.done for step in steps] == [False] * 13 + [True]
    total = SETTINGS.pixel_weight * steps[3].losses["pixel"] + 0.5 * steps[3].losses["perceptual"]
    assert steps[3].losses["total"] == pytest.approx(total, rel=1e-4)


def test_pictures_come_every_few_steps_and_at_the_end_of_each_phase(generator, target, perceptual):
    steps = run(generator, target, perceptual)
    assert [step.step for step in steps if step.image is not None] == [3, 6, 8, 11, 14]
    assert all(s.image.shape == (16, 16, 3) and s.image.dtype == np.uint8 for s in steps if s.image is not None)


def test_the_best_result_is_kept_when_later_steps_are_worse(generator, target, perceptual):
    steps = run(generator, target, perceptual, learning_rate=1.5, refine=False, steps=15)
    losses = [step.losses["total"] for step in steps]
    assert losses[-1] > min(losses), "this rate should overshoot, or the test says nothing"
    assert steps[-1].state.best_loss == min(losses)
    best = generator.synthesize(steps[-1].latent.values[None])
    goal = torch.from_numpy(target).permute(2, 0, 1)[None] / 127.5 - 1
    loss = (best - goal).square().mean() + 0.5 * perceptual(goal)(best)
    assert loss.item() == pytest.approx(min(losses), rel=0.05)  # pictures may be bfloat16 within an embedding


def test_closing_stops_the_work(generator, target, perceptual, monkeypatch):
    calls = []
    plain = StyleGAN2.synthesize
    monkeypatch.setattr(StyleGAN2, "synthesize", lambda *args, **kw: calls.append(1) or plain(*args, **kw))
    steps = embed(generator, target, SETTINGS, perceptual=perceptual)
    for _ in range(3):
        next(steps)
    steps.close()
    assert len(calls) == 3
    assert next(steps, None) is None
    assert len(calls) == 3


@pytest.mark.parametrize("cut", [1, 5, 8, 11])
def test_going_on_from_where_it_stopped_is_the_same_as_never_stopping(generator, target, perceptual, cut):
    whole = run(generator, target, perceptual)
    steps = embed(generator, target, SETTINGS, perceptual=perceptual)
    first = [next(steps) for _ in range(cut)]
    steps.close()
    rest = list(embed(generator, target, SETTINGS, perceptual=perceptual, resume=first[-1].state))
    assert [step.losses for step in first + rest] == [step.losses for step in whole]
    assert torch.equal(rest[-1].latent.values, whole[-1].latent.values)
    for name, value in whole[-1].delta.values.items():
        assert torch.equal(rest[-1].delta.values[name], value), name


def test_a_yielded_state_does_not_change_when_the_embedding_goes_on(generator, target, perceptual):
    steps = embed(generator, target, SETTINGS, perceptual=perceptual)
    state = next(steps).state
    before = [tensor.clone() for tensor in (state.descent.values, state.descent.first, state.descent.second)]
    list(steps)
    after = (state.descent.values, state.descent.first, state.descent.second)
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_an_embedding_without_refinement_can_be_refined_later(generator, target, perceptual):
    unrefined = run(generator, target, perceptual, refine=False)
    assert unrefined[-1].done and unrefined[-1].delta is None
    later = list(embed(generator, target, SETTINGS, perceptual=perceptual, resume=unrefined[-1].state))
    assert {step.phase for step in later} == {"refine"}
    assert later[-1].step == 14 and later[-1].delta is not None


def test_the_shared_model_is_unchanged_bit_for_bit(generator, target, perceptual):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    run(generator, target, perceptual)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in generator.parameters())


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_refining_begins_between_what_the_encoder_saw_and_what_was_found(generator, target, perceptual, share):
    seen = generator.mean_latent().expand(generator.num_layers, -1) + 0.1
    settings = dataclasses.replace(SETTINGS, start="encoder", steps=6, refine=True, refine_steps=4, pivot=share)
    steps = list(embed(generator, target, settings, perceptual=perceptual, encode=lambda image: seen[None]))
    assert share == 1 or steps[6].state.found is not None
    found = next(step for step in steps if step.phase_done).latent.values
    assert not torch.allclose(found, seen)
    torch.testing.assert_close(steps[-1].latent.values, seen + share * (found - seen))
    again = list(embed(generator, target, settings, perceptual=perceptual, resume=steps[3].state))
    assert torch.equal(again[-1].latent.values, steps[-1].latent.values), "an embedding that stopped knows it, too"

    mean = list(embed(generator, target, dataclasses.replace(settings, start="mean"), perceptual=perceptual))
    found = next(step for step in mean if step.phase_done).latent.values
    assert torch.equal(mean[-1].latent.values, found), "without an encoder it begins at what was found"


def test_a_face_does_not_get_worse_while_refining_from_elsewhere_catches_up(generator, target, perceptual):
    seen = generator.mean_latent().expand(generator.num_layers, -1) + 0.5
    settings = dataclasses.replace(SETTINGS, start="encoder", steps=30, refine=True, refine_steps=4, pivot=0.0)

    def refined(rate):
        chosen = dataclasses.replace(settings, refine_learning_rate=rate, preview_every=1)
        return list(embed(generator, target, chosen, perceptual=perceptual, encode=lambda image: seen[None]))

    found, *slow = refined(1e-6)[29:]
    for step in slow:
        assert torch.equal(step.latent.values, found.latent.values) and step.delta is None
        assert step.psnr == pytest.approx(found.psnr, abs=0.01) and np.array_equal(step.image, found.image)
    settings = dataclasses.replace(settings, refine_steps=200)
    last = refined(0.05)[-1]
    assert last.delta is not None and last.psnr > found.psnr
    torch.testing.assert_close(last.latent.values, seen)


def test_two_faces_at_once_are_the_same_as_one_after_the_other(generator, target, perceptual):
    targets = [target, target[:, ::-1].copy()]
    alone = [run(generator, one, perceptual)[-1] for one in targets]
    with ThreadPoolExecutor(2) as pool:
        together = [steps[-1] for steps in pool.map(lambda one: run(generator, one, perceptual), targets)]
    for one, other in zip(alone, together, strict=True):
        assert one.losses == pytest.approx(other.losses, rel=1e-3)
    assert alone[0].losses != pytest.approx(alone[1].losses, rel=1e-3)


def test_it_stops_early_when_nothing_gets_better(generator, perceptual):
    mean = generator.mean_latent()[:, None]
    goal = as_pixels(generator.synthesize(mean))[0]
    steps = run(generator, goal, perceptual, steps=500, learning_rate=1e-6, refine=False, patience=5)
    assert len(steps) < 50
    assert steps[-1].done and steps[-1].total == steps[-1].step


def test_patience_does_not_stop_what_still_gets_better(generator, target, perceptual):
    assert len(run(generator, target, perceptual, steps=12, refine=False, patience=6)) == 12


@pytest.mark.parametrize("space", SPACES)
def test_every_space_is_embedded_in_its_own_shape(generator, target, perceptual, space):
    steps = run(generator, target, perceptual, space=space, steps=20)
    last = steps[-1]
    assert last.latent.space == space and last.latent.model == "tiny"
    assert tuple(last.latent.values.shape) == generator.latent_shape(space)
    assert min(step.losses["total"] for step in steps[:20]) < steps[0].losses["total"]
    picture = as_pixels(generator.synthesize(as_rows(generator, last.latent.values, space), [last.delta]))[0]
    assert np.abs(picture.astype(int) - last.image).mean() < 4  # float32 here, perhaps bfloat16 there


def test_a_row_a_layer_fits_better_than_one_row(generator, perceptual):
    rows = generator.sample(generator.num_layers, seed=9)[:, 0][None]
    goal = as_pixels(generator.synthesize(rows))[0]
    losses = {
        space: run(generator, goal, perceptual, space=space, steps=60, refine=False)[-1].state.best_loss
        for space in ("w", "w+")
    }
    assert losses["w+"] < 0.8 * losses["w"]


def test_the_mean_start_is_the_mean_face(generator, target, perceptual):
    first = run(generator, target, perceptual)[0]
    assert torch.equal(first.latent.values, generator.mean_latent().expand(generator.num_layers, -1))
    assert first.latent_distance == 0


def test_a_pull_to_the_mean_keeps_the_latent_near_it(generator, target, perceptual):
    free, held = (
        run(generator, target, perceptual, steps=40, refine=False, mean_weight=weight)[-1].latent_distance
        for weight in (0.0, 1.0)
    )
    assert held < 0.8 * free


def test_identity_counts_while_the_latent_is_searched_and_not_after(generator, target, perceptual):
    def colour(goal):  # someone who knows people by their colour alone
        wanted = goal.mean(dim=(2, 3))
        return lambda images: (images.mean(dim=(2, 3)) - wanted).square().sum(dim=1)

    def search(weight):
        settings = dataclasses.replace(SETTINGS, steps=10, identity_weight=weight)
        steps = list(embed(generator, target, settings, perceptual=perceptual, identity=colour))
        return [step for step in steps if step.phase == "latent"], [step for step in steps if step.phase == "refine"]

    def apart(step):
        return colour(as_image(target, generator))(as_image(step.image, generator)).item()

    (without, _), (with_it, refining) = search(0.0), search(30.0)
    assert apart(with_it[-1]) < 0.5 * apart(without[-1])
    assert all(step.losses["identity"] == 0 for step in without + refining)
    losses = with_it[0].losses
    weighted = losses["pixel"] + 0.5 * losses["perceptual"] + 30 * losses["identity"]
    assert losses["total"] == pytest.approx(weighted, rel=1e-4)


@pytest.fixture(scope="module")
def edits(generator):
    """Somebody's edits: one of the whole picture, one of the hair."""
    random = torch.Generator().manual_seed(2)
    return [Edit(2 * torch.randn(generator.num_layers, 8, generator=random), region) for region in ("", "hair")]


def test_refining_leaves_edits_what_they_were(generator, perceptual, edits):
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)  # far from all that it can draw

    def refined(weight):
        settings = dataclasses.replace(SETTINGS, steps=20, refine=True, refine_steps=60, edit_weight=weight)
        return list(embed(generator, picture, settings, perceptual=perceptual, edits=edits))[-1]

    def change(step, edit):
        rows = step.latent.values[None]
        delta = moved_locally(step.delta, edit.region, edit.offset) if edit.region else step.delta
        after = generator.synthesize(rows if edit.region else rows + edit.offset, [delta], dtype=torch.float32)
        return after - generator.synthesize(rows, [step.delta], dtype=torch.float32)

    def strayed(step, edit):
        plain = dataclasses.replace(step, delta=Delta({}))
        return float((change(step, edit) - change(plain, edit)).square().mean())

    free, kept = refined(0.0), refined(10.0)
    assert all(strayed(kept, edit) < 0.7 * strayed(free, edit) for edit in edits)
    assert kept.psnr > free.psnr - 3


def test_going_on_while_edits_are_kept_is_the_same_as_never_stopping(generator, target, perceptual, edits):
    settings = dataclasses.replace(SETTINGS, steps=3, refine=True, refine_steps=9, edit_weight=1.0)
    whole = list(embed(generator, target, settings, perceptual=perceptual, edits=edits))
    state = whole[6].state
    again = list(embed(generator, target, settings, perceptual=perceptual, edits=edits, resume=state))
    assert torch.equal(again[-1].state.best, whole[-1].state.best)


def test_a_weight_of_identity_needs_someone_who_reads_it(generator, target, perceptual):
    with pytest.raises(BadSetting, match="identit"):
        run(generator, target, perceptual, identity_weight=1.0)


def test_a_random_start_is_uniform_and_its_seed_decides(generator, target, perceptual):
    first, again, other = (
        run(generator, target, perceptual, start="random", seed=seed)[0].latent.values for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.abs().max() <= 1 and first.std() > 0.4


@pytest.mark.parametrize("space", ["w", "w+"])
def test_latent_distance_counts_every_row(generator, target, perceptual, space):
    last = run(generator, target, perceptual, space=space, refine=False)[-1]
    rows = (last.latent.values - generator.mean_latent()).expand(generator.num_layers, -1)
    assert last.latent_distance == pytest.approx(rows.square().sum().sqrt().item(), rel=1e-5)
    assert last.latent_distance_per_row == pytest.approx(rows.norm(dim=1).mean().item(), rel=1e-5)


def test_constant_noise_repeats_and_resampled_noise_does_not(generator, target, perceptual):
    def first_loss(noise):
        return next(embed(generator, target, dataclasses.replace(SETTINGS, noise=noise), perceptual=perceptual)).losses

    assert first_loss("constant") == first_loss("constant")
    assert first_loss("resampled") != first_loss("resampled")


def test_psnr_is_that_of_the_picture_shown(generator, target, perceptual):
    for step in run(generator, target, perceptual):
        if step.image is not None:
            error = np.mean((step.image / 255 - target / 255) ** 2)
            assert step.psnr == pytest.approx(-10 * math.log10(error), abs=0.05)


def test_pixels_alone_need_no_perceptual_distance(generator, target):
    steps = list(embed(generator, target, dataclasses.replace(SETTINGS, perceptual_weight=0)))
    assert steps[-1].losses["perceptual"] == 0
    with pytest.raises(BadSetting, match="perceptual"):
        embed(generator, target, SETTINGS)


def test_a_picture_of_another_size_is_refused_at_once(generator, perceptual):
    with pytest.raises(BadSetting, match="16 x 16"):
        embed(generator, np.zeros((32, 32, 3), np.uint8), SETTINGS, perceptual=perceptual)
    with pytest.raises(BadSetting, match="uint8"):
        embed(generator, np.zeros((16, 16, 3), np.float32), SETTINGS, perceptual=perceptual)


def test_a_state_of_another_model_or_space_is_refused(generator, target, perceptual):
    state = run(generator, target, perceptual, steps=1, refine=False)[-1].state
    with pytest.raises(LatentMismatch):
        embed(generator, target, dataclasses.replace(SETTINGS, space="w"), perceptual=perceptual, resume=state)
    other = tiny_generator()
    other.name = "other"
    with pytest.raises(LatentMismatch):
        embed(other, target, SETTINGS, perceptual=perceptual, resume=state)


def test_the_cosine_schedule_warms_up_and_runs_out():
    rates = [learning_rate_at(step, 200, peak=0.05, schedule="cosine", warm_up=0.05) for step in range(200)]
    assert rates[0] == pytest.approx(0.005) and max(rates) == 0.05 and rates.index(0.05) == 9
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert learning_rate_at(7, 200, peak=0.05, schedule="constant", warm_up=0.05) == 0.05
