"""The user's metric, read off what the script printed."""

from __future__ import annotations

import math
import re
from collections import deque
from pathlib import Path


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern of `--metric`. ValueError unless it is one with exactly one number to catch."""
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"--metric {pattern!r} is no regular expression: {error}.") from None
    if found.groups > 1 and "value" not in found.groupindex:
        raise ValueError(
            f"--metric {pattern!r} catches {found.groups} things; it must have one pair of "
            "parentheses around the number, as in 'acc ([0-9.]+)', or a group named value."
        )
    return found


def last(pattern: re.Pattern[str], text: str) -> float | None:
    """The number of the last match; None if there is no match or it is not a finite number.

    The group named "value", else the only group, else the whole match; "95.2%" counts as 95.2.
    """
    matches = deque(pattern.finditer(text), maxlen=1)
    if not matches:
        return None
    found = matches[0]
    names = pattern.groupindex
    caught = found.group("value" if "value" in names else min(1, pattern.groups))
    try:
        value = float((caught or "").strip().rstrip("%").replace("_", "x"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read(pattern: re.Pattern[str] | None, path: Path) -> float | None:
    """The same of a file, which need not be there; undecodable bytes are passed over."""
    if pattern is None or not path.is_file():
        return None
    return last(pattern, path.read_text(encoding="utf-8", errors="replace"))
