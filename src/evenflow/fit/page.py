"""The report of a fit: one HTML file with curves, metrics and their picture; no script in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from ..report.markup import esc, tag
from .judging import Judged
from .record import FitReport

_W, _H, _PAD = 640, 240, 44


def page(name: str, report: FitReport, judged: Judged, notes: Sequence[str]) -> str:
    """The whole page. `notes`: sentences about the data, such as how rows were held out."""
    style = files("evenflow.report").joinpath("assets", "style.css").read_text(encoding="utf-8")
    curves = [("training", report.errors), ("held out", report.held_out)]
    picture = _confusion(judged) if judged.task == "classification" else _residuals(judged)
    title = "Confusion" if judged.task == "classification" else "Predicted against true"
    body = "".join(
        (
            tag("header", tag("p", "Evenflow", class_="brand"), tag("h1", esc(name))),
            "<main>",
            _card("Result", _metrics(judged), *(tag("p", esc(note)) for note in notes)),
            _card("Learning curves", _lines(curves, report.baseline)),
            _card(title, picture),
            _card("Diagnosis", _diagnosis(report)),
            _card("Settings", _pairs([(k, str(v)) for k, v in report.settings.items()])),
            "</main>",
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{esc(name)} · Evenflow</title><style>{style}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def _card(title: str, *parts: str) -> str:
    return tag("section", tag("h2", esc(title)), *parts, class_="card")


def _pairs(rows: Sequence[tuple[str, str]]) -> str:
    return tag("table", "".join(tag("tr", tag("th", esc(k)), tag("td", esc(v))) for k, v in rows))


def _metrics(judged: Judged) -> str:
    return _pairs(
        [
            (k, f"{v:.4g}" + (f" ± {judged.spread[k]:.2g}" if judged.spread else ""))
            for k, v in judged.metrics.items()
        ]
    )


def _diagnosis(report: FitReport) -> str:
    facts = tag(
        "p",
        esc(
            f"{report.verdict}: {report.epochs} epochs, {report.steps} updates in "
            f"{report.seconds:.1f} s, stopped by {report.stopped}."
        ),
    )
    told = [f"{f.code} {f.name}: {f.message}" for f in report.findings]
    told += [f"Before epoch {t.epoch + 1}: {t.treatment}. {t.reason}" for t in report.treatments]
    if not told:
        return facts + tag("p", "Nothing was wrong and nothing had to be treated.")
    return facts + tag("ul", "".join(tag("li", esc(line)) for line in told))


def _frame(parts: str, label: str) -> str:
    axes = f"M{_PAD} 8V{_H - _PAD / 2}H{_W - 8}"
    return tag(
        "svg", tag("path", d=axes, fill="none", stroke="currentColor", opacity=".4"), parts,
        viewBox=f"0 0 {_W} {_H}", role="img", aria_label=label, style="max-width:100%",
    )  # fmt: skip


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return tag(
        "text", esc(text), x=f"{x:.1f}", y=f"{y:.1f}", font_size="11", text_anchor=anchor,
        fill="currentColor",
    )  # fmt: skip


def _lines(curves: Sequence[tuple[str, Sequence[float]]], baseline: float) -> str:
    """Loss by epoch, logarithmic; the best constant's as a dashed line."""
    values = [v for _, c in curves for v in c if v > 0 and math.isfinite(v)]
    if not values:
        return tag("p", "No epoch was run.")
    if baseline > 0:
        values.append(baseline)
    low, high = math.log10(min(values)), math.log10(max(values))
    high = max(high, low + 0.1)
    longest = max(len(c) for _, c in curves)

    def at(k: int, v: float) -> str:
        x = _PAD + (_W - _PAD - 12) * k / max(longest - 1, 1)
        y = 12 + (_H - _PAD / 2 - 16) * (high - math.log10(v)) / (high - low)
        return f"{x:.1f},{y:.1f}"

    parts = [_text(4, 16, f"{10**high:.2g}"), _text(4, _H - _PAD / 2, f"{10**low:.2g}")]
    parts.append(_text(_W - 8, _H - 6, f"{longest} epochs", "end"))
    for n, ((label, curve), colour) in enumerate(zip(curves, ("#2a78c2", "#c2662a"), strict=True)):
        points = " ".join(at(k, v) for k, v in enumerate(curve) if v > 0 and math.isfinite(v))
        if points:
            parts.append(
                tag("polyline", points=points, fill="none", stroke=colour, stroke_width="2")
            )
            parts.append(tag("text", esc(label), x=_W - 90, y=20 + 15 * n, fill=colour,
                             font_size="12"))  # fmt: skip
    if baseline > 0:
        y = at(0, baseline).split(",")[1]
        parts.append(tag("path", d=f"M{_PAD} {y}H{_W - 8}", stroke="currentColor",
                         stroke_dasharray="4 4", opacity=".5"))  # fmt: skip
        parts.append(_text(_PAD + 4, float(y) - 3, "best constant"))
    return _frame("".join(parts), "loss by epoch")


def _confusion(judged: Judged) -> str:
    known = np.unique(np.concatenate([judged.true, judged.predicted]))
    head = tag("tr", tag("th", "true \\ predicted"), *(tag("th", esc(c)) for c in known))
    rows = []
    for c in known:
        counts = [int(((judged.true == c) & (judged.predicted == d)).sum()) for d in known]
        total = max(sum(counts), 1)
        cells = "".join(
            tag("td", str(n), style=f"background:rgba(42,120,194,{0.7 * n / total:.2f})")
            for n in counts
        )
        rows.append(tag("tr", tag("th", esc(c)), cells))
    return tag("div", tag("table", head, *rows), style="overflow-x:auto")


def _residuals(judged: Judged) -> str:
    t, p = judged.true.astype(float), judged.predicted.astype(float)
    low, high = float(min(t.min(), p.min())), float(max(t.max(), p.max()))
    wide = max(high - low, 1e-300)
    keep = np.linspace(0, len(t) - 1, min(len(t), 800)).astype(int)

    def at(v: float, start: float, end: float) -> float:
        return start + (end - start) * (v - low) / wide

    bottom = _H - _PAD / 2
    dots = "".join(
        tag("circle", cx=f"{at(x, _PAD, _W - 12):.1f}", cy=f"{at(y, bottom, 12):.1f}", r="2.5",
            fill="#2a78c2", opacity=".5")
        for x, y in zip(t[keep], p[keep], strict=True)
    )  # fmt: skip
    ideal = tag("path", d=f"M{_PAD} {bottom}L{_W - 12} 12", stroke="currentColor", opacity=".5")
    words = _text(_PAD, _H - 4, f"true {low:.4g}") + _text(_W - 8, _H - 4, f"{high:.4g}", "end")
    return _frame(dots + ideal + words, "predicted against true values")
