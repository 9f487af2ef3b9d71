"""Names that people give, or that files bring, as they can be shown and kept."""

from __future__ import annotations


def clean_name(text: object, length: int) -> str:
    """A name in one line, no longer than `length`, without what UTF-8 cannot say: halves of characters, which JSON can
    bring and no page could be told.
    """
    return " ".join(str(text).encode("utf-8", "ignore").decode("utf-8").split())[:length]
