"""Directions found on portraits: what is known to be in the latents is found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import facelab.training.crowd as crowd_module
import facelab.training.directions as directions_module
from facelab.edits.attributes import Direction
from facelab.errors import BadSetting
from facelab.evaluation.geometry import measured, skin_tone
from facelab.evaluation.judge import ATTRIBUTES
from facelab.identity import Reading
from facelab.template import TEMPLATE_LANDMARKS
from facelab.training.crowd import join, look_at, not_encoded
from facelab.training.direction_list import WANTED
from facelab.training.directions import (
    class_difference,
    classes,
    find_directions,
    find_drawn,
    regress,
    score_drawn,
)
from facelab.training.directions_command import _found_by, _merged, chosen_of, renewed
from facelab.training.labels import Labels
from facelab.training.lenses import lens_squares, see_through

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


def test_what_all_have_or_nobody_is_left_out_and_said(monkeypatch, capsys):
    monkeypatch.setattr(directions_module, "CLASSIFIER_STEPS", 5)
    latents, scores, _ = made_up()
    few, scores = latents[:12], {name: values[:12] for name, values in scores.items()}
    scores["smile"][:], scores["bald"][:], scores["skin"] = True, False, np.full(12, np.nan, np.float32)
    directions = _found_by(few, scores)
    expected = [name for name in (wanted.id for wanted in WANTED) if len(set(scores[name].tolist())) > 1]
    assert [each.id for each in directions] == [name for name in expected if name != "skin"]
    assert all(each.normal.isfinite().all() and each.difference.isfinite().all() for each in directions)
    assert not any("smile" in each.held or "skin" in each.held for each in directions)
    said = capsys.readouterr().err
    assert "Smile" in said and "Skin" in said
    with pytest.raises(BadSetting, match="Give more"):
        find_directions(latents[:1], {name: values[:1] for name, values in scores.items()})


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


def test_glasses_are_sought_among_those_who_have_them(monkeypatch):
    attributes = np.zeros((600, len(ATTRIBUTES)), bool)
    attributes[100:150, ATTRIBUTES.index("Eyeglasses")] = True
    labels = Labels(attributes, np.zeros((600, 3), np.float32))
    images = np.full((600, 64, 64, 3), 120, np.uint8)
    found = not_encoded(labels, images)
    assert {name: places.tolist() for name, places in found.items()} == {"glasses": [*range(100, 150)]}
    monkeypatch.setattr(crowd_module, "SEARCHED", 3)
    assert not_encoded(labels, images)["glasses"].tolist() == [100, 116, 132], "from everywhere"
    assert not_encoded(Labels(attributes[:100], labels.pose[:100]), images[:100]) == {}


def test_sunglasses_are_no_glasses():
    lenses, _ = lens_squares(64)
    images = np.full((40, 64, 64, 3), 120, np.uint8)
    images[20:] = 60  # darker people, whose eyes are as light as their cheeks
    wearing = np.zeros(40, bool)
    wearing[[0, 1, 20, 21]] = True
    for person, light in ((0, 30), (1, 118), (20, 15), (21, 58)):
        for rows, columns in lenses:
            images[person, rows, columns] = light
    for person in range(2, 20):  # some have shadows there
        for rows, columns in lenses:
            images[person, rows, columns] = 100 + person
    assert np.flatnonzero(see_through(images, wearing)).tolist() == [1, 21]
    assert see_through(images[:2], wearing[:2]).tolist() == [True, True], "nobody to compare with"


def test_what_is_found_is_what_is_drawn(monkeypatch):
    """The picture shows one number of the latents."""
    monkeypatch.setattr(directions_module, "CLASSIFIER_STEPS", 20)
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(400, ROWS, DIM, generator=draw)

    class Painter:
        def synthesize(self, latents, *, dtype=None):
            return latents[:, 1, 1].clamp(-1, 1)[:, None, None, None].expand(-1, 3, 8, 8) / 2

    def reader(pictures):
        attributes = torch.full((len(pictures), len(ATTRIBUTES)), -1.0)
        attributes[:, ATTRIBUTES.index("Eyeglasses")] = 10 * pictures.mean(dim=(1, 2, 3)) - 2
        landmarks = torch.from_numpy(TEMPLATE_LANDMARKS.copy()).float() + 0.01 * torch.randn(
            len(pictures), 68, 2, generator=draw
        )
        return Reading(
            torch.zeros(len(pictures), 128),
            landmarks,
            attributes + 1e-3 * torch.randn(attributes.shape, generator=draw),
            torch.randn(len(pictures), 3, generator=draw),
        )

    crowd = look_at(latents, Painter(), reader)
    assert not crowd.scores["glasses"].is_inference()
    (glasses,) = find_drawn(join(crowd, crowd), ["glasses", "smile"])  # nobody smiles
    found = glasses.normal.abs()
    assert found.argmax() == DIM + 1 and found[1, 1] > 0.6
    assert glasses.difference[1, 1] > 1.0 and glasses.held == ("gender", "age")


def test_an_earlier_direction_moves_only_what_may_move_now():
    zero = torch.zeros(12, 4)
    beard = Direction("beard", "Beard", "shaved", "bearded", "hair", (0, 12), (), 1.0, difference=zero, normal=zero)
    again = renewed(beard, 12)
    assert again.region == "beard" and again.rows == (2, 8)
    assert renewed(replace(beard, rows=(4, 12)), 12).rows == (4, 8)
    assert renewed(replace(beard, rows=(8, 12)), 12).rows == (2, 8), "rows that may not move at all are not kept"
    assert all(0 <= first < last <= 18 for first, last in (wanted.rows_of(18) for wanted in WANTED))


def test_some_directions_are_made_better_and_the_others_stay_as_they_are():
    zero = torch.zeros(12, 4)
    beard = Direction("beard", "Beard", "shaved", "bearded", "hair", (0, 12), (), 1.0, difference=zero, normal=zero)
    begun = {id: replace(beard, id=id) for id in ("smile", "beard", "glasses")}
    assert chosen_of(begun, "") == list(begun) and chosen_of(begun, "glasses smile") == ["glasses", "smile"]
    assert chosen_of({}, "") == []
    with pytest.raises(BadSetting, match="has smile, beard, glasses"):
        chosen_of(begun, "beard hat")
    with pytest.raises(BadSetting, match="--start"):
        chosen_of({}, "beard")
    better = replace(begun["beard"], strength=2.0)
    merged = _merged(begun, [better])
    assert [each.id for each in merged] == list(begun)
    assert merged[1] is better and merged[0] is begun["smile"] and merged[2] is begun["glasses"]


def test_a_model_s_own_faces_tell_where_its_latents_have_what_the_reader_sees():
    class Drawer:
        def sample(self, n, *, seed):
            return torch.randn(n, 1, 8, generator=torch.Generator().manual_seed(seed))

        def synthesize(self, latents, *, dtype=None):
            return latents[:, :, :1, None].expand(-1, 3, 4, 4) / 10

    class Reader:
        def read(self, pictures):
            attributes = torch.full((len(pictures), len(ATTRIBUTES)), -1.0)
            attributes[:, ATTRIBUTES.index("Smiling")] = pictures.mean(dim=(1, 2, 3))
            return Reading(torch.zeros(len(pictures), 128), torch.zeros(0), attributes, torch.zeros(len(pictures), 3))

    told = []
    latents, scores = score_drawn(Drawer(), Reader(), 400, progress=told.append)
    assert sum(told) == 400 and np.array_equal(scores["smile"], latents[:, 0, 0].numpy() > 0)
    assert "skin" not in scores and "yaw" not in scores, "which no attribute tells"
    smile = {each.id: each for each in find_directions(latents, scores)}["smile"]
    assert smile.normal[0, 0] > 0.97 and smile.difference[0, 0] > 1.2
