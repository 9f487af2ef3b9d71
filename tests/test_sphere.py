"""The sphere of identity vectors: steps are equal, points stay on it, and what is held does not move."""

import pytest
import torch

from facelab.edits.arithmetic import parse
from facelab.edits.interpolation import karcher_mean, spherical
from facelab.edits.sphere import (
    chained_mean,
    great_circle,
    neighbours_on_sphere,
    on_sphere,
    plain_mean,
    sum_on_sphere,
    walk_on_sphere,
    walk_until_sure,
)
from facelab.errors import BadSetting


def points(count=5, dim=12, seed=0):
    return on_sphere(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def first_axis(each):
    return 3 * each[:, 0] + each[:, 1] ** 2


def second_axis(each):
    return each[:, 1] + 0.5 * each[:, 0]


def test_a_walk_goes_up_in_equal_steps_on_the_sphere():
    start = points()
    path = walk_on_sphere(start, first_axis, 0.4, steps=20, frames=20)
    assert path.shape == (21, 5, 12) and torch.equal(path[0], start)
    assert torch.allclose(path.norm(dim=-1), torch.ones(21, 5, dtype=torch.float64))
    steps = great_circle(path[:-1], path[1:])
    assert torch.allclose(steps, torch.full_like(steps, 0.02), atol=1e-9)
    logits = torch.stack([first_axis(place) for place in path])
    assert (logits[1:] > logits[:-1]).all()
    assert (first_axis(walk_on_sphere(start, first_axis, -0.4, steps=20, frames=1)[-1]) < logits[0]).all()


def test_each_point_of_a_walk_may_go_its_own_way():
    start = points()
    arcs = torch.tensor([0.3, -0.3, 0.1, 0.2, 0.0], dtype=torch.float64)
    end = walk_on_sphere(start, first_axis, arcs, steps=10, frames=1)[-1]
    alone = walk_on_sphere(start[1:2], first_axis, -0.3, steps=10, frames=1)[-1]
    assert torch.allclose(end[1:2], alone) and torch.allclose(end[4], start[4])
    assert torch.allclose(great_circle(start[:1], end[:1]), arcs[:1], atol=1e-2)


def test_what_is_held_stays_and_moves_where_it_is_not():
    start = points()
    held = walk_on_sphere(start, first_axis, 0.4, steps=400, frames=1, held=[second_axis])[-1]
    plain = walk_on_sphere(start, first_axis, 0.4, steps=400, frames=1)[-1]
    moved = [(second_axis(each) - second_axis(start)).abs().max() for each in (held, plain)]
    assert moved[0] < 1e-3 < 0.05 < moved[1]
    assert (first_axis(held) > first_axis(start)).all()


def test_frames_are_taken_from_the_same_walk():
    start = points(1)
    path = walk_on_sphere(start, first_axis, 0.5, steps=500, frames=10)
    assert torch.allclose(great_circle(path[0], path[4]), torch.tensor(0.2, dtype=torch.float64), atol=1e-2)
    for frames in (0, 501):
        with pytest.raises(BadSetting, match="frame"):
            walk_on_sphere(start, first_axis, 0.5, frames=frames)


def test_a_walk_goes_on_until_the_classifier_is_sure_and_no_further():
    start = points()
    path, steps = walk_until_sure(start, first_axis, 0.02, sure=1.5, most=200)
    assert len(path) == steps.max() + 1 and len(set(steps.tolist())) > 1, "each as far as it takes"
    assert torch.equal(path[0], start) and torch.allclose(path[-1].norm(dim=-1), torch.ones(5, dtype=torch.float64))
    assert (first_axis(path[-1]) >= 1.5).all()
    for number, taken in enumerate(steps.tolist()):
        assert first_axis(path[taken, number][None]) >= 1.5 and torch.equal(path[taken, number], path[-1, number])
        assert taken == 0 or first_axis(path[taken - 1, number][None]) < 1.5, "a step earlier it was not"
    again = walk_on_sphere(start[:1], first_axis, 0.02 * int(steps[0]), steps=int(steps[0]), frames=1)[-1]
    assert torch.allclose(again, path[-1, :1]), "the same equal steps"
    path, steps = walk_until_sure(start, first_axis, -0.02, sure=9, most=10)
    assert steps.tolist() == [10] * 5 and (first_axis(path[-1]) < first_axis(start)).all(), "never more than the most"
    path, steps = walk_until_sure(start, first_axis, 0.02, sure=99, most=1000)
    assert steps.max() < 400, "a summit ends it: nothing on the sphere is as sure as that"
    path, steps = walk_until_sure(path[-1], first_axis, 0.02, sure=1.5, most=9)
    assert len(path) == 1 and not steps.any(), "what is so already stays"


def test_a_walk_works_where_no_gradients_are_kept():
    with torch.inference_mode():
        start = points(2)
        end = walk_on_sphere(start, first_axis, 0.2, steps=4, frames=1)[-1]
    assert float(great_circle(start, end).max()) > 0.1


def test_the_chain_of_slerps_is_ruled_by_its_last_point_and_the_mean_is_not():
    all_points = on_sphere(points(40) + 1.0)
    turned = all_points.flip(0)
    assert torch.allclose(karcher_mean(all_points), karcher_mean(turned), atol=1e-9)
    assert float(great_circle(chained_mean(all_points), chained_mean(turned))) > 0.1
    assert torch.allclose(chained_mean(all_points[:2]), spherical(all_points[0], all_points[1], 0.5))
    assert float(plain_mean(all_points).norm()) < float(plain_mean(all_points[:2]).norm()) < 1


def test_sums_end_on_the_sphere_and_cancelling_ones_are_refused():
    a, b, c = points(3)
    origin = on_sphere(torch.ones(12, dtype=torch.float64))
    named = {"A": a, "B": b, "C": c}
    result = sum_on_sphere(named, parse("A + B - C"), origin=origin)
    assert torch.allclose(result, on_sphere(a + b - c))
    assert torch.allclose(sum_on_sphere(named, parse("A"), origin=origin), a)
    halved = sum_on_sphere(named, parse("0.5*A"), origin=origin)
    assert torch.allclose(halved, on_sphere(0.5 * a + 0.5 * origin)), "half a face is half of the way to the mean"
    with pytest.raises(BadSetting, match="cancels"):
        sum_on_sphere({"A": a, "B": a}, {"A": 1.0, "B": -1.0}, origin=0 * origin)


def test_neighbours_lie_at_the_angle_that_was_asked_for():
    centre = points(1)[0]
    near = neighbours_on_sphere(centre, 63, angle=0.2, seed=1)
    assert torch.allclose(great_circle(centre, near), torch.full((63,), 0.2, dtype=torch.float64))
    assert float(great_circle(near[0], near[1])) > 0.05
    assert torch.equal(near, neighbours_on_sphere(centre, 63, angle=0.2, seed=1))


def test_small_angles_are_exact():
    a = points(1)[0].float()
    b = neighbours_on_sphere(a, 1, angle=1e-4, seed=0)[0]
    assert float(great_circle(a, b)) == pytest.approx(1e-4, rel=1e-2)
