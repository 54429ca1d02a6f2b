"""Calls of root modules within a sampled step: which of them are part of the training.

An agent acts many times between two updates, often with gradients enabled: such calls make graphs
that nobody runs a backward through. They are no calls of the step: their numbers are given again,
what was read in them is dropped. And calls on data alone beyond a few (an episode, a pair at a
time) are one call as micro-batches are: otherwise the sites of a small network have no end.

Nor may they use up what sampling may cost. After a few dozen calls alike (of one module, in one
mode, on inputs of one shape) whose graphs were let go, others like them are not read: the training
forward, of another shape mostly, still is. The sample is given up, and the next begins with more
patience, where calls without gradients or unread ones go on and on, or where one that was not read
is trained after all.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from .frames import Calls, RootCall
from .registry import Place
from .sample import Sample
from .scalars import ScalarBuffer

#: Calls of one root, on data alone, that have sites of their own.
MOST = 8
#: Calls alike that are read in vain before others like them are not; and at most so many, when
#: samples were given up: each time twice as many.
PATIENCE, LONGEST = 64, 64 << 6
#: So many times as many are then let pass unread, a few microseconds each, before a sample is
#: given up.
_UNREAD = 8
#: Of so many calls, kept all of them, the first may be a memory's (states acted in before the first
#: update): the first sample leaves half of what it may take to the next.
_KEPT = 512
#: Unread calls whose nodes are known, the latest: those before are gone.
_KNOWN = 64


class RootCalls:
    """Of the step that is sampled."""

    def __init__(self) -> None:
        self._patience = PATIENCE
        self._all: list[RootCall] = []
        self.reset()

    def reset(self, follows: bool = False) -> None:
        """A step begins; `follows`: right after another sampled one, whose graphs it may use."""
        self._before: list[RootCall] = self._all if follows else []
        self._all = []
        self._modes: list[RootCall] = []  # of those reached in this step
        self.again()

    def again(self) -> None:
        """A backward has run: the next forward is a new micro-batch."""
        self._live: list[RootCall] = []  # since then, those whose graphs exist
        self._starts: dict[tuple[Place, int], dict[Place, int]] = {}
        self._vain: Counter[tuple[Any, ...]] = Counter()  # calls alike that came to nothing
        self._unread, self._trained = 0, False
        self._spans: deque[tuple[int, int]] = deque(maxlen=_KNOWN)

    def begin(
        self, like: tuple[Any, ...], on_data: bool, counts: Calls, rec: Sample
    ) -> RootCall | None:
        """A call begins: its place and all that makes it one of many alike. Sets `counts` so that
        the next call of the place has its number. None if it is not to be read."""
        live = []
        for call in self._live:
            if call.gone or call.blank:
                self._vain[call.like] += 1
            else:
                live.append(call)
        self._live = live
        if self._vain[like] >= self._patience:
            return None
        if self._hoards(rec):
            rec.give_up()
            return None
        place = like[0]
        alive = sum(c.place == place for c in live)
        number = min(alive, MOST - 1) if on_data else alive
        if (place, number) in self._starts:
            counts.put_back(place.root, self._starts[place, number])
        else:
            self._starts[place, number] = counts.of(place.root)
        call = RootCall(like, on_data, len(rec.scalars))
        self._all.append(call)
        live.append(call)
        return call

    def _hoards(self, rec: Sample) -> bool:
        """Are so many graphs kept that they may be no step's?"""
        if self._patience > PATIENCE or len(self._live) < _KEPT:
            return False
        return rec.cost > rec.bounds.limit / 2 and all([c.on_data for c in self._live])

    def left_out(self, opened: int, closed: int, rec: Sample) -> None:
        """A call that was not read has returned; the sequence numbers of its nodes, if any."""
        if closed > opened:
            self._spans.append((opened, closed))
            self.passed(rec)

    def passed(self, rec: Sample) -> None:
        """A call was not read; perhaps it is no training's at all."""
        self._unread += 1
        if self._unread > _UNREAD * self._patience:
            rec.give_up()

    def unread(self, seq: int) -> bool:
        """Was this node, now of a graph that is trained, made in a call that was not read?"""
        found = any([opened <= seq < closed for opened, closed in self._spans])
        self._trained |= found
        return found

    def more_patience(self) -> None:
        self._patience = min(2 * self._patience, LONGEST)

    def arrive(self, generation: int) -> bool:
        """A graph has been armed: which calls are in it? False if one is that was not read."""
        for call in (*self._before, *self._all):
            made = [m for m in call.labels if m.armed == generation]
            if made and call.reach(made[0]):
                self._modes.append(call)
        return not self._trained

    def drop(self, scalars: ScalarBuffer) -> None:
        """Take out of the buffer what was read in calls that are no part of the training: whose
        graph is gone, or was left when a later call of the same module was trained. Of those that
        are, note what their mode switched off."""
        trained: set[Place] = set()
        for call in reversed(self._all):
            if call.end >= 0 and (call.gone or (not call.reached and call.place in trained)):
                scalars.cut(call.start, call.end)
            if call.reached:
                trained.add(call.place)
        for call in [c for c in self._modes if c.site >= 0]:
            scalars.add(("site", call.site, "off_norms", -1), float(call.off.norms))
            scalars.add(("site", call.site, "off_dropouts", -1), float(call.off.dropouts))
