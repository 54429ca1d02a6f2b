"""Which rules were asked: some of them cannot tell that a run is healthy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..lang import _
from .registry import REGISTRY
from .select import select_codes


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
