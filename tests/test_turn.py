"""A generator that learned from mirrored pictures draws faces turned to the side to which the pictures lean."""

import numpy as np
import pytest
import torch
from torch import nn

from facelab.generators.stylegan2 import StyleGAN2
from facelab.identity import Reading
from facelab.training.data import Pictures
from facelab.training.turn import restore_turn, turns


class FakeReader(nn.Module):
    """Takes a picture that is brighter on its right for one turned there, and errs by 3 degrees to one side."""

    def read(self, images: torch.Tensor, *, batch: int) -> Reading:
        count, middle = len(images), images.shape[3] // 2
        pose = torch.zeros(count, 3)
        pose[:, 0] = 3 + 10 * (images[..., middle:].mean(dim=(1, 2, 3)) - images[..., :middle].mean(dim=(1, 2, 3)))
        return Reading(torch.zeros(count, 128), torch.zeros(count, 68, 2), torch.zeros(count, 40), pose)


@pytest.fixture
def generator():
    torch.manual_seed(0)
    small = StyleGAN2(resolution=16, z_dim=16, w_dim=16, mapping_layers=2, channel_base=256, channel_max=16)
    return small.eval()


@torch.inference_mode()
def lean(generator, *, seed):
    return float(turns(FakeReader(), [generator.synthesize(generator.sample(2048, seed=seed)).clamp(-1, 1)]).mean())


def test_the_mirrored_picture_takes_out_what_the_reader_errs_by():
    images = torch.zeros(2, 3, 8, 8)
    images[0, ..., 4:] = 0.5
    assert turns(FakeReader(), [images]).tolist() == pytest.approx([5.0, 0.0], abs=1e-5)


@pytest.mark.parametrize("further", [0.5, -0.5])
def test_drawn_faces_are_turned_as_the_pictures_are_and_latents_look_as_before(generator, further):
    before = lean(generator, seed=5)
    pixels = np.full((40, 16, 16, 3), 128, np.uint8)
    pixels[:, :, 8:] = np.round(128 + 12.75 * (before + further)).astype(np.uint8)  # 127.5 levels are 10 degrees
    latent = generator.sample(1, seed=9)
    drawn, mean = generator.synthesize(latent), generator.mapping.w_avg.clone()

    wanted = restore_turn(generator, FakeReader(), Pictures(pixels), count=2048)

    assert wanted == pytest.approx(before + further, abs=0.05)
    assert lean(generator, seed=5) == pytest.approx(wanted, abs=0.12)
    assert torch.equal(generator.synthesize(latent), drawn) and torch.equal(generator.mapping.w_avg, mean)
