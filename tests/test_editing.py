import dataclasses

import numpy as np
import pytest
import torch

from facelab.errors import BadFaceFile, BadSetting, LatentMismatch
from facelab.face import Delta, Face, Latent, Recipe
from facelab.generators.deltas import dense_addition, style_row
from facelab.refinement import delta_shapes
from facelab.regions import everywhere
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio("faces128", device="cpu")


def make_delta(studio, seed, rank):
    random = torch.Generator().manual_seed(seed)
    shapes = delta_shapes(studio.generator, rank=rank)
    return Delta({name: 0.05 * torch.randn(shape, generator=random) for name, shape in shapes.items()})


@pytest.fixture(scope="module")
def faces(studio):
    """Two faces as embedding makes them, of different ranks and with a crop, and one without a delta."""
    [first, second, third] = [face for face, _ in studio.sample(3, seed=5)]
    rows = first.latent.values + 0.5 * torch.randn(12, 256, generator=torch.Generator().manual_seed(1))
    crop = np.full((512, 512, 3), 90, np.uint8)
    quad = np.array([[0, 0], [0, 512], [512, 512], [512, 0]], np.float32)
    first = dataclasses.replace(
        first,
        latent=Latent(rows, "w+", "faces128"),
        delta=make_delta(studio, 1, 3),
        crop=crop,
        quad=quad,
        photo_size=(512, 512),
    )
    return first, dataclasses.replace(second, delta=make_delta(studio, 2, 5)), third


@pytest.fixture(scope="module")
def z_faces(studio):
    z = torch.randn(2, 1, 256, generator=torch.Generator().manual_seed(8))
    return [Face(Latent(values, "z", "faces128"), model_sha256=studio.card.sha256) for values in z]


def difference(one, other):
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 0.01), (None, 0.8)])
def test_faces_with_and_without_deltas_are_drawn_in_one_batch(studio, faces, z_faces, monkeypatch, dtype, most):
    if dtype:  # bfloat16 rounds differently in batches of different sizes
        monkeypatch.setattr("facelab.editing.fast_dtype", lambda device: dtype)
    many = [*faces, *z_faces, faces[0]]
    pictures = studio.render_many(many)
    alone = [studio.render(face) for face in many]
    assert max(difference(*pair) for pair in zip(pictures, alone, strict=True)) < most
    assert difference(pictures[0], studio.render(dataclasses.replace(faces[0], delta=None))) > 2
    assert studio.render_many([]) == []
    assert [picture.shape for picture in studio.render_many(faces, 200)] == [(200, 200, 3)] * 3
    with pytest.raises(BadSetting, match="between 16 and"):
        studio.render_many(faces, 5)


def test_a_batch_with_a_face_that_does_not_fit_is_refused(studio, faces):
    values = dict(faces[0].delta.values)
    values["b8.conv0.bias"] = torch.zeros(7)
    with pytest.raises(BadFaceFile, match="does not fit"):
        studio.render_many([faces[1], dataclasses.replace(faces[0], delta=Delta(values))])


def test_a_delta_of_a_rank_that_nothing_makes_is_refused(studio, faces):
    giant = dataclasses.replace(faces[1], delta=make_delta(studio, 1, 65))
    with pytest.raises(BadFaceFile, match="does not fit"):
        studio.average([faces[0], giant])


def test_a_morph_begins_and_ends_with_the_faces_bit_by_bit(studio, faces):
    first, second, _ = faces
    start, end = studio.morph(first, second, 0), studio.morph(first, second, 1)
    assert torch.equal(start.latent.values, first.latent.values) and start.delta is first.delta
    assert torch.equal(end.latent.values, second.latent.values) and end.delta is second.delta
    assert np.array_equal(studio.render(start), studio.render(first))
    assert np.array_equal(studio.render(end), studio.render(second))


def test_a_morph_mixes_latent_and_delta_with_the_same_t(studio, faces):
    first, second, third = faces
    between = studio.morph(first, second, 0.25)
    wanted = 0.75 * first.latent.values + 0.25 * second.latent.values
    assert torch.allclose(between.latent.values, wanted, atol=1e-5)
    name = "b16.conv0.weight"
    wanted = 0.75 * dense_addition(first.delta, name) + 0.25 * dense_addition(second.delta, name)
    assert torch.allclose(dense_addition(between.delta, name), wanted, atol=1e-5)
    half = studio.morph(first, third, 0.5)
    assert torch.allclose(dense_addition(half.delta, name), dense_addition(first.delta, name) / 2, atol=1e-6)
    assert between.crop is None and between.quad is None and between.model_sha256 == studio.card.sha256


def test_a_morph_on_the_sphere_of_z(studio, z_faces):
    between = studio.morph(*z_faces, 0.5, space="z")
    assert torch.equal(between.latent.values, studio.morph(*z_faces, 0.5, path="spherical", space="z").latent.values)
    assert between.latent.space == "w+"
    middle = sum(face.latent.values / face.latent.values.norm() for face in z_faces)
    assert torch.allclose(between.latent.values[:1], studio.generator.map(middle), atol=1e-3)
    start = studio.morph(*z_faces, 0, path="spherical", space="z")
    assert np.array_equal(studio.render(start), studio.render(z_faces[0]))


def test_a_morph_in_w_goes_between_single_styles(studio, faces):
    between = studio.morph(faces[0], faces[1], 0.5, space="w")
    assert torch.equal(between.latent.values, between.latent.values[:1].expand(12, -1))
    wanted = (faces[0].latent.values.mean(dim=0) + faces[1].latent.values.mean(dim=0)) / 2
    assert torch.allclose(between.latent.values[0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"t": 1.5}, "t must lie between 0 and 1"),
        ({"t": float("nan")}, "t must lie between"),
        ({"t": 0.5, "path": "crooked"}, "linear or spherical"),
        ({"t": 0.5, "space": "s"}, "z, w, w"),
        ({"t": 0.5, "path": "spherical"}, "Only z is a sphere"),
    ],
)
def test_a_morph_that_cannot_be_is_refused(studio, faces, options, said):
    with pytest.raises(BadSetting, match=said):
        studio.morph(faces[0], faces[1], **options)


def test_a_morph_in_z_needs_faces_of_z(studio, faces, z_faces):
    with pytest.raises(LatentMismatch, match="embedded in z"):
        studio.morph(faces[0], z_faces[0], 0.5, space="z")


def test_the_frames_of_a_morph_are_its_pictures(studio, faces):
    frames = list(studio.morph_frames(faces[0], faces[1], frames=5, size=128))
    wanted = [studio.render(studio.morph(faces[0], faces[1], t)) for t in (0, 0.25, 0.5, 0.75, 1)]
    assert max(difference(*pair) for pair in zip(frames, wanted, strict=True)) < 0.5
    loop = list(studio.morph_frames(faces[0], faces[2], frames=4, there_and_back=True))
    assert np.array_equal(loop[1], loop[3]) and loop[0].shape == (256, 256, 3)


def test_frames_come_one_by_one_so_that_others_get_their_turn(studio, faces):
    frames = studio.morph_frames(faces[0], faces[2], frames=600, size=64)
    assert next(frames).shape == (64, 64, 3)
    frames.close()
    with pytest.raises(BadSetting, match="at most 600"):
        next(studio.morph_frames(faces[0], faces[2], frames=601))


def test_a_crossover_takes_rows_and_the_deltas_of_their_layers(studio, faces):
    content, style, _ = faces
    mixed = studio.crossover(content, style)
    assert torch.equal(mixed.latent.values[:6], content.latent.values[:6])
    assert torch.equal(mixed.latent.values[6:], style.latent.values[6:])
    for name in ("b16.torgb.weight", "b32.conv0.weight", "b32.conv1.weight", "b128.torgb.bias"):
        owner = style if style_row(name) >= 6 else content
        assert torch.allclose(dense_addition(mixed.delta, name), dense_addition(owner.delta, name), atol=1e-5)
    assert mixed.crop is content.crop and mixed.photo_size == content.photo_size
    assert studio.render(mixed).shape == (128, 128, 3), "the delta passes the check that every face's delta passes"


def test_a_crossover_of_strength_zero_is_the_content(studio, faces):
    same = studio.crossover(faces[0], faces[1], rows=slice(0, 12), strength=0)
    assert np.array_equal(studio.render(same), studio.render(faces[0]))
    other = studio.crossover(faces[0], faces[1], rows=slice(0, 12))
    assert difference(studio.render(other), studio.render(faces[1])) < 0.5


def test_a_grid_has_every_content_with_every_style(studio, faces):
    grid = studio.crossover_grid(faces[:2], faces, rows=slice(8, 12))
    assert [len(row) for row in grid] == [3, 3]
    wanted = studio.render(studio.crossover(faces[1], faces[2], rows=slice(8, 12)))
    assert difference(grid[1][2], wanted) < 0.5
    with pytest.raises(BadSetting, match="at least one content"):
        studio.crossover_grid([], faces)


def test_an_expression_moves_the_target_and_keeps_its_delta_and_photo(studio, faces):
    target, neutral, expressive = faces[0], faces[1], faces[2]
    how = {"strength": 0.5, "threshold": 0, "normalise": False}
    moved = studio.express(target, neutral, expressive, **how, everywhere=True)
    wanted = target.latent.values + 0.5 * (expressive.latent.values - neutral.latent.values)
    assert torch.allclose(moved.latent.values, wanted, atol=1e-5)
    assert moved.delta is target.delta and moved.crop is target.crop
    within = studio.express(target, neutral, expressive, **how)
    assert torch.equal(within.latent.values, target.latent.values) and within.crop is target.crop
    assert torch.allclose(everywhere(within.latent.values, within.delta), wanted, atol=1e-5)
    pictures = [studio.render(face).astype(int) for face in (target, within, moved)]
    changed, everything = (abs(picture - pictures[0]).mean(axis=2) for picture in pictures[1:])
    assert changed[:16, :16].mean() < 2 < everything[:16, :16].mean(), "what is behind the head stays"
    assert changed[80:110, 40:88].mean() > 5, "the mouth does not"
    assert torch.equal(studio.express(*faces, strength=0).latent.values, target.latent.values)
    with pytest.raises(BadSetting, match="strength must lie"):
        studio.express(*faces, strength=float("inf"))


def test_an_average_does_not_depend_on_the_order(studio, faces):
    one, other = studio.average(faces), studio.average(faces[::-1])
    assert torch.allclose(one.latent.values, other.latent.values, atol=1e-6)
    assert difference(studio.render(one), studio.render(other)) < 0.5
    only = studio.average([faces[0], faces[1]], [1, 0])
    assert only.delta is faces[0].delta and np.array_equal(studio.render(only), studio.render(faces[0]))
    with pytest.raises(BadSetting, match="between 1 and"):
        studio.average([])


def test_two_faces_combine_by_their_mean_in_w_and_on_the_sphere_in_z(studio, faces, z_faces):
    both = studio.combine(faces[0], faces[1])
    assert torch.allclose(both.latent.values, (faces[0].latent.values + faces[1].latent.values) / 2, atol=1e-5)
    both = studio.combine(*z_faces)
    z = z_faces[0].latent.values + z_faces[1].latent.values
    assert torch.allclose(both.latent.values[:1], studio.generator.map(z / z.norm() * 16), atol=1e-3)


def test_a_sum_of_faces_mixes_latents_and_deltas(studio, faces):
    named = dict(zip("ABC", faces, strict=True))
    total = studio.mix("A + B - C", named)
    assert torch.allclose(
        total.latent.values,
        faces[0].latent.values + faces[1].latent.values - faces[2].latent.values,
        atol=1e-4,
    )
    name = "b8.conv1.weight"
    wanted = dense_addition(faces[0].delta, name) + dense_addition(faces[1].delta, name)
    assert torch.allclose(dense_addition(total.delta, name), wanted, atol=1e-5)
    alone = studio.mix("A + B - B", named)
    assert alone.delta is faces[0].delta and np.array_equal(studio.render(alone), studio.render(faces[0]))
    with pytest.raises(BadSetting, match="No face is given for D"):
        studio.mix("A + D", named)


def test_an_average_of_many_refined_faces_still_draws(studio, faces):
    many = [dataclasses.replace(faces[2], delta=make_delta(studio, seed, 8)) for seed in range(12)]
    mean = studio.average(many)
    assert {len(value) for name, value in mean.delta.values.items() if name.endswith(":in")} == {32}
    assert studio.render(mean).shape == (128, 128, 3)


def test_neighbours_are_near_and_the_same_for_the_same_seed(studio, faces):
    near = studio.neighbours(faces[0], 5, radius=0.2, seed=3)
    again = studio.neighbours(faces[0], 5, radius=0.2, seed=3)
    assert all(torch.equal(one.latent.values, two.latent.values) for one, two in zip(near, again, strict=True))
    typical = [
        face.latent.values - studio.generator.mean_latent() for face, _ in studio.sample(5, seed=3, truncation=1)
    ]
    moved = [face.latent.values - faces[0].latent.values for face in near]
    assert torch.allclose(torch.stack(moved), 0.2 * torch.stack(typical), atol=1e-3)
    assert all(face.delta is faces[0].delta for face in near)
    assert len(studio.neighbours(faces[0])) == 63


def test_a_face_of_another_model_or_version_is_refused_by_every_edit(studio, faces):
    stranger = Face(Latent(faces[0].latent.values, "w+", "other"))
    old = dataclasses.replace(faces[0], model_sha256="0" * 64)
    for face in (stranger, old):
        for edit in (
            lambda face: studio.morph(faces[0], face, 0.5),
            lambda face: studio.crossover(faces[0], face),
            lambda face: studio.express(faces[0], faces[1], face),
            lambda face: studio.average([faces[0], face]),
            lambda face: studio.mix("A - B", {"A": faces[0], "B": face}),
            lambda face: studio.neighbours(face, 1),
            lambda face: studio.render_many([faces[0], face]),
        ):
            with pytest.raises(LatentMismatch, match=r"other|another version"):
                edit(face)


def test_no_edit_changes_the_faces_that_come_in(studio, faces):
    before = [face.latent.values.clone() for face in faces]
    studio.morph(faces[0], faces[1], 0.5)
    studio.crossover(faces[0], faces[1]).latent.values.zero_()
    studio.express(*faces)
    studio.morph(faces[0], faces[1], 0).latent.values.zero_()
    studio.mix("A", {"A": faces[0]}).latent.values.zero_()
    assert all(torch.equal(face.latent.values, kept) for face, kept in zip(faces, before, strict=True))


def test_a_recipe_is_replayed_step_by_step(studio, faces):
    steps = (
        {"op": "crossover", "with": "B", "rows": [8, 12], "strength": 0.5},
        {"op": "express", "neutral": "B", "expressive": "C", "strength": 0.3, "everywhere": True},
        {"op": "morph", "with": "C", "t": 0.25},
        {"op": "mix", "face": "A", "expression": "2*A - B"},
        {"op": "average", "with": ["B", "C"], "weights": [2, 1, 1]},
        {"op": "combine", "with": "B"},
    )
    others = {"B": faces[1], "C": faces[2]}
    done = studio.apply(faces[0], Recipe("faces128", steps), others)
    face = studio.crossover(faces[0], faces[1], rows=slice(8, 12), strength=0.5)
    face = studio.express(face, faces[1], faces[2], strength=0.3, everywhere=True)
    face = studio.morph(face, faces[2], 0.25)
    face = studio.mix("2*A - B", {"A": face, "B": faces[1]})
    face = studio.average([face, faces[1], faces[2]], [2, 1, 1])
    face = studio.combine(face, faces[1])
    assert torch.equal(done.latent.values, face.latent.values)
    assert studio.apply(faces[0], Recipe("faces128")) is faces[0]


def test_an_attribute_in_a_recipe_is_the_edit_of_that_name(studio, faces, monkeypatch):
    direction = studio.new_direction("Smile", faces[:1], faces[1:])
    monkeypatch.setattr(studio, "directions", lambda: {"smile": direction}, raising=False)
    step = {"op": "attribute", "id": "smile", "strength": 1.5, "method": "linear", "keep": [], "rows": [0, 8]}
    done = studio.apply(faces[0], Recipe("faces128", (step,)))
    wanted = studio.edit(faces[0], {"smile": 1.5}, method="linear", keep=[], rows=slice(0, 8))
    assert torch.equal(done.latent.values, wanted.latent.values)
    assert not torch.equal(done.latent.values, faces[0].latent.values)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"op": "paint"}, "Known steps: attribute, walk, morph"),
        ({}, "Known steps"),
        ({"op": "morph", "with": "Z", "t": 0.5}, "needs the face 'Z'"),
        ({"op": "morph", "with": "B"}, "lacks a setting"),
        ({"op": "morph", "with": "B", "t": "half"}, "wrong one"),
        ({"op": "morph", "with": ["B"], "t": 0.5}, "wrong one"),
        ({"op": "crossover", "with": "B", "rows": [1, 2, 3]}, "wrong one"),
        ({"op": "crossover", "with": "B", "rows": [9, 30]}, "not a range"),
        ({"op": "average", "with": "B", "weights": [1]}, "a weight for each"),
        ({"op": "mix", "face": "A", "expression": "A * B"}, "cannot be multiplied"),
    ],
)
def test_a_recipe_that_cannot_be_done_says_which_step_and_why(studio, faces, step, said):
    with pytest.raises(BadSetting, match=said):
        studio.apply(faces[0], Recipe("faces128", (step,)), {"B": faces[1]})


def test_a_recipe_of_another_model_is_refused(studio, faces):
    with pytest.raises(LatentMismatch, match="'faces256'"):
        studio.apply(faces[0], Recipe("faces256", ({"op": "morph"},)))
