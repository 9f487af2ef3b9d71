"""The papers' models: what they are trained by, and that any of them can be resumed, published and drawn from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from facelab.checkpoints.cards import find_card
from facelab.checkpoints.weights import fill, part, read_weights
from facelab.errors import BadSetting, LatentMismatch
from facelab.evaluation.judge import ATTRIBUTES
from facelab.generators.progan import ProGANCritic, pixel_norm
from facelab.training import began, dcgan, progan, vae, vaegan
from facelab.training.growth import Stage
from facelab.training.networks import CATCH_UP_STEPS, NetworksTrainer
from facelab.training.run import Run, train
from facelab.training.settings import (
    BEGANSettings,
    DCGANSettings,
    ProGANSettings,
    RunSettings,
    VAEGANSettings,
    VAESettings,
)
from tests.tiny_training import assert_same, make_pictures

TINY = {"resolution": 16, "batch": 4, "accumulate": 2, "z_dim": 6, "channels": 4, "seed": 5, "learning_rate": 1e-3}
GROWN = {"channel_base": 64, "grow_from": 0}
FAMILIES = {
    "vae": (vae, VAESettings(**TINY)),
    "vaegan": (vaegan, VAEGANSettings(**TINY)),
    "dcgan": (dcgan, DCGANSettings(**TINY)),
    "began": (began, BEGANSettings(**TINY)),
    "progan": (progan, ProGANSettings(**TINY, **GROWN)),
    "progan-logistic": (progan, ProGANSettings(**TINY, **GROWN, loss="logistic")),
}


def make(name: str, **changes: object) -> NetworksTrainer:
    module, settings = FAMILIES[name]
    torch.set_num_threads(1)
    return module.make_trainer(replace(settings, **changes))


def values_of(network: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten().clone() for value in network.parameters()])


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_resumed_run_is_the_uninterrupted_one(name, tmp_path):
    whole, resumed, run = make(name), make(name), Run(tmp_path / "parts")
    train(whole, make_pictures(), Run(tmp_path / "whole"), steps=6)
    train(make(name), make_pictures(), run, steps=3)
    train(resumed, make_pictures(), run, seconds=run.resume(resumed), steps=3)
    assert_same(whole.state(), resumed.state())


@pytest.mark.parametrize("name", ["vaegan", "progan-logistic"])
def test_the_table_holds_the_last_penalty_where_some_steps_have_none(name, tmp_path):
    run = Run(tmp_path)
    train(make(name), make_pictures(), run, steps=16)
    (row,) = run.read_table()
    assert float(row["penalty"]) > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_a_resumed_run_learns_at_the_rate_that_it_is_given(name):
    resumed = make(name, learning_rate=5e-4)
    resumed.load_state(make(name).state())
    resumed.step(make_pictures().batch(0, size=4, seed=0))
    rates = {group["lr"] for optimizer in resumed.optimizers.values() for group in optimizer.param_groups}
    assert rates == {5e-4}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_published_draws_the_same_faces(name, tmp_path):
    trainer, run = make(name), Run(tmp_path)
    numbers = trainer.step(make_pictures().batch(0, size=4, seed=0))
    assert set(numbers) <= set(trainer.columns) and all(np.isfinite(value) for value in numbers.values())
    assert trainer.sheet().shape == (128, 128, 3)
    run.publish(trainer)
    (path,) = (tmp_path / "weights").iterdir()
    copy = make(name, seed=6).model
    fill(copy, part(read_weights(path), "g."))
    trainer.model.eval(), copy.eval()
    first, second = (model.sample(3, seed=1) for model in (trainer.model, copy))
    torch.testing.assert_close(first, second, atol=0.02, rtol=0.02)
    exact = {"dtype": torch.float32}
    with torch.no_grad():
        pictures = trainer.model.synthesize(first, **exact)
        difference = (copy.synthesize(first, **exact) - pictures).abs().mean()
    assert difference < 0.02 * pictures.std()  # what float16 costs
    assert pictures.shape == (3, 3, 16, 16) and pictures.std() > 0
    assert torch.equal(trainer.model.sample(2, seed=4, truncation=0.0)[:, 0], trainer.model.mean_latent().repeat(2, 1))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_belongs_to_one_optimiser(name):
    trainer = make(name)
    owned = [id(value) for values in trainer.groups.values() for value in values]
    learning = [network for network in trainer.networks.values() if next(network.parameters()).requires_grad]
    everyone = {id(value) for network in learning for value in network.parameters()}
    assert len(owned) == len(set(owned)) and set(owned) == everyone


@pytest.mark.parametrize("name", FAMILIES)
def test_latents_of_a_wrong_shape_are_refused(name):
    model = make(name).model
    with pytest.raises(LatentMismatch, match="not \\[2, 1, 5\\]"):
        model.synthesize(torch.zeros(2, 1, 5))
    with pytest.raises(LatentMismatch, match="w\\+"):
        model.latent_shape("w+")


def test_a_vae_learns_to_rebuild():
    trainer = make("vae", kl_weight=0.01, learning_rate=5e-3)
    pictures = make_pictures()
    first = trainer.step(pictures.batch(0, size=4, seed=0))["mse"]
    for step in range(1, 80):
        last = trainer.step(pictures.batch(step, size=4, seed=0))["mse"]
    assert last < 0.9 * first
    trainer.model.eval()
    batch = pictures.batch(0, size=4, seed=0)
    rebuilt = trainer.model.synthesize(trainer.model.encode(batch), dtype=torch.float32)
    other = trainer.model.synthesize(trainer.model.encode(batch.roll(1, 0)), dtype=torch.float32)
    assert (rebuilt - batch).square().mean() < (other - batch).square().mean()


def test_kl_divergence_is_that_of_two_normal_distributions():
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(dim=1).mean()
    torch.testing.assert_close(vae.kl_divergence(mean, log_variance), expected)


def test_a_conditional_vae_reads_labels_and_keeps_them_in_its_latent(tmp_path):
    (tmp_path / "images").mkdir()
    lines = [",".join(["image", "split", "yaw", "pitch", "roll", *ATTRIBUTES])]
    for index in range(8):
        Image.new("RGB", (16, 16), (30 * index,) * 3).save(tmp_path / "images" / f"{index}.png")
        values = ["1" if name == "Smiling" and index % 4 == 0 else "-1" for name in ATTRIBUTES]
        lines.append(",".join([f"{index}.png", "train", "0", "0", "0", *values]))
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    trainer = make("vae", attributes="Male Smiling")
    batches = vae.open_batches(tmp_path, trainer.settings, tmp_path / "cache")
    images, labels = batches.batch(0, size=8, seed=0)
    bright = ((images[:, 0, 0, 0] + 1) * 127.5 / 30).round().int()
    assert torch.equal(labels, torch.stack([torch.zeros(8), (bright % 4 == 0).float()], dim=1))
    for step in range(60):
        numbers = trainer.step(batches.batch(step, size=4, seed=0))
    assert "attributes" in numbers
    model = trainer.model.eval()
    assert model.latent_shape("z") == (1, 8) and model.share[1] < 0.45 and model.share[0] < 0.4
    assert torch.equal(model.encode(images, labels)[:, 0, 6:], labels)
    guessed = model.encode(images)[:, 0, 6:]
    assert guessed.shape == (8, 2) and ((guessed >= 0) & (guessed <= 1)).all()
    drawn = model.sample(200, seed=0)[:, 0, 6:]
    assert set(drawn.unique().tolist()) <= {0.0, 1.0} and 0 < drawn[:, 1].mean() < 0.6


def test_an_unknown_attribute_is_refused(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    with pytest.raises(BadSetting, match="Cheerful"):
        vae.open_batches(tmp_path, VAESettings(**TINY, attributes="Cheerful"), tmp_path / "cache")


def test_plain_pictures_need_no_labels(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    batch = vae.open_batches(tmp_path, VAESettings(**TINY), tmp_path / "cache").batch(0, size=4, seed=0)
    assert batch.shape == (4, 3, 16, 16)


@pytest.mark.parametrize("name", ["dcgan", "began"])
def test_the_prior_is_uniform_from_minus_1_to_1(name):
    z = make(name).model.prior(4000, generator=torch.Generator().manual_seed(0))
    assert z.min() >= -1 and z.max() <= 1 and z.std() == pytest.approx(1 / 3**0.5, rel=0.02)


def test_vaegan_moves_each_network_by_its_own_loss():
    def after_a_step(**changes: float) -> dict[str, torch.Tensor]:
        trainer = make("vaegan", **changes)
        trainer.step(make_pictures().batch(0, size=4, seed=0))
        networks = {"encoder": trainer.model.encoder, "decoder": trainer.model.decoder, "critic": trainer.critic}
        return {name: values_of(network) for name, network in networks.items()}

    def moved(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
        return {name for name in one if not torch.equal(one[name], other[name])}

    usual = after_a_step(gamma=15.0, similarity_weight=5.0)
    assert moved(usual, after_a_step(gamma=0.1, similarity_weight=5.0)) == {"decoder"}
    assert moved(usual, after_a_step(gamma=15.0, similarity_weight=0.1)) == {"encoder"}
    assert moved(usual, after_a_step(gamma=15.0, similarity_weight=5.0, learning_rate=1e-4)) == set(usual)


@pytest.mark.parametrize("name", ["vae", "vaegan", "dcgan", "began", "progan"])
def test_a_discriminator_that_was_not_kept_catches_up_alone(name, monkeypatch, tmp_path):
    monkeypatch.setattr("facelab.training.networks.training_path", lambda name: tmp_path / "nowhere")
    monkeypatch.setattr("facelab.training.vaegan.guess_variances", lambda *given: None)  # another test's
    card = find_card(f"{name}64")
    trainer = make(name, start=card.name)
    assert trainer.settings.resolution == 64 and trainer.settings.config == card.config
    assert trainer.behind == ({"discriminator"} if "d" in trainer.networks else set())
    Run(tmp_path).begin(trainer)
    assert trainer.steps > CATCH_UP_STEPS, "steps are counted on from the published model's"

    def moved() -> set[str]:
        before = {group: [value.detach().clone() for value in values] for group, values in trainer.groups.items()}
        trainer.step(make_pictures(64).batch(trainer.steps, size=4, seed=0))
        return {
            group
            for group, values in trainer.groups.items()
            if not all(torch.equal(one, other) for one, other in zip(values, before[group], strict=True))
        }

    assert moved() == (trainer.behind or set(trainer.groups))
    trainer.load_state(trainer.state())
    assert moved() == (trainer.behind or set(trainer.groups)), "resumed, it catches up still"
    monkeypatch.setattr("facelab.training.networks.CATCH_UP_STEPS", 1)
    assert moved() == set(trainer.groups)


@pytest.mark.parametrize("name", ["vaegan", "progan"])
def test_a_discriminator_that_was_kept_goes_on_at_once(name):
    trainer = make(name, start=f"{name}64")
    assert not trainer.behind and any(each.startswith("d.") for each in trainer.begun_with)
    assert all(value.isfinite().all() for value in values_of(trainer.networks["d"]))


@pytest.mark.parametrize("name", ["vae", "vaegan"])
def test_variances_that_were_not_kept_are_what_the_prior_leaves(name, monkeypatch, tmp_path):
    monkeypatch.setattr("facelab.training.networks.training_path", lambda name: tmp_path / "nowhere")
    trainer, pictures = make(name, start=f"{name}64", accumulate=2, learning_rate=1e-6), make_pictures(64)
    images = pictures.batch(0, size=4, seed=0)
    trainer.model.train()
    free = 1 - trainer.model.describe(images)[0].square().mean(dim=0)
    trainer.learn(images.chunk(2))
    _, log_variance, _ = trainer.model.describe(images)
    wanted = free.clamp(min=0.02).log()
    assert wanted.mean() < -0.5, "less than the prior's 1"
    assert (log_variance.mean(dim=0) - wanted).abs().mean() < 0.2
    before = trainer.model.log_variance.bias.detach().clone()
    trainer.steps_since_start += 1
    trainer.learn(images.chunk(2))
    assert (trainer.model.log_variance.bias - before).abs().max() < 0.01, "guessed once, then learned"


def test_vaegan_s_decoder_raises_the_error_that_its_discriminator_lowers():
    trainer = make("vaegan", gamma=0.0, r1_gamma=0.0)
    losses = trainer._losses(make_pictures().batch(0, size=4, seed=0))
    through = {
        name: torch.autograd.grad(losses[name], list(trainer.model.decoder.parameters()), retain_graph=True)
        for name in ("decoder", "discriminator")
    }
    for up, down in zip(*through.values(), strict=True):
        torch.testing.assert_close(up, -down)


def test_vaegan_s_penalty_is_paid_by_the_discriminator_alone():
    def after_a_step(r1_gamma: float) -> tuple[torch.Tensor, torch.Tensor]:
        trainer = make("vaegan", r1_gamma=r1_gamma)
        trainer.step(make_pictures().batch(0, size=4, seed=0))
        return values_of(trainer.model), values_of(trainer.critic)

    (model, critic), (same, other) = after_a_step(0.0), after_a_step(5.0)
    assert torch.equal(model, same) and not torch.equal(critic, other)


def test_began_keeps_the_errors_in_balance():
    trainer = make("began", gamma=0.5)
    numbers = trainer.step(make_pictures().batch(0, size=4, seed=0))
    balance = 0.5 * numbers["real_error"] - numbers["fake_error"]
    assert numbers["k"] == pytest.approx(max(0.0, began.PROPORTIONAL_GAIN * balance))
    assert numbers["convergence"] == pytest.approx(numbers["real_error"] + abs(balance))
    trainer.k = 0.5
    part = make_pictures().batch(0, size=4, seed=0)
    losses = trainer._losses(part)
    real, fake = trainer._noted["real_error"][-1], trainer._noted["fake_error"][-1]
    torch.testing.assert_close(losses["discriminator"], real - 0.5 * fake)
    torch.testing.assert_close(losses["generator"], fake)


@pytest.mark.parametrize("name", ["began", "vaegan"])
def test_the_step_size_is_halved_by_the_pictures_seen(name):
    trainer = make(name, halve_images=100)
    for images, factor in ((0, 1.0), (99, 1.0), (100, 0.5), (250, 0.25)):
        trainer.images = images
        trainer.step(make_pictures().batch(0, size=4, seed=0))
        rates = {group["lr"] for optimizer in trainer.optimizers.values() for group in optimizer.param_groups}
        assert rates == {TINY["learning_rate"] * factor}


def test_a_began_latent_is_where_the_auto_encoder_sees_the_picture():
    model = make("began").model.eval()
    z = model.prior(2)
    with torch.no_grad():
        torch.testing.assert_close(model.map(z), model.encode(model.generator(z))[:, 0])


def test_progan_grows_with_fades_and_resumes_amid_one(tmp_path):
    growing = {"grow_from": 4, "grow_images": 8, "fade_images": 16, "accumulate": 1}
    whole, resumed, run = make("progan", **growing), make("progan", **growing), Run(tmp_path / "parts")
    untouched = whole.live.b16_conv1.weight.detach().clone()
    stages = []
    for step in range(13):
        stages.append(whole.stage)
        numbers = whole.step(make_pictures().batch(step, size=4, seed=5))
        assert numbers["resolution"] == stages[-1].resolution
        if stages[-1].resolution < 16:
            assert torch.equal(whole.live.b16_conv1.weight, untouched) and whole.weights() is None
            late = whole.live.b16_conv1.weight
            assert late not in whole.optimizers["generator"].state, "its first step is to be Adam's first, too"
    assert stages[2:7] == [Stage(8, 0.0), Stage(8, 0.25), Stage(8, 0.5), Stage(8, 0.75), Stage(8)]
    assert stages[8:] == [Stage(16, 0.0), Stage(16, 0.25), Stage(16, 0.5), Stage(16, 0.75), Stage(16)]
    assert not torch.equal(whole.live.b16_conv1.weight, untouched)
    train(make("progan", **growing), make_pictures(), run, steps=4)
    train(resumed, make_pictures(), run, seconds=run.resume(resumed), steps=9)
    assert_same(whole.state(), resumed.state())
    assert not any(name.startswith("live.") for name in whole.weights() or {})


def test_progan_fades_on_both_sides():
    trainer = make("progan")
    model, critic = trainer.model, trainer.critic
    z, pictures = model.prior(3), torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        coarse = torch.nn.functional.interpolate(model.decode(z, 8), scale_factor=2, mode="nearest")
        torch.testing.assert_close(model.decode(z, 16, 0.0), coarse)
        torch.testing.assert_close(model.decode(z, 16, 0.5), (coarse + model.decode(z)) / 2)
        low = torch.nn.functional.avg_pool2d(pictures, 2)
        torch.testing.assert_close(critic(pictures, 0.0), critic(low))
        assert not torch.equal(critic(pictures, 1.0), critic(low))
    assert isinstance(critic, ProGANCritic)


def test_the_logistic_progan_is_penalised_at_real_pictures_every_eighth_step():
    trainer = make("progan-logistic")
    penalties = [trainer.step(make_pictures().batch(step, size=4, seed=5)).get("penalty") for step in range(9)]
    assert [step for step, penalty in enumerate(penalties) if penalty is not None] == [0, 8]
    real, fake = torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16)
    trainer.steps = 1
    with torch.no_grad():
        loss, distance, _ = trainer._logistic(real, fake)
        scores, others = trainer.critic(real, 1.0), trainer.critic(fake, 1.0)
    torch.testing.assert_close(distance, scores.mean() - others.mean())
    torch.testing.assert_close(loss, -scores.sigmoid().log().mean() - (1 - others.sigmoid()).log().mean())
    with pytest.raises(BadSetting, match="wasserstein or logistic"):
        ProGANSettings(loss="hinge")


def test_pixel_norm_makes_every_pixel_as_strong():
    torch.testing.assert_close(pixel_norm(torch.randn(2, 5, 3, 3) * 7).square().mean(dim=1), torch.ones(2, 3, 3))


def test_batches_are_cut_evenly():
    with pytest.raises(BadSetting, match="multiple"):
        RunSettings(batch=6, accumulate=4)
