"""What steps take, and what of it is ours."""

from __future__ import annotations

from time import perf_counter

from .cadence import Cadence


class Clock:
    """Times steps from the update before to their own, for the cadence.

    `own`: seconds that we took in the step that is running, those the recorder counts left out.
    """

    def __init__(self, cadence: Cadence) -> None:
        self._cadence = cadence
        self.own = 0.0
        self.turn(0)

    def turn(self, coming: int) -> None:
        """The step numbered `coming` begins."""
        self._began, self._step = perf_counter(), coming
        self.own = 0.0

    def unsampled(self, step: int) -> None:
        """This step is made, and none since the latest turn was sampled."""
        self._cadence.ran_bare((perf_counter() - self._began) / (step + 1 - self._step))

    def sampled(self, step: int, start: float, called: float, read: float) -> tuple[float, float]:
        """(seconds it took, seconds of them that were ours) of a sampled step that is made.

        `start`: when we were told that it is; `called`: when its first module was called, if one
        was; `read`: seconds the recorder took.
        """
        now = perf_counter()
        # Before the first step a script builds and loads: that is none of the step's.
        began = self._began if step else max(self._began, called)
        wall, cost = now - began, read + self.own + now - start
        self._cadence.ran_sampled(step, wall, cost)
        return wall, cost
