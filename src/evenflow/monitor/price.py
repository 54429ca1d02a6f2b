"""What watching takes beyond a bare training, as it is told: what a bare twin would show.

Our clocks run within our own code. What they do not see is added:

    of a sample      how torch gets to our code, and caches that hold other things; its length
                     beyond a bare step's shows it, or else the times that torch called us do
    of the steps     right after a sample: a twentieth of its price
    of other steps   the two hooks that count them

The budget is ruled by another, higher figure (`cadence`): a sample's price is to be bounded before
it is taken, and this one is known after.
"""

from __future__ import annotations

from collections import deque
from math import sqrt
from statistics import median
from time import perf_counter

#: Seconds beside our clocks each time that torch calls us while a step is sampled, on a machine
#: that takes `_LOOP` for `_loop`; and so many times that for the sample as such, which finds the
#: processor's and Python's caches full of other things (decision 63).
_CALL, _LOOP, _SAMPLE = 8.6e-6, 22.2e-6, 11.0
#: So many calls are what the hooks of an unsampled step take.
_QUIET = 3.4
#: What a sample costs the steps after it, of its price.
_AFTER = 0.05
#: What runs for less than these seconds is seldom interrupted by others in its midst.
_SLICE = 2e-3
#: A sample of all readings takes up to so many times what the usual one does.
_DEAR = 4.0
#: A median's standard error, over the median absolute deviation and for one value: 1.4826 * 1.2533.
_ERROR = 1.858


def pace() -> float:
    """`_CALL` on this machine."""
    return _CALL * min(_loop() for _ in range(7)) / _LOOP


def _loop() -> float:
    start, x = perf_counter(), 0.0
    for i in range(200):
        x = max(x, float(i))
    return perf_counter() - start


class Price:
    """Adds up; `call`: seconds that a call of ours takes beside our clocks, see `pace`."""

    def __init__(self, call: float) -> None:
        self._call = call
        self._own = self._within = 0.0  # by our clocks, and what of it within sampled steps
        self._over = 0.0  # what of that is more than a sample takes
        self._wall, self._heard, self._samples = 0.0, 0, 0  # of sampled steps
        self._unsampled, self._steps = 0.0, 0  # of the others: seconds without ours, how many
        self._bare: deque[float] = deque(maxlen=31)
        self._rest: deque[float] = deque(maxlen=31)  # of samples: what our clocks leave
        self._each: deque[float] = deque(maxlen=31)  # their price by our clocks

    def unsampled(self, wall: float, steps: int) -> None:
        """So many steps took this many seconds each, what our clocks saw left out."""
        bare = wall - min(_QUIET * self._call, wall / 2)
        self._bare.append(bare)
        self._unsampled += bare * steps
        self._steps += steps
        self._own += (wall - bare) * steps

    def sampled(self, wall: float, own: float, heard: int, usual: bool) -> None:
        """A sampled step took `wall` seconds, `own` of them ours; torch called us `heard` times.
        `usual`: it is none of the first, which make everything ready, and it was not cut."""
        self._wall += wall
        self._own += own
        self._within += own
        self._heard += heard
        self._samples += 1
        if usual:
            self._rest.append(wall - own)
            self._each.append(own)
            self._over += max(0.0, own - _DEAR * median(self._each))

    def also(self, own: float) -> None:
        """So many seconds more were ours, outside the steps told of."""
        self._own += own

    @property
    def hidden(self) -> float:
        """Seconds of one sample that our clocks do not see: what torch's calls let expect, and what
        its length shows, each as far as it is sure (steps differ, most of all on busy machines)."""
        expected = self._call * (_SAMPLE + self._heard / max(self._samples, 1))
        if len(self._rest) < 3 or not self._bare:
            return expected
        shown = median(self._rest) - median(self._bare)
        error = sqrt(_variance(self._rest) + _variance(self._bare))
        doubt = max(expected / 2, median(self._each) / 4)
        share = doubt**2 / (doubt**2 + error**2) if doubt > 0 else 1.0
        return max(0.0, expected + share * (shown - expected))

    @property
    def told(self) -> dict[str, float]:
        """Seconds that watching took, and those that the training took itself."""
        hidden, n = self.hidden, self._samples
        spent = self._own + n * hidden
        if not self._bare:
            return self._left(spent, hidden)
        if self._each:
            spent += _AFTER * min(n, self._steps) * (median(self._each) + hidden)
        return {"spent": spent, "trained": self._unsampled + n * median(self._bare)}

    def _left(self, spent: float, hidden: float) -> dict[str, float]:
        """`told` where every step is sampled: the training's is what is left of the steps' length
        once ours are taken away. That is a small remainder where ours are many times as long, so
        of short steps, few of which others interrupt, the usual one is believed."""
        if len(self._rest) >= 3 and (rest := median(self._rest)) < _SLICE:
            usual = max(rest - hidden, rest / 8)
            return {"spent": spent - self._over, "trained": self._samples * usual}
        left = self._wall - self._within - self._samples * hidden
        return {"spent": spent, "trained": max(0.0, left)}


def _variance(values: deque[float]) -> float:
    """Of their median."""
    middle = median(values)
    return (_ERROR * median(abs(v - middle) for v in values)) ** 2 / len(values)
