"""The Inception Score (Salimans et al. 2016) as papers report it, where torch-fidelity and its weights are here.

torch-fidelity would fetch the weights, and unpickle them without a check: here they are read as tensors only, from a
file that somebody has put in place, and its SHA-256 must be the one that its name states.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import checkpoint_folder
from facelab.checkpoints.weights import check_stated_sha256, read_weights

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"  # torch-fidelity's, of TensorFlow's 2015 network
ABSENT = (
    f"Needs the package torch-fidelity and Inception's weights, {INCEPTION_FILE}, "
    "in the checkpoints folder; the face score is the same measure with the judge's eyes."
)


def inception_places() -> list[Path]:
    """Where the weight file is looked for: the checkpoints folder, then torch.hub's cache."""
    return [checkpoint_folder() / INCEPTION_FILE, Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE]


def load_inception(*, device: torch.device | str = "cpu") -> nn.Module | None:
    """Inception as the score is defined with, frozen: uint8 [N, 3, H, W] -> ([N, 1008],); None where it is not here.

    Raises BadWeights for a damaged file.
    """
    path = next((path for path in inception_places() if path.is_file()), None)
    if path is None or importlib.util.find_spec("torch_fidelity") is None:
        return None
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    check_stated_sha256(path)
    checked = io.BytesIO()
    torch.save(read_weights(path), checked)  # the package unpickles what it is given: tensors that we have read
    checked.seek(0)
    network = FeatureExtractorInceptionV3("inception", ["logits_unbiased"], feature_extractor_weights_path=checked)
    return network.eval().requires_grad_(False).to(device)


@torch.inference_mode()
def inception_score(network: nn.Module, images: Sequence[np.ndarray], *, batch: int = 32) -> float:
    """The score of pictures uint8 [R, R, 3] each, in one group (papers take ten groups of 5,000)."""
    logits = []
    for first in range(0, len(images), batch):
        part = torch.from_numpy(np.stack(images[first : first + batch])).permute(0, 3, 1, 2)
        logits.append(network(part)[0])
    return score_of_logits(torch.cat(logits))


def score_of_logits(logits: Tensor) -> float:
    """exp(E KL(p(y|x) || p(y))) of logits [N, K]: 1 where nothing differs, K where all classes are seen alike."""
    told = logits.double().log_softmax(dim=1)
    mean = told.exp().mean(dim=0).clamp_min(1e-300).log()
    return float((told.exp() * (told - mean)).sum(dim=1).mean().exp())
