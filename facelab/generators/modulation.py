"""Modulated convolution (Karras et al. 2020, section 2.2), arranged so that little is computed and little is moved.

The style scales the activations before the convolution and the demodulation factor scales them after it, so that one
weight serves the whole batch. What depends on frozen weights only is computed once.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from facelab.generators import winograd
from facelab.generators.layers import Prepared, filter_2d
from facelab.generators.tuning import TunedWeight, tuned_conv2d

EPSILON = 1e-8
# Winograd's filtering for a dtype, and from how many channels on, on both sides, it is faster than the direct sum.
WINOGRAD = {torch.float32: (winograd.F4, 128), torch.bfloat16: (winograd.F2, 256)}
WINOGRAD_SIDE = 8


def modulated_conv2d(
    x: Tensor,
    weight: Tensor | TunedWeight,
    styles: Tensor,
    bias: Tensor | None,
    *,
    up: int,
    fir: Tensor,
    gain: float,
    prepared: Prepared | None = None,
) -> Tensor:
    """Convolve with weights modulated and demodulated by the styles, times gain, plus bias (equations 1 and 3).

    x: [N, I, H, W] in the compute dtype, channels last. weight: float32 [O, I, 3, 3] for the whole batch, or
    [N, O, I, 3, 3] for a weight each, or tuned. styles: float32 [N, I]. bias: float32 [O] or [N, O]; None, where
    gradients are wanted, leaves it to add_and_rectify. prepared: where the layer keeps what belongs to its own frozen
    weight; None for a weight that is not its own. Returns [N, O, up * H, up * W].
    """
    prepared = prepared or Prepared()
    if isinstance(weight, TunedWeight):
        shared = {"up": up, "fir": fir, "gain": gain, "prepared": prepared}
        return tuned_conv2d(x, weight, styles, bias, epsilon=EPSILON, convolve=_convolve, **shared)
    if weight.ndim == 5:
        biases = [None] * len(x) if bias is None else bias.expand(len(x), -1)
        parts = zip(x.split(1), weight, styles.split(1), biases, strict=True)
        return torch.cat([modulated_conv2d(*part, up=up, fir=fir, gain=gain) for part in parts])
    if x.dtype == torch.float16:
        weight, styles = _bounded(weight, styles)
        prepared = Prepared()
    energy = prepared("energy", weight, lambda w: w.square().sum(dim=(2, 3)).t())
    factor = (torch.addmm(styles.new_full((), EPSILON), styles.square(), energy)).rsqrt() * gain
    if not torch.is_grad_enabled() and _folding_is_cheaper(x, weight, up):
        folded = weight * (factor.reshape(-1, 1, 1, 1) * styles.reshape(1, -1, 1, 1))
        return F.conv2d(x, folded.to(x.dtype, memory_format=torch.channels_last), bias.flatten().to(x.dtype), padding=1)
    if up == 1 and _suits_winograd(x, weight):
        filtering, _ = WINOGRAD[x.dtype]
        points = prepared(f"winograd {x.dtype}", weight, lambda w: winograd.transform_weight(filtering, w).to(x.dtype))
        before, after, offset = (values.to(x.dtype) for values in (styles, factor, bias.reshape(-1, bias.shape[-1])))
        return winograd.convolve(filtering, x, points, before=before, after=after, bias=offset)
    x = _convolve(x * styles.to(x.dtype)[:, :, None, None], weight, up, prepared)
    if (
        up == 2 and len(x) == 1 and not torch.is_grad_enabled()
    ):  # one picture: the factor and the bias ride on the filter
        kernel = fir * factor.reshape(-1, 1, 1, 1)
        return filter_2d(x, kernel, padding=1, gain=4, bias=bias.flatten())
    if up == 2:
        x = filter_2d(x, fir, padding=1, gain=4)
    if bias is None:
        return x * factor.to(x.dtype)[:, :, None, None]
    offset = bias.to(x.dtype).reshape(-1, bias.shape[-1], 1, 1)
    return torch.addcmul(offset, x, factor.to(x.dtype)[:, :, None, None])


def add_and_rectify(x: Tensor, *, noise: Tensor | None, strength: Tensor, bias: Tensor | None, slope: float) -> Tensor:
    """The leaky rectifier of x + noise * strength + bias: [N, C, H, W], channels last.

    noise: [N or 1, 1, H, W]. strength: [] or [N]. bias: [C] or [N, C]. What is added comes as one thin matrix product:
    adding a map to channels that lie side by side is ten times slower (and so is the gradient).
    """
    count, channels, height, width = x.shape
    columns, rows = [], []
    if noise is not None:
        columns.append(noise.reshape(len(noise), -1, 1))
        rows.append(strength[..., None].expand(*strength.shape, channels))
    if bias is not None:
        columns.append(torch.ones((), device=x.device).expand(1, height * width, 1))
        rows.append(bias)
    if not columns:
        return F.leaky_relu(x, slope, inplace=True)
    longest = max(len(column) for column in columns)
    maps = torch.cat([column.to(x.dtype).expand(longest, -1, 1) for column in columns], dim=2)
    maps = maps.expand(count, -1, -1)
    pixels = x.permute(0, 2, 3, 1).reshape(count, height * width, channels)
    if all(row.ndim == 1 for row in rows):
        sums = torch.addmm(pixels.flatten(0, 1), maps.reshape(-1, len(rows)), torch.stack(rows).to(x.dtype))
    else:
        each = torch.stack([row.expand(count, -1) for row in rows], dim=1).to(x.dtype)
        sums = torch.baddbmm(pixels, maps, each)
    # the rectifier comes before the view: in place on a view, autograd would copy
    return F.leaky_relu(sums, slope, inplace=True).reshape(count, height, width, channels).permute(0, 3, 1, 2)


def _bounded(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """The same modulation in numbers that float16 can hold: demodulation undoes both scales (Karras et al. 2020,
    "Limited Data", appendix D.1).
    """
    largest = weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True) * math.sqrt(weight[0].numel())
    return weight / largest, styles / styles.detach().abs().amax(dim=1, keepdim=True)


def _folding_is_cheaper(x: Tensor, weight: Tensor, up: int) -> bool:
    """Whether scaling the weight moves less than scaling the activations of a single picture, before and after."""
    return len(x) == 1 and up == 1 and weight.numel() < x.numel() and not _suits_winograd(x, weight)


def _suits_winograd(x: Tensor, weight: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and x.dtype in WINOGRAD
        and min(weight.shape[:2]) >= WINOGRAD[x.dtype][1]
        and min(x.shape[2:]) >= WINOGRAD_SIDE
    )


def _convolve(x: Tensor, weight: Tensor, up: int, prepared: Prepared) -> Tensor:
    """x [N, I, H, W], weight float32 [O, I, 3, 3] -> [N, O, H, W], or [N, O, 2 H + 1, 2 W + 1] for up = 2."""

    def cast(w: Tensor) -> Tensor:
        w = w if up == 1 else w.transpose(0, 1)
        return w.to(x.dtype, memory_format=torch.channels_last)

    kernel = prepared(f"weight {x.dtype}", weight, cast)
    return F.conv2d(x, kernel, padding=1) if up == 1 else F.conv_transpose2d(x, kernel, stride=2)
