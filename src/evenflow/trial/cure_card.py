"""A cure in a notebook."""

from __future__ import annotations

from ..report import esc, tag
from ..views import card, line
from .record import Cure
from .rendering import found, heads, said, to_do, tried

_KINDS = {"healthy": "healthy", "cured": "healthy", "improved": "warning", "unproven": "warning"}
#: Rows of trials shown, the last: the proof is among them.
_ROWS = 12


def cure_html(cure: Cure) -> str:
    """Verdict, what was chosen with its figures, the latest trials, what is left to do."""
    rows = "".join(tag("tr", *(tag("td", esc(c)) for c in row)) for row in tried(cure)[-_ROWS:])
    head = tag("tr", *(tag("th", esc(name)) for name in heads()))
    parts = [line(f"{name} {text}") for name, text in found(cure)]
    parts += [tag("table", head, rows)] if rows else []
    for name, text in to_do(cure):
        parts.append(line(name, quiet=True))
        parts.append(
            tag(
                "pre",
                "\n".join(esc(row) for row in text),
                style="margin: 2px 0 4px; overflow-x: auto",
            )
        )
    return card(_KINDS.get(cure.verdict, "sick"), said(cure), "", *parts)
