import math
from itertools import pairwise

import pytest
import torch

from facelab.edits.interpolation import karcher_mean, linear, positions, shares, spherical, weighted_mean
from facelab.errors import BadSetting, LatentMismatch


def latents(count, rows=12, dim=16, seed=0):
    return torch.randn(count, rows, dim, generator=torch.Generator().manual_seed(seed))


def on_sphere(count, dim=16, seed=0):
    return torch.nn.functional.normalize(latents(count, 1, dim, seed)[:, 0].double(), dim=1)


def angle(one, other):
    return math.acos(max(-1.0, min(1.0, float(one @ other))))


@pytest.mark.parametrize("between", [linear, spherical])
def test_the_ends_of_a_way_are_the_faces_themselves(between):
    first, second = latents(2)
    assert torch.equal(between(first, second, 0), first) and torch.equal(between(first, second, 1), second)
    assert torch.allclose(between(first, second, 1e-6), first, atol=1e-4)
    assert torch.allclose(between(first, second, 1 - 1e-6), second, atol=1e-4)


def test_a_straight_line_is_the_papers_weighted_sum():
    first, second = latents(2)
    assert torch.allclose(linear(first, second, 0.3), 0.7 * first + 0.3 * second, atol=1e-6)


def test_a_great_circle_is_gone_along_at_an_even_speed_and_on_the_sphere():
    first, second = on_sphere(2)
    path = [spherical(first, second, t / 10) for t in range(11)]
    steps = [angle(one, other) for one, other in pairwise(path)]
    assert all(float(point.norm()) == pytest.approx(1) for point in path)
    assert steps == pytest.approx([angle(first, second) / 10] * 10, rel=1e-6)


def test_lengths_off_the_sphere_change_evenly():
    first, second = torch.tensor([2.0, 0, 0]), torch.tensor([0, 4.0, 0])
    assert float(spherical(first, second, 0.25).norm()) == pytest.approx(2.5)


def test_nearly_the_same_direction_is_no_division_by_zero():
    first = on_sphere(1)[0].float()
    second = first + 1e-7
    assert torch.allclose(spherical(first, second, 0.5), first, atol=1e-6)


def test_opposite_directions_have_no_shortest_circle():
    first = on_sphere(1)[0]
    with pytest.raises(BadSetting, match="linear"):
        spherical(first, -first, 0.5)


@pytest.mark.parametrize("between", [linear, spherical])
def test_latents_of_different_shapes_are_refused(between):
    with pytest.raises(LatentMismatch, match="shapes"):
        between(latents(1, 12)[0], latents(1, 10)[0], 0.5)


def test_an_average_is_the_mean_and_weights_shift_it():
    faces = latents(3)
    assert torch.allclose(weighted_mean(faces), faces.mean(dim=0), atol=1e-6)
    assert torch.allclose(weighted_mean(faces, [3, 1, 0]), 0.75 * faces[0] + 0.25 * faces[1], atol=1e-6)
    assert torch.equal(weighted_mean(faces[:1]), faces[0])


@pytest.mark.parametrize("weights", [[1, 2], [1, -1, 3], [0, 0, 0], [1, 1, float("nan")]])
def test_weights_that_make_no_average_are_refused(weights):
    with pytest.raises(BadSetting, match="average"):
        shares(3, weights)


def test_the_mean_on_the_sphere_does_not_depend_on_the_order():
    points = on_sphere(7) + torch.tensor([1.0, *[0] * 15], dtype=torch.float64)
    mean = karcher_mean(points)
    for seed in range(3):
        order = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
        assert torch.allclose(karcher_mean(points[order]), mean, atol=1e-10)


def test_the_mean_on_the_sphere_has_the_least_squared_angles():
    points = torch.nn.functional.normalize(on_sphere(5) + 0.6, dim=1)
    mean = karcher_mean(points)
    cost = sum(angle(mean, point) ** 2 for point in points)
    for seed in range(20):
        near = torch.nn.functional.normalize(mean + 0.05 * on_sphere(1, seed=seed)[0], dim=0)
        assert sum(angle(near, point) ** 2 for point in points) > cost
    straight = torch.nn.functional.normalize(points.mean(dim=0), dim=0)
    assert sum(angle(straight, point) ** 2 for point in points) > cost, "it is not just the mean, put on the sphere"


def test_the_mean_of_two_is_halfway_along_their_circle_and_weights_move_it_along():
    first, second = on_sphere(2, seed=3)
    assert torch.allclose(karcher_mean(torch.stack([first, second])), spherical(first, second, 0.5), atol=1e-9)
    shifted = karcher_mean(torch.stack([first, second]), [3, 1])
    assert torch.allclose(shifted, spherical(first, second, 0.25), atol=1e-9)


def test_points_all_around_the_sphere_have_no_mean():
    first = on_sphere(1)[0]
    with pytest.raises(BadSetting, match="no mean"):
        karcher_mean(torch.stack([first, -first]))


def test_frames_go_from_one_end_to_the_other():
    assert positions(5) == [0, 0.25, 0.5, 0.75, 1]
    smooth = positions(5, easing="smooth")
    assert smooth[0] == 0 and smooth[2] == 0.5 and smooth[4] == 1 and smooth[1] < 0.25 < 0.75 < smooth[3]


def test_there_and_back_is_a_loop_without_a_halt():
    path = positions(8, there_and_back=True)
    assert path == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize(("frames", "easing"), [(1, "linear"), (0, "linear"), (10, "bouncy")])
def test_a_morph_that_cannot_be_is_refused(frames, easing):
    with pytest.raises(BadSetting, match=r"two frames|smooth"):
        positions(frames, easing=easing)
