import pytest
import torch

from facelab.edits.arithmetic import combine_on_sphere, neighbours, parse, weighted_sum
from facelab.errors import BadSetting


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("A", {"A": 1}),
        ("A + B - C", {"A": 1, "B": 1, "C": -1}),
        (" 0.5*A + 0.5*B", {"A": 0.5, "B": 0.5}),
        ("A*.5+B/4", {"A": 0.5, "B": 0.25}),
        ("(A + B) / 2 - (C - D)", {"A": 0.5, "B": 0.5, "C": -1, "D": 1}),
        ("-(A - 2*B)", {"A": -1, "B": 2}),
        ("A + A + A", {"A": 3}),
        ("2 * 3 * (A - 0.5*(B))", {"A": 6, "B": -3}),
        ("smile - neutral + Ada", {"smile": 1, "neutral": -1, "Ada": 1}),
        ("A - A + B", {"A": 0, "B": 1}),
        ("A + (1 - 1)", {"A": 1}),
        ("A + 0.5 B - .5C", {"A": 1, "B": 0.5, "C": -0.5}),
        ("2(A - 1.5 B)", {"A": 2, "B": -3}),
        ("1e1*A1 - 2 A2", {"A1": 10, "A2": -2}),
    ],
)
def test_expressions_are_read(text, weights):
    assert parse(text) == pytest.approx(weights)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A +",
        "A * B",
        "A / B",
        "2 / A",
        "A / 0",
        "A / (1 - 1)",
        "A + 1",
        "3",
        "A ** 2",
        "A % 2",
        "A, B",
        "A if A else B",
        "A.real",
        "A[0]",
        "lambda: A",
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "(A := B)",
        "A; B",
        "1e999 * A",
        "1000 * A",
        "10**9 * A",
        "True * A",
        "1j * A",
        "'A'",
        "A + 99999999999999999999999 * B",
        "(" * 300 + "A" + ")" * 300,
        "-" * 450 + "A + 1",
        "A" + " + A" * 400,
        "A\0",
    ],
)
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(BadSetting) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 250


def test_a_plus_b_minus_c_needs_no_origin():
    a, b, c = torch.randn(3, 12, 16)
    for origin in (torch.zeros(16), torch.randn(16)):
        total = weighted_sum({"A": a, "B": b, "C": c}, parse("A + B - C"), origin=origin)
        assert torch.allclose(total, a + b - c, atol=1e-5)


def test_other_sums_are_taken_from_the_mean_face_on():
    a, b = torch.randn(2, 12, 16)
    mean = torch.randn(16)
    total = weighted_sum({"A": a, "B": b}, parse("A + B"), origin=mean)
    assert torch.allclose(total, mean + (a - mean) + (b - mean), atol=1e-5)
    assert torch.allclose(weighted_sum({"A": a}, parse("A - A"), origin=mean), mean.expand(12, -1))


def test_one_face_alone_comes_back_bit_by_bit():
    a, b = torch.randn(2, 12, 16)
    assert torch.equal(weighted_sum({"A": a, "B": b}, parse("A + B - B"), origin=torch.randn(16)), a)


def test_a_letter_without_a_face_is_named():
    with pytest.raises(BadSetting, match=r"No face is given for C\. Given: A, B"):
        weighted_sum({"A": torch.zeros(1, 2), "B": torch.zeros(1, 2)}, parse("A + B - C"), origin=torch.zeros(2))


def test_two_latents_of_the_sphere_combine_on_the_sphere():
    one, other = torch.nn.functional.normalize(torch.randn(2, 1, 64), dim=-1) * 8
    both = combine_on_sphere(one, other)
    assert float(both.norm()) == pytest.approx(8, rel=1e-5)
    assert float((both * one).sum()) == pytest.approx(float((both * other).sum()), rel=1e-3)


def test_neighbours_lie_as_far_away_as_they_are_told():
    face, offsets = torch.randn(12, 16), torch.randn(63, 12, 16)
    near = neighbours(face, offsets, radius=0.2)
    assert near.shape == (63, 12, 16)
    assert torch.allclose(near - face, 0.2 * offsets, atol=1e-5)
