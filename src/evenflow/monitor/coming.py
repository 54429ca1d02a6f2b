"""The step to come: is it to be sampled, and how are those between two samples counted?"""

from __future__ import annotations

from ..tape import Recorder
from . import hooks
from .alternation import Alternation
from .cadence import Cadence
from .clock import Clock
from .optimizers import OptimizerRegistry
from .quiet import STRETCH, Quiet


class Coming:
    """Arms the recorder when the cadence asks for a sample, and else has steps counted only.

    Attributes:
        samples: steps sampled so far.
        latest: the latest of them.
    """

    def __init__(
        self,
        cadence: Cadence,
        recorder: Recorder,
        clock: Clock,
        quiet: Quiet,
        optimizers: OptimizerRegistry,
    ) -> None:
        self._cadence, self._recorder, self._clock = cadence, recorder, clock
        self._quiet, self._optimizers, self.alternation = quiet, optimizers, Alternation()
        self.samples, self.latest = 0, -2

    def sampled(self, step: int) -> None:
        self.samples += 1
        self.latest = step

    def arm(self, step: int, follows: bool = False) -> None:
        """The next training forward is to be read, as this step's."""
        if self._cadence.every != 0:
            hooks.watch_compiled()
            self._clock.own += self._recorder.bill()  # a sample may begin anew within a step
            self._recorder.bounds.limit = self._cadence.limit()
            full = self._cadence.full(step, self.samples)
            self._recorder.arm(full, step, follows)

    def next(self, coming: int) -> None:
        """The step before this one is made."""
        if self.alternation.samples(self._cadence.wants(coming)) and self._cadence.affords():
            self.arm(coming, follows=self.latest == coming - 1)
        elif self._recorder.recording:
            self._recorder.disarm()

    def in_vain(self) -> bool:
        """A backward has run: was the sample given up, as what it read was not trained? Then the
        next step is due, and what this one took is told."""
        bounds = self._recorder.bounds
        given_up, bounds.in_vain = bounds.in_vain, False
        if given_up:
            self._clock.own += self._recorder.bill()
            self._cadence.in_vain()
        return given_up

    def once_more(self, step: int) -> bool:
        """After a sample in vain: the step may be one of many backwards, and have no update at all.
        Then what is read from here on is told; with an update it would be no whole sample."""
        if self._recorder.recording or not self._cadence.affords():
            return False
        self.arm(step)
        return True

    def hush(self, coming: int, hand: bool) -> None:
        """Until the next step is due, or losses are to be looked at, steps are only counted."""
        # Nobody waits for a round where none is sampled.
        alike = hand or self._cadence.every == 0 or self._optimizers.one_turn
        if alike and self._recorder.clean:
            steps = min(STRETCH, self._cadence.due(coming) - coming)
            self._quiet.begin(self._optimizers.known, steps, hand)
