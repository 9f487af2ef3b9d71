"""Faces with deltas of their own, drawn by the thin factors, against the weights written out."""

import pytest
import torch

from facelab.face import Delta
from facelab.generators.deltas import block_additions, on_device
from facelab.generators.stylegan2 import StyleGAN2
from facelab.generators.tuning import TunedWeight, group_factors
from facelab.refinement import delta_shapes


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    made = StyleGAN2(64, z_dim=16, w_dim=16, mapping_layers=2, channel_base=1024, channel_max=64)
    for layer in made.synthesis.modules():
        if hasattr(layer, "noise_strength"):
            layer.noise_strength.data.fill_(0.1)
    return made.eval().requires_grad_(False)


def make_delta(generator, seed, rank):
    random = torch.Generator().manual_seed(seed)
    shapes = delta_shapes(generator, rank=rank)
    return Delta({name: 0.3 * torch.randn(shape, generator=random) for name, shape in shapes.items()})


def batch(generator):
    """None, one alone, two that share their inner factors, the first of these again, one of another rank."""
    one, alone, thin = (make_delta(generator, seed, rank) for seed, rank in ((1, 3), (2, 3), (3, 1)))
    sharing = Delta({name: 2 * value if name.endswith(":out") else value for name, value in one.values.items()})
    return [None, alone, one, sharing, one, thin]


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_faces_are_drawn_as_by_their_written_out_weights(generator, dtype, count):
    deltas = batch(generator)[-count:]
    w = torch.randn(count, generator.num_layers, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        drawn = generator.synthesize(w, deltas, dtype=dtype)
        plain = generator.synthesize(w, dtype=dtype)
    written_out = generator.synthesize(w.requires_grad_(), deltas, dtype=torch.float32).detach()
    scale = (plain - written_out).square().mean().sqrt()
    assert float(scale) > 0.1
    error = (drawn - written_out).square().mean().sqrt() / scale
    assert float(error) < (1e-4 if dtype == torch.float32 else 0.1)


def test_faces_that_share_an_inner_factor_are_one_group(generator):
    deltas = batch(generator)
    with torch.no_grad():
        groups = block_additions(deltas, "b16", ["conv0", "conv1", "torgb"])["conv1"]["weight"]
    assert [group.members for group in groups] == [[0], [1], [2, 3, 4], [5]]
    assert groups[0].inner is None and groups[2].outer.shape[0] == 3 and len(groups[3].inner) == 1


def test_where_gradients_are_wanted_they_reach_both_factors(generator):
    delta = make_delta(generator, 1, 2)
    leaves = {name: value.requires_grad_() for name, value in delta.values.items()}
    w = torch.randn(1, generator.num_layers, 16)
    generator.synthesize(w, [Delta(leaves)], dtype=torch.float32).square().mean().backward()
    assert all(leaf.grad is not None and float(leaf.grad.abs().sum()) > 0 for leaf in leaves.values())


def test_the_shared_weights_are_never_written_to(generator):
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    with torch.no_grad():
        w = torch.randn(6, generator.num_layers, 16)
        first = generator.synthesize(w)
        generator.synthesize(w, batch(generator))
        assert torch.equal(generator.synthesize(w), first)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_deltas_stay_themselves_where_they_lie_already(generator):
    deltas = batch(generator)
    assert all(one is other for one, other in zip(on_device(deltas, torch.device("cpu")), deltas, strict=True))
    away = on_device(deltas, torch.device("meta"))
    names = [name for name in away[2].values if name.endswith(":in")]
    assert all(away[2].values[name] is away[3].values[name] for name in names), "shared factors stay shared"
    assert away[0] is None and away[1].values[names[0]].device.type == "meta"


def test_a_tuned_weight_knows_the_layers_own(generator):
    layer = generator.synthesis.b16.conv1
    groups = group_factors([None, (torch.zeros(64, 1), torch.zeros(1, 64 * 9))])
    assert TunedWeight(layer.weight, groups).shared is layer.weight and len(groups) == 2
