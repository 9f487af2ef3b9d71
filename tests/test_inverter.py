"""The inverter learns the latents of what a generator draws."""

import pytest
import torch

from facelab.checkpoints import cards
from facelab.checkpoints.weights import load_model
from facelab.encoder import make_encoder
from facelab.training.inverter import InverterTrainer
from facelab.training.settings import InverterSettings
from tests.tiny_models import put_models

CPU = torch.device("cpu")


@pytest.fixture(params=["tinydcgan", "tinybegan", "tinyprogan"])
def generator(request, tmp_path, monkeypatch):
    put_models(tmp_path)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load_model(request.param)[0]
    torch.set_num_threads(before)


def trainer_for(generator, **changes):
    torch.manual_seed(0)
    settings = InverterSettings(model="tiny", resolution=16, batch=16, images=16 * 60, **changes)
    return InverterTrainer(make_encoder(generator), settings, generator=generator, device=CPU)


def test_latents_of_generated_pictures_are_learned(generator):
    trainer = trainer_for(generator, photo_weight=0.0)
    photos = torch.zeros(16, 3, 16, 16)
    losses = [trainer.step(photos) for _ in range(60)]
    first, last = (sum(each["latent"] for each in part) / 5 for part in (losses[:5], losses[-5:]))
    assert last < 0.6 * first
    latents = generator.sample(8, seed=77)
    with torch.no_grad():
        pictures = generator.synthesize(latents)
        found = trainer.network.eval().encode(pictures)
        again = generator.synthesize(found)
    assert found.shape == latents.shape
    off = (again - pictures).square().mean()
    assert off < 0.6 * (pictures.roll(1, 0) - pictures).square().mean()
    assert trainer.sheet().shape == (2 * 16, 16 * 16, 3)


def test_photos_count_by_their_weight(generator):
    photos = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1
    weighed, alone = trainer_for(generator, photo_weight=2.0), trainer_for(generator, photo_weight=0.0)
    assert weighed.step(photos)["photo"] > 0 and alone.step(photos)["photo"] == 0
    assert weighed.sheet().shape == (4 * 16, 16 * 16, 3)
    assert all(value.grad is None for value in generator.parameters())


def test_a_latent_of_many_numbers_is_learned_through_fewer(generator, monkeypatch):
    usual = make_encoder(generator)
    monkeypatch.setattr("facelab.encoder.INVERTER_HIDDEN", 4)
    trainer = trainer_for(generator, photo_weight=0.0)
    assert count(trainer.network) < count(usual)
    losses = [trainer.step(torch.zeros(16, 3, 16, 16))["latent"] for _ in range(60)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def count(network):
    return sum(value.numel() for value in network.parameters())
