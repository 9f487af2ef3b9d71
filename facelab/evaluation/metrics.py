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
