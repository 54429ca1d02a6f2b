"""What trials may cost: wall time, or run-equivalents (whole runs of the script)."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
#: How far back the planned costs look, in runs: treatments, and what else the machine does, change.
MEMORY = 10
#: A treatment may slow a step (normalisation does, twofold) and its own start may take a while.
SLOWER, PATIENCE = 6.0, 30.0


def parse(text: str) -> tuple[float | None, float | None]:
    """(seconds, runs) of "90s", "10m", "1.5h" or "12x" (run-equivalents); ValueError otherwise."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smhx]?)\s*", text)
    value = float(found[1]) if found else 0.0
    if found is None or value <= 0:
        raise ValueError(
            f"{text!r} is no budget: write 90s, 10m or 1.5h of wall time, or 12x for the work of "
            "twelve runs of the script."
        )
    if found[2] == "x":
        return None, value
    return value * _UNITS[found[2] or "s"], None


@dataclass(slots=True)
class TrialBudget:
    """Keeps the account. Costs are in process seconds, or in runs if `runs` is given.

    Attributes:
        seconds: wall time for everything, None = unlimited.
        runs: run-equivalents for everything, None = unlimited.
        size: jobs that run side by side.
        start, per_step, full: of the untreated run: seconds before its first update and for each
            further one; updates of the whole run (0 = not known).
    """

    seconds: float | None = None
    runs: float | None = None
    size: int = 1
    start: float = 1.0
    per_step: float = 0.0
    full: int = 0
    spent: float = 0.0  # in runs
    began: float = field(default_factory=time.monotonic)
    took: float = 0.0  # seconds of late, and what they had been planned to be
    planned: float = 0.0

    def measured(self, seconds: float, start: float, steps: int, whole: bool) -> None:
        """The untreated run has been seen."""
        self.start = min(start or seconds, seconds)
        self.per_step = (seconds - self.start) / max(1, steps)
        self.full = steps if whole else 0

    def unwatched(self, seconds: float, start: float, steps: int) -> None:
        """A part of it has been seen without a watch, as trials run: they may cost less."""
        if steps and self.per_step:
            self.start = min(self.start, start or seconds)
            self.per_step = min(self.per_step, max(0.0, seconds - start) / steps)

    def cost(self, steps: int) -> float:
        """Of one run of so many updates (0 = the script's whole length)."""
        if self.runs is not None:
            return min(1.0, steps / self.full) if steps and self.full else 1.0
        # how much longer runs take of late than the untreated one at its best
        slower = max(1.0, self.took / self.planned) if self.planned else 1.0
        return self._plain(steps) * slower

    def _plain(self, steps: int) -> float:
        return self.start + self.per_step * (steps or self.full)

    def left(self) -> float:
        """What may still be spent, in the unit of `cost`."""
        if self.runs is not None:
            return self.runs - self.spent
        if self.seconds is None:
            return math.inf
        return self.size * (self.seconds - (time.monotonic() - self.began))

    def affordable(self, steps: int, keep: float = 0.0) -> int:
        """How many runs of so many updates fit, if `keep` is to remain."""
        room, each = self.left() - keep, self.cost(steps)
        if math.isinf(room):
            return 1_000_000
        return max(0, int(room / each + 1e-9)) if each > 0 else 1_000_000

    def spend(self, steps: int, seconds: float = 0.0) -> None:
        """A run of so many updates was made, in so many seconds (0 = not known)."""
        self.spent += steps / self.full if self.full else 0.0
        if steps and seconds:
            keep = 1 - 1 / MEMORY
            self.took = keep * self.took + seconds
            self.planned = keep * self.planned + self._plain(steps)

    def limit(self, steps: int) -> float:
        """Wall seconds one run of so many updates may take before it is stopped."""
        usual = 3 * self.start + PATIENCE + SLOWER * self.per_step * (steps or self.full)
        if not steps and not self.full:
            usual = 3600.0
        if self.seconds is None:
            return usual
        remains = self.seconds - (time.monotonic() - self.began)
        return max(5.0, min(usual, remains))
