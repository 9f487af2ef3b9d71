"""Edits that change a picture in one place: masks, generator, files, and what becomes of them in other operations."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab import regions
from facelab.edits.crossover import crossover_delta
from facelab.edits.mixing import mix_deltas
from facelab.errors import BadFaceFile
from facelab.face import LOCAL, Delta, Face, Recipe
from facelab.generators.deltas import style_row
from facelab.generators.parts import BEHIND, HAIR, PERSON
from facelab.generators.stylegan2 import StyleGAN2
from facelab.recipes import attribute_steps
from facelab.refinement import as_delta, delta_shapes, start_values
from facelab.regions import REGIONS, delta_left, everywhere, local_offsets, moved_locally, region_mask
from facelab.studio import Studio
from facelab.template import TEMPLATE_LANDMARKS

EYES, MOUTH, NOSE, BROWS, CHIN = slice(36, 48), slice(48, 68), slice(30, 36), slice(17, 27), slice(6, 11)
LIPS = slice(60, 68)  # their inner border


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return StyleGAN2(32, z_dim=8, w_dim=8, mapping_layers=2, channel_base=256, channel_max=16).eval()


def offset_of(generator, seed=0, size=1.0):
    return size * torch.randn(generator.num_layers, generator.w_dim, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("region", "inside", "outside"),
    [
        ("eyes", EYES, MOUTH),
        ("brows", BROWS, MOUTH),
        ("nose", NOSE, CHIN),
        ("mouth", MOUTH, EYES),
        ("jaw", CHIN, EYES),
        ("face", MOUTH, None),
        ("hair", None, MOUTH),
        ("forehead", BROWS, MOUTH),
        ("skin", MOUTH, None),
        ("beard", CHIN, LIPS),
        ("moustache", None, LIPS),
        ("moustache", None, EYES),
    ],
)
def test_a_region_is_where_its_name_says(region, inside, outside):
    mask = region_mask(region, 128)
    assert mask.shape == (1, 1, 128, 128) and 0 <= mask.min() < 0.01 and 0.99 < mask.max() <= 1

    def at(points):
        columns, rows = (TEMPLATE_LANDMARKS[points] * 128).astype(int).T
        return mask[0, 0, rows, columns]

    assert inside is None or at(inside).min() > 0.5
    assert outside is None or at(outside).max() < 0.5
    assert region_mask(region, 4).mean() == pytest.approx(float(mask.mean()), abs=1e-4)
    assert torch.allclose(mask, mask.flip(-1), atol=1e-5), "people have two sides"


def test_every_region_was_looked_at():
    assert set(REGIONS) == {"eyes", "brows", "nose", "mouth", "jaw", "face", "hair", "forehead", "skin", "person"} | {
        "beard",
        "moustache",
    }
    assert (region_mask("person", 16) == 1).all(), "the whole picture where nobody knows better"


def test_parts_decide_where_hair_skin_and_person_are():
    parts = torch.zeros(2, 3, 4, 4)
    parts[0, BEHIND], parts[1, HAIR], parts[1, PERSON] = 1, 0.25, 0.75
    for region, share in {"hair": 0.25, "skin": 0.75, "person": 1.0}.items():
        for side in (2, 4, 8):
            mask = region_mask(region, side, parts=parts)
            assert (
                mask.shape == (2, 1, side, side)
                and (mask[0] == 0).all()
                and torch.allclose(mask[1].mean(), torch.tensor(share))
            )
    assert torch.allclose(region_mask("forehead", 8, parts=parts)[1], region_mask("forehead", 8)[0])
    assert torch.equal(region_mask("eyes", 8, parts=parts), region_mask("eyes", 8))


def test_an_offset_counts_in_its_region_and_nowhere_else(studio):
    generator = studio.generator
    latents = studio.generator.sample(2, seed=1, truncation=0.7)
    offset = studio.directions()["glasses"].difference.expand(generator.num_layers, -1)
    with torch.inference_mode():
        before = generator.synthesize(latents, dtype=torch.float32)
        there = generator.synthesize(latents, [moved_locally(None, "eyes", offset), None], dtype=torch.float32)
        all_over = generator.synthesize(latents + offset, dtype=torch.float32)
    assert torch.allclose(there[1], before[1], atol=1e-4), "the other face stays"
    mask = region_mask("eyes", generator.resolution)[0]
    inside = ((there - before)[0].abs() * mask).sum() / mask.sum()
    far = slice(round(0.75 * generator.resolution), None)
    leaked = (there - before)[0, :, far].abs().mean()
    assert inside > 10 * leaked and (all_over - before)[0, :, far].abs().mean() > 5 * leaked


def test_faces_with_different_regions_are_drawn_together_as_each_alone(tiny):
    latents = tiny.sample(3, seed=0)
    deltas = [
        moved_locally(None, "eyes", offset_of(tiny, 1)),
        moved_locally(moved_locally(None, "jaw", offset_of(tiny, 2)), "eyes", offset_of(tiny, 3)),
        None,
    ]
    with torch.inference_mode():
        together = tiny.synthesize(latents, deltas, dtype=torch.float32)
        alone = [tiny.synthesize(latents[place][None], [deltas[place]], dtype=torch.float32) for place in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)
    assert not torch.allclose(together[0], tiny.synthesize(latents)[0], atol=1e-2)


def test_a_delta_gives_way_as_a_feature_moves_and_not_elsewhere():
    latents = torch.ones(4, 6, 8)
    offsets = torch.tensor([0.0, 0.05, -0.1, 3.0])[:, None, None].expand(4, 6, 8)
    left = delta_left("mouth", latents, offsets)
    assert left[0] == 1 and left[0] > left[1] > left[2] > left[3] > 0
    assert torch.allclose(delta_left("mouth", latents, -offsets), left)
    assert all(torch.equal(delta_left(region, latents, offsets), torch.ones(4)) for region in ("skin", "person"))
    assert (delta_left("hair", latents, offsets)[1:] > left[1:]).all(), "hair keeps more of it"


def test_a_moved_mouth_is_drawn_with_less_of_the_delta_and_the_rest_with_all_of_it(studio):
    generator, face = studio.generator, studio.random_faces(1, seed=3)[0]
    shapes = delta_shapes(generator, rank=1)
    values = start_values(shapes, seed=0)
    values = values + 0.05 * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))
    delta, rows = as_delta(values, shapes), face.latent.values[None]
    offset = studio.directions()["mouth_open"].difference
    with torch.inference_mode():
        plain, known, moved, both = (
            generator.synthesize(rows, [each], dtype=torch.float32)[0]
            for each in (None, delta, moved_locally(None, "jaw", offset), moved_locally(delta, "jaw", offset))
        )
    within, above = region_mask("mouth", 128)[0, 0] > 0.9, slice(0, 40)
    assert (both - moved)[:, within].square().mean() < 0.7 * (known - plain)[:, within].square().mean()
    assert torch.allclose((both - moved)[:, above], (known - plain)[:, above], atol=0.05)


def test_gradients_reach_an_offset(tiny):
    offset = offset_of(tiny).requires_grad_()
    regions._drawn.cache_clear()
    with torch.inference_mode():  # as the page does: nothing that is kept may be good for inference only
        tiny.synthesize(tiny.sample(1, seed=0), [moved_locally(None, "mouth", offset_of(tiny))])
    picture = tiny.synthesize(tiny.sample(1, seed=0), [moved_locally(None, "mouth", offset)])
    picture.square().mean().backward()
    assert offset.grad.abs().amax(dim=1).min() > 0
    with torch.inference_mode():
        again = tiny.synthesize(tiny.sample(1, seed=0), [moved_locally(None, "mouth", offset)])
    assert torch.allclose(picture, again, atol=1e-4)


def test_an_edit_of_a_region_can_be_taken_back(studio):
    face = studio.random_faces(1, seed=3)[0]
    edited = studio.edit(face, {"glasses": 1.5})
    assert torch.equal(edited.latent.values, face.latent.values) and list(local_offsets(edited.delta)) == ["eyes"]
    assert np.abs(studio.render(edited).astype(int) - studio.render(face)).max() > 60
    back = studio.render(studio.edit(edited, {"glasses": -1.5}))
    assert np.abs(back.astype(int) - studio.render(face)).mean() < 1, "but for bfloat16's rounding"


def test_an_edit_without_a_region_changes_the_latent(studio):
    face = studio.random_faces(1, seed=3)[0]
    edited = studio.edit(face, {"gender": 1})
    assert edited.delta is None and not torch.equal(edited.latent.values, face.latent.values)


def test_a_face_file_keeps_what_was_done_to_a_region(studio):
    face = studio.edit(studio.random_faces(1, seed=3)[0], {"glasses": 1, "smile": 1})
    file = io.BytesIO()
    face.save(file)
    file.seek(0)
    again = Face.load(file)
    assert np.array_equal(studio.render(again), studio.render(face))


@pytest.mark.parametrize("values", [{"nowhere": (12, 256)}, {"eyes": (11, 256)}])
def test_an_offset_that_fits_no_region_is_refused(studio, values):
    delta = Delta({LOCAL + region: torch.zeros(shape) for region, shape in values.items()})
    with pytest.raises(BadFaceFile):
        studio.render(replace(studio.random_faces(1, seed=3)[0], delta=delta))


def test_offsets_are_mixed_and_cross_over_like_rows():
    one, other = (moved_locally(None, "eyes", torch.full((12, 4), value)) for value in (1.0, 3.0))
    assert torch.allclose(local_offsets(mix_deltas([one, other], [0.5, 0.5]))["eyes"], torch.full((12, 4), 2.0))
    assert torch.allclose(local_offsets(mix_deltas([one, None], [0.25, 0.75]))["eyes"], torch.full((12, 4), 0.25))
    crossed = local_offsets(crossover_delta(one, other, rows=slice(6, 12), row_of=style_row))["eyes"]
    assert (crossed[:6] == 1).all() and (crossed[6:] == 3).all()
    assert torch.equal(everywhere(torch.ones(12, 4), one), torch.full((12, 4), 2.0))
    assert torch.equal(everywhere(torch.ones(12, 4), None), torch.ones(12, 4))


def test_a_smile_made_here_is_an_expression_and_a_direction_of_ones_own(studio):
    faces = studio.random_faces(3, seed=5)
    smiling = [studio.edit(face, {"smile": 2}) for face in faces]
    moved = studio.express(faces[2], faces[0], smiling[0])
    assert list(local_offsets(moved.delta)) == ["face"]
    mine = studio.new_direction("Smiles", smiling, faces)
    assert mine.difference.norm() > 1


def test_an_edit_can_be_let_out_of_its_region(studio):
    face = studio.random_faces(1, seed=3)[0]
    out = studio.edit(face, {"glasses": 1.5}, everywhere=True)
    steps = attribute_steps({"glasses": 1.5}, {}, method="linear", everywhere=True)
    again = studio.apply(face, Recipe("faces128", tuple(steps)))
    assert out.delta is again.delta is None and torch.equal(out.latent.values, again.latent.values)
    ways = [studio.walk(face, "glasses", 1, frames=2, steps=10, everywhere=each)[-1] for each in (False, True)]
    assert torch.allclose(everywhere(ways[0].latent.values, ways[0].delta), ways[1].latent.values, atol=1e-5)
    assert ways[0].delta is not None and ways[1].delta is None
