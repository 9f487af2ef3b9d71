"""Pictures of several sizes, brought to one, so that models can be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from facelab.errors import BadSetting


def at_size(images: Sequence[np.ndarray], side: int) -> list[np.ndarray]:
    """Square pictures averaged down to `side` pixels. Raises BadSetting for smaller ones: nothing is made up."""
    if images[0].shape[0] == side:
        return list(images)
    if images[0].shape[0] < side:
        raise BadSetting(f"Pictures of {images[0].shape[0]} px cannot be compared at {side} px. Choose a smaller side.")
    return [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX)) for image in images]
