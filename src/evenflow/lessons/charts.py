"""Plots in characters, for a terminal."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from ..lang import _
from ..wrapping import cells_of
from .base import Plot, Series

_MARKS = "●○▲△■□◆◇"
_ASCII = "ox+*#@%&"


def chart(plot: Plot, width: int = 72, height: int = 16, unicode: bool = True) -> list[str]:
    """The plot as lines of at most `width` characters, `height` of them between the axes.

    Every series has a mark of its own; where two meet, the later one is seen. Values that are
    not finite, or not above 0 on a log axis, are left out.
    """
    marks = _MARKS if unicode else _ASCII
    points = [_finite(s, plot.log_y) for s in plot.series]
    xs = np.concatenate([p[0] for p in points])
    ys = np.concatenate([p[1] for p in points])
    if not len(xs):
        return [plot.title, "  " + _("(nothing to show)")]
    (left, right), (low, high) = _span(xs), _span(ys)
    ticks = [_label(v, plot.log_y) for v in (high, (high + low) / 2, low)]
    margin = max(map(len, ticks)) + 1
    inner = max(10, width - margin - 2)
    grid = [[" "] * inner for _ in range(height)]
    for i, (series, (x, y)) in enumerate(zip(plot.series, points, strict=True)):
        mark = marks[i % len(marks)]
        column = np.rint((x - left) / (right - left) * (inner - 1)).astype(int)
        row = (high - y) / (high - low) * (height - 1)
        if not series.dots and len(x) > 1:
            column, row = _joined(column, row)
        for c, r in zip(column, np.rint(row).astype(int), strict=True):
            grid[r][c] = mark
    upright, corner, across = ("│", "└", "─") if unicode else ("|", "+", "-")
    lines = [plot.title, f"{'':{margin}}{plot.y_name}"]
    for r, cells in enumerate(grid):
        tick = {0: ticks[0], height // 2: ticks[1], height - 1: ticks[2]}.get(r, "")
        lines.append(f"{tick:>{margin - 1}} {upright}{''.join(cells)}".rstrip())
    lines.append(f"{'':{margin}}{corner}{across * inner}")
    ends = f"{left:.4g}", f"{right:.4g}"
    name = _centred(plot.x_name, inner - len(ends[0]) - len(ends[1]))
    lines.append(f"{'':{margin + 1}}{ends[0]}{name}{ends[1]}")
    legend = "   ".join(f"{marks[i % len(marks)]} {s.name}" for i, s in enumerate(plot.series))
    return [*lines, f"{'':{margin + 1}}{legend}"]


def _centred(name: str, cells: int) -> str:
    """In the middle of so many columns; a Chinese character takes two."""
    while name and cells_of(name) > cells - 2:
        name = name[:-1]
    return f"{name:^{max(0, cells - cells_of(name) + len(name))}}"


def _finite(series: Series, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(series.x, dtype=float), np.array(series.y, dtype=float)
    if log_y:
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log10(y)
    kept = np.isfinite(x) & np.isfinite(y)
    return x[kept], y[kept]


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _label(value: float, log: bool) -> str:
    return f"{10**value:.2g}" if log else f"{value:.3g}"


def _joined(column: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mark in every column between the first point and the last, and up steep slopes."""
    parts = []
    for (c0, r0), (c1, r1) in pairwise(zip(column, row, strict=True)):
        steps = max(abs(c1 - c0), math.ceil(abs(r1 - r0)), 1)
        k = np.arange(steps + 1)
        parts.append((c0 + (c1 - c0) * k / steps, r0 + (r1 - r0) * k / steps))
    columns, rows = np.hstack(parts)
    return np.rint(columns).astype(int), rows
