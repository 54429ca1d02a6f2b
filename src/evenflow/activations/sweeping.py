"""Families of curves: one activation at several values of a parameter, as a table and a picture."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..lang import _
from .atlas import Card, card
from .card_text import (
    OVERVIEW_NOTE,
    Section,
    columns,
    heading,
    number,
    overview_header,
    overview_row,
    wrapped,
)
from .figures import document, escaped, lettered, new_figure, saved_svg, section, tidy
from .registry import find

#: Curves of a sweep.
COUNT = 7


def spelled(text: str) -> tuple[str, dict[str, float]]:
    """A name with its parameters, as "swish(beta=10)". ValueError: it is none.

    >>> from evenflow.activations import spelled
    >>> spelled("Swish(beta=10)"), spelled("relu")
    (('swish', {'beta': 10.0}), ('relu', {}))
    """
    match = re.fullmatch(r"\s*([^()]+?)\s*(?:\((.*)\))?\s*", text, re.S)
    if match is None:
        raise ValueError(_('{text!r} is no activation; write "swish(beta=10)"').format(text=text))
    given: dict[str, float] = {}
    for part in filter(None, (match[2] or "").split(",")):
        key, _equals, value = part.partition("=")
        try:
            given[key.strip()] = _finite(value)
        except ValueError:
            said = _('{part!r} must be a parameter and a number, as in "swish(beta=10)"')
            raise ValueError(said.format(part=part.strip())) from None
    return find(match[1]).name, given


def sweep(name: str, parameter: str, low: float, high: float, count: int = COUNT) -> list[Card]:
    """Cards of an activation at `count` values from low to high, evenly spaced in their logarithms
    where both are above 0. ValueError for an unknown name or parameter, or low = high.

    >>> from evenflow.activations import sweep
    >>> [dict(c.parameters)["beta"] for c in sweep("swish", "beta", 0.1, 10, 3)]
    [0.1, 1.0, 10.0]
    """
    if low == high:
        raise ValueError(_("a sweep needs two ends that differ"))
    even = np.geomspace(low, high, count) if low > 0 and high > 0 else np.linspace(low, high, count)
    return [card(name, **{parameter: float(f"{v:.3g}")}) for v in even]


def asked_sweep(text: str) -> tuple[str, float, float]:
    """ "beta=0.1:10" as the parameter and its ends. ValueError."""
    key, _equals, ends = text.partition("=")
    low, _colon, high = ends.partition(":")
    try:
        return key.strip(), _finite(low), _finite(high)
    except ValueError:
        said = _("{text!r} must be a parameter and its ends, as beta=0.1:10")
        raise ValueError(said.format(text=text)) from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def sweep_table(parameter: str, cards: Sequence[Card]) -> str:
    """A line for each card: the parameter, and the columns of the table of all.

    >>> from evenflow.activations import sweep, sweep_table
    >>> print(sweep_table("slope", sweep("sigmoid", "slope", 1, 4, 2)).splitlines()[2][:14])
    4           1
    """
    lines = columns(*_rows(parameter, cards))
    return "\n".join([*lines, "", *wrapped(_(OVERVIEW_NOTE), 2)])


def _rows(
    parameter: str, cards: Sequence[Card]
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    rows = tuple((number(dict(c.parameters)[parameter]), *overview_row(c)[1:]) for c in cards)
    return rows, (parameter, *overview_header()[1:])


def sweep_figure(parameter: str, cards: Sequence[Card]) -> Any:
    """f at the left, f' at the right, the smaller the value the darker."""
    from matplotlib import colormaps

    figure = new_figure(10, 4.6)
    left, right = figure.subplots(1, 2)
    for i, each in enumerate(cards):
        colour = colormaps["viridis"](0.9 * i / max(len(cards) - 1, 1))
        label = f"{parameter} = {number(dict(each.parameters)[parameter])}"
        left.plot(each.x, each.f, color=colour, lw=1.8, label=label)
        right.plot(each.x, each.df, color=colour, lw=1.8, label=label)
    for axis, title in ((left, "f(x)"), (right, "f'(x)")):
        with lettered():
            axis.set(title=f"{heading(cards[0])}: {title}", xlabel="x")
        tidy(axis)
    values = [v for c in cards for v in c.f]
    left.set_ylim(max(min(values), -4) - 0.25, min(max(values), 4) + 0.25)
    return figure


def sweep_png(parameter: str, cards: Sequence[Card]) -> bytes:
    """The family as a PNG. `NoPictures` without matplotlib."""
    out = io.BytesIO()
    sweep_figure(parameter, cards).savefig(
        out, format="png", dpi=140, metadata={"Software": "Evenflow"}
    )
    return out.getvalue()


def sweep_page(parameter: str, cards: Sequence[Card]) -> str:
    """One HTML file with the picture and the table; nothing is fetched."""
    title = f"{heading(cards[0])}: {parameter}"
    picture = saved_svg(sweep_figure(parameter, cards), f"{cards[0].name}-{parameter}")
    table = section(Section("", *_rows(parameter, cards), _(OVERVIEW_NOTE)))
    head = f"<h1>{escaped(title)}</h1>"
    return document(title, f"{head}\n<figure>{picture}</figure>\n{table}")
