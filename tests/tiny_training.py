"""A training small enough to be tested: 16 px, a few channels, 13 random pictures."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2
from facelab.training.data import Pictures
from facelab.training.settings import TrainSettings
from facelab.training.stylegan2 import Trainer

ROOT = Path(__file__).parents[1]
SETTINGS = TrainSettings(
    resolution=16,
    batch=4,
    accumulate=2,
    r1_interval=4,
    path_interval=4,
    ada_target=0.1,
    ada_images=200,
    warmup_steps=5,
    seed=3,
)


def make_pictures(side: int = 16) -> Pictures:
    return Pictures(np.random.default_rng(0).integers(0, 256, (13, side, side, 3), np.uint8))


def make_trainer(settings: TrainSettings = SETTINGS, **others: nn.Module) -> Trainer:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    channels = {"channel_base": 128, "channel_max": 16}
    generator = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, **channels)
    discriminator = Discriminator(16, downsample="average", grow_from=settings.grow_from, **channels)
    return Trainer(generator, discriminator, settings, **others)


def assert_same(expected: dict, reached: dict) -> None:
    """Two states hold the same, bit for bit."""
    expected, reached = flatten(expected), flatten(reached)
    assert expected.keys() == reached.keys()
    for name, value in expected.items():
        same = torch.equal(value, reached[name]) if isinstance(value, torch.Tensor) else value == reached[name]
        assert same, name


def flatten(state: dict, prefix: str = "") -> dict:
    flat = {}
    for name, value in state.items() if isinstance(state, dict) else enumerate(state):
        if isinstance(value, (dict, list)):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat
