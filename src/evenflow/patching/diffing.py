"""A unified diff of bytes, as `git apply` and `patch` read it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

_END = b"\n\\ No newline at end of file\n"


def diff_of(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> bytes:
    """One diff of all files that differ, line ends and missing last newlines kept.

    Args:
        before: bytes by path. after: the same paths, or some of them.

    Returns:
        The diff; empty where nothing differs.

    >>> from evenflow.patching import diff_of
    >>> print(diff_of({"a.py": b"x = 1\\n"}, {"a.py": b"x = 2\\n"}).decode(), end="")
    --- a/a.py
    +++ b/a.py
    @@ -1 +1 @@
    -x = 1
    +x = 2
    """
    parts = []
    for name in sorted(after):
        old, new = (side[name].split(b"\n") for side in (before, after))
        lines = difflib.diff_bytes(
            difflib.unified_diff,
            _lines(old),
            _lines(new),
            f"a/{name}".encode(),
            f"b/{name}".encode(),
        )
        parts += [line if line.endswith(b"\n") else line + _END for line in lines]
    return b"".join(parts)


def _lines(split: list[bytes]) -> list[bytes]:
    """With their ends; what follows the last newline is a line only if there is anything."""
    *whole, last = split
    return [line + b"\n" for line in whole] + ([last] if last else [])
