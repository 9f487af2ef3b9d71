"""The circle's figures: each measures what it says, on cases whose answer is known."""

import numpy as np
import pytest
import torch

from facelab.circle import FEATURES, make_circle
from facelab.edits.sphere import on_sphere
from facelab.evaluation import circle as measures
from facelab.evaluation.judge import Judge
from facelab.evaluation.portraits import Portraits
from facelab.generators.began import BEGAN
from facelab.identity import FaceReader


@pytest.fixture(scope="module")
def tiny():
    """A tiny generator, its circle and a reader, none of them trained."""
    torch.manual_seed(0)
    generator = BEGAN(16, z_dim=6, channels=4).eval().requires_grad_(False)
    circle = make_circle(generator).eval().requires_grad_(False)
    circle.mapping.end.weight.mul_(40)
    return generator, circle, FaceReader().eval().requires_grad_(False)


def points(count, seed=0):
    return on_sphere(torch.randn(count, 128, generator=torch.Generator().manual_seed(seed)) * 0.03 + 0.09)


def test_people_are_told_apart_by_angles_where_lengths_mislead():
    draw = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 4)
    centres = draw.normal(size=(20, 128))
    vectors = centres[people] + 0.1 * draw.normal(size=(80, 128))
    figures = measures.measure_verification(vectors, [str(each) for each in people])
    assert figures["pairs"] == 2 * 20 * 6
    assert all(figures[way]["area"] == 1 and figures[way]["accuracy"] == 1 for way in ("raw", "chord", "great_circle"))
    lengths = draw.uniform(0.2, 3, size=(80, 1))
    figures = measures.measure_verification(vectors * lengths, [str(each) for each in people])
    assert figures["raw"]["area"] < 0.99 < figures["great_circle"]["area"]
    assert figures["chord"]["area"] == pytest.approx(figures["great_circle"]["area"], abs=1e-9), "one order"
    shuffled = measures.measure_verification(draw.normal(size=(80, 128)), [str(each) for each in people])
    assert 0.35 < shuffled["raw"]["area"] < 0.65


def test_classifiers_are_right_where_the_truth_is_theirs(tiny):
    _, circle, _ = tiny
    places = points(64)
    with torch.no_grad():
        logits = torch.stack([circle.classifier(each.id)(places) for each in FEATURES], dim=1)
    truth = (logits > logits.median(dim=0).values).float()
    circle_says = (logits > 0).float()
    mine = measures.measure_classifiers(circle, places, circle_says)
    assert all(each["accuracy"] == 1 for each in mine.values())
    theirs = measures.measure_classifiers(circle, places, 1 - truth)
    assert all(each["balanced"] <= 0.5 for each in theirs.values())


def test_plain_means_shrink_and_speeds_are_positive(tiny):
    generator, circle, reader = tiny
    people = [str(each) for each in range(70)]
    figures = measures.measure_collapse(circle, generator, reader, points(70), people)
    assert list(figures) == [2, 8, 32], "as far as two groups of that many are there"
    assert figures == measures.measure_collapse(circle, generator, reader, points(70), people), "the same draws"
    twice = measures.measure_collapse(circle, generator, reader, points(70), [str(each // 2) for each in range(70)])
    assert list(twice) == [2, 8], "nobody is in a group twice, or in both"
    norms = [each["plain_norm"] for each in figures.values()]
    assert 1 > norms[0] > norms[1] > norms[2] > 0.5
    speed = measures.measure_speed(
        circle, generator, lambda images: reader(images).vectors, torch.zeros(4, 3, 16, 16), repeats=1
    )
    assert all(value > 0 for value in speed.values())


def test_edits_are_counted_on_those_who_lack_what_they_give(tiny, monkeypatch):
    generator, circle, _ = tiny
    torch.manual_seed(0)
    network = Judge().eval()
    monkeypatch.setattr(measures, "EDITS", (("gender", 1), ("mouth_size", -1)))
    places = points(4)
    vectors = (places * 1.5).numpy()
    pictures = measures.decode(circle, generator, places)
    assert len(pictures) == 4 and pictures[0].shape == (16, 16, 3)
    described = measures.describe(pictures)
    real = measures.scores_of(network, pictures, described.landmarks)
    told = []
    seen = Portraits(vectors, described.landmarks, np.ones(4, bool))
    reach = {"gender +": 2.0}
    figures = measures.measure_edits(
        circle, generator, measures.Eyes(network, real), seen, places, reach=reach, progress=told.append
    )
    assert told == [1, 1] and figures["decoded"]["faces"] == 4 and figures["decoded"]["gender_kept"] == 1
    lacking = int((real["gender"] <= 0).sum())
    assert figures.get("gender +", {"faces": 0})["faces"] == lacking
    for name in set(figures) - {"decoded"}:
        found = figures[name]
        assert {"flipped", "gender_held", "gender_plain", "kept", "moved", "person"} <= found.keys()
        assert {"flipped", "gender_held", "kept", "moved", "person", "steps", "arrived"} == found["until"].keys()
        assert found["preset"]["strength"] == reach.get(name, 1.0)
        assert (found["preset"]["moved"] == found["moved"]) == (name not in reach)
        assert 0 < found["until"]["steps"] <= 500 and found["until"] != {**found["until"], "moved": found["moved"]}
