"""Image distance for embedding: a model's own discriminator (it ships with the generator), or VGG-16.

Both take pictures [N, 3, H, W] in [-1, 1] and compare feature maps with those of one target.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.checkpoints.cards import checkpoint_folder
from facelab.checkpoints.weights import check_stated_sha256
from facelab.errors import BadWeights
from facelab.generators.discriminator import Discriminator

VGG16_FILE = "vgg16-397923af.pth"  # torchvision's ImageNet weights; the name ends in the first digits of the SHA-256
VGG16_SIZE = 256  # Image2StyleGAN, section 5.2: pictures are resized to 256 px
VGG16_CHANNELS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512)  # as far as conv4_2
VGG16_LAYERS = {"conv1_1": 0, "conv1_2": 2, "conv3_2": 12, "conv4_2": 19}  # Image2StyleGAN, equation 2
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

Distance = Callable[[Tensor], Tensor]


def discriminator_distance(
    discriminator: Discriminator, target: Tensor, *, layers: Sequence[int] | None = None
) -> Distance:
    """Distance to `target` [1, 3, R, R] in the outputs of the discriminator's blocks (Larsen et al. 2016, equation 7).

    Each block's mean squared difference is divided by the target's mean square, so that all blocks count alike, and
    averaged over the blocks: 0 for the same picture, about 1 for an unrelated one. layers: only these blocks, 0 the
    finest. Pictures of another size than the discriminator's pass the same blocks; a target [N, 3, R, R] is one for
    each picture. Returns float32 [N].
    """

    def seen(images: Tensor) -> list[Tensor]:
        return _chosen(discriminator.features(images, entrance=discriminator.resolution), layers)

    with torch.no_grad():
        goals = [goal.float() for goal in seen(target)]
        weights = [1 / (len(goals) * goal.square().flatten(1).mean(dim=1)) for goal in goals]

    return lambda images: _weighted_squares(seen(images), goals, weights)


def vgg16_distance(network: Vgg16, target: Tensor, *, layers: Sequence[int] | None = None) -> Distance:
    """Distance to `target` [1, 3, R, R] as Image2StyleGAN's equation 2, with lambda_j = 1. Returns float32 [N].

    layers: only these of the four, 0 the finest. A target [N, 3, R, R] is one for each picture.
    """
    with torch.no_grad():
        goals = _chosen(network(target), layers)
    return lambda images: _weighted_squares(_chosen(network(images), layers), goals, [1.0] * len(goals))


def _chosen(features: list[Tensor], layers: Sequence[int] | None) -> list[Tensor]:
    return features if layers is None else [features[layer] for layer in layers]


def _weighted_squares(features: list[Tensor], goals: list[Tensor], weights: list) -> Tensor:
    terms = [
        weight * (feature.float() - goal).square().flatten(1).mean(dim=1)
        for feature, goal, weight in zip(features, goals, weights, strict=True)
    ]
    return torch.stack(terms).sum(dim=0)


class Vgg16(nn.Module):
    """The features of VGG-16 that Image2StyleGAN compares: conv1_1, conv1_2, conv3_2 and conv4_2.

    Takes pictures [N, 3, H, W] in [-1, 1]; they are brought to ImageNet's normalisation ((x + 1) / 2, less the mean,
    by the deviation) and, above 256 px, averaged down to 256 px; smaller pictures are compared at their own size.
    The features are those after the ReLU, as in the published TensorFlow port of the method and in LPIPS (the paper
    does not say). Parameters have torchvision's names, `features.<index>.weight`.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in VGG16_CHANNELS:
            if width == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The four layers' feature maps, float32 [N, C, H', W'], finest first."""
        if images.shape[-1] > VGG16_SIZE:
            images = F.interpolate(images, size=(VGG16_SIZE, VGG16_SIZE), mode="area")
        x = ((images.float() + 1) / 2 - self.mean) / self.deviation
        wanted = [index + 1 for index in VGG16_LAYERS.values()]  # the ReLU behind each convolution
        kept = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in wanted:
                kept.append(x)
        return kept


def vgg16_places() -> list[Path]:
    """Where the weights of VGG-16 are looked for: the checkpoints folder, then torch hub's cache."""
    hub = Path(torch.hub.get_dir()) / "checkpoints"
    return [folder / VGG16_FILE for folder in (checkpoint_folder(), hub)]


def has_vgg16() -> bool:
    """Whether the weights of VGG-16 are on this machine."""
    return any(path.is_file() for path in vgg16_places())


def load_vgg16(*, device: torch.device | str = "cpu") -> Vgg16:
    """VGG-16 with torchvision's ImageNet weights, frozen. Runs no code of the file.

    Raises BadWeights when the file is in neither place, its SHA-256 is not the one that its name states, or its
    tensors do not fit.
    """
    path = next((path for path in vgg16_places() if path.is_file()), None)
    if path is None:
        raise BadWeights(
            f"The weights of VGG-16 are not here. Put {VGG16_FILE} (torchvision, 553 MB) into the checkpoints folder, "
            "or compare by the discriminator's features."
        )
    network = Vgg16()
    network.load_state_dict(read_vgg16(path))
    return network.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)


def read_vgg16(path: Path) -> dict[str, Tensor]:
    """The convolutions up to conv4_2, from a torchvision file whose name ends in the first digits of its SHA-256."""
    check_stated_sha256(path)
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return {name: tensors[name] for name in Vgg16().state_dict()}
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError, OSError) as cause:
        raise BadWeights(
            f"{path.name} does not hold the weights of torchvision's VGG-16. Fetch the file again."
        ) from cause
