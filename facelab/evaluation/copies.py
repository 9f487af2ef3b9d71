"""Whether a generator copies people: how near its faces come to those it was trained on."""

from __future__ import annotations

import numpy as np

QUANTILE = 0.01  # of unseen portraits' distances: nearer than this counts as a copy


def nearest_distances(vectors: np.ndarray, others: np.ndarray, *, block: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each vector [N, D] to the nearest of others [M, D], float [N], and which it is, int [N]."""
    squares = np.square(others, dtype=np.float64).sum(axis=1)
    distances, indices = [], []
    for part in np.array_split(vectors, max(1, len(vectors) // block)):
        products = part.astype(np.float64) @ others.T.astype(np.float64)
        squared = np.square(part, dtype=np.float64).sum(axis=1)[:, None] + squares - 2 * products
        indices.append(squared.argmin(axis=1))
        distances.append(np.sqrt(np.maximum(squared.min(axis=1), 0)))
    return np.concatenate(distances), np.concatenate(indices)


def copies(samples: np.ndarray, unseen: np.ndarray, trained: np.ndarray) -> dict[str, float] | None:
    """The share of samples that lie nearer to a training face than all but 1 percent of unseen people do.

    All are dlib's vectors [N, 128]. threshold: that distance. nearest_median: of the samples. None where there are no
    vectors of one of the three.
    """
    if not min(len(samples), len(unseen), len(trained)):
        return None
    threshold = float(np.quantile(nearest_distances(unseen, trained)[0], QUANTILE))
    nearest = nearest_distances(samples, trained)[0]
    return {
        "share": round(float((nearest < threshold).mean()), 4),
        "threshold": round(threshold, 4),
        "nearest_median": round(float(np.median(nearest)), 4),
        "nearest_median_unseen": round(float(np.median(nearest_distances(unseen, trained)[0])), 4),
    }
