"""A forecast in a notebook."""

from __future__ import annotations

from ..report import tag
from ..views import card, line, picture_html, strip_of, told
from .record import Forecast
from .rendering import head, other_starts


def forecast_html(f: Forecast) -> str:
    """Verdict, what stands behind it, the first faults, other starts, the gradient by layer."""
    word, meaning, figures = head(f)
    starts = other_starts(f)
    return card(
        f.verdict,
        word,
        f"{f.name}: {meaning}",
        line(figures, quiet=True),
        told(f.run, f.findings),
        tag("div", *map(line, starts), style="margin-top: 8px") if starts else "",
        picture_html(strip_of(f.run)),
    )
