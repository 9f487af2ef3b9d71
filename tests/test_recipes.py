import pytest

from facelab.errors import BadSetting
from facelab.face import Recipe
from facelab.recipes import read_recipe


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
    walks = [{"op": "walk", "id": "smile", "strength": 1, "steps": 5000}] * 10
    assert len(read_recipe(Recipe("faces128", tuple(walks)).to_json()).steps) == 10
    for more in ({"op": "circle", "id": "smile", "strength": 1}, {"op": "walk", "steps": 10**12}):
        with pytest.raises(BadSetting, match="walks 50,000 small steps"):
            read_recipe(Recipe("faces128", (*walks, more)).to_json())


def test_a_recipe_of_a_later_version_is_refused_by_its_version():
    with pytest.raises(BadSetting, match="version 2"):
        read_recipe('{"version": 2, "model": "faces128", "steps": []}')
