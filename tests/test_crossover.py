import pytest
import torch

from facelab.edits.crossover import checked_rows, crossover, crossover_delta, named_rows, parse_rows
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Delta
from facelab.generators.deltas import dense_addition, style_row
from facelab.generators.stylegan2 import Synthesis


@pytest.fixture(scope="module")
def synthesis():
    torch.manual_seed(0)
    return Synthesis(8, 32, channel_base=128, channel_max=8).requires_grad_(False)


def make_delta(synthesis, seed, rank):
    random = torch.Generator().manual_seed(seed)
    values = {}
    for name, parameter in synthesis.named_parameters():
        if ".affine." in name or name.endswith("const"):
            continue
        if parameter.ndim == 4 and parameter.shape[-1] == 3:
            values[f"{name}:out"] = torch.randn(parameter.shape[0], rank, generator=random)
            values[f"{name}:in"] = torch.randn(rank, parameter[0].numel(), generator=random)
        else:
            values[name] = torch.randn(parameter.shape, generator=random)
    return Delta(values)


def test_rows_come_from_the_style_and_the_others_stay():
    content, style = torch.randn(12, 8), torch.randn(12, 8)
    mixed = crossover(content, style, rows=slice(6, 12))
    assert torch.equal(mixed[:6], content[:6]) and torch.equal(mixed[6:], style[6:])


def test_strength_goes_from_the_content_to_the_style_exactly():
    content, style = torch.randn(12, 8), torch.randn(12, 8)
    assert torch.equal(crossover(content, style, rows=slice(0, 12), strength=0), content)
    assert torch.equal(crossover(content, style, rows=slice(0, 12), strength=1), style)
    half = crossover(content, style, rows=slice(2, 4), strength=0.5)
    assert torch.allclose(half[2:4], (content[2:4] + style[2:4]) / 2, atol=1e-6)


def test_faces_of_different_models_are_refused():
    with pytest.raises(LatentMismatch, match="shapes"):
        crossover(torch.zeros(12, 8), torch.zeros(10, 8), rows=slice(0, 4))


def test_a_row_styles_the_layers_that_it_is_said_to_style(synthesis):
    """Changing one row of w+ changes the styles of exactly those layers that style_row gives this row."""
    seen = {}
    hooks = [
        module.affine.register_forward_hook(
            lambda _, inputs, __, name=name: seen.update({name: inputs[0][0, 0].item()})
        )
        for name, module in synthesis.named_modules()
        if hasattr(module, "affine")
    ]
    rows = torch.arange(synthesis.num_layers).float()[None, :, None].expand(1, -1, 8)
    synthesis(rows)
    for hook in hooks:
        hook.remove()
    assert len(seen) == 11
    assert {name: style_row(f"{name}.weight") for name in seen} == seen


def test_each_layer_takes_its_owners_delta(synthesis):
    content, style = make_delta(synthesis, 1, 2), make_delta(synthesis, 2, 3)
    mixed = crossover_delta(content, style, rows=slice(3, 6), row_of=style_row)
    for name, _ in synthesis.named_parameters():
        if ".affine." in name or name.endswith("const"):
            continue
        owner = style if 3 <= style_row(name) < 6 else content
        assert torch.allclose(dense_addition(mixed, name), dense_addition(owner, name), atol=1e-5), name
    assert len({len(value) for name, value in mixed.values.items() if name.endswith(":in")}) == 1


def test_a_style_without_a_delta_leaves_its_layers_plain(synthesis):
    content = make_delta(synthesis, 1, 2)
    mixed = crossover_delta(content, None, rows=slice(3, 6), row_of=style_row)
    assert dense_addition(mixed, "b16.conv1.weight") is None and style_row("b16.conv1.weight") == 4
    assert torch.equal(dense_addition(mixed, "b4.conv1.weight"), dense_addition(content, "b4.conv1.weight"))
    assert crossover_delta(None, None, rows=slice(3, 6), row_of=style_row) is None


def test_the_content_keeps_its_delta_at_strength_zero_and_half_of_it_at_a_half(synthesis):
    content, style = make_delta(synthesis, 1, 2), make_delta(synthesis, 2, 2)
    options = {"rows": slice(3, 6), "row_of": style_row}
    assert crossover_delta(content, style, **options, strength=0) is content
    mixed = crossover_delta(content, style, **options, strength=0.5)
    name = "b16.conv1.weight"
    wanted = (dense_addition(content, name) + dense_addition(style, name)) / 2
    assert torch.allclose(dense_addition(mixed, name), wanted, atol=1e-5)


def test_layers_are_written_as_a_range_a_number_or_a_name():
    assert parse_rows("6-11", 12) == slice(6, 12)
    assert parse_rows("3", 12) == slice(3, 4)
    assert parse_rows("fine", 12) == slice(8, 12)
    assert parse_rows("half", 18) == slice(9, 18)
    assert list(named_rows(12)) == ["coarse", "middle", "fine", "half", "all"]
    assert "fine" not in named_rows(6)


@pytest.mark.parametrize("text", ["6-12", "11-6", "-1", "a-b", "", "1-2-3", "6:11", "²", "99999999999"])
def test_layers_that_are_not_there_are_refused(text):
    with pytest.raises(BadSetting, match=r"[Ll]ayers"):
        parse_rows(text, 12)


@pytest.mark.parametrize("rows", [slice(4, 4), slice(-2, 4), slice(0, 13), slice(0, 12, 2)])
def test_slices_that_are_no_range_are_refused(rows):
    with pytest.raises(BadSetting, match="not a range"):
        checked_rows(rows, 12)
