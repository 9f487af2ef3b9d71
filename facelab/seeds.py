"""Seeds of what is random: one range for the page, the command line, the API, recipes and Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelab.errors import BadSetting

if TYPE_CHECKING:
    import torch

MAX_SEED = 2**32 - 1


def seeded(seed: int) -> torch.Generator:
    """Random numbers that are the same for the same seed. Raises BadSetting for a seed outside 0 to MAX_SEED."""
    import torch

    if not 0 <= seed <= MAX_SEED:
        raise BadSetting(f"A seed lies between 0 and {MAX_SEED}. {str(seed)[:24]} does not.")
    return torch.Generator().manual_seed(seed)
