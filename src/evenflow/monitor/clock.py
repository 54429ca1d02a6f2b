"""What steps take, and what of it is ours."""

from __future__ import annotations

import math
from time import perf_counter

from ..tape import Recorder
from .cadence import Cadence


class Clock:
    """Times steps from the update before to their own, for the cadence.

    `own`: seconds that we took in the step that is running, those the recorder counts left out.
    """

    def __init__(self, cadence: Cadence) -> None:
        self._cadence = cadence
        self.own = 0.0
        self.turn(0)

    def turn(self, coming: int, start: float = math.inf) -> None:
        """The step numbered `coming` begins, which we made ready for since `start`."""
        self._began, self._step = perf_counter(), coming
        self._first = start == math.inf
        self._cadence.also(max(0.0, self._began - start))
        self.own = 0.0

    def unsampled(self, step: int, start: float, recorder: Recorder) -> str:
        """This step is made, and none since the latest turn was sampled; what is to be said if its
        sample was given up. `start`: when we were told that it is made."""
        if recorder.bounds.was_cut:
            less = self._cadence.was_cut(step, *self._told(start, recorder), recorder.heard)
            return recorder.bounds.gave_up(less)
        now, steps = perf_counter(), step + 1 - self._step
        own = self.own + now - start + recorder.bill()
        self._cadence.ran_bare((now - self._began - own) / steps, steps)
        self._cadence.also(own)
        return ""

    def sampled(self, step: int, start: float, recorder: Recorder) -> tuple[float, float]:
        """(seconds it took, seconds of them that were ours) of a sampled step that is made."""
        wall, cost = self._told(start, recorder)
        self._cadence.ran_sampled(step, wall, cost, recorder.heard)
        return wall, cost

    def _told(self, start: float, recorder: Recorder) -> tuple[float, float]:
        now = perf_counter()
        began, cost = self._began, recorder.bill() + self.own + now - start
        if self._first and recorder.started > began:
            # Before the first step a script builds and loads: that is none of the step's.
            began, cost = recorder.started, cost - recorder.early
            self._cadence.also(recorder.early)
        self._cadence.worked(recorder.bounds.worked)
        return now - began, cost
