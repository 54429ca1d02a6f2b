"""A lesson's plots as SVG, by matplotlib (extra `pictures`)."""

from __future__ import annotations

from typing import Any

from ..activations import new_figure, saved_svg
from .base import Plot

#: Told apart by eyes of every kind, also in grey (Okabe & Ito 2008), with a dash of its own each.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_DASHES = ("-", "--", "-.", ":", "-", "--")
_MARKERS = ("o", "^", "s", "D", "v", "P")


def svg(plot: Plot) -> str:
    """The plot as one SVG (see `evenflow.activations.saved_svg`). `NoPictures` without
    matplotlib."""
    figure = new_figure(7, 3.8)
    figure.set_facecolor("white")
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

    ax = figure.subplots()
    for i, series in enumerate(plot.series):
        look: dict[str, Any] = {"color": _COLOURS[i % len(_COLOURS)], "label": series.name}
        if series.dots:
            ax.plot(series.x, series.y, _MARKERS[i % len(_MARKERS)], ms=6, zorder=3, **look)
        else:
            ax.plot(series.x, series.y, _DASHES[i % len(_DASHES)], lw=2, **look)
    if plot.log_y:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        if high < 100 * low:  # too few powers of ten to read by: 1, 2, 5, 10
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            ax.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    if all(float(v).is_integer() for series in plot.series for v in series.x):
        ax.xaxis.set_major_locator(
            MaxNLocator(steps=[1, 2, 5, 10], integer=True)
        )  # steps, layers: no layer 2.5
    ax.set(title=plot.title, xlabel=plot.x_name, ylabel=plot.y_name)
    ax.grid(True, color="#dddddd", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if len(plot.series) > 3:  # inside, so many would hide a curve
        figure.legend(frameon=False, loc="outside right center")
    elif len(plot.series) > 1:
        ax.legend(framealpha=0.85, edgecolor="none")
    return saved_svg(figure, plot.title)
