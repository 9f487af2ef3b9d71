"""StyleGAN2's residual discriminator (Karras et al. 2020, section 4.1), with the published parameter names.

Besides judging pictures it lends its features to embedding: a perceptual distance that ships with the generator
(Larsen et al. 2016).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.generators.layers import Conv2d, FullyConnected, fir_filter

DOWNSAMPLING = ("fir", "average")


def channels_at(resolution: int, *, channel_base: int, channel_max: int) -> int:
    """The number of feature maps of a StyleGAN2 layer at `resolution`."""
    return min(channel_base // resolution, channel_max)


class MinibatchDeviation(nn.Module):
    """Appends the standard deviation over groups of pictures as one more map (Karras et al. 2018, section 3): over
    groups as large as the batch divides into, up to `group_size`.
    """

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        count, _, height, width = x.shape
        group = max(size for size in range(1, self.group_size + 1) if count % size == 0)
        grouped = x.float().reshape(group, -1, *x.shape[1:])
        variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)  # 3 times faster than var()
        deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
        maps = deviation.repeat(group).reshape(count, 1, 1, 1).expand(count, 1, height, width)
        return torch.cat([x, maps.to(x.dtype)], dim=1)


class DiscriminatorBlock(nn.Module):
    """Two convolutions and a shortcut: [N, C, H, W] -> [N, C', H / 2, W / 2]."""

    def __init__(
        self, in_channels: int, out_channels: int, *, image_channels: int, downsample: str, clamp: float | None
    ) -> None:
        super().__init__()
        self.register_buffer("resample_filter", fir_filter())
        if image_channels:
            self.fromrgb = Conv2d(image_channels, in_channels, 1, activation=True, clamp=clamp)
        self.conv0 = Conv2d(in_channels, in_channels, 3, activation=True, clamp=clamp)
        self.conv1 = Conv2d(in_channels, out_channels, 3, activation=True, down=2, downsample=downsample, clamp=clamp)
        self.skip = Conv2d(in_channels, out_channels, 1, bias=False, down=2, downsample=downsample)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.skip(x, gain=math.sqrt(0.5))
        return self.conv1(self.conv0(x), gain=math.sqrt(0.5)) + shortcut


class DiscriminatorEpilogue(nn.Module):
    """The last 4 x 4 pixels to one number: [N, C, 4, 4] -> [N, 1] (or [N, D], for the product with a label)."""

    def __init__(self, channels: int, *, out_features: int, clamp: float | None, group_size: int) -> None:
        super().__init__()
        self.mbstd = MinibatchDeviation(group_size)
        self.conv = Conv2d(channels + 1, channels, 3, activation=True, clamp=clamp)
        self.fc = FullyConnected(channels * 16, channels, activation=True)
        self.out = FullyConnected(channels, out_features)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.float16 else x
        x = self.conv(self.mbstd(x)).float()
        return self.out(self.fc(x.flatten(1)))


class Discriminator(nn.Module):
    """How real a picture looks: images [N, 3, R, R] in [-1, 1] -> logits [N, 1].

    downsample: "fir" as published, or "average", 2 x 2 pixels before the convolution. compute_dtype: that of the
    convolutions (bfloat16 where the processor has it); the last layers are always float32. grow_from: pictures of
    this resolution and its doublings are taken, too, by a `fromrgb` each (progressive growing); 0 for none.
    """

    def __init__(
        self,
        resolution: int,
        *,
        image_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        downsample: str = "fir",
        clamp: float | None = None,
        group_size: int = 4,
        grow_from: int = 0,
    ) -> None:
        if downsample not in DOWNSAMPLING:
            raise ValueError(f"downsample must be one of {', '.join(DOWNSAMPLING)}, not {downsample!r}")
        super().__init__()
        self.resolution = resolution
        self.compute_dtype = torch.float32
        self.block_resolutions = [2**level for level in range(int(math.log2(resolution)), 2, -1)]
        channels = {
            size: channels_at(size, channel_base=channel_base, channel_max=channel_max)
            for size in [*self.block_resolutions, 4]
        }
        for size in self.block_resolutions:
            self.add_module(
                f"b{size}",
                DiscriminatorBlock(
                    channels[size],
                    channels[size // 2],
                    image_channels=image_channels if size >= (grow_from or resolution) else 0,
                    downsample=downsample,
                    clamp=clamp,
                ),
            )
        self.b4 = DiscriminatorEpilogue(channels[4], out_features=1, clamp=clamp, group_size=group_size)

    def features(self, images: Tensor, alpha: float = 1.0, *, entrance: int | None = None) -> list[Tensor]:
        """The output of every block, finest first: [N, C, R / 2, R / 2], ..., [N, C, 4, 4], in the compute dtype.

        alpha: below 1, the newest block fades in: the next one gets the rest from the picture at half the resolution.
        entrance: the resolution of the first block, by default the pictures' own; as convolutions, blocks take others.
        """
        entrance = entrance or images.shape[-1]
        x = images.to(dtype=self.compute_dtype, memory_format=torch.channels_last)
        coarse = F.avg_pool2d(x, 2) if alpha < 1 else None
        x = getattr(self, f"b{entrance}").fromrgb(x)
        features = []
        for size in self.block_resolutions[self.block_resolutions.index(entrance) :]:
            x = getattr(self, f"b{size}")(x)
            if coarse is not None:
                x, coarse = torch.lerp(getattr(self, f"b{size // 2}").fromrgb(coarse), x, alpha), None
            features.append(x)
        return features

    def forward(self, images: Tensor, alpha: float = 1.0) -> Tensor:
        return self.b4(self.features(images, alpha)[-1])
