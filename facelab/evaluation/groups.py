"""Who is served well and who badly: figures by the judge's gender, age and skin tone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facelab.evaluation.edits import Look
from facelab.evaluation.embedding import Embedded, summarise

LEAST = 100  # faces a group: below it a share says little, and the figure says how few they were


def group_masks(real: Look) -> dict[str, np.ndarray]:
    """Groups of portraits, bool [N] each: by gender, by age (at the median), by thirds of the cheeks' tone (ITA)."""
    dark, light = np.quantile(real.scores["skin"], (1 / 3, 2 / 3))
    skin, age = real.scores["skin"], real.scores["age"]
    return {
        "feminine": real.scores["gender"] < 0,
        "masculine": real.scores["gender"] >= 0,
        "younger": age <= np.median(age),
        "older": age > np.median(age),
        "darker": skin < dark,
        "medium": (skin >= dark) & (skin < light),
        "lighter": skin >= light,
    }


def by_group(embedded: Sequence[Embedded], real: Look) -> dict[str, dict]:
    """`summarise` of each group's embeddings, with the number of faces in it."""
    figures = {}
    for name, mask in group_masks(real).items():
        chosen = [one for one, inside in zip(embedded, mask, strict=True) if inside]
        if chosen:
            figures[name] = {"faces": len(chosen), "enough": len(chosen) >= LEAST, **summarise(chosen)}
    return figures
