"""Which steps are sampled: dense at birth, then as a budget allows, dense again in trouble."""

from __future__ import annotations

import math
import sys
from collections import deque
from statistics import median

#: Birth: 0, 1, 2, 3, 4, 6, 8, 11, 16, ... 256, that is powers of the square root of two.
BIRTH = frozenset([0, 1, *(round(2 ** (k / 2)) for k in range(17))])
#: Aim below the budget: costs are estimated from a few sampled steps, and the four or five steps
#: after each are slower by 1 % (they find the caches full of ours), which no clock of ours sees.
_SAFETY = 0.5
#: In trouble so many steps in a row are sampled (an outlier comes again within an epoch: what
#: brought the loss to jump is to be seen when it does), and so many in a whole run.
_ALERT, _ALERTS = 32, 64


class Cadence:
    """Decides, step by step.

    Args:
        every: "auto"; N samples the steps divisible by N; 0 samples none.
        budget: share of the training's wall time that sampling may add, after birth.
    """

    def __init__(self, every: str | int, budget: float) -> None:
        if every != "auto" and (isinstance(every, (str, bool)) or every < 0):
            raise ValueError(f"every must be 'auto' or a whole number >= 0, not {every!r}")
        if not 0 < budget <= 1:
            raise ValueError(f"budget must be a share above 0 and up to 1, not {budget!r}")
        self.every = every
        self.budget = budget
        self._bare: deque[float] = deque(maxlen=31)
        self._extra: deque[float] = deque(maxlen=8)
        self._next = max(BIRTH) + 1
        self._alert = 0
        self._alerts_left = _ALERTS

    @property
    def bare(self) -> float:
        """Seconds an unsampled step takes: median of the latest; NaN before there was one."""
        return median(self._bare) if self._bare else math.nan

    def wants(self, step: int) -> bool:
        """Is this step to be sampled? (`step` updates have been completed.)"""
        if self.every != "auto":
            return bool(self.every) and step % int(self.every) == 0
        if step in BIRTH or self._alert > 0:
            return True
        return step >= self._next

    def due(self, step: int) -> int:
        """The first step from this one on that is to be sampled, as far as can be said now."""
        if self.every == 0:
            return sys.maxsize
        if self.every != "auto":
            return -(-step // int(self.every)) * int(self.every)
        if self._alert > 0:
            return step
        return min([s for s in BIRTH if s >= step], default=max(step, self._next))

    def gap(self) -> int:
        """Steps between two samples that keep the budget."""
        if not self._bare or not self._extra:
            return 64
        bare = max(self.bare, 1e-9)
        extra = sum(self._extra) / len(self._extra)
        return max(4, math.ceil(extra / (bare * self.budget * _SAFETY)))

    def dear(self, step: int, samples: int) -> bool:
        """Are the dear readings to be taken too?"""
        if self.every == "auto" and (step in BIRTH or self._alert > 0):
            return True
        return samples % 8 == 0 or step == 0

    def ran_bare(self, wall: float) -> None:
        """An unsampled step took this many seconds."""
        self._bare.append(wall)

    def ran_sampled(self, step: int, wall: float, cost: float) -> None:
        """A sampled step took `wall` seconds, of which our own clocks saw `cost`."""
        if self._alert > 0:
            self._alert -= 1
        if step > 1:  # the first steps carry the framework's own warm-up
            beyond = wall - self.bare if self._bare else cost
            # A stall of the machine is no cost of ours: believe the wall up to 4x our clocks
            # (and a step's length, which a compiled step run eagerly may well take).
            self._extra.append(max(cost, min(beyond, 4 * cost + self.bare_or(cost))))
        # Worked out here, not at each step: a step that is not sampled is to cost next to nothing.
        self._next = max(step + self.gap(), max(BIRTH) + 1)

    def also(self, cost: float) -> None:
        """So many seconds more were ours."""

    def bare_or(self, other: float) -> float:
        """`bare`, or another value before it is known."""
        return self.bare if self._bare else other

    def alert(self) -> None:
        """Something looks wrong: sample every step for a while, within a fixed allowance."""
        if self._alert == 0:
            self._alert = min(_ALERT, self._alerts_left)
            self._alerts_left -= self._alert
