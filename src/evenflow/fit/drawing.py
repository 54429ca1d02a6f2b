"""Pictures of a fit's report as SVG that needs no script: curves, confusion, predictions."""

from __future__ import annotations

import math

import numpy as np

from ..lang import _, ngettext, whole
from ..report import esc, svg_line, svg_text, tag
from ..words import number
from .judging import Judged
from .outcome import FitReport

#: Points and classes that a picture shows at most; it says so where there are more.
DOTS, CLASSES = 1500, 30
_W, _H, _LEFT, _BOTTOM, _TOP, _RIGHT = 860, 280, 76, 34, 12, 16


def curves(report: FitReport) -> str:
    """Loss by epoch on a logarithmic axis: training, held-out rows, the best constant's."""
    drawn = [(_("training rows"), report.errors), (_("validation rows"), report.held_out)]
    base = report.baseline if report.baseline > 0 else math.nan
    values = [v for _name, c in drawn for v in (*c, base) if v > 0 and math.isfinite(v)]
    last = report.epochs
    # Aligned by their last points: what is judged before the first epoch stands at 0.
    begun = [max(0, last + 1 - len(c)) for _name, c in drawn]
    if not any(c for _name, c in drawn) or not values:
        return tag("p", esc(_("No epoch was run.")))
    low, high = math.log10(min(values)), math.log10(max(values))
    middle, span = (low + high) / 2, max(high - low, 0.3) * 1.06
    low, high = middle - span / 2, middle + span / 2

    left = min(begun)

    def x(epoch: float) -> float:
        return _LEFT + (_W - _LEFT - _RIGHT) * (epoch - left) / max(last - left, 1)

    def y(v: float) -> float:
        return _TOP + (_H - _TOP - _BOTTOM) * (high - math.log10(v)) / (high - low)

    parts = []
    for tick in _logarithmic(low, high):
        parts.append(svg_line(_LEFT, y(tick), _W - _RIGHT, y(tick), "grid"))
        parts.append(svg_text(_LEFT - 8, y(tick) + 4, number(tick), "end"))
    for k in sorted({left, *(t for t in _linear(left, last) if t == int(t)), last}):
        parts.append(svg_text(x(k), _H - 10, whole(int(k)), "end" if k == last > left else "start"))
    if math.isfinite(base):
        parts.append(svg_line(_LEFT, y(base), _W - _RIGHT, y(base), "best"))
    legend = []
    for n, (name, curve) in enumerate(drawn):
        points = [(x(k), y(v)) for k, v in enumerate(curve, begun[n]) if v > 0 and math.isfinite(v)]
        if points:
            legend.append((f"c{n}", name))
            text = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            parts.append(tag("polyline", points=text, class_=f"c{n}"))
    if math.isfinite(base):
        legend.append(("c2", _("best constant prediction")))
    line = "".join(
        tag("span", tag("i", class_=f"line {colour}"), esc(name)) for colour, name in legend
    )
    heading = tag("p", esc(_("Loss by epoch, on a logarithmic axis.")), class_="lead")
    picture = _svg("".join(parts), _W, _H, _("Loss by epoch"), "drawn")
    return heading + tag("div", line, class_="legend") + picture


def confusion(judged: Judged) -> str:
    """How many rows of each class were predicted as each; the commonest classes of many."""
    known, sizes = np.unique(judged.true, return_counts=True)
    others = np.setdiff1d(np.unique(judged.predicted), known)
    shown = sorted(np.concatenate([known[np.argsort(-sizes, kind="stable")], others])[:CLASSES])
    head = tag("tr", tag("th", esc(_("true, predicted as"))),
               *(tag("th", esc(c), scope="col") for c in shown))  # fmt: skip
    tint = "background:color-mix(in srgb, var(--accent) {:.0f}%, transparent)"
    rows = []
    for c in shown:
        counts = [int(((judged.true == c) & (judged.predicted == p)).sum()) for p in shown]
        total = max(int((judged.true == c).sum()), 1)
        tints = [tint.format(45 * n / total) for n in counts]
        cells = "".join(
            tag("td", whole(n), class_="right" if p == c else None, style=style)
            for n, p, style in zip(counts, shown, tints, strict=True)
        )
        rows.append(tag("tr", tag("th", esc(c), scope="row"), cells))
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="counts")
    lead = _("Rows are the true classes, columns the predicted ones; framed is right.")
    left = len(known) + len(others) - len(shown)
    if left:
        text = ngettext("{count} rarer class is left out.", "{count} rarer classes are left out.",
                        left)  # fmt: skip
        lead += " " + text.format(count=whole(left))
    return tag("p", esc(lead), class_="lead") + tag("div", table, class_="scroll")


def predictions(judged: Judged) -> str:
    """Each row's predicted number over its true one; on the dashed line they are the same."""
    t, p = judged.true.astype(float), judged.predicted.astype(float)
    keep = np.linspace(0, len(t) - 1, min(len(t), DOTS)).astype(int)
    low, high = float(min(t.min(), p.min())), float(max(t.max(), p.max()))
    margin = 0.03 * (high - low) or 1.0
    low, high = low - margin, high + margin
    size, left, bottom, top = 460, 76, 44, 30  # above the frame its axis is named

    def x(v: float) -> float:
        return left + (size - left - 10) * (v - low) / (high - low)

    def y(v: float) -> float:
        return size - bottom - (size - bottom - top) * (v - low) / (high - low)

    parts = []
    for tick in _linear(low, high):
        parts.append(svg_line(x(low), y(tick), x(high), y(tick), "grid"))
        parts.append(svg_line(x(tick), y(low), x(tick), y(high), "grid"))
        parts.append(svg_text(left - 6, y(tick) + 4, number(tick), "end"))
        parts.append(svg_text(x(tick), size - bottom + 16, number(tick), "middle"))
    parts.append(svg_line(x(low), y(low), x(high), y(high), "ideal"))
    parts += [
        tag("circle", cx=f"{x(a):.1f}", cy=f"{y(b):.1f}", r="2.6")
        for a, b in zip(t[keep], p[keep], strict=True)
    ]
    parts.append(svg_text(x((low + high) / 2), size - 6, _("true"), "middle"))
    parts.append(svg_text(left - 6, 14, _("predicted"), "end"))
    lead = _("On the dashed line both are the same.")
    if len(keep) < len(t):
        text = _("{shown} of {all} rows are drawn.")
        lead += " " + text.format(shown=whole(len(keep)), all=whole(len(t)))
    return tag("p", esc(lead), class_="lead") + _svg(
        "".join(parts), size, size, _("Predicted against true values"), "drawn square"
    )


def _svg(parts: str, width: int, height: int, label: str, kind: str) -> str:
    # "viewBox" has a capital: `tag` takes it as it is
    return tag("svg", parts, viewBox=f"0 0 {width} {height}", role="img", aria_label=label,
               class_=kind)  # fmt: skip


def _logarithmic(low: float, high: float) -> list[float]:
    """Powers of ten between 10^low and 10^high; with 2 and 5, or evenly spaced, if too few."""
    whole_decades = range(math.ceil(low), math.floor(high) + 1)
    if len(whole_decades) >= 3:
        return [10.0**k for k in whole_decades[:: 1 + len(whole_decades) // 7]]
    fine = [m * 10.0**k for k in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
    found = [v for v in fine if low <= math.log10(v) <= high]
    return found if len(found) >= 3 else [v for v in _linear(10**low, 10**high) if v > 0]


def _linear(low: float, high: float) -> list[float]:
    """Round numbers between low and high, about five of them."""
    span = (high - low) / 5
    if not span > 0:
        return [low]
    size = 10.0 ** math.floor(math.log10(span))
    step = next(m * size for m in (1, 2, 5, 10) if m * size >= span)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]
