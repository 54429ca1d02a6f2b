"""Text that anybody may have written, made safe to show: no control character reaches a reader."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# C0, DEL and C1; marks that turn or hide what stands beside them (bidi, zero-width, tags); line
# separators; lone surrogates, which no stream can write.
_ODD = (
    "\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_ONE_LINE = re.compile(f"[{_ODD}]")
_LINES = re.compile(f"(?![\n\t])[{_ODD}]")
#: Characters of a name or a cell that are shown; names of a list.
LONG, MANY = 60, 6


def visible(text: str, lines: bool = False) -> str:
    """The same text with what cannot be seen written out, as Python writes it: `\\x1b`, `\\u202e`.

    A terminal obeys such characters: they clear it, retitle it, forge lines of ours. `lines` keeps
    newlines and tabs.

    >>> visible("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    odd = _LINES if lines else _ONE_LINE
    return odd.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


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
