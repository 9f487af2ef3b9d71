"""How far a direction goes and on which rows, on a generator and a reader of which everything is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.edits.attributes import Direction
from facelab.evaluation.judge import ATTRIBUTES
from facelab.identity import Reading
from facelab.template import TEMPLATE_LANDMARKS
from facelab.training import direction_reach
from facelab.training.direction_list import WANTED
from facelab.training.direction_reach import STRENGTHS, reach, row_choices

ROWS, DIM = 12, 4
SMILING = ATTRIBUTES.index("Smiling")


class Painter:
    """Paints the mean of coarse rows' first channel into red, all rows' second channel into green."""

    def synthesize(self, latents, deltas=None, *, dtype=None):
        pictures = torch.zeros(len(latents), 3, 8, 8)
        pictures[:, 0] = latents[:, :6, 0].mean(dim=1)[:, None, None] / 10
        pictures[:, 1] = latents[:, :, 1].mean(dim=1)[:, None, None] / 10
        return pictures


class Eyes:
    """Sees a smile in red and the person in green."""

    def read(self, pictures):
        attributes = torch.zeros(len(pictures), len(ATTRIBUTES))
        attributes[:, SMILING] = pictures[:, 0, 0, 0] * 10
        vectors = torch.zeros(len(pictures), 128)
        vectors[:, 0] = pictures[:, 1, 0, 0] * 10
        landmarks = torch.from_numpy(TEMPLATE_LANDMARKS.copy()).float().expand(len(pictures), -1, -1)
        return Reading(vectors, landmarks, attributes, torch.zeros(len(pictures), 3))


def smile(spoils):
    vector = torch.tensor([1.0, spoils, 0.0, 0.0])
    wanted = next(each for each in WANTED if each.id == "smile")
    return Direction(
        wanted.id,
        wanted.title,
        wanted.low,
        wanted.high,
        wanted.group,
        (0, ROWS),
        (),
        1.0,
        vector,
        torch.nn.functional.normalize(vector, dim=0),
    )


LATENTS = torch.zeros(8, ROWS, DIM).index_fill(2, torch.tensor([0]), -1.2)


def test_a_strength_is_far_enough_and_no_farther():
    (found,) = reach([smile(0.0)], Painter(), Eyes(), LATENTS)
    first, last = found.rows  # on fewer rows a direction goes as far in all, and so farther on each
    assert found.strength == min(strength for strength in STRENGTHS if strength > 1.2 * ((last - first) / ROWS) ** 0.5)


def test_rows_that_only_cost_likeness_are_left_alone():
    (found,) = reach([smile(0.6)], Painter(), Eyes(), LATENTS)
    assert found.rows[1] == 6, "the rows from 6 on change the person and not the smile"


def test_rows_stay_where_only_strengths_are_asked_for():
    (found,) = reach([smile(0.6)], Painter(), Eyes(), LATENTS, any_rows=False, deltas=[None] * 8)
    assert found.rows == (0, ROWS)


class HardToPlease(Eyes):
    """Sees a smile in one face alone, the first one, and in all of them that they are less themselves."""

    def read(self, pictures):
        reading = super().read(pictures)
        reading.attributes[1:, SMILING] = -1
        return reading


def test_where_hardly_anybody_changes_it_goes_on_all_rows_as_far_as_that_pays():
    (found,) = reach([smile(0.6)], Painter(), HardToPlease(), LATENTS)
    wanted = next(each for each in WANTED if each.id == "smile")
    assert found.rows == wanted.rows_of(ROWS) and found.strength == STRENGTHS[-1]


def test_what_changes_nobody_stays_as_it_is():
    blind = replace(smile(0.6), normal=torch.tensor([0.0, 0.0, 1.0, 0.0]), strength=1.25)
    (found,) = reach([blind], Painter(), Eyes(), LATENTS)
    assert (found.rows, found.strength) == (blind.rows, 1.25)


def test_a_smaller_weight_of_likeness_lets_a_direction_go_farther():
    strengths = [
        reach([smile(1.5)], Painter(), Eyes(), LATENTS, any_rows=False, likeness_weight=weight)[0].strength
        for weight in (0.0, 5.0)
    ]
    assert strengths[0] > strengths[1]


def test_small_models_move_all_rows():
    assert row_choices(0, 1) == [(0, 1)] and (0, 12) in row_choices(0, 12)
    assert row_choices(2, 8) == [(2, 8), (2, 6), (4, 8), (6, 8)]


def test_with_likeness_a_strength_must_leave_the_person():
    def likeness(pictures, whose):
        return pictures[:, 1, 0, 0].abs().numpy() * 10  # the person changes as the second channel does

    (found,) = reach([smile(0.35)], Painter(), Eyes(), LATENTS, likeness=likeness, any_rows=False)
    first, last = found.rows  # on fewer rows a direction goes as far in all, and so farther on each
    assert found.strength == min(strength for strength in STRENGTHS if strength > 1.2 * ((last - first) / ROWS) ** 0.5)


def test_where_hardly_a_face_changes_the_person_says_how_far_to_go():
    def likeness(pictures, whose):
        return pictures[:, 1, 0, 0].abs().numpy() * 10 + (0.0 if patient else 0.6)

    way, patient = smile(0.6), True
    (found,) = reach([way], Painter(), Eyes(), LATENTS, likeness=likeness, any_rows=False)
    assert found.strength == max(strength for strength in STRENGTHS if 0.6 * strength < 0.6)
    patient = False
    (found,) = reach([replace(way, strength=1.7)], Painter(), Eyes(), LATENTS, likeness=likeness, any_rows=False)
    assert found.strength == 1.7, "nobody stays the person: as far as it went"


@pytest.mark.parametrize(("common", "strength"), [(22, 2.0), (21, 3.0)])
def test_the_shortest_strength_that_changes_enough_is_taken(monkeypatch, common, strength):
    monkeypatch.setattr(direction_reach, "SURE", 0.0)
    needed = torch.tensor([0.4] + [1.9] * (common - 1) + [2.9] * (24 - common))  # until each smiles
    latents = torch.zeros(24, ROWS, DIM).index_copy(2, torch.tensor([0]), -needed[:, None, None].expand(-1, ROWS, 1))

    def likeness(pictures, whose):
        return np.zeros(len(pictures))

    (found,) = reach([smile(0.0)], Painter(), Eyes(), latents, likeness=likeness, any_rows=False)
    assert found.strength == strength, "enough is nine tenths"
