"""The latent space as a picture: many drawn faces, each at a place of a plane, near to those whose latents are near."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facelab.errors import BadSetting
from facelab.face import Face, Latent

METHODS = {"pca": "Principal components", "tsne": "t-SNE"}
THUMB = 64  # pixels
PERPLEXITY = 30  # of t-SNE: about how many neighbours count


@dataclass(eq=False)
class LatentMap:
    """Drawn faces of one model, the same for every visitor.

    model, sha256, space: what the latents belong to. latents: float32 [N, L, D]. thumbnails: uint8
    [N, THUMB, THUMB, 3]. seen: float32 [N, 40], how sure the judge is of each attribute, 0 to 1.
    """

    model: str
    sha256: str
    space: str
    latents: Tensor
    thumbnails: np.ndarray
    seen: np.ndarray
    _places: dict[str, tuple[np.ndarray, float | None]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __len__(self) -> int:
        return len(self.latents)

    def face(self, index: int) -> Face:
        """One of the faces, to edit and save."""
        return Face(Latent(self.latents[index], self.space, self.model), model_sha256=self.sha256)

    def places(self, method: str) -> tuple[np.ndarray, float | None]:
        """Where the faces lie, float32 [N, 2] in [0, 1], and the share of all variance that is seen (None for t-SNE).

        method: of METHODS; computed once. Raises BadSetting for another.
        """
        if method not in METHODS:
            raise BadSetting(f"A map is made by {' or '.join(METHODS)}, not {str(method)[:20]!r}.")
        with self._lock:
            if method not in self._places:
                values = self.latents.flatten(1)
                places, share = principal_components(values) if method == "pca" else (neighbour_embedding(values), None)
                self._places[method] = in_a_square(places), share
            return self._places[method]


def principal_components(values: Tensor) -> tuple[np.ndarray, float]:
    """float [N, D] on the two axes of largest variance: float32 [N, 2], and the share of the variance that they hold.

    Each axis points to where its longest component is positive, so that a map does not flip between runs.
    """
    centred = (values - values.mean(dim=0)).double()
    _, lengths, axes = torch.linalg.svd(centred, full_matrices=False)
    two = axes[:2]
    two = two * two.gather(1, two.abs().argmax(dim=1, keepdim=True)).sign()
    share = lengths[:2].square().sum() / lengths.square().sum().clamp_min(1e-30)
    return (centred @ two.T).float().numpy(), float(share)


def neighbour_embedding(values: Tensor) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of float [N, D] by scikit-learn, from the principal components: [N, 2]."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, max(2, (len(values) - 1) // 3))
    return TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(values.numpy())


def in_a_square(places: np.ndarray) -> np.ndarray:
    """Places [N, 2] moved and scaled into [0, 1], the same for both axes, so that distances stay comparable."""
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(float((high - low).max()), 1e-12)
    return ((places - (low + high) / 2) / side + 0.5).astype(np.float32)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """uint8 [R, R, 3] at THUMB pixels."""
    if len(picture) == THUMB:
        return picture
    return np.asarray(Image.fromarray(picture).resize((THUMB, THUMB), Image.Resampling.LANCZOS))


def apart(places: np.ndarray, distance: float) -> list[int]:
    """Which of places [N, 2] can be shown as pictures: in their order, none nearer than `distance` to one before, along
    both axes.
    """
    chosen: list[int] = []
    for index, place in enumerate(places):
        if not chosen or (np.abs(places[chosen] - place).max(axis=1) >= distance).all():
            chosen.append(index)
    return chosen
