"""Exponential linear units that are quick on CPUs, where torch's own take as long as the convolutions around them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _Elu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        negative = x.clamp(max=0).float().exp_().sub_(1).to(x.dtype)
        result = torch.maximum(x, negative)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.elu_backward(gradient, 1, 1, 1, True, result)


def elu(x: Tensor) -> Tensor:
    """x where it is positive, else exp(x) - 1 (Clevert et al. 2016, alpha = 1), within 1e-7 of `F.elu` in float32.

    `exp` is computed for many numbers at once, torch's `expm1` is not. The gradient is made of the result, and as exact
    as that; it has none itself.
    """
    return _Elu.apply(x)


class ELU(nn.Module):
    """`elu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return elu(x)
