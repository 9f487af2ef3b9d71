"""Attribute edits: how far, along what, and what is held."""

from dataclasses import replace

import pytest
import torch

from facelab.checkpoints import directions as file_of_directions
from facelab.checkpoints.directions import read_directions, write_directions
from facelab.edits.attributes import Direction, LatentClassifier, difference_of, move, orthogonal_to, walk
from facelab.errors import BadSetting, BadWeights

ROWS, DIM = 6, 8


def a_direction(id, vector, *, normal=None, classifier=None, rows=(0, ROWS)):
    vector = torch.tensor(vector, dtype=torch.float32)
    normal = vector if normal is None else torch.tensor(normal, dtype=torch.float32)
    return Direction(
        id=id,
        title=id.title(),
        low="less",
        high="more",
        group="person",
        rows=rows,
        held=(),
        strength=1.5,
        difference=vector,
        normal=torch.nn.functional.normalize(normal, dim=-1),
        classifier=classifier,
        quality={"flips": 0.9},
    )


def linear_classifier(weight):
    """A classifier whose gradient is (nearly) along one vector everywhere: silu is near x / 2 around 0."""
    torch.manual_seed(0)
    classifier = LatentClassifier(DIM, hidden=4)
    with torch.no_grad():
        for layer in classifier.layers:
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[0, 0] = 1
        classifier.layers[0].weight[0] = torch.tensor(weight)
        classifier.out.weight.zero_()
        classifier.out.weight[0, 0] = 1
    return classifier.requires_grad_(False)


LATENT = torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(1))
X = [2.0] + [0.0] * (DIM - 1)
XY = [2.0, 2.0] + [0.0] * (DIM - 2)
Y = [0.0, 3.0] + [0.0] * (DIM - 2)


def test_strength_one_goes_as_far_as_the_class_means_lie_apart():
    moved = move(LATENT, a_direction("smile", X), 1.0)
    assert torch.allclose(moved - LATENT, torch.tensor(X).expand(ROWS, -1), atol=1e-6)
    assert torch.allclose(move(LATENT, a_direction("smile", X), -2.5) - LATENT, -2.5 * torch.tensor(X), atol=1e-5)
    assert torch.equal(move(LATENT, a_direction("smile", X), 0.0), LATENT)


def test_every_method_goes_equally_far_along_its_own_way():
    direction = a_direction("smile", X, normal=[1.0, 1.0] + [0.0] * 6, classifier=linear_classifier(X))
    linear = (move(LATENT, direction, 1.0, method="linear") - LATENT)[0]
    unit = direction.normal
    assert torch.allclose(linear, unit * direction.difference.norm(), atol=1e-6)
    gradient = (move(LATENT, direction, 1.0, method="gradient") - LATENT)[0]
    assert torch.allclose(gradient, torch.tensor(X), atol=1e-3)


def test_a_held_attribute_does_not_move():
    moved = move(LATENT, a_direction("age", XY), 1.0, held=[a_direction("gender", Y)])
    assert torch.allclose((moved - LATENT) @ torch.tensor(Y), torch.zeros(ROWS), atol=1e-5)
    assert (moved - LATENT)[0, 0] > 1
    walked = walk(
        LATENT,
        a_direction("age", XY, classifier=linear_classifier(XY)),
        1.0,
        steps=20,
        frames=2,
        held=[a_direction("gender", Y, classifier=linear_classifier(Y))],
    )
    assert torch.allclose((walked[-1] - LATENT)[:, 1], torch.zeros(ROWS), atol=1e-4)


def test_what_is_held_twice_or_is_nothing_here_holds_nothing_more():
    vector, nothing, held = torch.arange(1.0, 6), torch.zeros(5), torch.ones(5)
    once = vector - vector.mean()
    for others in ([held], [held, held], [held, nothing], [held, 2 * held, nothing]):
        assert torch.allclose(orthogonal_to(vector, others), once, atol=1e-5)
    assert torch.equal(orthogonal_to(vector, [nothing]), vector) and torch.equal(orthogonal_to(vector, []), vector)


def test_only_the_direction_s_rows_move_or_those_that_are_asked_for():
    direction = a_direction("hair", X, rows=(2, 4))
    moved = move(LATENT, direction, 1.0) - LATENT
    assert moved[2:4].abs().sum() > 0 and moved[:2].abs().sum() == moved[4:].abs().sum() == 0
    moved = move(LATENT, direction, 1.0, rows=slice(0, 1)) - LATENT
    assert moved[0].abs().sum() > 0 and moved[1:].abs().sum() == 0


@pytest.mark.parametrize("method", ["linear", "mean", "gradient"])
def test_on_its_own_rows_alone_a_direction_goes_as_far_as_the_class_means_lie_apart_on_all(method):
    direction = a_direction("hair", X, classifier=linear_classifier(X), rows=(2, 4))
    moved = move(LATENT, direction, 1.0, method=method) - LATENT
    assert moved.norm() == pytest.approx(ROWS**0.5 * direction.difference.norm().item(), rel=1e-3)


def test_some_of_a_direction_s_rows_are_a_part_of_the_edit():
    direction = a_direction("hair", X, rows=(2, 4))
    moved, part = (move(LATENT, direction, 1.0, rows=rows) - LATENT for rows in (None, slice(2, 3)))
    assert torch.allclose(part[2], moved[2], atol=1e-6) and part[3].abs().sum() == 0


def test_a_walk_begins_at_the_face_and_takes_equal_steps():
    direction = a_direction("smile", XY, classifier=linear_classifier(XY))
    path = walk(LATENT, direction, 2.0, steps=50, frames=5)
    assert path.shape == (6, ROWS, DIM) and torch.equal(path[0], LATENT)
    lengths = (path[1:] - path[:-1])[:, 0].norm(dim=1)
    assert torch.allclose(lengths, lengths.mean().expand(5), rtol=1e-3)
    assert lengths.sum() == pytest.approx(2 * torch.tensor(XY).norm().item(), rel=1e-3)


def test_a_walk_has_no_more_steps_than_anyone_waits_for():
    direction = a_direction("smile", X, classifier=linear_classifier(X))
    with pytest.raises(BadSetting, match="at most 5000 steps, not 5001"):
        walk(LATENT, direction, 1.0, steps=5001, frames=1)


def test_a_walk_works_under_inference_mode():
    direction = a_direction("smile", X, classifier=linear_classifier(X))
    with torch.inference_mode():
        path = walk(LATENT, direction, 1.0, steps=5, frames=1)
    assert not torch.equal(path[-1], LATENT)


@pytest.mark.parametrize("options", [{"method": "magic"}, {"method": "gradient"}])
def test_what_cannot_be_done_is_said(options):
    with pytest.raises(BadSetting):
        move(LATENT, a_direction("smile", X), 1.0, **options)


def test_one_s_own_direction_goes_from_without_to_with():
    without = LATENT[None]
    with_it = LATENT[None] + torch.arange(ROWS)[:, None]
    difference = difference_of(with_it, without)
    own = replace(a_direction("hat", X), difference=difference, normal=difference / difference.norm())
    assert torch.allclose(move(LATENT, own, 1.0), with_it[0], atol=1e-4)
    with pytest.raises(BadSetting):
        difference_of(with_it, without[:0])


def test_directions_are_written_and_read(tmp_path):
    directions = [a_direction("smile", X, classifier=linear_classifier(X)), a_direction("age", XY, rows=(1, 3))]
    path = tmp_path / "directions.safetensors"
    write_directions(directions, path)
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # a server that runs as another user reads it, too
    read = read_directions(path)
    assert list(read) == ["smile", "age"]
    smile, age = read.values()
    assert (age.rows, age.quality, smile.strength) == ((1, 3), {"flips": 0.9}, 1.5)
    assert torch.allclose(age.normal, directions[1].normal, atol=1e-3) and age.classifier is None
    w = torch.randn(4, DIM)
    assert torch.allclose(smile.classifier(w), directions[0].classifier(w), atol=1e-2)


def test_an_embedding_depends_on_those_directions_alone_that_refining_keeps(monkeypatch):
    def fingerprint(**strengths):
        known = [replace(a_direction("smile", X), region="mouth"), replace(a_direction("hair", XY), region="hair")]
        shown = {each.id: replace(each, strength=strengths.get(each.id, 1.0), quality={}) for each in known}
        monkeypatch.setattr(file_of_directions, "load_directions", lambda model: shown)
        return file_of_directions.fingerprint_directions("any")

    assert fingerprint(smile=2.0) == fingerprint() == fingerprint(hair=1.0) != fingerprint(hair=2.0)


def test_a_file_that_holds_no_directions_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BadWeights):
        read_directions(tmp_path / "other.safetensors")
