"""Distances between sets of faces."""

from __future__ import annotations

import numpy as np

from facelab.errors import BadSetting


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Frechet distance of the normal distributions fitted to two sets of vectors (Dowson and Landau 1982).

    first [N, D], second [M, D], each with more rows than one. |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
    """
    if min(len(first), len(second)) < 2:
        raise BadSetting("A Frechet distance needs at least two vectors on each side.")
    first, second = (np.asarray(values, np.float64) for values in (first, second))
    covariances = [np.cov(values, rowvar=False).reshape(values.shape[1], -1) for values in (first, second)]
    # tr (C1 C2)^(1/2) = tr (R C2 R)^(1/2) with R = C1^(1/2): symmetric, so eigenvalues are real and exact enough
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariances[1] @ root)
    mean = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    traces = np.trace(covariances[0]) + np.trace(covariances[1])
    return float(mean + traces - 2 * np.sqrt(np.maximum(product, 0)).sum())


def as_shapes(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks [N, 68, 2] without place and size: [N, 136], centred, of root mean square 1 over the points."""
    centred = np.asarray(landmarks, np.float64) - np.mean(landmarks, axis=1, keepdims=True)
    size = np.sqrt(np.square(centred).sum(axis=2).mean(axis=1))
    return (centred / size[:, None, None]).reshape(len(centred), -1)


def face_score(logits: np.ndarray) -> float:
    """The Inception Score of faces (after Salimans et al. 2016): the mean over attributes of the binary score, 1 to 2.

    logits [N, K]: how sure a judge is of each attribute. exp(E KL(p(y|x) || p(y))) with two classes: 1 where all faces
    are alike or nothing can be told of them, 2 where every face is clear and half of them have it.
    """
    logits = np.asarray(logits, np.float64)
    if len(logits) < 2:
        raise BadSetting("A score of variety needs at least two faces.")
    sure = 1 / (1 + np.exp(-logits))
    told = _entropy(sure.mean(axis=0)) - _entropy(sure).mean(axis=0)
    return float(np.exp(told).mean())


def laplacian_variance(images: np.ndarray) -> float:
    """Sharpness: the mean over pictures, uint8 [N, R, R, 3], of the variance of the Laplacian of 8-bit grey.

    As OpenCV's cvtColor and Laplacian with a 3 x 3 kernel, borders mirrored: what the VAE/GAN comparison reports.
    """
    grey = np.round(np.asarray(images, np.float64) @ (0.299, 0.587, 0.114))
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    sides = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return float((sides - 4 * grey).var(axis=(1, 2)).mean())


def mean_pairwise_distance(vectors: np.ndarray) -> float:
    """Variety: the mean Euclidean distance of all pairs of [N, D]."""
    vectors = np.asarray(vectors, np.float64)
    if len(vectors) < 2:
        raise BadSetting("A mean distance of pairs needs at least two vectors.")
    squares = np.square(vectors).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0))
    return float(distances.sum() / (len(vectors) * (len(vectors) - 1)))


def _entropy(share: np.ndarray) -> np.ndarray:
    """Of a yes or no, in nats."""
    share = np.clip(share, 1e-12, 1 - 1e-12)
    return -(share * np.log(share) + (1 - share) * np.log(1 - share))
