"""The ledger as a picture: the error's size from the loss to a layer, a bar for each factor."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..lang import N_, _, ngettext, whole
from ..ledger import (
    Block,
    Factor,
    Ledger,
    elasticity,
    fork_line,
    from_run,
    headline,
    parts_line,
    place,
    sentences,
    signed,
)
from ..schema import Run
from ..words import number
from .markup import and_more, esc, prose, row, scroll, short, svg_line, svg_text, table, tag

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT = 1000, 300, 62, 14, 8
_LABELLED = 26  # links, each with its name below
_FOOT = 104  # height of those names
_ROWS = 200  # of the table
_BARS = 400  # more links are drawn this many at most, neighbours together
_FORKS = 24
_Bar = tuple[str, str, float, float, str]  # short name, kind, received, sent, name
#: Kinds with a colour of their own, and how the legend calls them.
_KINDS = {
    "affine": N_("linear and convolution"),
    "activation": N_("activation"),
    "norm": N_("norm"),
    "block": N_("branches that meet"),
    "loss": N_("loss"),
    "recurrent": N_("recurrent"),
    "other": N_("other"),
}


def ledger_section(run: Run) -> str:
    """The ledger of the layer nearest the data at the last step; "" where there is none."""
    try:
        ledger = from_run(run)
    except ValueError:  # nothing was measured that it could be told from
        return ""
    return card(ledger) if len(ledger.links) > 1 else ""


def card(ledger: Ledger) -> str:
    """One ledger: what it says, the picture, the shares, the table."""
    factors = _("All {count} factors").format(count=len(ledger.links))
    if ledger.step is not None:
        factors = _("All {count} factors, step {step}").format(
            count=len(ledger.links), step=whole(ledger.step)
        )
    site = tag("code", esc(short(ledger.site, 60)))
    heading = esc(_("From the loss to {site}")).format(site=site)
    items = "".join(tag("li", prose(text)) for text in sentences(ledger))
    notes = "".join(tag("p", prose(note), class_="quiet") for note in ledger.notes)
    return tag(
        "section",
        tag("h2", heading, id="ledger"),
        tag("p", prose(headline(ledger)), class_="lead"),
        tag("ul", items, class_="told") if items else "",
        notes,
        tag("figure", tag("div", picture(ledger), class_="wide"), _legend(ledger), class_="fall"),
        _forks(ledger),
        tag("details", tag("summary", factors), _table(ledger)),
        class_="card",
        aria_labelledby="ledger",
    )


def picture(ledger: Ledger) -> str:
    """Inline SVG: log10 ‖δ‖ falling or rising from left (the loss) to right (the site)."""
    links = ledger.links
    bars = [(a.name, a.kind, a.received, a.sent, place(a)) for a in links]
    if len(links) > _BARS:
        bars = _together(links)
    levels = [_level(v) for bar in bars for v in bar[2:4]]
    known = [v for v in levels if v is not None]
    if not known:
        return tag("p", _("No finite error to draw."), class_="quiet")
    low, high = min(known), max(known)
    step = _tick(high - low)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    high = high if high > low else low + step
    labelled = len(bars) <= _LABELLED
    foot = _FOOT if labelled else 24
    inner = _WIDTH - _LEFT - _RIGHT

    def x(i: float) -> float:
        return _LEFT + inner * i / len(bars)

    def y(level: float) -> float:
        return _TOP + (_HEIGHT - _TOP) * (high - level) / (high - low)

    parts = []
    for k in range(round((high - low) / step) + 1):
        at = low + k * step
        parts.append(svg_line(_LEFT, y(at), _WIDTH - _RIGHT, y(at), "grid"))
        parts.append(svg_text(_LEFT - 8, y(at) + 4, _power(at), "end", "tick"))
    for i, bar in enumerate(bars):
        a, b = _level(bar[2]), _level(bar[3])
        if a is None:
            continue
        ground = low if b is None else b  # nothing is left: down to the ground
        parts.append(_bar(bar, x(i), x(i + 1), y(a), y(ground)))
        if labelled:
            parts.append(_label(bar[0], x(i + 0.5)))
    if not labelled:
        parts.append(svg_text(_LEFT, _HEIGHT + 18, _("the loss"), "start", "tick"))
        parts.append(svg_text(_WIDTH - _RIGHT, _HEIGHT + 18, short(ledger.site, 60), "end", "tick"))
    return tag(
        "svg", tag("title", esc(headline(ledger))), *parts,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT + foot}", role="img", class_="waterfall",
    )  # fmt: skip


def _bar(bar: _Bar, left: float, right: float, a: float, b: float) -> str:
    """From height a to height b, with a gap to its neighbours and its figures as a tooltip."""
    _name, kind, received, sent, name = bar
    gain = signed(_gain(_level(received), _level(sent)))
    title = _("{name}: {gain} decades, ‖δ‖ {received} → {sent}").format(
        name=name, gain=gain, received=number(received), sent=number(sent)
    )
    gap = min(2.0, (right - left) * 0.15)
    return tag(
        "rect", tag("title", esc(title)),
        x=f"{left + gap / 2:.1f}", y=f"{min(a, b) - 0.75:.1f}", width=f"{right - left - gap:.1f}",
        height=f"{abs(b - a) + 1.5:.1f}", class_=f"k-{_colour(kind)}",
    )  # fmt: skip


def _label(name: str, middle: float) -> str:
    turned = f"translate({middle + 4:.1f} {_HEIGHT + 14}) rotate(-42)"
    return tag("text", esc(short(name, 20)), text_anchor="end", class_="tick", transform=turned)


def _together(links: Sequence[Factor | Block]) -> list[_Bar]:
    out = []
    for k in range(_BARS):
        part = links[k * len(links) // _BARS : (k + 1) * len(links) // _BARS]
        kinds = {link.kind for link in part}
        kind = kinds.pop() if len(kinds) == 1 else "other"
        name = place(part[0])
        if len(part) > 1:
            name = _("{name} and {count} more").format(name=name, count=len(part) - 1)
        out.append((name, kind, part[0].received, part[-1].sent, name))
    return out


def _level(size: float) -> float | None:
    return math.log10(size) if 0 < size < math.inf else None


def _gain(a: float | None, b: float | None) -> float:
    return math.nan if a is None else -math.inf if b is None else b - a


def _tick(span: float) -> float:
    return next((s for s in (0.5, 1, 2, 5, 10, 20, 50) if span / s <= 7), 100)


def _power(level: float) -> str:
    return f"1e{level:.0f}" if abs(level) > 4 else number(float(f"{10**level:.1g}"))


def _colour(kind: str) -> str:
    return kind if kind in _KINDS else "loss" if kind == "softmax" else "other"


def _legend(ledger: Ledger) -> str:
    found: dict[str, float] = {}
    for link in ledger.links:
        colour = _colour(link.kind)
        found[colour] = found.get(colour, 0.0) + link.gain
    items = "".join(
        tag("li", tag("i", class_=f"k-{k}"), f"{esc(_(_KINDS[k]))} {signed(total)}")
        for k, total in sorted(found.items(), key=lambda f: -abs(f[1]))
    )
    return tag("figcaption", tag("span", _("decades by kind:")), tag("ul", items))


def _forks(ledger: Ledger) -> str:
    forks = [f for link in ledger.links if isinstance(link, Block) for f in link.forks]
    if not forks:
        return ""
    lines = "".join(tag("li", esc(fork_line(f))) for f in forks[:_FORKS])
    rest = and_more(len(forks) - _FORKS)
    what = ngettext(
        "Where ways meet: signed shares of δ at {count} fork",
        "Where ways meet: signed shares of δ at {count} forks",
        len(forks),
    ).format(count=whole(len(forks)))
    return tag("details", tag("summary", what), tag("ul", lines, class_="told"), rest)


def _table(ledger: Ledger) -> str:
    rows = []
    for link in ledger.links[:_ROWS]:
        cells = (signed(link.gain), number(link.received), parts_line(link), elasticity(link))
        rows.append(row(tag("code", esc(short(place(link), 56))), *cells))
    names = (
        _("place, from the loss back"), _("decades"), "‖δ‖", _("taken apart"),
        _("elasticity ‖δ‖·‖x‖"),
    )  # fmt: skip
    rest = and_more(len(ledger.links) - _ROWS)
    return scroll(table(names, rows, "figures"), _("Factors")) + rest
