"""Which steps are sampled: dense at birth, then as a budget allows, dense again in trouble.

Whatever happens, after t seconds of training sampling has taken no more than `allowance(t)`.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from statistics import median

from .price import Price

#: Birth: 0, 1, 2, 3, 4, 6, 8, 11, 16, ... 256, that is powers of the square root of two.
BIRTH = frozenset([0, 1, *(round(2 ** (k / 2)) for k in range(17))])
#: Aim below the budget: costs are estimated from a few sampled steps, and the four or five steps
#: after each are slower by 1 % (they find the caches full of ours), which no clock of ours sees.
_SAFETY = 0.5
#: In trouble so many steps in a row are sampled (an outlier comes again within an epoch: what
#: brought the loss to jump is to be seen when it does), and so many in a whole run.
_ALERT, _ALERTS = 32, 64
#: Seconds that one sample may take; one that would take more is cut.
LONGEST = 2.0
#: Share of the first so many seconds that may be spent beyond `LONGEST`.
_BIRTH_SHARE, _BIRTH_SECONDS = 0.1, 60.0
#: A machine is not taken to be busier than this.
_STARVED = 16.0
#: What a sampled step takes beyond a bare one, over what our clocks saw, where no bare step was
#: seen (measured on seven trainings against bare twins, `benchmarks/claimed.py`: 1.15 to 1.29).
_HIDDEN = 1.27
#: What the second sample takes, at most, of the first one's price (seen: .02 to .15).
_WARM = 0.25
#: Where one was seen: what a sample costs the steps after it. Caches hold other things.
_AFTER = 1.05


def allowance(trained: float, budget: float) -> float:
    """Seconds that sampling may have taken after so many seconds of training."""
    later = max(0.0, trained - _BIRTH_SECONDS)
    return LONGEST + _BIRTH_SHARE * min(trained, _BIRTH_SECONDS) + budget * later


class Cadence:
    """Decides, step by step.

    Args:
        every: "auto"; N samples the steps divisible by N; 0 samples none.
        budget: share of the training's wall time that sampling may add, after birth.
        call: see `price.Price`.

    Attributes:
        trained: seconds that the steps so far took, without what was ours in them.
        spent: seconds that sampling took, rather too many than too few.
        price: what is told of them.
    """

    def __init__(self, every: str | int, budget: float, call: float = 0.0) -> None:
        if every != "auto" and (isinstance(every, (str, bool)) or every < 0):
            raise ValueError(f"every must be 'auto' or a whole number >= 0, not {every!r}")
        if not 0 < budget <= 1:
            raise ValueError(f"budget must be a share above 0 and up to 1, not {budget!r}")
        self.every = every
        self.budget = budget
        self.price = Price(call)
        self._bare: deque[float] = deque(maxlen=31)
        self._extra: deque[float] = deque(maxlen=8)
        self._next = max(BIRTH) + 1
        self._owed = False  # a sample was due, and too dear
        self._dear = 0.0  # what a sample is expected to take
        self._wall = self._own = self._also = 0.0  # of sampled steps: their length, and ours in it
        self._unsampled, self._samples = 0.0, 0  # seconds of the others; how many were sampled
        self._hidden: deque[float] = deque(maxlen=31)
        self._worked = 0.0  # seconds of the processor that the process had in sampled steps
        self._alert = 0
        self._alerts_left = _ALERTS

    @property
    def bare(self) -> float:
        """Seconds an unsampled step takes: median of the latest; NaN before there was one."""
        return median(self._bare) if self._bare else math.nan

    def wants(self, step: int) -> bool:
        """Is this step to be sampled? (`step` updates have been completed.)"""
        if self.every != "auto":
            owed, self._owed = self._owed, False
            return owed or (bool(self.every) and step % int(self.every) == 0)
        due = self._owed or step in BIRTH or self._alert > 0 or step >= self._next
        self._owed = due and not self.affords()
        return due and not self._owed

    def affords(self) -> bool:
        """May a sample be taken now?"""
        return self.every != "auto" or self.left() >= self._dear

    def left(self) -> float:
        """Seconds that may be spent now."""
        return allowance(self.trained, self.budget) + LONGEST * (self._starved - 1) - self.spent

    @property
    def _starved(self) -> float:
        """How much longer our readings take as others have the processor: their seconds by the
        wall over those that the whole process had meanwhile, so rather too little than too much.
        Shares of the training's time need no such factor: it is kept waiting likewise."""
        if not self._worked:
            return 1.0
        return min(max(self._own / self._worked, 1.0), _STARVED)

    def limit(self) -> float:
        """Seconds by our own clocks that the next sample may take."""
        if self.every != "auto":
            return math.inf
        return max(0.0, min(LONGEST * self._starved, self.left())) / self.hidden

    @property
    def hidden(self) -> float:
        """What a sample takes in truth over what our own clocks saw of it: they do not see how
        Python gets to our code, nor what the caches lost."""
        if not self._hidden:
            return _HIDDEN
        return min(max(median(self._hidden), 1.0), 4.0) * _AFTER

    @property
    def told(self) -> dict[str, float]:
        return self.price.told

    @property
    def spent(self) -> float:
        return self._own * self.hidden + self._also

    @property
    def trained(self) -> float:
        # A sampled step's own share is a small remainder where sampling takes many times a step,
        # so it is believed only while nothing better is known.
        rest = max(0.0, self._wall - self._own * self.hidden)
        return self._unsampled + (self._samples * self.bare if self._bare else rest)

    def due(self, step: int) -> int:
        """The first step from this one on that is to be sampled, as far as can be said now."""
        if self.every == 0:
            return sys.maxsize
        if self.every != "auto":
            return step if self._owed else -(-step // int(self.every)) * int(self.every)
        if self._owed or self._alert > 0:
            return step + self._steps_until_affordable()
        return min([s for s in BIRTH if s >= step], default=max(step, self._next))

    def _steps_until_affordable(self) -> int:
        missing = self._dear - self.left()
        if missing <= 0 or not self._bare:
            return 0
        rate = _BIRTH_SHARE if self.trained < _BIRTH_SECONDS else self.budget
        return int(min(missing / (rate * max(self.bare, 1e-9)), 1 << 20))

    def gap(self) -> int:
        """Steps between two samples that keep the budget."""
        if not self._bare or not self._extra:
            return 64
        bare = max(self.bare, 1e-9)
        extra = sum(self._extra) / len(self._extra)
        return max(4, math.ceil(extra / (bare * self.budget * _SAFETY)))

    def full(self, step: int, samples: int) -> bool:
        """Are the full readings to be taken too?"""
        if self.every == "auto" and (step in BIRTH or self._alert > 0):
            return True
        return samples % 8 == 0 or step == 0

    def ran_bare(self, wall: float, steps: int = 1) -> None:
        """So many unsampled steps took this many seconds each."""
        self.price.unsampled(wall, steps)
        self._bare.append(wall)
        self._unsampled += wall * steps

    def ran_sampled(self, step: int, wall: float, cost: float, heard: int = 0) -> None:
        """A sampled step took `wall` seconds, of which our own clocks saw `cost`; torch called us
        so many times in it."""
        first = not self._samples
        self.price.sampled(wall, cost, heard, usual=step > 1 and not first)
        self._took(wall, cost)
        # The first sample makes everything ready: taken for the price of the next one it would, on
        # a busy machine, be the only one. Should the next be as dear, `limit` cuts it in time.
        self._dear = cost * self.hidden * (_WARM if first else 1.0)
        if self._alert > 0:
            self._alert -= 1
        if step > 1 and not first:  # the first steps carry the framework's own warm-up
            length = self.bare if self._bare else cost
            beyond = wall - length if self._bare else cost
            if self._bare and cost > 0:
                self._hidden.append(beyond / cost)
            # A stall of the machine is no cost of ours: believe the wall up to 4x our clocks
            # (and a step's length, which a compiled step run eagerly may well take).
            self._extra.append(max(cost, min(beyond, 4 * cost + length)))
            self._dear = max(self._extra)
        # Worked out here, not at each step: a step that is not sampled is to cost next to nothing.
        self._next = max(step + self.gap(), max(BIRTH) + 1)

    def was_cut(self, step: int, wall: float, cost: float, heard: int = 0) -> bool:
        """The sample of this step was given up after `cost` seconds. Is a sample to read less from
        now on (or else to wait until more may be spent)?"""
        self.price.sampled(wall, cost, heard, usual=False)
        self._took(wall, cost)
        self._alert = max(0, self._alert - 1)
        whole = 2 * cost > LONGEST
        self._dear = LONGEST / 2 if whole else 2 * cost
        self._extra.append(self._dear)
        self._next = max(step + self.gap(), max(BIRTH) + 1)
        self._owed = True
        return whole

    def in_vain(self) -> None:
        """A sample was given up, as what it read was not trained: the next step is due."""
        self._owed = self.every != 0

    def _took(self, wall: float, cost: float) -> None:
        self._wall += wall
        self._own += cost
        self._samples += 1

    def worked(self, processor: float) -> None:
        """While the sample that is told of next was taken, the process had so many seconds of the
        processor, its own arithmetic included."""
        self._worked += processor

    def also(self, cost: float) -> None:
        """So many seconds more were ours, outside the steps told of."""
        self._also += cost
        self.price.also(cost)

    def alert(self) -> None:
        """Something looks wrong: sample every step for a while, within a fixed allowance."""
        if self._alert == 0:
            self._alert = min(_ALERT, self._alerts_left)
            self._alerts_left -= self._alert
