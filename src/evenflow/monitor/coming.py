"""The step to come: is it to be sampled, and how are those between two samples counted?"""

from __future__ import annotations

from collections import deque

from ..tape import Recorder
from . import hooks
from .cadence import Cadence
from .clock import Clock
from .optimizers import OptimizerRegistry
from .quiet import STRETCH, Quiet

#: Steps of a round, at most, of optimizers that take turns.
_LONGEST = 8


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


class Alternation:
    """Says which steps of a round are to be sampled once a sample is due.

    A GAN's fakes are made before the discriminator's update and used in the generator's, so a
    round begins with the first optimizer's first turn, and all its steps are read.
    """

    def __init__(self) -> None:
        self._turns: deque[int] = deque(maxlen=2 * _LONGEST)
        self._due, self._left = False, 0

    def took(self, optimizer: int) -> None:
        """This optimizer (by index) has made the update that ended the step."""
        self._turns.append(optimizer)

    def samples(self, due: bool) -> bool:
        """Is the coming step to be sampled? `due`: the cadence asks for one."""
        self._due |= due
        if not self._due and not self._left:
            return False
        if self._left > 0:
            self._left -= 1
            return True
        period = self._period()
        if not self._due or (period > 1 and not (self._turns[-period] == 0 != self._turns[-1])):
            return False
        self._due, self._left = False, period - 1
        return True

    def _period(self) -> int:
        turns = list(self._turns)
        for p in range(1, _LONGEST + 1):
            if len(turns) > p and turns[p:] == turns[:-p]:
                return p
        return len(set(turns)) or 1
