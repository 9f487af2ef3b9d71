"""The one way in which a number that somebody gives is checked."""

from __future__ import annotations

import math
from typing import Any

from facelab.errors import BadSetting


def between(name: str, value: Any, low: float, high: float) -> float:
    """A number from low to high. Raises BadSetting, by the name that the caller knows, for anything else."""
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high:
        raise BadSetting(f"{name} must lie between {low:g} and {high:g}, not {str(value)[:24]}.")
    return number
