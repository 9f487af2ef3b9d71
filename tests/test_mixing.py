import pytest
import torch

from facelab.edits.mixing import KEPT_RANK, MAX_RANK, mix_deltas
from facelab.errors import BadFaceFile
from facelab.face import Delta
from facelab.generators.deltas import dense_addition

LAYERS = {"b8.conv0.weight": (24, 20), "b8.conv1.weight": (8, 24)}


def make(seed, rank):
    random = torch.Generator().manual_seed(seed)
    values = {"b8.conv0.bias": torch.randn(24, generator=random), "b8.torgb.weight": torch.randn(3, 8, 1, 1)}
    for name, (outputs, inputs) in LAYERS.items():
        values[f"{name}:out"] = torch.randn(outputs, rank, generator=random)
        values[f"{name}:in"] = torch.randn(rank, inputs * 9, generator=random)
    return Delta(values)


def dense(delta, name):
    return dense_addition(delta, name).double()


NAMES = [*LAYERS, "b8.conv0.bias", "b8.torgb.weight"]


def test_ranks_side_by_side_equal_the_dense_sum():
    deltas, weights = [make(1, 3), make(2, 5), make(3, 2)], [0.5, -1.25, 0.75]
    mixed = mix_deltas(deltas, weights)
    for name in NAMES:
        wanted = sum(weight * dense(delta, name) for delta, weight in zip(deltas, weights, strict=True))
        assert torch.allclose(dense(mixed, name), wanted, atol=1e-4)
    assert {len(value) for name, value in mixed.values.items() if name.endswith(":in")} == {10}


def test_the_factors_themselves_are_never_averaged():
    one, other = make(1, 4), make(2, 4)
    mixed = mix_deltas([one, other], [0.5, 0.5])
    name = "b8.conv0.weight"
    averaged = Delta({key: (one.values[key] + other.values[key]) / 2 for key in one.values})
    assert not torch.allclose(dense(mixed, name), dense(averaged, name), atol=1e-2)


def test_a_face_without_a_delta_counts_as_zero():
    one = make(1, 3)
    mixed = mix_deltas([one, None], [0.25, 0.75])
    for name in NAMES:
        assert torch.allclose(dense(mixed, name), 0.25 * dense(one, name), atol=1e-6)
    assert mix_deltas([None, None], [0.5, 0.5]) is None


def test_one_delta_of_weight_one_comes_back_as_it_is():
    one, other = make(1, 3), make(2, 3)
    assert mix_deltas([one, other], [1, 0]) is one
    assert mix_deltas([one, None], [1.0, 0.0]) is one


def test_the_same_delta_twice_is_counted_once_even_when_it_was_read_from_two_files():
    one, again, other = make(1, 3), make(1, 3), make(2, 3)
    again.values["b8.torgb.weight"].copy_(one.values["b8.torgb.weight"])
    assert mix_deltas([one, again, other], [1, -1, 1]) is other
    assert mix_deltas([one, again], [0.5, 0.5]) is one


def test_a_sum_of_many_is_recompressed_to_the_nearest_of_its_rank():
    random = torch.Generator().manual_seed(9)
    deltas = [make(seed, 10) for seed in range(12)]
    weights = torch.rand(12, generator=random).tolist()
    mixed = mix_deltas(deltas, weights)
    ranks = {len(value) for name, value in mixed.values.items() if name.endswith(":in")}
    assert ranks == {24} and max(ranks) <= KEPT_RANK < MAX_RANK  # the layers have fewer outputs than the rank kept
    for name in NAMES:
        wanted = sum(weight * dense(delta, name) for delta, weight in zip(deltas, weights, strict=True))
        assert torch.allclose(dense(mixed, name), wanted, atol=1e-3)


def test_recompression_loses_no_more_than_the_best_approximation_must():
    random = torch.Generator().manual_seed(3)
    deltas = [
        Delta({"w:out": torch.randn(80, 40, generator=random), "w:in": torch.randn(40, 90, generator=random)})
        for _ in range(2)
    ]
    wanted = sum(delta.values["w:out"] @ delta.values["w:in"] for delta in deltas)
    mixed = mix_deltas(deltas, [1, 1])
    assert mixed.values["w:out"].shape == (80, KEPT_RANK)
    error = torch.linalg.norm(mixed.values["w:out"] @ mixed.values["w:in"] - wanted)
    best = torch.linalg.svdvals(wanted)[KEPT_RANK:].norm()
    assert float(error) == pytest.approx(float(best), rel=1e-3)


def test_a_damaged_delta_is_refused_where_its_numbers_are_too_large_to_sum():
    huge = Delta({"w:out": torch.full((80, 40), 1e30), "w:in": torch.full((40, 90), 1e30)})
    other = Delta({"w:out": torch.randn(80, 40), "w:in": torch.randn(40, 90)})
    with pytest.raises(BadFaceFile, match="damaged"):
        mix_deltas([huge, other], [1, 1])
