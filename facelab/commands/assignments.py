"""What the command line takes as `name=value`, and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from facelab.errors import BadSetting


def assignment_of(text: str, example: str) -> tuple[str, str]:
    """Both sides of `name=value`. Raises BadSetting, with an example, for anything else."""
    name, sign, value = text.partition("=")
    if not (name.strip() and sign and value.strip()):
        raise BadSetting(f"{text[:40]!r} is not of the kind {example}.")
    return name.strip(), value.strip()


def assignments_of(texts: Iterable[str], example: str) -> dict[str, str]:
    """Several of the kind `name=value`, by name. Raises BadSetting for another kind or a name that comes twice."""
    named: dict[str, str] = {}
    for name, value in (assignment_of(text, example) for text in texts):
        if named.setdefault(name, value) != value:
            raise BadSetting(f"{name} is given twice, as {named[name][:40]} and as {value[:40]}. Leave one out.")
    return named


def number_of(text: str, where: str) -> float:
    """A finite number. Raises BadSetting, which says where it stood, for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadSetting(f"{where}: {text[:40]!r} is not a number.")
    return value
