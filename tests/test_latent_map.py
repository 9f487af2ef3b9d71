"""The map of a latent space: near is near, one picture holds all thumbnails, and nothing is drawn over another."""

import numpy as np
import pytest
import torch

from facelab.errors import BadSetting
from facelab.evaluation.latent_map import (
    THUMB,
    LatentMap,
    apart,
    in_a_square,
    neighbour_embedding,
    principal_components,
)

RANDOM = np.random.default_rng(0)


def a_map(count=12):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(count, 1, 6, generator=generator)
    thumbnails = RANDOM.integers(0, 255, (count, THUMB, THUMB, 3), np.uint8)
    return LatentMap("tinyvae", "", "z", latents, thumbnails, RANDOM.random((count, 40)).astype(np.float32))


def test_principal_components_are_the_axes_of_largest_variance_and_do_not_flip():
    values = torch.from_numpy(RANDOM.normal(size=(500, 4)) * (1, 10, 0.1, 5) + 7)
    places, share = principal_components(values)
    assert np.abs(np.corrcoef(places[:, 0], values[:, 1])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(places[:, 1], values[:, 3])[0, 1]) > 0.99
    assert share == pytest.approx((100 + 25) / (100 + 25 + 1 + 0.01), abs=0.02)
    assert np.abs(places.mean(axis=0)).max() < 1e-4
    shuffled = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(principal_components(values[shuffled])[0], places[shuffled], atol=1e-4)


def test_places_fill_a_square_and_keep_their_proportions():
    places = in_a_square(np.array([[0.0, 0], [10, 0], [0, 5]]))
    np.testing.assert_allclose(places, [[0, 0.25], [1, 0.25], [0, 0.75]], atol=1e-6)
    assert np.isfinite(in_a_square(np.zeros((3, 2)))).all()


def test_a_map_is_computed_once_a_method_and_knows_its_faces():
    faces = a_map()
    assert faces.places("pca")[0] is faces.places("pca")[0]
    face = faces.face(3)
    assert face.latent.model == "tinyvae" and torch.equal(face.latent.values, faces.latents[3])
    with pytest.raises(BadSetting, match="pca or tsne"):
        faces.places("umap")


def test_t_sne_keeps_groups_together():
    values = torch.cat([torch.zeros(30, 8), torch.full((30, 8), 9.0)])
    values += 0.1 * torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    places = neighbour_embedding(values)
    middles = places[:30].mean(axis=0), places[30:].mean(axis=0)
    spread = np.linalg.norm(places[:30] - middles[0], axis=1).max()
    assert np.linalg.norm(middles[0] - middles[1]) > 2 * spread


def test_faces_that_are_shown_do_not_overlap_and_those_before_have_the_right_of_way():
    places = RANDOM.random((300, 2))
    chosen = apart(places, 0.1)
    assert chosen[0] == 0 and 30 < len(chosen) < 100
    shown = places[chosen]
    gaps = np.abs(shown[:, None] - shown).max(axis=2) + np.eye(len(shown))
    assert gaps.min() >= 0.1
