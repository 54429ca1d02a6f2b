"""Optimizers that take turns are read a round at a time."""

from __future__ import annotations

from collections import deque

_LONGEST = 8


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
