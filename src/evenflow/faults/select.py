"""Choose rules by code or prefix, as ruff does. Some of them cannot tell that a run is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..lang import _, sentences
from ..nearby import did_you_mean
from .registry import REGISTRY


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


class Asked(NamedTuple):
    """A choice of rules that leaves some out.

    Attributes:
        words: what was asked for, as it was typed ("EF1", "all but EF501").
        codes: of the rules that were asked.
        all: how many rules there are.
    """

    words: str
    codes: tuple[str, ...]
    all: int

    @property
    def said(self) -> str:
        """What may be claimed where none of them found a fault."""
        return _("no fault among {words}: {count} of {all} rules asked").format(
            words=self.words, count=len(self.codes), all=self.all
        )


def asked(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Asked | None:
    """The choice that `select` and `ignore` make; None if every rule was asked.

    Raises:
        ValueError: an entry that no code begins with.
    """
    codes = select_codes(tuple(REGISTRY), select, ignore)
    if len(codes) == len(REGISTRY):
        return None
    words = ", ".join(entry.upper() for entry in select)
    left = ", ".join(entry.upper() for entry in ignore)
    if left:
        without = _("all but {codes}") if not words else _("{words} but {codes}")
        words = without.format(words=words, codes=left)
    return Asked(words, tuple(c for c in REGISTRY if c in codes), len(REGISTRY))
