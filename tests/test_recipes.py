import pytest

from facelab.errors import BadSetting
from facelab.face import Recipe
from facelab.recipes import read_recipe, walked
from facelab.studio import Studio


def test_a_recipe_is_read_as_it_was_written():
    recipe = Recipe("faces128", ({"op": "attribute", "id": "smile", "strength": 1.5}, {"op": "morph", "t": 0.5}))
    assert read_recipe(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '"recipe"',
        '{"version": 1, "model": "faces128"}',
        '{"version": 1, "model": "faces128", "steps": 7}',
        '{"version": 1, "model": "faces128", "steps": ["smile"]}',
        '{"version": 1, "model": "faces128", "steps": [' + ",".join(["{}"] * 1001) + "]}",
        "[" * 100_000,
        '{"version": 1, "model": "faces128", "steps": [{"op": "walk", "steps": 1e400}]}',
    ],
)
def test_what_is_no_recipe_is_refused_with_an_example(text):
    with pytest.raises(BadSetting, match="It looks like"):
        read_recipe(text)


def test_a_recipe_walks_only_so_far():
    walks = [{"op": "walk", "id": "smile", "strength": 1, "steps": 5000}] * 12
    assert len(read_recipe(Recipe("faces128", tuple(walks)).to_json()).steps) == 12
    for more in (
        {"op": "circle", "id": "smile", "strength": 1},
        {"op": "walk", "steps": 10**12},
        {"op": "attribute", "id": "smile", "strength": 1, "method": "circle"},
        {"op": "attribute", "id": "smile", "strength": 1, "method": "gradient"},
        {"op": "mix", "face": "A", "expression": "A", "space": "circle"},
    ):
        with pytest.raises(BadSetting, match="walks 60,000 small steps"):
            read_recipe(Recipe("faces128", (*walks, more)).to_json())


def test_letters_that_are_no_names_are_a_wrong_setting():
    step = {"op": "mix", "face": "A", "expression": "A", "faces": []}
    with pytest.raises(BadSetting, match="has a wrong one"):
        Studio().apply(Studio().random_faces(1, seed=1)[0], Recipe("faces128", (step,)))


def test_a_recipe_of_a_later_version_is_refused_by_its_version():
    with pytest.raises(BadSetting, match="version 2"):
        read_recipe('{"version": 2, "model": "faces128", "steps": []}')


def test_what_is_done_on_the_circle_counts_however_it_is_called():
    on = {"method": "circle"}
    attributes = [{"op": "attribute", "id": id, "strength": 1, **on} for id in ("smile", "age", "smile")]
    assert walked(attributes) == 2 * 100 + 3 * 100, "a look at the face for each call, and each attribute's walk"
    sure = {"op": "circle", "id": "smile", "strength": 1, "sure": 0.95, "steps": 1}
    assert walked([sure]) == 600, "until it is sure, which may take as many"
    assert walked([{"op": "average", "with": [], "space": "circle"}] * 3) == 300
    assert walked([{"op": "average", "with": []}, {"op": "attribute", "id": "smile", "strength": 1}]) == 20
    assert walked([{"op": "neighbour", "count": 1000, "number": 3}] * 2) == 200


def test_recipes_that_go_on_from_each_other_count_once_what_they_share():
    walks = [{"op": "walk", "id": id, "strength": 1, "steps": 10} for id in ("smile", "age", "gender")]
    assert walked(walks[:1], walks[:2], walks) == 30 and walked(walks[:1], walks[1:]) == 30
