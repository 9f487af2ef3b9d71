"""The generator and the discriminator against numbers of the published StyleGAN2-ADA PyTorch networks.

fixtures/stylegan2.safetensors holds small networks of ours that were compared with that code when the file was made
(images within 2e-6, logits within 2e-7), and the pictures that they give.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from facelab.checkpoints.weights import load_model, part
from facelab.errors import LatentMismatch
from facelab.face import Delta, Latent
from facelab.generators import winograd
from facelab.generators.discriminator import Discriminator, MinibatchDeviation
from facelab.generators.stylegan2 import StyleGAN2

SHAPE = {"channel_base": 128, "channel_max": 16}
FIXTURE = load_file(Path(__file__).parent / "fixtures" / "stylegan2.safetensors")


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    network = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, **SHAPE).eval().requires_grad_(False)
    network.load_state_dict(part(FIXTURE, "g."), strict=True)
    network.name = "tiny"
    return network


@pytest.fixture(scope="module")
def faces128() -> StyleGAN2:
    return load_model("faces128")[0]


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return (10 * torch.log10(4 / (a - b).square().mean())).item()


def make_delta(seed: int) -> Delta:
    draw = torch.Generator().manual_seed(seed)
    return Delta(
        {
            "b8.conv0.weight:out": torch.randn(16, 2, generator=draw) * 0.1,
            "b8.conv0.weight:in": torch.randn(2, 16 * 9, generator=draw) * 0.1,
            "b8.conv0.bias": torch.randn(16, generator=draw) * 0.1,
            "b8.conv0.noise_strength": torch.tensor(0.05),
            "b16.torgb.weight": torch.randn(3, 8, 1, 1, generator=draw) * 0.1,
            "b16.torgb.bias": torch.randn(3, generator=draw) * 0.1,
        }
    )


def test_published_weights_give_the_published_pictures(generator):
    w = generator.map(FIXTURE["z"])
    picture = generator.synthesize(w[:, None], dtype=torch.float32)
    torch.testing.assert_close(picture, FIXTURE["image"], atol=1e-4, rtol=0)


def test_truncation_moves_towards_the_mean_as_published(generator):
    w = torch.lerp(generator.mean_latent(), generator.map(FIXTURE["z"]), 0.6)
    picture = generator.synthesize(w[:, None], dtype=torch.float32)
    torch.testing.assert_close(picture, FIXTURE["image_truncated"], atol=1e-4, rtol=0)


def test_discriminator_gives_the_published_logits():
    network = Discriminator(16, **SHAPE)
    network.load_state_dict(part(FIXTURE, "d."), strict=True)
    images = FIXTURE["image"].repeat(2, 1, 1, 1)[:4].clamp(-1, 1)
    torch.testing.assert_close(network(images), FIXTURE["logits"], atol=1e-5, rtol=0)


def test_averaging_discriminator_has_the_published_names_and_is_another_network():
    network = Discriminator(16, downsample="average", **SHAPE)
    network.load_state_dict(part(FIXTURE, "d."), strict=True)
    images = FIXTURE["image"].repeat(2, 1, 1, 1)[:4].clamp(-1, 1)
    assert (network(images) - FIXTURE["logits"]).abs().max() > 1e-3


def test_a_batch_that_four_does_not_divide_is_compared_in_smaller_groups():
    images = torch.randn(6, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    last = MinibatchDeviation()(images)[:, -1, 0, 0]
    groups = images.reshape(3, 2, 2, 4, 4)  # of three: pictures 0, 2 and 4, and 1, 3 and 5
    torch.testing.assert_close(last, groups.std(dim=0, correction=0).mean(dim=(1, 2, 3)).repeat(3))
    assert MinibatchDeviation()(images[:5])[:, -1].abs().max() < 1e-3


def test_unknown_downsampling_is_refused():
    with pytest.raises(ValueError, match="'nearest'"):
        Discriminator(16, downsample="nearest", **SHAPE)


def test_a_w_latent_is_the_same_face_as_its_rows_repeated(generator):
    w = generator.map(FIXTURE["z"])
    repeated = w[:, None].expand(-1, generator.num_layers, -1)
    torch.testing.assert_close(
        generator.synthesize(w[:, None], dtype=torch.float32), generator.synthesize(repeated, dtype=torch.float32)
    )


def test_bfloat16_pictures_are_within_40_db_of_float32(faces128):
    ws = faces128.sample(8, seed=3, truncation=0.7)
    with torch.inference_mode():
        exact = faces128.synthesize(ws, dtype=torch.float32)
        assert psnr(exact, faces128.synthesize(ws, dtype=torch.bfloat16)) > 40


def test_a_picture_does_not_depend_on_its_batch(faces128):
    ws = faces128.sample(4, seed=3, truncation=0.7)
    with torch.inference_mode():
        together = faces128.synthesize(ws, dtype=torch.float32)
        alone = faces128.synthesize(ws[2:3], dtype=torch.float32)
    torch.testing.assert_close(together[2:3], alone, atol=1e-4, rtol=0)


def test_gradient_of_the_fast_path_is_that_of_the_training_path(generator):
    ws = generator.sample(1, seed=5)
    one, two = (ws.clone().requires_grad_(True) for _ in range(2))
    generator.synthesize(one, dtype=torch.float32).square().sum().backward()
    generator.synthesize(two.expand(2, -1, -1), dtype=torch.float32).square().sum().backward()
    torch.testing.assert_close(one.grad * 2, two.grad, atol=1e-3, rtol=1e-4)


def test_same_seed_gives_same_faces_and_truncation_0_the_mean(generator):
    assert torch.equal(generator.sample(3, seed=5), generator.sample(3, seed=5))
    assert not torch.equal(generator.sample(3, seed=5), generator.sample(3, seed=6))
    mean = generator.mean_latent().expand(2, generator.num_layers, -1)
    torch.testing.assert_close(generator.sample(2, seed=5, truncation=0), mean)


def test_faces_with_different_deltas_render_in_one_batch(generator):
    ws, deltas = generator.sample(3, seed=1), [make_delta(1), None, make_delta(2)]
    together = generator.synthesize(ws, deltas, dtype=torch.float32)
    for i, delta in enumerate(deltas):
        alone = generator.synthesize(ws[i : i + 1], [delta], dtype=torch.float32)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=0)
    plain = generator.synthesize(ws, dtype=torch.float32)
    assert (together[0] - plain[0]).abs().max() > 0.01
    torch.testing.assert_close(together[1], plain[1], atol=1e-4, rtol=0)


def test_a_delta_is_what_it_says_it_adds_to_the_weights(generator):
    ws, delta = generator.sample(2, seed=1), make_delta(1)
    tuned = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, **SHAPE).eval()
    tuned.load_state_dict(generator.state_dict())
    layer, rgb = tuned.synthesis.b8.conv0, tuned.synthesis.b16.torgb
    with torch.no_grad():
        product = delta.values["b8.conv0.weight:out"] @ delta.values["b8.conv0.weight:in"]
        layer.weight += product.reshape(16, 16, 3, 3)
        layer.bias += delta.values["b8.conv0.bias"]
        layer.noise_strength += delta.values["b8.conv0.noise_strength"]
        rgb.weight += delta.values["b16.torgb.weight"]
        rgb.bias += delta.values["b16.torgb.bias"]
    by_delta = generator.synthesize(ws, [delta, delta], dtype=torch.float32)
    torch.testing.assert_close(by_delta, tuned.synthesize(ws, dtype=torch.float32), atol=1e-4, rtol=0)


def test_latents_of_a_wrong_shape_are_refused(generator):
    with pytest.raises(LatentMismatch, match=r"\[1, 3, 8\]"):
        generator.synthesize(torch.zeros(1, 3, 8))
    with pytest.raises(LatentMismatch, match="2 latents came with 1 deltas"):
        generator.synthesize(torch.zeros(2, 1, 8), [None])


def test_a_latent_of_another_model_or_space_is_refused(generator):
    with pytest.raises(LatentMismatch, match="“other”"):
        generator.check(Latent(torch.zeros(1, 8), "w", "other"))
    with pytest.raises(LatentMismatch, match="spaces z, w, w"):
        generator.latent_shape("s")
    with pytest.raises(LatentMismatch, match=r"\[1, 8\]"):
        generator.check(Latent(torch.zeros(2, 8), "w", "tiny"))


@pytest.mark.parametrize("filtering", [winograd.F2, winograd.F4])
@pytest.mark.parametrize("size", [8, 12])
def test_winograd_is_the_convolution(filtering, size):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 24, size, size, generator=draw).to(memory_format=torch.channels_last)
    weight = torch.randn(20, 24, 3, 3, generator=draw) / 15
    before, after = torch.rand(2, 24, generator=draw), torch.rand(2, 20, generator=draw)
    bias = torch.randn(1, 20, generator=draw)
    expected = torch.nn.functional.conv2d(x * before[..., None, None], weight, padding=1)
    expected = expected * after[..., None, None] + bias[..., None, None]
    points = winograd.transform_weight(filtering, weight)
    result = winograd.convolve(filtering, x, points, before=before, after=after, bias=bias)
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("batch", [1, 3])
def test_pictures_without_gradients_are_those_with(batch):
    torch.manual_seed(0)
    network = StyleGAN2(32, z_dim=16, w_dim=16, mapping_layers=1, channel_base=8192, channel_max=128).eval()
    ws = network.sample(batch, seed=1).detach()
    exact = network.synthesize(ws.requires_grad_(True), dtype=torch.float32)
    network.requires_grad_(False)
    with torch.inference_mode():
        for _ in range(2):  # the second time from what the first prepared
            fast = network.synthesize(ws, dtype=torch.float32)
            torch.testing.assert_close(fast, exact.detach(), atol=1e-3, rtol=1e-4)


def test_changed_weights_are_not_taken_from_what_was_prepared(generator):
    ws = generator.sample(1, seed=1)
    network = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, **SHAPE).eval().requires_grad_(False)
    network.load_state_dict(generator.state_dict())
    before = network.synthesize(ws, dtype=torch.float32)
    with torch.no_grad():
        network.synthesis.b8.conv0.weight.mul_(-1)
    after = network.synthesize(ws, dtype=torch.float32)
    fresh = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, **SHAPE).eval()
    fresh.load_state_dict(network.state_dict())
    torch.testing.assert_close(after, fresh.synthesize(ws, dtype=torch.float32), atol=1e-4, rtol=0)
    assert (after - before).abs().max() > 0.01
