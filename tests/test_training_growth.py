"""Progressive growing: nothing jumps when a resolution is added, and nothing is left of it in what is published."""

from dataclasses import replace

import pytest
import torch

from facelab.checkpoints.weights import fill, part
from facelab.errors import BadSetting
from facelab.generators.discriminator import Discriminator
from facelab.generators.progan import twice_as_large
from facelab.generators.stylegan2 import StyleGAN2
from facelab.training.augmentation import AdaptiveAugmentation
from facelab.training.growth import Stage, show_at, stage_after
from facelab.training.run import Run, train
from facelab.training.settings import ProGANSettings, TrainSettings, refuse_half_grown
from tests.tiny_training import SETTINGS, assert_same, flatten, make_pictures, make_trainer

GROWING = replace(
    SETTINGS, accumulate=1, grow_from=8, grow_images=20, fade_images=40
)  # in steps: 5 at 8 px, 10 of fading


def test_stages_follow_the_pictures_seen():
    schedule = {"resolution": 128, "grow_from": 32, "grow_images": 100, "fade_images": 50}
    expected = {
        0: Stage(32),
        99: Stage(32),
        100: Stage(64, 0.0),
        125: Stage(64, 0.5),
        150: Stage(64),
        249: Stage(64),
        250: Stage(128, 0.0),
        299: Stage(128, 0.98),
        300: Stage(128),
        10**6: Stage(128),
    }
    assert {images: stage_after(images, **schedule) for images in expected} == expected
    assert stage_after(0, **{**schedule, "grow_from": 0}) == Stage(128)
    assert [Stage(size).rows for size in (4, 8, 128)] == [2, 4, 12]


def test_a_doubling_begins_with_the_picture_there_was_and_ends_with_the_whole_network():
    generator = make_trainer().generator
    ws = torch.randn(2, generator.num_layers, 8)

    def draw(resolution: int | None = None, alpha: float = 1.0) -> torch.Tensor:
        return generator.synthesis(ws, resolution=resolution, alpha=alpha)

    before = draw(8)
    assert before.shape == (2, 3, 8, 8)
    begun, half, whole = draw(16, 0.0), draw(16, 0.5), draw(16, 1.0)
    kernel = torch.nn.functional.interpolate(before, scale_factor=2, mode="bilinear")  # the same filter, inside
    torch.testing.assert_close(begun[..., 2:-2, 2:-2], kernel[..., 2:-2, 2:-2])
    torch.testing.assert_close(half, (begun + whole) / 2)
    assert torch.equal(whole, draw())


def test_the_discriminator_fades_from_its_lower_entrance_to_the_upper():
    discriminator = make_trainer(GROWING).discriminator
    discriminator.compute_dtype = torch.float32
    images = torch.randn(4, 3, 16, 16)
    coarse = torch.nn.functional.avg_pool2d(images, 2)
    torch.testing.assert_close(discriminator(images, 0.0), discriminator(coarse))
    assert torch.equal(discriminator(images, 1.0), discriminator(images))
    halfway = discriminator.features(images, 0.5)[0]
    torch.testing.assert_close(
        halfway, (discriminator.features(images)[0] + discriminator.b8.fromrgb(coarse)) / 2, atol=1e-5, rtol=1e-4
    )


def test_real_pictures_are_shown_as_sharp_as_the_stage():
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(show_at(images, Stage(16)), images)
    assert torch.equal(show_at(images, Stage(8)), torch.nn.functional.avg_pool2d(images, 2))
    begun, half = show_at(images, Stage(16, 0.0)), show_at(images, Stage(16, 0.5))
    torch.testing.assert_close(half, (begun + images) / 2)
    assert begun.diff(dim=-1).abs().mean() < images.diff(dim=-1).abs().mean() / 2


def test_real_pictures_fade_in_as_the_generator_that_asks_for_it_grows():
    coarse = torch.randn(2, 3, 8, 8)
    flat = twice_as_large(coarse)  # as PGGAN's generator begins a fade
    torch.testing.assert_close(show_at(flat, Stage(16, 0.0), enlarge=twice_as_large), flat)


def test_augmentation_that_was_going_on_ends_with_a_target_of_0():
    going, ended = AdaptiveAugmentation(target=0.6, images=1000), AdaptiveAugmentation(target=0, images=1000)
    going.p = 0.5
    ended.load_state(going.state())
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(ended(images), images) and ended.p == 0


def test_a_resume_amid_a_fade_is_bit_for_bit_the_uninterrupted_run(tmp_path):
    whole = make_trainer(GROWING)
    train(whole, make_pictures(), Run(tmp_path / "whole"), steps=17)
    first, resumed, run = make_trainer(GROWING), make_trainer(GROWING), Run(tmp_path / "parts")
    train(first, make_pictures(), run, steps=9)
    assert first.stage == Stage(16, 0.4)
    train(resumed, make_pictures(), run, seconds=run.resume(resumed), steps=8)
    assert_same(whole.state(), resumed.state())
    assert resumed.stage == Stage(16)


def test_growing_keeps_the_optimiser_state_of_shared_parameters_and_moves_the_new_ones():
    trainer = make_trainer(GROWING)
    shared, new = trainer.generator.synthesis.b8.conv1.weight, trainer.generator.synthesis.b16.conv1.weight
    untouched = new.detach().clone()
    for step in range(5):
        trainer.step(make_pictures().batch(step, size=4, seed=0))
    assert torch.equal(new, untouched) and new not in trainer.generator_optimizer.state
    for step in range(5, 9):
        trainer.step(make_pictures().batch(step, size=4, seed=0))
    steps = {name: trainer.generator_optimizer.state[value]["step"] for name, value in (("old", shared), ("new", new))}
    assert steps == {"old": 9, "new": 4} and not torch.equal(new, untouched)


def test_what_is_published_is_a_plain_model_of_the_resolution_reached():
    trainer = make_trainer(GROWING)
    plain = {"channel_base": 128, "channel_max": 16}
    for images, resolution in ((0, 8), (60, 16)):
        trainer.images = images
        weights = trainer.weights()
        generator = StyleGAN2(resolution, z_dim=8, w_dim=8, mapping_layers=2, **plain)
        discriminator = Discriminator(resolution, downsample="average", **plain)
        fill(generator, part(weights, "g."))
        fill(discriminator, part(weights, "d."))
        assert trainer.sheet().shape == (8 * resolution, 8 * resolution, 3)
        ws = trainer.average.sample(2, seed=0)[:, : generator.num_layers]
        torch.testing.assert_close(
            generator.synthesis(ws), trainer.average.synthesis(ws, resolution=resolution), atol=1e-5, rtol=1e-5
        )
    trainer.images = 40
    assert trainer.weights() is None and trainer.sheet().shape == (128, 128, 3)
    assert flatten(trainer.state()).keys() - flatten(make_trainer().state()).keys() != set()


@pytest.mark.parametrize("grow_from", [12, 4, 128])
def test_growing_must_begin_at_a_lower_power_of_two(grow_from):
    with pytest.raises(BadSetting, match="power of two"):
        TrainSettings(grow_from=grow_from)


@pytest.mark.parametrize("grow_from", [8, 32, 64])
@pytest.mark.parametrize("settings", [TrainSettings, ProGANSettings])
def test_a_growing_run_has_to_see_the_pictures_that_it_takes_to_grow_up(settings, grow_from):
    told = settings(resolution=128, grow_from=grow_from, grow_images=300, fade_images=100, batch=4)
    schedule = {"resolution": 128, "grow_from": grow_from, "grow_images": 300, "fade_images": 100}
    needed = next(images for images in range(0, 10_000, 4) if stage_after(images, **schedule) == Stage(128))
    refuse_half_grown(replace(told, images=needed))
    for images in (needed - 4, needed - 300, 300):
        with pytest.raises(BadSetting, match=f"--images {needed} or more"):
            refuse_half_grown(replace(told, images=images))
    refuse_half_grown(replace(told, grow_from=0, images=4))


@pytest.mark.parametrize("family", ["stylegan2", "progan"])
def test_a_run_that_would_end_amid_a_fade_does_not_begin(facelab, tmp_path, family):
    growing = [
        "--resolution",
        128,
        "--grow-from",
        64,
        "--grow-images",
        300_000,
        "--fade-images",
        100_000,
        "--images",
        350_000,
    ]
    status, _, said = facelab("train", family, "--data", tmp_path, "--out", tmp_path / "run", *growing)
    assert status == 1 and said.count("\n") == 1 and "takes 400,000 pictures, not 350,000" in said
    assert not (tmp_path / "run").exists()
