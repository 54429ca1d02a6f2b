"""What a claim is: a statement, a measurement, and a verdict that the figures must bear out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

VERDICTS = ("true", "true only if", "depends", "false")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting and what was measured in it.

    Attributes:
        setting: what was set up, in words.
        figures: by name of the figure, a number for each seed (one where nothing is random).
    """

    setting: str
    figures: dict[str, list[float]]

    def median(self, figure: str) -> float:
        """Over the seeds; NaN where a seed has none."""
        values = self.figures[figure]
        return math.nan if any(map(math.isnan, values)) else statistics.median(values)


class Rows(list[Row]):
    """Rows in the order of the table."""

    def __call__(self, setting: str, figure: str) -> float:
        """The median of one figure in one setting."""
        return next(r for r in self if r.setting == setting).median(figure)


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement and how it is put to the measurement.

    Attributes:
        name: what `python -m benchmarks.claims NAME` is given.
        statement: as textbooks have it.
        verdict: one of `VERDICTS`.
        size: networks, data and budget, in words.
        measure: (seeds, quick) -> rows. The same rows at every call; quick takes under 3 s on
            one slow thread, with smaller networks and fewer settings.
        tell: what was found, in sentences with the figures of the rows put in (full size).
        holds: whether the rows bear out the verdict; for quick rows as well as for full ones.
        random: False where nothing is drawn: then one "seed" is enough.
        source: of the statement.
    """

    name: str
    statement: str
    verdict: str
    size: str
    measure: Callable[[Sequence[int], bool], Rows]
    tell: Callable[[Rows], str]
    holds: Callable[[Rows], bool]
    random: bool = True
    source: str = "textbook"

    @property
    def command(self) -> str:
        """What measures this claim anew."""
        return f"python -m benchmarks.claims {self.name}"


def percent(share: float) -> str:
    """.8125 -> "81.2 %"."""
    return f"{100 * share:.1f} %"


def decades(value: float) -> str:
    """-3.14159 -> "−3.1"; an infinite or missing one in words."""
    if math.isnan(value):
        return "not finite"
    if math.isinf(value):
        return "exactly zero" if value < 0 else "infinite"
    said = f"{value:.1f}"
    return "0.0" if said == "-0.0" else said.replace("-", "−")


def shown(values: Sequence[float]) -> str:
    """The median, and [least, most] where the seeds differ: "0.93 [0.91, 0.94]"."""
    if any(map(math.isnan, values)):
        return "none"
    ends = min(values), statistics.median(values), max(values)
    if ends[0] == ends[2]:
        return digits(ends[0], 5)
    least, middle, most = map(digits, ends)
    return f"{middle} [{least}, {most}]"


def digits(value: float, many: int = 3) -> str:
    """So many of them; powers of ten outside of .001 to 10 000."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    small = not 1e-3 <= abs(value) < 1e4
    return (f"{value:.1e}" if small else f"{value:.{many}g}").replace("-", "−", int(value < 0))
