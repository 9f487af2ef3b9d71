import hashlib
import os

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.vgg import cfgs, make_layers

from facelab import perceptual
from facelab.embedding import embed
from facelab.embedding_settings import EmbedSettings
from facelab.errors import BadWeights
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2
from facelab.perceptual import Vgg16, discriminator_distance, has_vgg16, load_vgg16, vgg16_distance


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    return Vgg16().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(0)
    return Discriminator(32, channel_base=256, channel_max=8).eval().requires_grad_(False)


def pictures(count, size, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_each_block_of_the_discriminator_is_measured_against_the_targets_mean_square(judge):
    target, others = pictures(1, 32), pictures(2, 32, seed=1)
    by_hand = torch.stack(
        [
            (seen - goal).square().mean(dim=(1, 2, 3)) / goal.square().mean()
            for seen, goal in zip(judge.features(others), judge.features(target), strict=True)
        ]
    ).mean(dim=0)
    distance = discriminator_distance(judge, target)
    torch.testing.assert_close(distance(others), by_hand)
    assert distance(target).item() == 0 and by_hand.min() > 0.01


def test_the_features_are_torchvisions_after_the_relu(vgg):
    theirs = make_layers(cfgs["D"])
    names = {f"features.{name}": value for name, value in theirs.state_dict().items()}
    assert set(vgg.state_dict()) <= set(names)
    theirs.load_state_dict(
        {name.removeprefix("features."): value for name, value in vgg.state_dict().items()}, strict=False
    )
    image = pictures(1, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((image + 1) / 2 - mean.reshape(1, 3, 1, 1)) / deviation.reshape(1, 3, 1, 1)
    expected = []
    for index, layer in enumerate(theirs):
        x = F.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
        if index in (1, 3, 13, 20):  # the ReLUs behind conv1_1, conv1_2, conv3_2 and conv4_2
            expected.append(x.clone())
    for ours, wanted in zip(vgg(image), expected, strict=True):
        torch.testing.assert_close(ours, wanted)


def test_vggs_distance_is_the_papers_equation_2(vgg):
    target, other = pictures(1, 32), pictures(1, 32, seed=1)
    by_hand = sum(((a - b).square().sum() / a.numel()) for a, b in zip(vgg(other), vgg(target), strict=True))
    torch.testing.assert_close(vgg16_distance(vgg, target)(other)[0], by_hand)


def test_a_target_for_each_picture_is_as_one_by_one(judge, vgg):
    targets, others = pictures(3, 32), pictures(3, 32, seed=1)
    for network, compare in ((judge, discriminator_distance), (vgg, vgg16_distance)):
        single = [compare(network, targets[[at]])(others[[at]])[0] for at in range(3)]
        torch.testing.assert_close(compare(network, targets)(others), torch.stack(single))


def test_layers_alone_make_up_the_whole(judge, vgg):
    target, other = pictures(1, 32), pictures(1, 32, seed=1)
    for network, compare, count, share in ((judge, discriminator_distance, 3, 3), (vgg, vgg16_distance, 4, 1)):
        parts = [compare(network, target, layers=[layer])(other) for layer in range(count)]
        torch.testing.assert_close(sum(parts) / share, compare(network, target)(other))
        assert len({round(part.item(), 6) for part in parts}) == count


def test_larger_pictures_pass_the_same_blocks(judge):
    target, other = pictures(1, 64), pictures(1, 64, seed=1)
    features = judge.features(other, entrance=32)
    assert [each.shape[-1] for each in features] == [32, 16, 8]
    goals = judge.features(target, entrance=32)
    terms = [(a - b).square().mean() / b.square().mean() for a, b in zip(features, goals, strict=True)]
    torch.testing.assert_close(discriminator_distance(judge, target)(other)[0], torch.stack(terms).mean())


def test_vgg_looks_at_256_pixels_at_most(vgg):
    assert vgg(pictures(1, 512))[0].shape == (1, 64, 256, 256)
    assert vgg(pictures(1, 128))[0].shape == (1, 64, 128, 128)
    wide = pictures(1, 256).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(vgg(wide)[3], vgg(pictures(1, 256))[3])


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty checkpoints folder and an empty torch hub."""
    folders = tmp_path / "weights", tmp_path / "hub" / "checkpoints"
    for folder in folders:
        folder.mkdir(parents=True)
    monkeypatch.setenv("FACELAB_CHECKPOINTS", str(folders[0]))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return folders


def named_by_hash(monkeypatch, write, folder):
    draft = folder / "draft"
    write(draft)
    name = f"vgg16-{hashlib.sha256(draft.read_bytes()).hexdigest()[:8]}.pth"
    monkeypatch.setattr(perceptual, "VGG16_FILE", name)
    return draft.rename(folder / name)


@pytest.mark.parametrize("place", [0, 1])
def test_vggs_weights_are_found_in_the_checkpoints_folder_and_in_torch_hub(places, monkeypatch, vgg, place):
    assert not has_vgg16()
    with pytest.raises(BadWeights, match="checkpoints folder"):
        load_vgg16()
    whole = {**vgg.state_dict(), "classifier.6.bias": torch.zeros(1000)}
    named_by_hash(monkeypatch, lambda path: torch.save(whole, path), places[place])
    loaded = load_vgg16()
    assert has_vgg16()
    assert torch.equal(loaded.features[19].weight, vgg.features[19].weight)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_a_vgg_file_whose_hash_is_not_in_its_name_is_refused(places, monkeypatch, vgg):
    path = named_by_hash(monkeypatch, lambda path: torch.save(vgg.state_dict(), path), places[0])
    data = bytearray(path.read_bytes())
    data[-10_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadWeights, match="SHA-256"):
        load_vgg16()


def test_a_vgg_file_that_would_run_code_is_refused_and_does_not_run(places, monkeypatch, tmp_path):
    trace = tmp_path / "trace"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    named_by_hash(monkeypatch, lambda path: torch.save({"features.0.weight": Trap()}, path), places[0])
    with pytest.raises(BadWeights):
        load_vgg16()
    assert not trace.exists()


def test_a_picture_is_embedded_by_vggs_features(vgg):
    torch.manual_seed(0)
    generator = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=256, channel_max=8)
    generator.name = "tiny"
    generator.eval().requires_grad_(False)
    target = ((pictures(1, 16)[0].permute(1, 2, 0) + 1) * 127.5).byte().numpy()
    settings = EmbedSettings(steps=10, learning_rate=0.1, perceptual="vgg16")
    steps = list(embed(generator, target, settings, perceptual=lambda goal: vgg16_distance(vgg, goal)))
    assert steps[-1].state.best_loss < steps[0].losses["total"]
