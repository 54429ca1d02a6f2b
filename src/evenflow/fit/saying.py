"""Names and cells of other people's tables in our sentences: whole no longer than a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Characters of a name or a cell that are shown; names of a list.
LONG, MANY = 60, 6


def shown(value: Any, most: int = LONG) -> str:
    """As Python writes it, cut to `most` characters: `repr` escapes all that is not printable.

    NumPy's numbers as plain ones: 1, not np.int64(1).
    """
    plain = value.item() if hasattr(value, "item") and not isinstance(value, str) else value
    if isinstance(plain, (bool, int, float)):
        return repr(plain) if len(repr(plain)) <= most else f"{repr(plain)[:most]}…"
    text = str(plain)
    return repr(text if len(text) <= most else f"{text[:most]}…")


def listed(values: Iterable[Any], most: int = MANY) -> str:
    """The first `most` of them, and how many more there are."""
    found = list(values)
    told = ", ".join(map(shown, found[:most]))
    return told if len(found) <= most else f"{told}, … (+{len(found) - most})"
