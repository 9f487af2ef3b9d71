"""Directions tuned through a generator and a reader of which everything is known."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from facelab.edits.attributes import Direction
from facelab.evaluation.judge import ATTRIBUTES
from facelab.identity import Reading
from facelab.template import TEMPLATE_LANDMARKS
from facelab.training import direction_tuning
from facelab.training.crowd import Crowd
from facelab.training.direction_list import WANTED
from facelab.training.direction_tuning import BATCH, COLOUR_WEIGHT, _draw, coldness, patch_weights, towards_means, tune
from facelab.training.shades import Shades
from facelab.training.sight import class_means

ROWS, DIM, SIDE = 6, 4, 32
SMILING, MALE, GLASSES = (ATTRIBUTES.index(name) for name in ("Smiling", "Male", "Eyeglasses"))


class Painter:
    """Paints the first three channels of the rows' mean, a colour each, all over."""

    resolution = SIDE

    def synthesize(self, latents, deltas=None, *, dtype=None):
        colours = latents.mean(dim=1)[:, :3] / 10
        return colours[:, :, None, None].expand(-1, -1, SIDE, SIDE)


class Eyes:
    """Sees a smile in red, a man in green and the person in blue."""

    def __call__(self, pictures):
        red, green, blue = (10 * pictures.mean(dim=(2, 3))).unbind(1)
        attributes = torch.zeros(len(pictures), len(ATTRIBUTES))
        attributes = attributes.index_copy(1, torch.tensor([SMILING, MALE]), torch.stack([red, green], 1))
        landmarks = torch.from_numpy(TEMPLATE_LANDMARKS.copy()).float().expand(len(pictures), -1, -1)
        return Reading(blue[:, None].expand(-1, 128), landmarks, attributes, torch.zeros(len(pictures), 3))


@pytest.fixture
def still(monkeypatch):
    """Pictures stay as they are, and their colours may change, where a colour is all that there is to see."""
    monkeypatch.setattr(direction_tuning, "_shaken", lambda images, seed: images)
    monkeypatch.setattr(direction_tuning, "COLOUR_WEIGHT", 0.0)
    monkeypatch.setattr(direction_tuning, "COLD_WEIGHT", 0.0)


def direction(id, vector, rows=(0, ROWS)):
    wanted = next(each for each in WANTED if each.id == id)
    ends = wanted.low, wanted.high, wanted.group
    return Direction(
        id, wanted.title, *ends, rows, wanted.held, 1.0, vector, normalize(vector.flatten(), dim=0).view_as(vector)
    )


class Scene(Painter):
    """Paints blue behind the head only, and red and green elsewhere."""

    def synthesize(self, latents, deltas=None, *, dtype=None):
        weights = patch_weights(SIDE)
        behind = (weights["left"] + weights["right"] > 0).float()
        return super().synthesize(latents) * torch.stack([1 - behind, 1 - behind, behind])


class Portraitist(Eyes):
    """Sees no person in what is behind a head."""

    def __call__(self, pictures):
        return super().__call__(pictures * torch.tensor([1.0, 1.0, 0.0])[:, None, None])


def lenses_alone():
    """Where lenses are and no other patch, [SIDE, SIDE]."""
    patches = patch_weights(SIDE)
    lenses = patches.pop("lenses") > 0
    return lenses & (torch.stack(list(patches.values())).sum(dim=0) == 0)


class Optician:
    """Paints frames, in red at the bottom where no patch is, by the first number, and dark lenses by the third."""

    resolution = SIDE

    def synthesize(self, latents, deltas=None, *, dtype=None):
        numbers = latents.mean(dim=1) / 10
        pictures = torch.zeros(len(latents), 3, SIDE, SIDE)
        pictures[:, 0, -4:] = numbers[:, 0, None, None]
        return pictures - 30 * numbers[:, 2, None, None, None] * lenses_alone()


class SeesGlasses(Eyes):
    """Sees glasses in frames and in dark lenses, and people in neither."""

    def __call__(self, pictures):
        seen = super().__call__(0 * pictures)
        darkness = -pictures[:, :, lenses_alone()].mean(dim=(1, 2))
        seen.attributes[:, GLASSES] = 10 * (pictures[:, 0, -4:].mean(dim=(1, 2)) + darkness / 30)
        return seen


def tuned(found, seed=0, painter=Painter, eyes=Eyes, **helpers):
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(64, ROWS, DIM, generator=draw)
    scores = {each.id: torch.randn(64, generator=draw) for each in WANTED if each.id != "skin"}
    scores["smile"], scores["gender"] = latents.mean(dim=1)[:, 0] * 2, latents.mean(dim=1)[:, 1] * 2
    (better,) = tune([found], painter(), eyes(), Crowd(latents, scores), steps=150, **helpers)
    return better


def test_what_comes_along_is_left_behind(still):
    mixed = torch.tensor([1.0, 1.0, 1.0, 0.0]).expand(ROWS, DIM).contiguous()  # a smile, a man, another person
    before = direction("smile", mixed)
    after = tuned(before)
    pure = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(ROWS, DIM).flatten()
    likeness = [cosine_similarity(each.normal.flatten(), pure, dim=0).item() for each in (before, after)]
    assert likeness[0] < 0.6 and likeness[1] > 0.85
    assert torch.isclose(after.normal.norm(), torch.tensor(1.0))
    assert torch.equal(after.difference, before.difference), "the plain difference stays what it is"


class Dyer(Painter):
    """Paints half as much green as red besides."""

    def synthesize(self, latents, deltas=None, *, dtype=None):
        pictures = super().synthesize(latents).clone()
        pictures[:, 1] += pictures[:, 0] / 2
        return pictures


def test_what_is_held_harder_changes_less(still, monkeypatch):
    others = [each for each in WANTED if each.id != "smile"]
    (smile,) = (each for each in WANTED if each.id == "smile")
    red = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(ROWS, DIM).contiguous()

    def man_in_a_smile(hold):
        monkeypatch.setattr(direction_tuning, "WANTED", [replace(smile, held=("gender",), hold=hold), *others])
        smiling, male = tuned(direction("smile", red), painter=Dyer).normal.mean(dim=0)[:2].tolist()
        return abs(male + smiling / 2) / smiling

    freely, loosely, firmly = (man_in_a_smile(hold) for hold in (0.0, 1.0, 20.0))
    assert freely > 2 * loosely > 3 * firmly


def test_an_edit_is_to_look_real(still, monkeypatch):
    monkeypatch.setattr(direction_tuning, "PERSON_WEIGHT", 0.0)  # which is seen in blue
    monkeypatch.setattr(direction_tuning, "LENGTH_WEIGHT", 0.0)
    monkeypatch.setattr(direction_tuning, "REALISM_WEIGHT", 3.0)
    painted = direction("smile", torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(ROWS, DIM).contiguous())

    def doubt(pictures):  # of blue
        return -200 * pictures[:, 2].mean(dim=(1, 2)).square()[:, None]

    paint = [tuned(painted, **helpers).normal.mean(dim=0)[2].abs() for helpers in ({}, {"discriminator": doubt})]
    assert paint[1] < 0.5 * paint[0]


def test_lenses_stay_clear(still, monkeypatch):
    tinted = direction("glasses", torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(ROWS, DIM).contiguous())
    before = tuned(tinted, painter=Optician, eyes=SeesGlasses).normal.mean(dim=0)
    monkeypatch.setattr(direction_tuning, "COLOUR_WEIGHT", COLOUR_WEIGHT)
    after = tuned(tinted, painter=Optician, eyes=SeesGlasses).normal.mean(dim=0)
    assert after[2] / after[0] < 0.5 * before[2] / before[0]


def test_nothing_is_painted_green_or_blue(still, monkeypatch):
    pictures = torch.tensor([[0.5, 0.2, 0.1], [0.1, 0.2, 0.1], [-0.5, -0.5, -0.2], [0.0, 0.0, 0.0]])[:, :, None, None]
    assert torch.allclose(coldness(pictures)[:, 0, 0], torch.tensor([0.0, 0.1, 0.3, 0.0]))
    monkeypatch.setattr(direction_tuning, "PERSON_WEIGHT", 0.0)  # which is seen in blue
    monkeypatch.setattr(direction_tuning, "LENGTH_WEIGHT", 0.0)
    painted = direction("smile", torch.tensor([1.0, 0.0, 2.0, 0.0]).expand(ROWS, DIM).contiguous())
    before = tuned(painted).normal.mean(dim=0)
    monkeypatch.setattr(direction_tuning, "COLD_WEIGHT", 2000.0)
    after = tuned(painted).normal.mean(dim=0)
    assert after[2] / after[0] < 0.9 * before[2] / before[0]


def test_what_is_behind_the_head_stays(still, monkeypatch):
    monkeypatch.setattr(direction_tuning, "COLOUR_WEIGHT", 1.0)
    mixed = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(ROWS, DIM).contiguous()  # a smile before another wall
    moved = [
        each.normal.mean(dim=0).abs()
        for each in (direction("smile", mixed), tuned(direction("smile", mixed), painter=Scene, eyes=Portraitist))
    ]
    assert moved[0][2] == moved[0][0] and moved[1][2] < 0.4 * moved[1][0]


def test_a_direction_turned_to_the_means_holds_what_it_held():
    torch.manual_seed(0)
    difference, own = torch.randn(2, ROWS, DIM)
    gender = direction("gender", torch.randn(ROWS, DIM))
    fringe = replace(direction("bangs", difference, rows=(0, 4)), normal=own)
    turned = {share: towards_means(fringe, [gender], share) for share in (0.0, 0.5, 1.0)}
    for each in turned.values():
        assert not each.normal[4:].any() and each.difference is difference
        torch.testing.assert_close(each.normal.norm(), torch.tensor(1.0))

    def along(one, other):
        return cosine_similarity(one[:4].flatten(), other[:4].flatten(), dim=0)

    torch.testing.assert_close(along(turned[0.0].normal, own), torch.tensor(1.0))
    assert along(turned[1.0].normal, gender.difference).abs() < 1e-5 < along(turned[1.0].normal, difference)
    torch.testing.assert_close(
        along(turned[0.5].normal, turned[0.0].normal), along(turned[0.5].normal, turned[1.0].normal)
    )


def test_only_a_directions_own_rows_move():
    rows = torch.zeros(ROWS, DIM)
    rows[2:4, 0] = 1.0
    after = tuned(direction("smile", rows, rows=(2, 4)))
    assert after.normal[:2].abs().max() == after.normal[4:].abs().max() == 0 < after.normal[2:4].abs().max()


def test_what_the_reader_does_not_see_stays_as_it_was():
    found = direction("skin", torch.ones(ROWS, DIM))
    assert tuned(found) is found


def test_colours_stay_on_cheeks_forehead_and_in_the_upper_corners():
    weights = patch_weights(128)
    assert all(torch.isclose(patch.sum(), torch.tensor(1.0)) for patch in weights.values())
    rows, columns = torch.nonzero(weights["cheeks"], as_tuple=True)
    assert 55 < rows.float().mean() < 90 and abs(columns.float().mean() - 63.5) < 3
    assert (weights["cheeks"][:, :64] > 0).any() and (weights["cheeks"][:, 64:] > 0).any()
    rows, columns = torch.nonzero(weights["forehead"], as_tuple=True)
    assert rows.min() > 15 and rows.max() < 128 * TEMPLATE_LANDMARKS[17:27, 1].mean()
    assert abs(columns.float().mean() - 63.5) < 3
    rows, columns = torch.nonzero(weights["lenses"], as_tuple=True)
    eyes = TEMPLATE_LANDMARKS[36:48, 1] * 128
    assert eyes.mean() < rows.min() and rows.max() < eyes.mean() + 15 and abs(columns.float().mean() - 63.5) < 3
    assert torch.equal(weights["left"], weights["right"].flip(1)), "one corner mirrors the other"
    rows, columns = torch.nonzero(weights["left"], as_tuple=True)
    assert rows.max() < TEMPLATE_LANDMARKS[17:27, 1].mean() * 128 and columns.max() < 20


def test_classes_are_above_and_below_nought_or_the_outer_thirds():
    scores = torch.tensor([-3.0, -1.0, 1.0, 5.0])
    assert class_means(scores, binary=True) == (-2.0, 3.0)
    assert class_means(torch.arange(9.0), binary=False) == (1.0, 7.0)
    assert class_means(torch.tensor([-1.0, -2.0]), binary=True) == (-1.5, 0.0), "nobody has it: the border"


def test_before_and_after_are_looked_at_in_the_same_way_which_changes_from_step_to_step(monkeypatch):
    seen = []

    def shaken(images, seed):
        seen.append(seed)
        return images

    monkeypatch.setattr(direction_tuning, "_shaken", shaken)
    tuned(direction("smile", torch.ones(ROWS, DIM)))
    assert seen[::2] == seen[1::2] and len(set(seen)) == len(seen) // 2
    monkeypatch.undo()
    pictures = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    first, again, other = (direction_tuning._shaken(pictures, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, pictures)


def test_a_colour_of_hair_is_tuned_towards_pictures_of_it(still, monkeypatch):
    monkeypatch.setattr(direction_tuning, "PERSON_WEIGHT", 0.0)
    monkeypatch.setattr(direction_tuning, "hair_of", lambda generator, latents: torch.ones(len(latents), 1, 8, 8))
    found = direction("hair_grey", torch.ones(ROWS, DIM))
    draw = torch.Generator().manual_seed(0)
    scores = {each.id: torch.randn(64, generator=draw) for each in WANTED if each.id != "skin"}
    crowd = Crowd(torch.randn(64, ROWS, DIM, generator=draw), scores)
    goal = {"hair_grey": Shades(torch.tensor([0.6, 0.5, 0.5]), torch.tensor([0.4, 0.5, 0.5]))}
    (after,) = tune([found], Painter(), Eyes(), crowd, shades=goal, steps=120)
    way = normalize(after.normal.mean(dim=0), dim=0)
    assert way[0] > 0.8 and way[1:3].abs().max() < 0.5, "red is what grey lacks here"


class Barber(Painter):
    """Paints red all over by the latent's first channel, and in the hair alone, the upper half, by its second."""

    def synthesize(self, latents, deltas=None, *, dtype=None):
        assert deltas is None, "what a colour does to the rest is seen on the whole picture"
        all_over, hair = (latents.mean(dim=1)[:, :2] / 10).unbind(1)
        picture = torch.zeros(len(latents), 3, SIDE, SIDE)
        picture[:, 0] = all_over[:, None, None]
        picture[:, 0, : SIDE // 2] = picture[:, 0, : SIDE // 2] + hair[:, None, None]
        return picture


def test_a_colour_of_hair_leaves_the_rest_alone(still, monkeypatch):
    mask = torch.zeros(1, 1, 8, 8)
    mask[:, :, :4] = 1
    monkeypatch.setattr(direction_tuning, "PERSON_WEIGHT", 0.0)
    monkeypatch.setattr(direction_tuning, "hair_of", lambda generator, latents: mask.expand(len(latents), -1, -1, -1))
    begin = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(ROWS, DIM).contiguous()
    found = replace(direction("hair_blond", begin), region="hair")
    goal = {"hair_blond": Shades(torch.tensor([0.6, 0.5, 0.5]), torch.tensor([0.4, 0.5, 0.5]))}
    moved = []
    for weight in (1e-6, 100.0):
        heavier = [replace(each, rest=weight) if each.id == "hair_blond" else each for each in WANTED]
        monkeypatch.setattr(direction_tuning, "WANTED", heavier)
        moved.append(tuned(found, painter=Barber, shades=goal).normal.mean(dim=0))
    assert moved[0][0] > 0.5 * moved[0][1] and moved[1][0].abs() < 0.4 * moved[1][1]


@pytest.mark.parametrize(("lacking", "having", "signs"), [(3, 3, {1.0, -1.0}), (3, 0, {1.0}), (0, 3, {-1.0})])
def test_those_are_tried_who_are_there(lacking, having, signs):
    sides = torch.arange(lacking), torch.arange(10, 10 + having)
    chosen, sign = _draw(sides, torch.Generator().manual_seed(0))
    assert len(chosen) == len(sign) == BATCH and set(sign.tolist()) == signs
    assert torch.equal(chosen < 10, sign > 0)
