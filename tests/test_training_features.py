"""What a StyleGAN2 training is said to do beside its losses: style mixing, lazy penalties, a moving average."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from facelab.identity import FaceReader
from facelab.training.eyes import Eyes
from facelab.training.optimisation import lazy_adam, share_of_rate
from tests.tiny_training import SETTINGS, make_pictures, make_trainer

EXACT = replace(SETTINGS, accumulate=1, ada_target=0.0, warmup_steps=0, precision="float32")
ROWS = 6


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def mixed_rows(style_mixing: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of 4000 pictures [N, L, W], and which of their rows are not of the first latent, bool [N, L]."""
    trainer = make_trainer(replace(EXACT, style_mixing=style_mixing))
    with torch.no_grad():
        ws, w = trainer._latents(4000, ROWS)
    return ws, (ws != w[:, None]).any(dim=-1)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_style_mixing_gives_its_share_of_the_pictures_a_second_latent(share):
    _, other = mixed_rows(share)
    assert other.any(dim=1).float().mean().item() == pytest.approx(share, abs=0.03 if 0 < share < 1 else 0)


def test_style_mixing_takes_all_rows_from_a_crossover_on_and_each_crossover_as_often():
    ws, other = mixed_rows(1.0)
    assert not other[:, 0].any() and other[:, -1].all(), "the coarsest row is never the second's, the finest is"
    assert (other.int().diff(dim=1) >= 0).all()
    assert torch.equal(ws[other], ws[:, -1:].expand_as(ws)[other]), "of one second latent"
    crossovers = torch.bincount(ROWS - other.sum(dim=1), minlength=ROWS) / len(ws)
    assert crossovers.tolist() == pytest.approx([0.0, *[1 / (ROWS - 1)] * (ROWS - 1)], abs=0.03)


@pytest.mark.parametrize(
    ("images", "half_life"),
    [(96, 0.05 * 100), (3996, 0.05 * 4000), (100_000, 1000)],  # a twentieth of what was seen, up to ema_images
)
def test_the_moving_average_has_a_half_life_that_rises_with_the_pictures_seen(images, half_life):
    trainer = make_trainer(replace(EXACT, ema_images=1000))
    trainer.images = images
    with torch.no_grad():
        for value in trainer.average.parameters():
            value.add_(1)  # far from the generator
    before = deepcopy(trainer.average)
    trainer.step(make_pictures().batch(0, size=4, seed=0))
    keep = 0.5 ** (4 / half_life)
    networks = trainer.average, before, trainer.generator
    for mine, old, new in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(mine, keep * old + (1 - keep) * new, atol=1e-5, rtol=1e-5)
    assert not torch.equal(trainer.generator.mapping.w_avg, before.mapping.w_avg)
    assert torch.equal(trainer.average.mapping.w_avg, trainer.generator.mapping.w_avg), "a mean already"


def test_penalties_come_every_so_many_steps():
    trainer = make_trainer(replace(EXACT, r1_interval=3, path_interval=2))
    told = [trainer.step(make_pictures().batch(step, size=4, seed=0)) for step in range(7)]
    assert [step for step, numbers in enumerate(told) if "r1" in numbers] == [0, 3, 6]
    assert [step for step, numbers in enumerate(told) if "path" in numbers] == [0, 2, 4, 6]


def first_gradients(network: str, **changes: float) -> torch.Tensor:
    """What the first step, in which all penalties are due, leaves in a network's parameters."""
    trainer = make_trainer(replace(EXACT, **changes))
    trainer.step(make_pictures().batch(0, size=4, seed=0))
    gradients = (value.grad for value in getattr(trainer, network).parameters())
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


@pytest.mark.parametrize(
    ("network", "interval", "weight"),
    [("discriminator", "r1_interval", "r1_gamma"), ("generator", "path_interval", "path_weight")],
)
def test_a_penalty_that_comes_every_k_steps_weighs_k_times_as_much(network, interval, weight):
    lazy = first_gradients(network, **{interval: 4, weight: 1.5})
    torch.testing.assert_close(lazy, first_gradients(network, **{interval: 1, weight: 6.0}), atol=1e-6, rtol=1e-4)
    plain, once = (first_gradients(network, **{interval: each, weight: 1.5}) for each in (0, 1))
    torch.testing.assert_close(lazy - plain, 4 * (once - plain), atol=1e-5, rtol=1e-3)
    assert (once - plain).norm() > 0.01 * plain.norm(), "the penalty moves something"


@pytest.mark.parametrize(("interval", "ratio"), [(16, 16 / 17), (8, 8 / 9), (0, 1.0)])
def test_adam_beside_a_lazy_penalty_is_slower_and_remembers_longer_a_step(interval, ratio):
    (group,) = lazy_adam(torch.nn.Linear(2, 2), learning_rate=0.01, interval=interval).param_groups
    assert group["full_lr"] == pytest.approx(0.01 * ratio)
    assert group["betas"] == (0.0, pytest.approx(0.99**ratio))


def test_each_network_s_adam_follows_its_own_penalty():
    trainer = make_trainer(replace(EXACT, r1_interval=16, path_interval=8, learning_rate=0.003))
    trainer.step(make_pictures().batch(0, size=4, seed=0))
    for name, ratio in (("generator", 8 / 9), ("discriminator", 16 / 17)):
        (group,) = getattr(trainer, f"{name}_optimizer").param_groups
        assert group["lr"] == pytest.approx(0.003 * ratio), name
        assert group["betas"] == (0.0, pytest.approx(0.99**ratio)), name


@pytest.mark.parametrize(
    ("step", "progress", "settle", "share"),
    [
        (0, 0.0, 0.1, 0.1),  # one of ten steps of the rise
        (9, 0.0, 0.1, 1.0),
        (500, 0.9, 0.1, 1.0),
        (500, 0.95, 0.1, 20**-0.5),
        (500, 1.0, 0.1, 1 / 20),
        (500, 1.2, 0.1, 1 / 20),
        (500, 1.0, 0.0, 1.0),
        (500, 0.5, 1.0, 20**-0.5),
    ],
)
def test_the_learning_rate_rises_at_first_and_falls_at_the_end(step, progress, settle, share):
    assert share_of_rate(step, progress, warmup_steps=10, settle=settle) == pytest.approx(share)


def test_both_networks_and_the_eyes_settle():
    trainer = make_trainer(replace(EXACT, images=16, settle=0.5, learning_rate=0.004), eyes=Eyes(FaceReader()))
    optimizers = trainer.generator_optimizer, trainer.discriminator_optimizer, trainer.eyes_optimizer
    for step, share in enumerate((1.0, 1.0, 1.0, 20**-0.5)):
        trainer.step(make_pictures().batch(step, size=4, seed=0))
        (found,) = {group["lr"] / group["full_lr"] for each in optimizers for group in each.param_groups}
        assert found == pytest.approx(share), step
