"""StyleGAN2's generator (Karras et al. 2020), with the parameter names of the published ADA PyTorch networks.

Written for speed on any device: upsampling is a transposed convolution and a small filter, the convolutions run in the
dtype that the device is fastest in, styles and pictures in float32. See modulation.py for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from facelab.errors import LatentMismatch
from facelab.face import Delta
from facelab.generators.base import Generator
from facelab.generators.deltas import LayerDelta, added, block_additions, weakened
from facelab.generators.discriminator import channels_at
from facelab.generators.layers import (
    ACTIVATION_GAIN,
    LRELU_SLOPE,
    FullyConnected,
    Prepared,
    fir_filter,
    upsample_2d,
)
from facelab.generators.modulation import add_and_rectify, modulated_conv2d
from facelab.generators.parts import SIDE, Parts
from facelab.regions import BY_PARTS, delta_left, local_offsets, region_mask


class Mapping(nn.Module):
    """z [N, Z] (and labels [N, C]) -> w [N, W]; `w_avg` is the running mean of w."""

    def __init__(
        self,
        z_dim: int,
        w_dim: int,
        *,
        label_dim: int = 0,
        num_layers: int = 8,
        lr_multiplier: float = 0.01,
        w_avg_beta: float = 0.995,
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.w_avg_beta = w_avg_beta
        if label_dim:
            self.embed = FullyConnected(label_dim, w_dim)
        widths = [z_dim + (w_dim if label_dim else 0)] + [w_dim] * num_layers
        for index in range(num_layers):
            layer = FullyConnected(widths[index], widths[index + 1], activation=True, lr_multiplier=lr_multiplier)
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = _normalise(z.float())
        if hasattr(self, "embed"):
            x = torch.cat([x, _normalise(self.embed(labels.float()))], dim=1)
        for index in range(self.num_layers):
            x = getattr(self, f"fc{index}")(x)
        return x

    @torch.no_grad()
    def track_mean(self, w: Tensor) -> None:
        """Move `w_avg` towards the mean of w [N, W] (once a training step)."""
        self.w_avg.copy_(w.float().mean(dim=0).lerp(self.w_avg, self.w_avg_beta))


class SynthesisLayer(nn.Module):
    """A modulated 3 x 3 convolution with noise, bias and leaky rectifier; `up` = 2 doubles the size."""

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, *, resolution: int, up: int, clamp: float | None
    ) -> None:
        super().__init__()
        self.register_buffer("resample_filter", fir_filter())
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.resolution, self.up, self.clamp = resolution, up, clamp
        self.prepared = Prepared()

    def forward(
        self, x: Tensor, w: Tensor, *, noise: str, gain: float = 1.0, delta: LayerDelta | None = None
    ) -> Tensor:
        """x [N, I, H, W], w [N, W] -> [N, O, up * H, up * W]; noise: "constant", "random" or "none"."""
        weight = added(self.weight, delta, "weight")
        bias = added(self.bias, delta, "bias")
        strength = added(self.noise_strength, delta, "noise_strength")
        gain *= ACTIVATION_GAIN
        # leaky_relu(g * x) = g * leaky_relu(x) for g > 0: the gain rides on factors that are small tensors
        apart = torch.is_grad_enabled()  # or the bias costs nothing inside the convolution
        x = modulated_conv2d(
            x,
            weight,
            self.affine(w),
            None if apart else bias * gain,
            up=self.up,
            fir=self.resample_filter,
            gain=gain,
            prepared=self.prepared if getattr(weight, "shared", weight) is self.weight else None,
        )
        maps = None if noise == "none" else self.noise_const[None, None]
        if noise == "random":
            maps = torch.randn(x.shape[0], 1, self.resolution, self.resolution, device=x.device)
        x = add_and_rectify(
            x, noise=maps, strength=strength * gain, bias=bias * gain if apart else None, slope=LRELU_SLOPE
        )
        limit = None if self.clamp is None else self.clamp * gain / ACTIVATION_GAIN
        return x if limit is None else x.clamp(-limit, limit)


class ToRGB(nn.Module):
    """Feature maps to a picture, modulated by the style: [N, I, H, W] -> float32 [N, 3, H, W]."""

    def __init__(self, in_channels: int, image_channels: int, w_dim: int, *, clamp: float | None) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1)
        self.weight = nn.Parameter(torch.randn(image_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.weight_gain = 1 / math.sqrt(in_channels)
        self.clamp = clamp

    def forward(self, x: Tensor, w: Tensor, *, delta: LayerDelta | None = None) -> Tensor:
        weight, bias = added(self.weight, delta, "weight"), added(self.bias, delta, "bias")
        styles = self.affine(w) * self.weight_gain
        rows = weight.flatten(-3) * styles[:, None]  # [N, 3, I]: so few outputs that a weight each is the cheap way
        count, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(count, height * width, channels)
        picture = torch.bmm(pixels, rows.to(x.dtype).transpose(1, 2)).float() + bias.reshape(-1, 1, bias.shape[-1])
        picture = picture.reshape(count, height, width, -1).permute(0, 3, 1, 2)
        return picture if self.clamp is None else picture.clamp(-self.clamp, self.clamp)


class SynthesisBlock(nn.Module):
    """The layers of one resolution: conv0 (not at 4 px), conv1 and torgb, with skip connections of the pictures."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        *,
        resolution: int,
        image_channels: int,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.register_buffer("resample_filter", fir_filter())
        self.layers = ["conv1", "torgb"] if in_channels == 0 else ["conv0", "conv1", "torgb"]
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, resolution=resolution, up=2, clamp=clamp)
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution=resolution, up=1, clamp=clamp)
        self.torgb = ToRGB(out_channels, image_channels, w_dim, clamp=clamp)

    def forward(
        self,
        x: Tensor | None,
        picture: Tensor | None,
        rows: Tensor,
        *,
        noise: str,
        dtype: torch.dtype,
        deltas: dict[str, LayerDelta],
        alpha: float = 1.0,
        masks: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor]:
        """x [N, I, H, W], picture [N, 3, H, W], rows of w [N, 2 or 3, W] -> both at this block's resolution.

        alpha: the share of what this block adds to the picture, below 1 while it fades in. masks [1 or N, 1, R, R]: of
        K regions in which the picture has latents of its own (see Synthesis); rows and deltas are [(1 + K) * N] then.
        """
        ways = 1 + len(masks)
        if x is None:
            count = rows.shape[0] // ways
            x = self.const.to(dtype).expand(count, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        for name, w in zip(self.layers, rows.unbind(1), strict=True):
            if name != "torgb":
                each = getattr(self, name)(_for_each(x, ways), w, noise=noise, delta=deltas.get(name))
                x = _in_regions(each, masks)
        added_picture = _in_regions(self.torgb(_for_each(x, ways), rows[:, -1], delta=deltas.get("torgb")), masks)
        if alpha < 1:
            added_picture = added_picture * alpha
        if picture is not None:
            added_picture = added_picture + upsample_2d(picture, self.resample_filter)
        return x, added_picture


class Synthesis(nn.Module):
    """w+ [N, L, W] -> float32 [N, 3, R, R] in about [-1, 1]. Row 0 styles b4's convolution, rows 2k - 1 and 2k those of
    the k-th block after it (b8: 1 and 2, b64: 7 and 8); torgb shares the next block's first row, the last torgb has the
    last row (Karras et al. 2020, figure 7b with the row layout of the published code).

    Where deltas move a block's rows within K regions (regions.py), its layers are computed 1 + K times from the same
    maps, and each pixel takes from each as much as belongs to its region, where less of a delta counts the farther a
    feature has moved. parts: tells, in the picture without these moves, what of it is hair and what is behind the
    person.
    """

    parts: Parts | None

    def __init__(
        self,
        w_dim: int,
        resolution: int,
        *,
        image_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.block_resolutions = [2**level for level in range(2, int(math.log2(resolution)) + 1)]
        self.num_layers = 2 * len(self.block_resolutions)
        previous = 0
        for size in self.block_resolutions:
            channels = channels_at(size, channel_base=channel_base, channel_max=channel_max)
            block = SynthesisBlock(
                previous, channels, w_dim, resolution=size, image_channels=image_channels, clamp=clamp
            )
            self.add_module(f"b{size}", block)
            previous = channels
        self.register_module("parts", None)

    def forward(
        self,
        ws: Tensor,
        *,
        noise: str = "constant",
        dtype: torch.dtype = torch.float32,
        deltas: Sequence[Delta | None] | None = None,
        resolution: int | None = None,
        alpha: float = 1.0,
    ) -> Tensor:
        """resolution: stop at this block, whose part of the picture counts `alpha`: a generator that still grows."""
        offsets, parts = {} if deltas is None else _offsets(ws, deltas), None
        if self.parts is not None and not BY_PARTS.isdisjoint(offsets):
            with torch.no_grad():
                parts = self.parts(self.maps(ws, SIDE, noise=noise, dtype=dtype, deltas=deltas))
        how = {"noise": noise, "dtype": dtype, "deltas": deltas, "alpha": alpha}
        return self._compute(ws, resolution or self.block_resolutions[-1], offsets, parts, **how)[1]

    def maps(
        self,
        ws: Tensor,
        resolution: int,
        *,
        noise: str = "constant",
        dtype: torch.dtype = torch.float32,
        deltas: Sequence[Delta | None] | None = None,
    ) -> Tensor:
        """The maps [N, C, R, R] of the block at a resolution, without what deltas move within regions."""
        return self._compute(ws, resolution, {}, None, noise=noise, dtype=dtype, deltas=deltas)[0]

    def _compute(
        self,
        ws: Tensor,
        last: int,
        offsets: dict[str, Tensor],
        parts: Tensor | None,
        *,
        noise: str,
        dtype: torch.dtype,
        deltas: Sequence[Delta | None] | None,
        alpha: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """The maps and the picture of the block at the resolution `last`."""
        x = picture = None
        first = 0
        left = {region: _weakened(deltas, delta_left(region, ws, offset)) for region, offset in offsets.items()}
        for size in self.block_resolutions[: self.block_resolutions.index(last) + 1]:
            block = getattr(self, f"b{size}")
            chosen = slice(first, first + len(block.layers))
            first += len(block.layers) - 1
            moves = {region: offset[:, chosen] for region, offset in offsets.items() if offset[:, chosen].any()}
            rows = torch.cat([ws[:, chosen], *(ws[:, chosen] + move for move in moves.values())])
            everyone = None if deltas is None else [*deltas, *chain.from_iterable(left[region] for region in moves)]
            additions = {} if everyone is None else block_additions(everyone, f"b{size}", block.layers)
            share = alpha if size == last else 1.0
            masks = [region_mask(region, size, parts=parts).to(ws.device) for region in moves]
            x, picture = block(x, picture, rows, noise=noise, dtype=dtype, deltas=additions, alpha=share, masks=masks)
        return x, picture


class StyleGAN2(Generator):
    """StyleGAN2 as a face generator: the published `mapping` and `synthesis` networks behind FaceLab's contract."""

    spaces = ("z", "w", "w+")

    def __init__(
        self,
        resolution: int,
        *,
        z_dim: int = 512,
        w_dim: int = 512,
        label_dim: int = 0,
        mapping_layers: int = 8,
        image_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.z_dim, self.w_dim = z_dim, w_dim
        self.synthesis = Synthesis(
            w_dim,
            resolution,
            image_channels=image_channels,
            channel_base=channel_base,
            channel_max=channel_max,
            clamp=clamp,
        )
        self.mapping = Mapping(z_dim, w_dim, label_dim=label_dim, num_layers=mapping_layers)
        self.num_layers = self.synthesis.num_layers

    def latent_shape(self, space: str) -> tuple[int, int]:
        shapes = {"z": (1, self.z_dim), "w": (1, self.w_dim), "w+": (self.num_layers, self.w_dim)}
        if space not in shapes:
            raise LatentMismatch(f"{self.name or 'This model'} has the spaces {', '.join(shapes)}, not {space!r}.")
        return shapes[space]

    def mean_latent(self) -> Tensor:
        return self.mapping.w_avg[None]

    def map(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.mapping(z, labels)

    def synthesize(
        self,
        latents: Tensor,
        deltas: Sequence[Delta | None] | None = None,
        *,
        dtype: torch.dtype | None = None,
        noise: str = "constant",
    ) -> Tensor:
        if latents.ndim != 3 or latents.shape[1] not in (1, self.num_layers) or latents.shape[2] != self.w_dim:
            raise LatentMismatch(
                f"synthesize takes w [N, 1, {self.w_dim}] or w+ [N, {self.num_layers}, {self.w_dim}], "
                f"not {list(latents.shape)}"
            )
        if deltas is not None and len(deltas) != len(latents):
            raise LatentMismatch(f"{len(latents)} latents came with {len(deltas)} deltas")
        ws = latents.expand(-1, self.num_layers, -1)
        if deltas is not None and not any(delta is not None for delta in deltas):
            deltas = None
        return self.synthesis(ws, noise=noise, dtype=dtype or fast_dtype(latents.device), deltas=deltas)


def _offsets(ws: Tensor, deltas: Sequence[Delta | None]) -> dict[str, Tensor]:
    """What deltas add to latents [N, L, W] within regions: [N, L, W] by region."""
    found = [local_offsets(delta) for delta in deltas]
    return {
        region: torch.stack([each.get(region, torch.zeros_like(w)) for each, w in zip(found, ws, strict=True)])
        for region in sorted({region for each in found for region in each})
    }


def _weakened(deltas: Sequence[Delta | None], shares: Tensor) -> list[Delta | None]:
    return [weakened(delta, share) for delta, share in zip(deltas, shares.tolist(), strict=True)]


def _for_each(x: Tensor, ways: int) -> Tensor:
    """Maps [N, C, H, W] once for each way in which a layer is computed: [ways * N, C, H, W]."""
    return x if ways == 1 else x.repeat(ways, 1, 1, 1).contiguous(memory_format=torch.channels_last)


def _in_regions(x: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """[(1 + K) * N, C, H, W] -> [N, C, H, W]: the first maps, and in each region their change to its own."""
    if not masks:
        return x
    first, *others = x.chunk(1 + len(masks))
    mixed = first
    for mask, other in zip(masks, others, strict=True):
        mixed = torch.addcmul(mixed, mask.to(x.dtype), other - first)
    return mixed


def _normalise(x: Tensor) -> Tensor:
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def fast_dtype(device: torch.device) -> torch.dtype:
    """The dtype in which this device convolves fastest: bfloat16 where it has instructions for it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return torch.bfloat16
    return torch.float32
