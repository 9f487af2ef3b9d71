"""FaceNet's vectors (Schroff et al. 2015) by facenet-pytorch's network, where somebody has put its weights.

facenet-pytorch would fetch them, and unpickle them without a check: here they are read as tensors only.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.checkpoints.cards import checkpoint_folder
from facelab.checkpoints.weights import fill, read_weights
from facelab.errors import BadWeights

FACENET_FILE = "20180402-114759-vggface2.pt"  # of facenet-pytorch's release 2.2.9, trained on VGGFace2
SIDE, CHUNK = 160, 32  # pixels that the network takes; faces of one pass
# What MTCNN frames in an aligned picture, in its sides: the median over 60 generated faces, within 0.03 of each.
LEFT, TOP, RIGHT, BOTTOM = 0.235, 0.185, 0.766, 0.913


def facenet_places() -> list[Path]:
    """Where the weight file is looked for: the checkpoints folder, then torch.hub's cache."""
    return [checkpoint_folder() / FACENET_FILE, Path(torch.hub.get_dir()) / "checkpoints" / FACENET_FILE]


def load_facenet(*, device: torch.device | str = "cpu") -> nn.Module:
    """The network, frozen: float [N, 3, 160, 160] -> unit vectors [N, 512]. Raises BadWeights where the file is not
    here, damaged, or of another network.
    """
    path = next((path for path in facenet_places() if path.is_file()), None)
    if path is None:
        raise BadWeights(
            f"FaceNet's weights are not here. Put {FACENET_FILE} of facenet-pytorch's release 2.2.9 into the "
            "checkpoints folder, or use a circle that begins with dlib's vectors."
        )
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1(pretrained=None, classify=False)
    fill(network, {name: value for name, value in read_weights(path).items() if not name.startswith("logits.")})
    return network.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)


@torch.inference_mode()
def facenet_vectors(network: nn.Module, images: Tensor) -> Tensor:
    """Unit vectors [N, 512] on the CPU of aligned pictures [N, 3, R, R] in [-1, 1]."""
    device, side = next(network.parameters()).device, images.shape[-1]
    top, bottom, left, right = (round(place * side) for place in (TOP, BOTTOM, LEFT, RIGHT))
    parts = []
    for part in images[..., top:bottom, left:right].split(CHUNK):
        shown = F.interpolate(part.to(device).float(), (SIDE, SIDE), mode="bilinear", antialias=True)
        parts.append(network((shown * (127.5 / 128)).contiguous(memory_format=torch.channels_last)).cpu())
    return torch.cat(parts)
