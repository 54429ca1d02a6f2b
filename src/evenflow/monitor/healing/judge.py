"""When to act, on numbers alone: which gradients are outliers, and when a training has diverged.

Both compare a training with its own past, and both were set on the calibration half of the zoo
(62 healthy trainings x 3 seeds, `benchmarks/heal.py --calibrate`), with room to spare: what is
healthy must stay as it is, to the bit.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median

#: An outlier's norm is more than FACTOR times the largest of the latest WINDOW that were none.
#: The largest ratio in a healthy training was 2.1; a mean and a deviation (ZClip's z > 2.5) call
#: one healthy step in fifty an outlier. Before LEAST norms are known it takes a factor of EARLY.
FACTOR, WINDOW, LEAST = 10.0, 128, 8
EARLY, FIRST = 100.0, 2
#: So many outliers on end are no outliers but another regime (a loss was reweighted).
REGIME = 8

#: Losses are judged by the median of the latest SPAN: three of five must be high.
SPAN = 5
#: All five are past half the way to the limit then.
#: Diverged (as EF402): TIMES_START times the start's loss; or, where at least WON of the start's
#: loss had been won, more than LOST of that lost again at TIMES_BEST times the best. The largest
#: such values in healthy trainings were 1.35, and .27 lost.
TIMES_START, WON, LOST, TIMES_BEST = 3.0, 0.3, 0.5, 3.0
#: After a roll-back, losses above this share of the start's are no better than the start.
WORSE = 0.95
#: Weights that went further than their own norm since the snapshot have gone far.
FAR = 1.0


class Norms:
    def __init__(self) -> None:
        self.seen: deque[float] = deque(maxlen=WINDOW)
        self._on_end: list[float] = []

    @property
    def usual(self) -> float:
        """Median of the window; NaN if it is empty."""
        return median(self.seen) if self.seen else math.nan

    @property
    def limit(self) -> float:
        """What a norm may be; infinite as long as too little is known."""
        if len(self.seen) < FIRST or max(self.seen) <= 0:
            return math.inf
        return (FACTOR if len(self.seen) >= LEAST else EARLY) * max(self.seen)

    def outlier(self, norm: float) -> bool:
        """Take in a finite norm; is it an outlier? Outliers are not part of the window."""
        if norm <= self.limit:
            self.seen.append(norm)
            self._on_end.clear()
            return False
        self._on_end.append(norm)
        if len(self._on_end) <= REGIME:
            return True
        self.seen = deque(self._on_end, maxlen=WINDOW)
        self._on_end.clear()
        return False

    @property
    def on_end(self) -> int:
        """Outliers in a row."""
        return len(self._on_end)

    def copy(self) -> Norms:
        other = Norms()
        other.seen = self.seen.copy()
        return other


class LossHistory:
    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=SPAN)
        self._first: list[float] = []
        self.best = math.inf

    @property
    def start(self) -> float:
        """The loss it began with: median of the first SPAN, or of as many as there are."""
        return median(self._first) if self._first else math.nan

    @property
    def suspect(self) -> bool:
        """Is all of it far above the very first loss? Diverged, if the weights have gone far too.

        A rate far too high has ruined the second loss already, and a median of ruins would pass for
        a start; but one loss alone may be low by chance.
        """
        first = self._first[0] if self._first else math.nan
        halfway = self._above(first, 0.5 * (1 + TIMES_START))
        return self.level > self._above(first, TIMES_START) and min(self._latest) > halfway

    @property
    def no_better(self) -> bool:
        """Is all of it at or above the start, where a training that learns is not for long?"""
        return math.isfinite(self.level) and min(self._latest) > WORSE * self.start

    @staticmethod
    def _above(loss: float, times: float) -> float:
        return loss + (times - 1) * abs(loss)

    @property
    def level(self) -> float:
        """Median of the latest; NaN before SPAN of them are known."""
        return median(self._latest) if len(self._latest) == SPAN else math.nan

    @property
    def limit(self) -> float:
        """The level at which it has diverged."""
        start, best = self.start, min(self.best, self.start)
        limit = self._above(start, TIMES_START)
        won = start - best
        if won > WON * abs(start):
            limit = min(limit, max(best + LOST * won, self._above(best, TIMES_BEST)))
        return limit

    def take(self, loss: float) -> bool:
        """Take in a loss; has it diverged? Not finite counts as infinite."""
        loss = loss if math.isfinite(loss) else math.inf
        if len(self._first) < SPAN and math.isfinite(loss):
            self._first.append(loss)
        self._latest.append(loss)
        level = self.level
        if math.isnan(level):
            return False
        # Tasks that take turns may have losses far apart: their low ones come again and again.
        if level > self.limit and min(self._latest) > self._halfway:
            return True
        self.best = min(self.best, level)
        return False

    @property
    def calm(self) -> bool:
        """Is this a state to go back to? Half the way to a divergence is too far."""
        level = self.level
        if math.isnan(level):
            return len(self._latest) > 0 and max(self._latest) <= self.start
        return level <= self._halfway

    @property
    def _halfway(self) -> float:
        best = min(self.best, self.start)
        return best + 0.5 * (self.limit - best)

    def copy(self) -> LossHistory:
        other = LossHistory()
        other._latest, other._first, other.best = self._latest.copy(), list(self._first), self.best
        return other
