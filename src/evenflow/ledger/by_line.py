"""The ledger by lines of the script: what each line's operations made of the error together."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..lang import _
from ..schema import Where
from .factors import LedgerRecord

#: Lines that are told.
_MOST = 5


class LineGain(NamedTuple):
    """The links of one op that one line of the script made or ran, and their decades in total."""

    where: Where
    op: str
    links: int
    decades: float


def by_line(ledger: LedgerRecord) -> list[LineGain]:
    """Lines of the script on the way, those first that did most of what happened in total."""
    found: dict[tuple[str, int, str], list[tuple[Where, float]]] = {}
    for link in ledger.links:
        where = next(iter(ledger.lines.get(link.name, ())), None)
        if where is not None and link.op != "block":
            found.setdefault((where.file, where.line, link.op), []).append((where, link.gain))
    out = [
        LineGain(same[0][0], op, len(same), sum(gain for _where, gain in same))
        for (_file, _line, op), same in found.items()
    ]
    sign = -1 if ledger.gain < 0 else 1
    return sorted(out, key=lambda g: math.inf if math.isnan(g.decades) else -sign * g.decades)


def told(ledger: LedgerRecord) -> list[str]:
    """The same in words; [] where the run knows no lines."""
    gains = by_line(ledger)[:_MOST]
    if not gains:
        return []
    out = ["", _("by lines of the script, in decades:")]
    for gain in gains:
        size = f"{gain.decades:+.1f}".replace("-", "−")
        out.append(f"{size:>8}  {gain.where.place}  {gain.links} × {gain.op}")
    return out
