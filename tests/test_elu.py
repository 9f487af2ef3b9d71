"""The quick exponential linear unit against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from facelab.generators.elu import ELU, elu


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 2e-7), (torch.bfloat16, 1e-6)])
def test_values_and_gradients_are_those_of_torch(dtype, close):
    x = torch.cat([torch.linspace(-90, 90, 1001), torch.tensor([-1e-3, 0.0, 1e-3])]).to(dtype)
    x = x.view(1, 4, 251, 1).contiguous(memory_format=torch.channels_last)
    weights = torch.linspace(-2, 2, x.numel()).to(dtype).view_as(x)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    assert (elu(mine) - F.elu(theirs)).abs().max() <= close and elu(mine).dtype == dtype
    elu(mine).backward(weights)
    F.elu(theirs).backward(weights)
    rounding = torch.finfo(dtype).eps  # of the result, which the gradient is made of
    assert ((mine.grad - theirs.grad).abs() <= 2 * rounding * weights.abs().clamp(min=rounding)).all()


def test_it_leaves_its_input_and_serves_where_nothing_is_learned():
    x = torch.tensor([-1.0, 2.0])
    with torch.inference_mode():
        assert torch.allclose(ELU()(x), F.elu(x)) and x.tolist() == [-1, 2]
