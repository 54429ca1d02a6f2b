"""Choose rules by code or prefix, as ruff does."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..lang import _


def select_codes(
    codes: Sequence[str], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> frozenset[str]:
    """The codes that begin with an entry of `select` (all if empty) and with none of `ignore`.

    Raises:
        ValueError: an entry that no code begins with; it names close matches.
    """
    for entry in (*select, *ignore):
        if not entry or not any(c.startswith(entry.upper()) for c in codes):
            raise ValueError(_unknown(entry, codes))
    wanted = tuple(e.upper() for e in select) or ("",)
    unwanted = tuple(e.upper() for e in ignore)
    return frozenset(c for c in codes if c.startswith(wanted) and not c.startswith(unwanted))


def _unknown(entry: str, codes: Sequence[str]) -> str:
    groups = sorted({c[:3] for c in codes})
    close = difflib.get_close_matches(entry.upper(), [*codes, *groups], n=3, cutoff=0.6)
    if close:
        said = _(
            "no rule's code begins with {entry!r}: did you mean {close}? "
            "`evenflow rules` lists them all."
        )
    else:
        said = _(
            "no rule's code begins with {entry!r}: groups are {groups}. "
            "`evenflow rules` lists them all."
        )
    return said.format(entry=entry, close=", ".join(close), groups=", ".join(groups))
