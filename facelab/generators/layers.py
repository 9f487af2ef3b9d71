"""The layers that StyleGAN2's generator and discriminator share, with the published parameter names.

Equalised learning rate (Karras et al. 2018, section 4.1): weights are stored at unit variance and scaled when used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LRELU_SLOPE = 0.2
ACTIVATION_GAIN = math.sqrt(2)


class Prepared:
    """Keeps what was computed from a frozen parameter until the parameter changes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, int], Tensor]] = {}

    def __call__(self, name: str, source: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        if source.requires_grad or source.is_inference():
            return make(source)
        key = (source.data_ptr(), source._version)
        kept = self._kept.get(name)
        if kept is None or kept[0] != key:
            with torch.inference_mode(False), torch.no_grad():  # a kept tensor must serve graphs of gradients, too
                kept = (key, make(source))
            self._kept[name] = kept
        return kept[1]


def fir_filter(taps: tuple[float, ...] = (1, 3, 3, 1)) -> Tensor:
    """The separable low-pass filter of StyleGAN2 as float32 [k, k] with sum 1."""
    taps_tensor = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(taps_tensor, taps_tensor)
    return square / square.sum()


def filter_2d(
    x: Tensor, fir: Tensor, *, padding: int, gain: float = 1.0, stride: int = 1, bias: Tensor | None = None
) -> Tensor:
    """Filter the channels of x [N, C, H, W] with fir [k, k], or [C, 1, k, k] for a filter each.

    padding: zeros on each side. stride: every so many'th pixel is kept. bias: [C], added.
    """
    channels = x.shape[1]
    kernel = (fir.flip(-2, -1) * gain).to(x.dtype).expand(channels, 1, *fir.shape[-2:])
    bias = None if bias is None else bias.to(x.dtype)
    return F.conv2d(x, kernel, bias, stride=stride, padding=padding, groups=channels)


def upsample_2d(x: Tensor, fir: Tensor) -> Tensor:
    """Double the size of x [N, C, H, W]: zeros between the pixels, then the low-pass filter."""
    channels = x.shape[1]
    kernel = (fir * 4).to(x.dtype).expand(channels, 1, *fir.shape)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


class _Halve(torch.autograd.Function):
    """Averages 2 x 2 pixels. Its gradient is _Spread: torch's own first fills a picture with zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Spread.apply(gradient)


class _Spread(torch.autograd.Function):
    """Gives each of 2 x 2 pixels a quarter."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.interpolate(x * 0.25, scale_factor=2, mode="nearest")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Halve.apply(gradient)


def halve(x: Tensor) -> Tensor:
    """Average 2 x 2 pixels: [N, C, H, W] -> [N, C, H / 2, W / 2], differentiable any number of times."""
    return _Halve.apply(x)


class FullyConnected(nn.Module):
    """A linear layer with equalised learning rate: float [N, in] -> [N, out]."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: bool = False,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))
        self.activation = activation
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        x = torch.addmm(self.bias * self.bias_gain, x, self.weight.t(), alpha=self.weight_gain)
        return F.leaky_relu(x, LRELU_SLOPE) * ACTIVATION_GAIN if self.activation else x


class Conv2d(nn.Module):
    """A convolution with equalised learning rate: [N, in, H, W] -> [N, out, H / down, W / down].

    down: 2 halves the size, by `downsample`: "fir" filters and strides as published, "average" averages 2 x 2 pixels
    before the convolution. gain scales the output (of the activation, where there is one).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        activation: bool = False,
        down: int = 1,
        up: int = 1,
        downsample: str = "fir",
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        if bias:
            self.bias = nn.Parameter(torch.zeros(out_channels))
        else:
            self.register_parameter("bias", None)
        self.register_buffer("resample_filter", fir_filter())
        self.activation = activation
        self.down, self.up, self.downsample = down, up, downsample
        self.clamp = clamp
        self.weight_gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.prepared = Prepared()

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        # leaky_relu(g * x) = g * leaky_relu(x) for g > 0: the gains ride on the weight and the bias
        total = gain * ACTIVATION_GAIN if self.activation else gain

        def scale(weight: Tensor) -> Tensor:
            return (weight * (self.weight_gain * total)).to(x.dtype, memory_format=torch.channels_last)

        weight = self.prepared(f"{x.dtype} {total}", self.weight, scale)
        bias = None if self.bias is None else (self.bias * total).to(x.dtype)
        padding = weight.shape[-1] // 2
        if self.up == 2:
            x = F.conv2d(upsample_2d(x, self.resample_filter), weight, bias, padding=padding)
        elif self.down == 1:
            x = F.conv2d(x, weight, bias, padding=padding)
        elif self.downsample == "average":
            x = F.conv2d(halve(x), weight, bias, padding=padding)
        elif padding == 0:  # the pixels that a 1 x 1 convolution would throw away are never computed
            x = F.conv2d(filter_2d(x, self.resample_filter, padding=1, stride=2), weight, bias)
        else:
            x = F.conv2d(filter_2d(x, self.resample_filter, padding=padding + 1), weight, bias, stride=2)
        if self.activation:
            x = F.leaky_relu(x, LRELU_SLOPE, inplace=True)
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)
