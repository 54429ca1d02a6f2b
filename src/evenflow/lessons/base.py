"""What a lesson is, and the parts it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .net_file import NetFile

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; numbers are shown with four digits."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One curve or cloud: points (x, y), in order of x for a curve. NaN leaves a gap."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dots: bool = False


def curve(name: str, y: Iterable[float], x: Iterable[float] | None = None) -> Series:
    """A curve through all y; without x over 0, 1, 2, ..."""
    ys = tuple(map(float, y))
    return Series(name, tuple(map(float, range(len(ys)) if x is None else x)), ys)


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves over one pair of axes: characters in a terminal, a picture on the docs page."""

    title: str
    x_name: str
    y_name: str
    series: tuple[Series, ...]
    log_y: bool = False


Part = str | Table | Plot


@dataclass(frozen=True, slots=True)
class Result:
    """What a lesson found.

    Attributes:
        parts: paragraphs, tables and plots, in reading order.
        numbers: by name, each one that the tests hold against a derivation by hand and against
            finite differences, or against a count over seeds.
        same: by name, (what the tape read, what the miniature computed): one number, two ways.
    """

    parts: tuple[Part, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    same: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def joined(*found: Result) -> Result:
    """One lesson's results of its parts, in order."""
    return Result(
        tuple(part for one in found for part in one.parts),
        {name: value for one in found for name, value in one.numbers.items()},
        {name: pair for one in found for name, pair in one.same.items()},
    )


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson: a text and a run that computes all its numbers anew.

    Attributes:
        name: what `evenflow explain --lesson NAME` is given.
        title: a line.
        text: Markdown; the docstring of the lesson's file.
        run: no arguments, the same result at every call; takes less than 5 s on one slow thread.
        seeds: over how many seeds its claims were counted; 0 where nothing is random.
        question, answer: to be thought about before the answer is read.
        see: what belongs to it: codes of faults, "activations NAME".
        net: a network of it that a reader can step with numbers of their own.
    """

    name: str
    title: str
    text: str
    run: Callable[[], Result]
    seeds: int = 0
    question: str = ""
    answer: str = ""
    see: tuple[str, ...] = ()
    net: Callable[[], NetFile] | None = None
