import io

import pytest
import torch

from facelab.checkpoints.cards import find_card
from facelab.checkpoints.weights import build_networks
from facelab.embedding_settings import PRESETS
from facelab.errors import BadFaceFile, BadSetting
from facelab.face import Delta, Face, Latent
from facelab.generators.stylegan2 import StyleGAN2
from facelab.refinement import MAX_BYTES, as_delta, as_stored, check_delta, delta_shapes, fitting_rank, start_values


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=256, channel_max=8)
    network.name = "tiny"
    return network.eval().requires_grad_(False)


def test_a_new_delta_adds_nothing(generator):
    shapes = delta_shapes(generator, rank=2)
    latents = generator.sample(1, seed=1)
    plain = generator.synthesize(latents, dtype=torch.float32)
    with_delta = generator.synthesize(latents, [as_delta(start_values(shapes, seed=3), shapes)], dtype=torch.float32)
    torch.testing.assert_close(with_delta, plain)


def test_every_part_of_a_delta_moves_the_picture(generator):
    shapes = delta_shapes(generator, rank=2)
    start = start_values(shapes, seed=3)
    values = (start + 0.01 * torch.randn(start.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    generator.synthesize(
        generator.sample(1, seed=1), [as_delta(values, shapes)], dtype=torch.float32
    ).square().sum().backward()
    for name, gradient in as_delta(values.grad, shapes).values.items():
        assert gradient.abs().max() > 0, name


def test_a_delta_leaves_the_styles_alone(generator):
    names = {name.partition(":")[0] for name in delta_shapes(generator, rank=2)}
    assert names <= {name for name, _ in generator.synthesis.named_parameters()}
    assert not any("affine" in name for name in names)
    assert "b16.conv1.weight" in names and "b16.torgb.weight" in names and "b4.conv1.noise_strength" in names


def test_the_fast_presets_delta_of_the_shipped_model_stays_under_500_kb():
    with torch.device("meta"):
        shipped, _ = build_networks(find_card("faces128"))
    shapes = delta_shapes(shipped, rank=PRESETS["fast"].refine_rank)
    delta = Delta({name: torch.zeros(shape) for name, shape in shapes.items()})
    assert 100_000 < delta.nbytes <= MAX_BYTES == 500_000


@pytest.mark.parametrize("resolution", [64, 256, 1024])
def test_the_rank_is_lowered_until_a_delta_fits(resolution):
    with torch.device("meta"):
        large = StyleGAN2(resolution)
    large.name = "large"
    rank = fitting_rank(large)

    def nbytes(rank):
        shapes = delta_shapes(large, rank=rank)
        return sum(2 * torch.Size(shape).numel() for shape in shapes.values())

    assert nbytes(rank) <= MAX_BYTES < nbytes(rank + 1)


def test_a_small_model_makes_no_rank_that_a_file_may_not_have(generator):
    rank = fitting_rank(generator)
    assert rank == 64
    shapes = delta_shapes(generator, rank=rank)
    check_delta(generator, as_delta(start_values(shapes, seed=1), shapes))


def test_a_model_too_large_for_any_rank_says_so(generator):
    with pytest.raises(BadSetting, match="without refining"):
        fitting_rank(generator, limit=100)


def test_a_saved_delta_renders_as_before(generator):
    shapes = delta_shapes(generator, rank=2)
    values = start_values(shapes, seed=3)
    values = as_stored(values + 0.05 * torch.randn(values.shape, generator=torch.Generator().manual_seed(0)))
    latents = generator.sample(1, seed=1)
    file = io.BytesIO()
    Face(Latent(latents[0], "w+", "tiny"), as_delta(values, shapes)).save(file)
    loaded = Face.load(io.BytesIO(file.getvalue()))
    before = generator.synthesize(latents, [as_delta(values, shapes)])
    assert torch.equal(generator.synthesize(loaded.latent.values[None], [loaded.delta]), before)


@pytest.mark.parametrize(
    "change",
    [
        {"b16.conv1.weight:out": torch.zeros(4, 2)},
        {"b16.conv1.weight:in": torch.zeros(3, 72)},
        {"b16.conv1.bias": torch.zeros(9)},
        {"b16.conv1.affine.weight": torch.zeros(8, 8)},
        {"b4.conv1.weight:in": None},
    ],
)
def test_a_delta_that_does_not_fit_the_model_is_refused(generator, change):
    shapes = delta_shapes(generator, rank=2)
    good = dict(as_delta(start_values(shapes, seed=1), shapes).values)
    check_delta(generator, Delta(good))
    values = {name: value for name, value in {**good, **change}.items() if value is not None}
    with pytest.raises(BadFaceFile):
        check_delta(generator, Delta(values))


def test_a_delta_of_no_rank_is_refused(generator):
    shapes = delta_shapes(generator, rank=1)
    values = as_delta(start_values(shapes, seed=1), shapes).values
    empty = {name: value[:0] if name.endswith(":in") else value[:, :0] for name, value in values.items() if ":" in name}
    with pytest.raises(BadFaceFile):
        check_delta(generator, Delta({**values, **empty}))


def test_the_seed_decides_the_factors(generator):
    shapes = delta_shapes(generator, rank=2)
    assert torch.equal(start_values(shapes, seed=1), start_values(shapes, seed=1))
    assert not torch.equal(start_values(shapes, seed=1), start_values(shapes, seed=2))
