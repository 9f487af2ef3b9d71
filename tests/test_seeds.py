"""Seeds: the same numbers for the same seed, and a sentence for one that is out of range, wherever it comes from."""

import pytest
import torch

from facelab.edits.sphere import neighbours_on_sphere
from facelab.errors import BadSetting
from facelab.face import Recipe
from facelab.seeds import MAX_SEED, seeded
from facelab.studio import Studio


def test_a_seed_says_which_numbers_come():
    first, again, other = (torch.randn(4, generator=seeded(seed)) for seed in (MAX_SEED, MAX_SEED, 0))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 2**70])
def test_a_seed_out_of_range_is_refused_in_a_sentence(seed):
    studio = Studio("vae64", device="cpu")
    face = studio.random_faces(1, seed=1)[0]
    step = {"op": "neighbour", "count": 1, "radius": 0.5, "seed": seed, "number": 0}
    for ask in (
        lambda: studio.random_faces(1, seed=seed),
        lambda: studio.neighbours(face, 1, seed=seed),
        lambda: studio.apply(face, Recipe("vae64", (step,))),
        lambda: neighbours_on_sphere(torch.ones(8), 1, angle=0.5, seed=seed),
    ):
        with pytest.raises(BadSetting, match="A seed lies between 0 and 4294967295"):
            ask()
