"""Pictures and what networks see of them: nothing is lost on the way there and back."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from facelab.pixels import as_images, as_pixels


def test_every_colour_comes_back_and_memory_that_may_not_be_written_is_taken_quietly() -> None:
    pictures = np.arange(256, dtype=np.uint8).repeat(6).reshape(2, 16, 16, 3)
    pictures.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = as_images(pictures)
    assert images.shape == (2, 3, 16, 16) and images.is_contiguous(memory_format=torch.channels_last)
    assert images.min() == -1 and images.max() == 1
    assert np.array_equal(as_pixels(images), pictures)
    assert set(np.unique(as_pixels(images.sign()))) == set(np.unique(as_pixels(3 * images.sign()))) == {0, 255}
