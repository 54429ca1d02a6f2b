"""The bench of a script: each run is a fork of it at its first training forward."""

from __future__ import annotations

import time
from collections.abc import Collection

from torch import nn

from ..bench import Change, Trace
from ..instrument import Instrument
from .doors import Doors, Role
from .forking import Answers, Pipe, fork
from .found import LATE, NO_ANSWER, Beginning
from .runner import Runner

#: Of one run, in seconds.
LONGEST = 20.0


class Forked(BaseException):
    """Raised in a fork, to leave whatever asked for the run: it goes on in the script as `role`."""

    def __init__(self, role: Role) -> None:
        super().__init__()
        self.role = role


class ForkBench:
    """See `Bench`. `until` is the time (of `time.monotonic`) after which no run is begun."""

    streams = True
    most_runs = 64

    def __init__(self, doors: Doors, model: nn.Module, found: Beginning, until: float) -> None:
        self.doors, self.model, self.found, self.until = doors, model, found, until

    def run(self, change: Change, steps: int, wants: Collection[str] = ()) -> Trace:
        left = self.until - time.monotonic()
        if left <= 0:
            return Trace("time", LATE)
        answer = fork(min(left, LONGEST))
        if isinstance(answer, Pipe):
            raise Forked(runner(self.doors, answer, self.model, self.found, change, steps, wants))
        if not answer.came:
            return Trace("time", NO_ANSWER)
        trace: Trace = answer.value
        return trace


def runner(
    doors: Doors,
    pipe: Answers,
    model: nn.Module,
    found: Beginning,
    change: Change,
    steps: int,
    wants: Collection[str],
) -> Role:
    """What tells of a run; where it cannot even begin, that is the answer."""
    try:
        return Runner(doors, pipe, Instrument(change, steps, wants), model, found)
    except Exception as error:
        pipe.answer(Trace("error", f"{type(error).__name__}: {error}"[:500]))
