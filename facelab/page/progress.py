"""How far long work is, as the page's widgets tell it."""

from __future__ import annotations

from typing import Any

TOLD_SECONDS = 0.2  # at most so often goes progress to the browser


def running(text: str, fraction: float) -> dict[str, Any]:
    """What a widget with a bar shows while something is under way. fraction: of it that is done, 0 to 1."""
    return {"state": "running", "text": text, "fraction": round(fraction, 3)}
