"""Directions found on portraits: what is known to be in the latents is found again."""

import numpy as np
import torch

import facelab.training.directions as directions_module
from facelab.evaluation.geometry import measured, skin_tone
from facelab.face import Face, Latent
from facelab.template import TEMPLATE_LANDMARKS
from facelab.training import directions_command
from facelab.training.data import Pictures
from facelab.training.direction_list import WANTED
from facelab.training.directions import class_difference, classes, find_directions, regress

COUNT, ROWS, DIM = 2000, 4, 32


def made_up():
    """Latents in which every attribute adds a vector of its own; gender and beard come together."""
    draw = np.random.default_rng(0)
    scores = {wanted.id: draw.random(COUNT) < 0.4 for wanted in WANTED}
    scores["beard"] = scores["gender"] & (draw.random(COUNT) < 0.8)
    scores["yaw"] = draw.normal(size=COUNT).astype(np.float32)
    adds = {name: torch.from_numpy(draw.normal(size=(ROWS, DIM))).float() for name in scores}
    latents = torch.from_numpy(draw.normal(size=(COUNT, ROWS, DIM)) * 0.5).float()
    for name, values in scores.items():
        latents += torch.from_numpy(values.astype(np.float32))[:, None, None] * adds[name]
    return latents, scores, adds


def test_each_direction_is_found_and_the_linear_one_is_free_of_what_comes_with_it(monkeypatch):
    monkeypatch.setattr(directions_module, "CLASSIFIER_STEPS", 60)
    latents, scores, adds = made_up()
    directions = {direction.id: direction for direction in find_directions(latents, scores)}
    assert list(directions) == [wanted.id for wanted in WANTED]

    def likeness(vector, name):
        return torch.nn.functional.cosine_similarity(vector.flatten(), adds[name].flatten(), dim=0).item()

    for name in ("smile", "beard", "yaw"):
        assert likeness(directions[name].normal, name) > 0.95
    assert abs(likeness(directions["beard"].normal, "gender")) < 0.2
    assert likeness(directions["beard"].difference, "gender") > 0.3, "the plain difference takes gender along"
    smile = directions["smile"]
    assert torch.allclose(smile.difference, class_difference(latents, scores["smile"]))
    w = latents.mean(dim=1)
    right = ((smile.classifier(w) > 0).numpy() == scores["smile"]).mean()
    assert right > 0.85


def test_classes_are_the_labels_or_the_outer_thirds():
    with_it, without = classes(np.array([True, False, True]))
    assert with_it.tolist() == [True, False, True] and without.tolist() == [False, True, False]
    with_it, without = classes(np.arange(9.0))
    assert with_it.sum() == without.sum() == 3 and not (with_it & without).any()


def test_regression_finds_slopes():
    factors = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    factors = (factors - factors.mean(dim=0)) / factors.std(dim=0)
    slopes = torch.tensor([[1.0, 0.0], [0.0, -2.0], [0.5, 0.5]])
    assert torch.allclose(regress(factors @ slopes + 7, factors), slopes, atol=0.05)


def test_measures_do_not_depend_on_place_and_size():
    points = TEMPLATE_LANDMARKS[None].repeat(2, axis=0)
    points[1] = points[1] * 0.5 + 0.2
    for name, values in measured(points).items():
        assert np.isclose(values[0], values[1], atol=1e-6), name


def test_measures_measure_what_they_say():
    def changed(index, by):
        points = TEMPLATE_LANDMARKS.astype(np.float64)[None].copy()
        points[0, index] += by
        before, after = measured(TEMPLATE_LANDMARKS[None]), measured(points)
        return {name: float(after[name][0] - before[name][0]) for name in before}

    assert changed(slice(65, 68), (0, 0.03))["mouth_open"] > 0.05
    assert changed(35, (0.03, 0))["nose_size"] > 0.05
    assert changed(54, (0.03, 0))["mouth_size"] > 0.05
    assert changed(30, (0.05, 0))["yaw"] < -0.1


def test_lighter_cheeks_have_a_greater_angle():
    images = np.stack([np.full((64, 64, 3), tone, np.uint8) for tone in ((224, 188, 160), (120, 80, 60))])
    light, dark = skin_tone(images, TEMPLATE_LANDMARKS[None].repeat(2, axis=0))
    assert light > 28 > dark


def test_directions_are_tuned_on_encoded_and_on_embedded_portraits_alike(monkeypatch, tmp_path):
    pictures = Pictures(np.arange(7, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3))
    latents = torch.arange(7.0)[:, None, None].expand(7, 6, 4)

    def embedded(portraits, model, cache, *, refine):
        assert model == "faces128" and not refine
        values = [torch.full((6, 4), 100.0 + portrait[0, 0, 0]) for portrait in portraits]
        return [Face(Latent(each, "w+", model)) for each in values]

    monkeypatch.setattr(directions_command, "EMBEDDED", 2)
    monkeypatch.setattr(directions_command, "_embedded", embedded)
    crowd = directions_command._crowd(pictures, latents, {"smile": torch.arange(7.0)}, "faces128", tmp_path)
    assert crowd.latents[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 100, 101, 100, 101, 100, 101]
    assert crowd.scores["smile"].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 0, 1, 0, 1]
