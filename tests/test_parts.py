"""What each pixel of a generated picture shows: how it is learned, kept, and heeded by edits."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from facelab.checkpoints.directions import load_directions, load_parts, read_directions, write_directions
from facelab.checkpoints.weights import read_weights
from facelab.edits.attributes import move
from facelab.errors import BadSetting
from facelab.generators.parts import BEHIND, HAIR, PARTS, PERSON, SIDE, Parts, read_parts
from facelab.generators.stylegan2 import StyleGAN2
from facelab.regions import moved_locally
from facelab.studio import Studio
from facelab.training import parts as training
from facelab.training.parts import find_parts, places, told_parts
from facelab.training.publish import publish_directions

COUNT = 16


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def latents(studio):
    return studio.generator.sample(COUNT, seed=11, truncation=0.7).expand(-1, studio.generator.num_layers, -1)


def tiny(channels=16):
    torch.manual_seed(0)
    return StyleGAN2(32, z_dim=8, w_dim=8, mapping_layers=2, channel_base=32 * channels, channel_max=channels).eval()


def any_parts(channels, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Parts(torch.ones(channels), torch.randn(3, channels, generator=draw), torch.zeros(3))


def change(first, second, share):
    """The mean change of pixels [N, 3, R, R], in levels of 255, weighted by a share [N, S, S]."""
    weight = functional.interpolate(share[:, None], first.shape[-2:])[:, 0]
    return float(((first - second).abs().mean(dim=1) * weight).sum() / weight.sum() * 127.5)


@torch.inference_mode()
def test_the_models_parts_are_where_people_have_them(studio, latents):
    parts = studio.generator.synthesis.parts(studio.generator.synthesis.maps(latents, SIDE))
    assert parts.shape == (COUNT, len(PARTS), SIDE, SIDE) and torch.allclose(parts.sum(dim=1), torch.ones(1))
    known = places(SIDE)
    for part, place in ((BEHIND, known.corners), (PERSON, known.face), (HAIR, known.crown)):
        shares = parts[:, part, torch.from_numpy(place)].mean(dim=1)
        assert shares.median() > 0.65, PARTS[part]
    heads = (1 - parts[:, BEHIND]).mean(dim=(1, 2))
    assert heads.min() > 0.25 and heads.max() < 0.9


@torch.inference_mode()
def test_coloured_hair_leaves_what_is_behind_the_head(studio, latents):
    generator, direction = studio.generator, studio.directions()["hair_blond"]
    offsets = [move(each, direction, direction.strength) - each for each in latents]
    deltas = [moved_locally(None, "hair", offset) for offset in offsets]
    plain, blond = (generator.synthesize(latents, each, dtype=torch.float32) for each in (None, deltas))
    parts = generator.synthesis.parts
    seen = (parts(generator.synthesis.maps(latents, SIDE)) > 0.95).float()
    try:
        generator.synthesis.parts = None
        everywhere = generator.synthesize(latents, deltas, dtype=torch.float32)
    finally:
        generator.synthesis.parts = parts
    behind = change(plain, blond, seen[:, BEHIND])
    assert behind < 0.5 * change(plain, everywhere, seen[:, BEHIND])
    assert behind < 0.25 * change(plain, blond, seen[:, HAIR])
    assert change(plain, blond, seen[:, PERSON]) < 0.25 * change(plain, blond, seen[:, HAIR])


def test_found_anew_they_are_what_ships(studio, latents, monkeypatch):
    monkeypatch.setattr(training, "SAMPLES", 96)
    found = find_parts(studio.generator)
    with torch.inference_mode():
        maps = studio.generator.synthesis.maps(latents, SIDE)
        alike = found(maps).argmax(dim=1) == studio.generator.synthesis.parts(maps).argmax(dim=1)
    assert alike.float().mean() > 0.9


def test_colours_tell_parts_where_they_differ():
    picture = np.zeros((1, SIDE, SIDE, 3), np.float32)
    picture[:] = (-1, -1, 1)  # a blue wall
    picture[:, 4:, 8:24] = (1, -1, -1)  # red hair, longer than anybody's face
    picture[:, 12:30, 11:21] = (1, 0.6, 0.2)  # skin
    behind, person, hair = (each[0] for each in told_parts(picture))
    assert behind[20, 2] and not behind[20, 8:24].any()
    assert hair[6, 16] and hair[18, 8] and not hair[18, 2] and not hair[20, 16]
    assert person[20, 16] and not person[18, 8]
    assert not hair[28].any(), "so low they may be clothes"


def test_colours_tell_nothing_where_they_are_alike():
    behind, person, hair = told_parts(np.zeros((1, SIDE, SIDE, 3), np.float32))
    known = places(SIDE)
    assert not hair.any()
    assert np.array_equal(behind[0], known.corners) and np.array_equal(person[0], known.face | known.neck)


def test_a_file_of_directions_keeps_the_parts(tmp_path, studio):
    path = tmp_path / "some-directions.safetensors"
    directions, parts = load_directions("faces128"), load_parts("faces128")
    write_directions(directions.values(), path, parts=parts)
    again = read_parts(read_weights(path))
    assert all(torch.equal(value, again.tensors()[name]) for name, value in parts.tensors().items())
    assert list(read_directions(path)) == list(directions)
    write_directions(directions.values(), path)
    assert read_parts(read_weights(path)) is None


def test_parts_of_another_model_are_refused(tmp_path):
    path = tmp_path / "some-directions.safetensors"
    write_directions(load_directions("faces128").values(), path, parts=any_parts(5))
    with pytest.raises(BadSetting, match="another model"):
        publish_directions(path, tmp_path, "faces128")


def test_a_model_without_directions_has_no_parts():
    assert load_parts("vae64") is None


def test_parts_are_seen_in_the_picture_without_the_edit():
    generator = tiny()
    generator.synthesis.parts = any_parts(16)
    assert generator.synthesis.parts.fits(generator) and not any_parts(15).fits(generator)
    assert not any("parts" in name for name in generator.state_dict()), "they are no part of the weights"
    latents, offset = generator.sample(2, seed=0), torch.randn(generator.num_layers, 8)
    both = [moved_locally(None, "hair", offset), None]
    offset.requires_grad_()
    picture = generator.synthesize(latents, [moved_locally(None, "hair", offset), None])
    picture.square().mean().backward()
    assert offset.grad.abs().max() > 0
    with torch.inference_mode():
        assert torch.allclose(picture, generator.synthesize(latents, both), atol=1e-4)
        assert torch.allclose(picture[1], generator.synthesize(latents)[1], atol=1e-4), "the other face stays"
        share = generator.synthesis.parts(generator.synthesis.maps(latents.expand(-1, 8, -1), SIDE))[0, HAIR]
        moved = (picture - generator.synthesize(latents))[0].abs().mean(dim=0)
    assert moved[share > 0.8].mean() > 2 * moved[share < 0.05].mean()


def test_pictures_too_small_for_it_have_no_parts():
    assert find_parts(StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=64, channel_max=8).eval()) is None
