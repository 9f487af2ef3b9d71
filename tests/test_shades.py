"""Hair of another colour: where it is, how light it stays, and what a direction learns from it."""

import numpy as np
import torch

from facelab.checkpoints.weights import load_model
from facelab.encoder import load_encode
from facelab.evaluation.judge import ATTRIBUTES
from facelab.generators.parts import SIDE
from facelab.training import shades
from facelab.training.data import Pictures
from facelab.training.labels import Labels
from facelab.training.shades import Shades, changed_outside, find_shades, hair_of, mean_colour, recoloured


def scene():
    """Two pictures whose upper half is hair, light on the left, and the rest green."""
    pictures = torch.tensor([-1.0, 1.0, -1.0])[:, None, None].repeat(2, 1, 64, 64)
    pictures[:, :, :32, :32], pictures[:, :, :32, 32:] = 0.2, -0.2
    hair = torch.zeros(2, 1, SIDE, SIDE)
    hair[:, :, : SIDE // 2] = 1
    return pictures, hair


def test_hair_has_its_mean_colour_and_in_another_keeps_its_light_and_shade():
    pictures, hair = scene()
    torch.testing.assert_close(mean_colour(pictures, hair), torch.full((2, 3), 0.5))
    golden = torch.tensor([0.6, 0.4, 0.2])
    other = recoloured(pictures, hair, golden.expand(2, 3))
    assert other.shape == (2, 3, SIDE, SIDE)
    torch.testing.assert_close(other[0, :, 3, 3], golden * 1.2)  # 0.6 of 0.5
    torch.testing.assert_close(other[0, :, 3, -3], golden * 0.8)


def test_what_is_missing_is_counted_in_hair_alone_and_towards_the_colour_that_is_wanted():
    pictures, hair = scene()
    found = Shades(with_it=torch.tensor([0.6, 0.4, 0.2]), without=torch.tensor([0.2, 0.2, 0.2]))
    sign = torch.tensor([1.0, -1.0])
    wanted = torch.stack([found.with_it, found.without])
    there = 2 * recoloured(pictures, hair, wanted) - 1
    assert found.missing(pictures, there, hair, sign) < 1e-10
    there[:, :, SIDE // 2 :] = 1  # what is below is no hair
    assert found.missing(pictures, there, hair, sign) < 1e-10
    assert found.missing(pictures, pictures, hair, sign) > 0.05
    after = pictures.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(found.missing(pictures, after, hair, sign), after)
    assert gradient[0, 0, :32].max() < 0 < gradient[0, 2, :32].min(), "more red and less blue in the first"
    assert gradient[:, :, 32:].abs().max() == 0


def test_what_changes_outside_the_hair_is_counted_there_alone():
    pictures, hair = scene()
    after = pictures.clone()
    after[:, :, :30] = 1  # hair; its border is soft
    assert changed_outside(hair, pictures, after) < 1e-10
    after[:, 1, 34:] -= 0.5
    torch.testing.assert_close(changed_outside(hair, pictures, after), torch.tensor(0.25), rtol=0.1, atol=0)


def test_colours_are_those_of_portraits_where_their_likenesses_have_hair(monkeypatch):
    generator = load_model("faces128")[0]
    assert generator.synthesis.parts is not None, "faces128 ships with its parts"
    monkeypatch.setattr(shades, "SEEN", 3)
    with torch.inference_mode():
        drawn = generator.synthesize(generator.sample(6, seed=4, truncation=0.5))
    hair = hair_of(generator, generator.sample(6, seed=4, truncation=0.5))
    assert hair.shape == (6, 1, SIDE, SIDE) and 0.05 < hair.mean() < 0.6
    pixels = ((drawn.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    attributes = np.zeros((6, len(ATTRIBUTES)), bool)
    attributes[3:, ATTRIBUTES.index("Blond_Hair")] = True
    blonder = pixels.copy()
    blonder[3:, :64, :, 0] = 250  # red, where a head's hair is among other things
    labels = Labels(attributes, np.zeros((6, 3), np.float32))
    found = find_shades(generator, load_encode(generator), Pictures(blonder), labels)
    assert list(found) == ["hair_blond"], "of grey hair the labels know nobody"
    assert found["hair_blond"].with_it[0] > found["hair_blond"].without[0] + 0.2
