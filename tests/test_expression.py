import pytest
import torch

from facelab.edits.expression import INTENSITY, THRESHOLD, difference, transfer
from facelab.errors import LatentMismatch

NORM = 10.0


@pytest.fixture
def faces():
    random = torch.Generator().manual_seed(0)
    target, neutral, change = (torch.randn(12, 64, generator=random) for _ in range(3))
    change = torch.nn.functional.normalize(change, dim=1) * torch.linspace(0.5, 6, 12)[:, None]
    return target, neutral, neutral + change


def test_without_threshold_and_normalisation_it_is_the_papers_sum(faces):
    target, neutral, expressive = faces
    moved = transfer(*faces, row_norm=NORM, strength=0.7, threshold=0, normalise=False)
    assert torch.allclose(moved, target + 0.7 * (expressive - neutral), atol=1e-6)


def test_rows_below_the_threshold_do_not_move(faces):
    moved = transfer(*faces, row_norm=NORM)
    lengths = (faces[2] - faces[1]).norm(dim=1)
    noise = lengths < THRESHOLD * NORM
    assert 0 < int(noise.sum()) < 12
    assert torch.equal(moved[noise], faces[0][noise])
    assert bool(((moved - faces[0])[~noise].norm(dim=1) > 0.1).all())


def test_the_threshold_is_the_papers_in_the_papers_space():
    """1 in a space whose rows lie 30.67 / sqrt(18) from the mean (table 2)."""
    assert pytest.approx(1) == THRESHOLD * 30.67 / 18**0.5


def test_normalised_the_source_decides_the_way_and_strength_the_distance(faces):
    target, neutral, expressive = faces
    weak = neutral + 0.5 * (expressive - neutral)
    strong, same = (difference(neutral, other, row_norm=NORM, threshold=0) for other in (expressive, weak))
    assert torch.allclose(strong, same, atol=1e-4)
    assert float(strong.norm()) == pytest.approx(INTENSITY * NORM * 12**0.5, rel=1e-5)
    for strength in (-1.0, 0.5, 2.0):
        moved = transfer(target, neutral, expressive, row_norm=NORM, threshold=0, strength=strength)
        assert float((moved - target).norm()) == pytest.approx(abs(strength) * float(strong.norm()), rel=1e-4)


def test_rows_that_were_left_out_do_not_strengthen_the_others(faces):
    change = difference(*faces[1:], row_norm=NORM)
    kept = change.norm(dim=1) > 0
    per_row = change[kept].square().sum(dim=1).mean().sqrt()
    assert float(per_row) == pytest.approx(INTENSITY * NORM, rel=1e-5)


def test_minus_turns_it_around(faces):
    there, back = (transfer(*faces, row_norm=NORM, strength=strength) for strength in (1, -1))
    assert torch.allclose((there + back) / 2, faces[0], atol=1e-5)


@pytest.mark.parametrize("normalise", [True, False])
def test_no_difference_is_no_change(faces, normalise):
    target, neutral, _ = faces
    assert torch.equal(transfer(target, neutral, neutral, row_norm=NORM, normalise=normalise), target)
    assert torch.equal(transfer(*faces, row_norm=NORM, strength=0, normalise=normalise), target)


def test_faces_of_different_models_are_refused(faces):
    with pytest.raises(LatentMismatch, match="one model"):
        transfer(faces[0], faces[1][:10], faces[2], row_norm=NORM)
