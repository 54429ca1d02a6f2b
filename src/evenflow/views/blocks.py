"""The small picture on a terminal: half blocks in colour, or a row of bars a layer without."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..lang import _, whole
from ..report import ASCII_BARS, BARS, short, writable
from ..schema import Run
from ..showing import visible
from .palette import palette
from .pyramid import BROKEN, MISSING, TOP, ZERO, Codes
from .strip import Strip, strip_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Rows of text at most, columns of the picture, and of a layer's name.
ROWS, COLUMNS, NAME = 12, 72, 24


def picture(run: Run, console: Console) -> list[Text]:
    """Layers x steps under a heading; nothing where it is no terminal, or nothing was measured."""
    from rich.text import Text

    found = strip_of(run) if console.is_terminal else None
    if found is None:
        return []
    delta = "δ" if writable("δ", console.encoding) == "δ" else "delta"
    first, last = map(whole, found.steps)
    head = _("gradient by layer and step, rms of {delta}").format(delta=delta)
    when = _("step {first} to {last}").format(first=first, last=last)
    below = [*rows(found, console, ROWS, console.width - 2), legend(found, console)]
    return [Text(f"{head}  {when}"), *(Text("  ") + line for line in below)]


def coloured(console: Console) -> bool:
    """Does this terminal show colours, and blocks?"""
    plain = console.no_color or console.color_system is None
    return not plain and writable("▀▄█", console.encoding) == "▀▄█"


def legend(strip: Strip, console: Console) -> Text:
    """What the colours (or bars) stand for."""
    from rich.text import Text

    out = Text()
    low, high = (f"1e{end:.1f}" for end in (strip.scale.low, strip.scale.high))
    odd = {ZERO: _("exactly zero"), BROKEN: _("not finite")}
    if coloured(console):
        out.append(f"{low} ")
        for i in range(10):
            out.append("█", _colour(round(i * TOP / 9)))
        out.append(f" {high}")
        marks = {code: ("■", _colour(code)) for code in odd}
    else:
        out.append(f"{_('from {low} (low) to {high} (high)').format(low=low, high=high)}")
        marks = {ZERO: ("0", ""), BROKEN: ("!", "")}
    for code, said in odd.items():
        if (strip.codes == code).any():
            out.append("  ").append(*marks[code]).append(f" {said}")
    return out


def rows(strip: Strip, console: Console, most: int, width: int) -> list[Text]:
    """The picture in at most so many rows of text, names at its right: of every layer where each
    has a row of its own, else of the first and the last."""
    room = min(NAME, width // 3)
    columns = max(8, min(COLUMNS, width - room - 1))
    if coloured(console):
        halves = strip.layers > most
        joined = strip.within(2 * most if halves else most, columns)
        drawn = list(_in_colour(joined.codes, 2 if halves else 1))
    else:
        bars = BARS if writable(BARS, console.encoding) == BARS else ASCII_BARS
        joined = strip.within(most, columns)
        drawn = list(_in_bars(joined.codes, bars))
    each = len(drawn) == strip.layers
    names = {0: strip.names[0][0], len(drawn) - 1: strip.names[-1][1]}
    for i, row in enumerate(drawn):
        name = strip.names[i][0] if each else names.get(i, "")
        if name:
            row.append(writable(f" {short(visible(name), room)}", console.encoding), "dim")
            row.truncate(width)  # a character may be two columns wide
    return drawn


def _in_colour(codes: Codes, layers: int) -> Iterator[Text]:
    """Rows of text, of one layer or of two each; neighbours that look alike are one piece."""
    from rich.text import Text

    below = np.full((1, codes.shape[1]), MISSING, np.uint8)
    for at in range(0, len(codes), layers):
        pair = codes[at].tolist(), [*codes, *below][at + layers - 1].tolist()
        row = Text(no_wrap=True)
        for (top, bottom), same in itertools.groupby(zip(*pair, strict=True)):
            mark, style = _cell(top, bottom)
            row.append(mark * len(list(same)), style)
        yield row


def _cell(top: int, bottom: int) -> tuple[str, str]:
    """One character, and its style; what was not measured stays as the terminal is."""
    if top == bottom:
        return ("·", "dim") if top == MISSING else ("█", _colour(top))
    if top == MISSING:
        return "▄", _colour(bottom)
    return "▀", _colour(top) if bottom == MISSING else f"{_colour(top)} on {_colour(bottom)}"


def _in_bars(codes: Codes, bars: str) -> Iterator[Text]:
    """A layer a row: taller is larger; "0" is exactly zero, "!" is not finite."""
    from rich.text import Text

    marks = {ZERO: "0", BROKEN: "!", MISSING: " "}
    for row in codes.tolist():
        steps = [marks.get(c) or bars[min(c * len(bars) // TOP, len(bars) - 1)] for c in row]
        yield Text("".join(steps), no_wrap=True)


@cache
def _colour(code: int) -> str:
    red, green, blue = palette()[code].tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"
