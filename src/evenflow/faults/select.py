"""Choose rules by code or prefix, as ruff does."""

from __future__ import annotations

from collections.abc import Sequence

from ..lang import _, sentences
from ..nearby import did_you_mean


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
    near = did_you_mean(entry.upper(), [*codes, *groups], 3, str)
    hint = near or _("groups are {groups}.").format(groups=", ".join(groups))
    said = _("no rule's code begins with {entry!r}: {hint}").format(entry=entry, hint=hint)
    return sentences((said, _("`evenflow rules` lists them all.")))
