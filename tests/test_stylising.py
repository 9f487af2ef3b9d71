"""A face takes the style of a picture and stays where the rows are not free."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_embedding import tiny_generator

from facelab.embedding import as_image
from facelab.errors import BadSetting, BadWeights
from facelab.face import Recipe
from facelab.generators.discriminator import Discriminator
from facelab.perceptual import Vgg16, has_vgg16
from facelab.studio import Studio
from facelab.stylising import (
    DEPTH,
    StyliseSettings,
    content_distance,
    discriminator_layers,
    gram,
    style_distance,
    style_picture,
    stylise,
    vgg16_layer,
)

SETTINGS = StyliseSettings(steps=12, learning_rate=0.1, preview_every=4)


@pytest.fixture(scope="module")
def generator():
    return tiny_generator()


@pytest.fixture(scope="module")
def vgg():
    """VGG-16 with random weights: the published ones cannot be had everywhere."""
    torch.manual_seed(0)
    return vgg16_layer(Vgg16().eval().requires_grad_(False))


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(1)
    return discriminator_layers(Discriminator(16, channel_base=256, channel_max=8).eval().requires_grad_(False))


def pictures(count, size=16, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_style_loss_is_that_of_the_formula(judge):
    target, others = pictures(1), pictures(2, seed=1)
    by_hand = np.zeros(2)
    for seen, goal in zip(judge(others), judge(target), strict=True):
        channels, places = goal.shape[1], goal.shape[2] * goal.shape[3]
        grams = []
        for features in [goal[0], *seen]:
            flat = features.double().numpy().reshape(channels, places)
            products = [
                [sum(flat[i, k] * flat[j, k] for k in range(places)) for j in range(channels)] for i in range(channels)
            ]
            grams.append(np.array(products) / places)
        for number in range(2):
            by_hand[number] += ((grams[1 + number] - grams[0]) ** 2).sum() / (grams[0] ** 2).sum()
    distance = style_distance(judge, target)
    np.testing.assert_allclose(distance(others).numpy(), by_hand / len(judge(target)), rtol=1e-4)
    assert distance(target).item() < 1e-10 < 0.01 < by_hand.min()


def test_a_gram_matrix_knows_no_places():
    features = torch.randn(1, 5, 6, 6)
    order = torch.randperm(36)
    shuffled = features.flatten(2)[:, :, order].reshape(features.shape)
    torch.testing.assert_close(gram(shuffled), gram(features))
    assert content_distance(lambda images: [images], features)(shuffled).item() > 0.5


def test_the_style_is_seen_at_conv4_2_and_as_deep_by_a_discriminator(vgg, judge):
    [layer] = vgg(pictures(1, 64))
    assert layer.shape == (1, 512, 64 // 2**DEPTH, 64 // 2**DEPTH)
    torch.manual_seed(0)
    layers = discriminator_layers(Discriminator(64, channel_base=256, channel_max=8))(pictures(1, 64))
    assert [len(each[0, 0]) for each in layers] == [32, 16, 64 // 2**DEPTH]


@pytest.mark.parametrize("eyes", ["vgg", "judge"])
def test_the_style_comes_nearer_and_only_the_free_rows_move(generator, eyes, request):
    extract, style = request.getfixturevalue(eyes), pictures(1, seed=3)
    content = generator.sample(1, seed=2)[0].expand(generator.num_layers, -1).contiguous()
    steps = list(stylise(generator, content, style, extract, replace(SETTINGS, content_weight=0.0, rows=(2, 5))))
    losses = [step.losses["style"] for step in steps]
    assert losses[-1] < 0.9 * losses[0] and steps[0].losses["content"] < 1e-3
    assert [step.step for step in steps] == list(range(1, 13)) and [step.done for step in steps].count(True) == 1
    assert [step.step for step in steps if step.image is not None] == [4, 8, 12]
    moved = (steps[-1].latent.values != content).any(dim=1)
    assert moved.tolist() == [False, False, True, True, True, *[False] * (generator.num_layers - 5)]
    assert steps[-1].rows == (2, 5) and steps[-1].image.shape == (16, 16, 3)


def test_likeness_can_be_asked_for(generator, judge):
    content = generator.sample(1, seed=2)[0].expand(generator.num_layers, -1).contiguous()

    def strayed(weight):
        *_, last = stylise(generator, content, pictures(1, seed=3), judge, replace(SETTINGS, content_weight=weight))
        return last.losses["content"]

    assert strayed(10.0) < 0.5 * strayed(0.0)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"learning_rate": float("nan")}, {"content_weight": -1}, {"features": "eyes"}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BadSetting, match=next(iter(wrong))):
        StyliseSettings(**wrong)


def test_rows_that_are_not_there_are_refused(generator, judge):
    content = generator.sample(1, seed=2)[0].expand(generator.num_layers, -1)
    with pytest.raises(BadSetting, match="not a range"):
        next(stylise(generator, content, pictures(1), judge, replace(SETTINGS, rows=(2, 99))))


def test_any_picture_is_cut_to_its_middle_square():
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = 200
    assert (style_picture(wide, 16) == 200).all() and style_picture(wide, 16).shape == (16, 16, 3)


def test_a_studio_stylises_a_face_and_a_recipe_does_it_again():
    studio = Studio("faces128", device="cpu")
    (face, before), (other, _) = studio.sample(2, seed=4)
    face = replace(face, crop=np.zeros((512, 512, 3), np.uint8))
    style = (pictures(1, 128)[0].permute(1, 2, 0).numpy() * 127 + 128).astype(np.uint8)
    if not has_vgg16():
        assert studio.style_features == "discriminator"
        with pytest.raises(BadWeights, match="VGG-16"):
            studio.stylise(face, style, replace(SETTINGS, features="vgg16"))
    first, *_, last = studio.stylise(face, style, replace(SETTINGS, steps=6, features="discriminator"))
    made = studio.stylised(face, last)
    assert last.losses["style"] < first.losses["style"] and not np.array_equal(studio.render(made), before)
    assert made.operations == ["embed", "stylise"] and made.crop is not None
    step = {"op": "stylise", "with": "found", "rows": list(last.rows)}
    again = studio.apply(face, Recipe("faces128", (step,)), {"found": made})
    assert torch.equal(again.latent.values, made.latent.values) and again.operations == made.operations
    elsewhere = studio.apply(other, Recipe("faces128", (step,)), {"found": made})
    assert torch.equal(elsewhere.latent.values[:2], other.latent.values.expand(12, -1)[:2])
    assert as_image(last.image, studio.generator).shape == (1, 3, 128, 128)
