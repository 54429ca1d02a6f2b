"""Calls of root modules within a sampled step: which of them are part of the training.

An agent acts many times between two updates, often with gradients enabled: such calls make graphs
that nobody runs a backward through. They are no calls of the step: their numbers are given again,
what was read in them is dropped. And calls on data alone beyond a few (an episode, a pair at a
time) are one call as micro-batches are: otherwise the sites of a small network have no end.
"""

from __future__ import annotations

import weakref

from .catalogue import Place
from .frames import Calls
from .labels import Label
from .slab import Slab

#: Calls of one root, on data alone, that have sites of their own.
MOST = 8


class RootCall:
    """One call: where its readings stand in the slab, and labels of the first and last node."""

    def __init__(self, place: Place, start: int) -> None:
        self.place, self.start, self.end = place, start, -1
        self.first: weakref.ref[Label] | None = None
        self.last: weakref.ref[Label] | None = None
        self.reached = False

    def note(self, made: Label) -> None:
        """A node was made in it."""
        self.last = weakref.ref(made)
        self.first = self.first or self.last

    @property
    def labels(self) -> list[Label]:
        """Those of nodes that still exist."""
        refs = (self.first, self.last)
        return [made for ref in refs if ref is not None and (made := ref()) is not None]

    @property
    def gone(self) -> bool:
        """Was its graph let go before any backward came?"""
        return self.first is not None and not self.reached and not self.labels


class RootCalls:
    """Of the step that is sampled."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A sampled step begins."""
        self._all: list[RootCall] = []
        self.again()

    def again(self) -> None:
        """A backward has run: the next forward is a new micro-batch."""
        self._since = len(self._all)
        self._starts: dict[tuple[Place, int], dict[Place, int]] = {}

    def begin(self, place: Place, on_data: bool, counts: Calls, slab: Slab) -> RootCall:
        """A call begins; sets `counts` so that the next call of the place has its number."""
        alive = sum(c.place == place and not c.gone for c in self._all[self._since :])
        number = min(alive, MOST - 1) if on_data else alive
        if (place, number) in self._starts:
            counts.put_back(place.root, self._starts[place, number])
        else:
            self._starts[place, number] = counts.of(place.root)
        call = RootCall(place, len(slab))
        self._all.append(call)
        return call

    def arrive(self, generation: int) -> None:
        """A graph has been armed: which calls are in it?"""
        for call in self._all:
            call.reached |= any(made.armed == generation for made in call.labels)

    def drop(self, slab: Slab) -> None:
        """Take out of the slab what was read in calls that are no part of the training: whose
        graph is gone, or was left when a later call of the same module was trained."""
        trained: set[Place] = set()
        for call in reversed(self._all):
            if call.end >= 0 and (call.gone or (not call.reached and call.place in trained)):
                slab.cut(call.start, call.end)
            if call.reached:
                trained.add(call.place)
