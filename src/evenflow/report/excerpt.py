"""A line of the script with those around it, as a terminal shows it: a caret under the call."""

from __future__ import annotations

from typing import NamedTuple

from ..schema import Run, Where, source_around

#: Lines before and after the one that is told.
_BEFORE, _AFTER = 1, 1
_TAB = "    "


class Row(NamedTuple):
    """One line: its number, its text, and in the line that is told the characters of the call."""

    number: int
    text: str
    begin: int = 0
    end: int = 0


def excerpt(run: Run, where: Where, before: int = _BEFORE, after: int = _AFTER) -> list[Row]:
    """The lines as they were when the run began, their common indentation taken off; [] where the
    run has not kept them.

    >>> import numpy as np
    >>> from evenflow import Run
    >>> from evenflow.schema import Where
    >>> none = np.array([])
    >>> meta = {"source": {"train.py": {"7": "    for _ in range(20):", "8": "        f(x)"}}}
    >>> run = Run("", meta, (), (), none, {}, none, none)
    >>> for row in excerpt(run, Where("called", "train.py", 8, column=9, end=13)): print(row)
    Row(number=7, text='for _ in range(20):', begin=0, end=0)
    Row(number=8, text='    f(x)', begin=4, end=8)
    """
    kept = source_around(run.meta, where, before, after)
    if where.line not in kept:
        return []
    texts = {n: text.replace("\t", _TAB).rstrip() for n, text in kept.items()}
    margin = min((len(t) - len(t.lstrip()) for t in texts.values() if t), default=0)
    told = texts[where.line]
    begin, end = (_place(kept[where.line], n) for n in (where.column, where.end))
    if not 0 <= begin < end:  # Python 3.10 knows the line alone
        begin, end = len(told) - len(told.lstrip()), len(told)
    return [
        Row(
            number, text[margin:], *((begin - margin, end - margin) if number == where.line else ())
        )
        for number, text in sorted(texts.items())
    ]


def _place(text: str, column: int) -> int:
    """How many characters stand before a column, tabs written out; -1 where it is not known."""
    return len(text[: column - 1].replace("\t", _TAB)) if column else -1
