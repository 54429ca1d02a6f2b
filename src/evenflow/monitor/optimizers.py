"""The optimizers of a watch, in the order in which they were met."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from ..store import Writer
from ..tape import Lines, SiteRegistry, calling, made, of_optimizer, settings, where

#: A script that makes its optimizer anew may make thousands; past so many each takes the number
#: of the one before it.
_MOST = 64


class OptimizerRegistry:
    """Numbers optimizers; met first, an optimizer's parameters and class are written down.

    Optimizers that step after one backward, or hold the same parameters, make *one turn*: they
    follow one loss. Those of different turns compete (`separate` tells a GAN that steps both
    halves together).
    """

    def __init__(self, writer: Writer, registry: SiteRegistry) -> None:
        self.refs: list[weakref.ref[torch.optim.Optimizer]] = []
        self.known: dict[int, weakref.ref[torch.optim.Optimizer]] = {}  # by id
        self._writer, self._registry = writer, registry
        self._index: dict[int, int] = {}
        self._mates: set[tuple[int, int]] = set()
        self._rivals: set[tuple[int, int]] = set()
        self._stepped: set[int] = set()
        self._turn: list[int] = []
        self._told: list[dict[str, Any]] = []
        self._changed = False
        self._lazy: set[int] = set()  # optimizers some of whose parameters had no shape yet

    def index(self, optimizer: torch.optim.Optimizer) -> int:
        """Its number, from 0."""
        ref = self.known.get(id(optimizer))
        if ref is not None and ref() is optimizer:
            if self._lazy:
                self._enlist(optimizer, self._index[id(optimizer)])
            return self._index[id(optimizer)]
        params = of_optimizer(optimizer)
        before = [
            -1 if i is None else self._registry.params[i].optimizer
            for i in map(self._registry.param, params)
        ]
        same = [i for i in {*before} - {-1} if 2 * before.count(i) > len(before)]
        again = len(self.refs) >= _MOST and bool(same) and self.refs[same[0]]() is None
        index = same[0] if again else len(self.refs)
        new = weakref.ref(optimizer)
        if not again:
            # It is known last, and all before can be done twice: a signal may strike in between.
            self._enlist(optimizer, index)
            self._relate((i, index) for i in same)
            at = made(optimizer)
            lines = self._lines("made", None if at is None else at.at)
            told = {"class": type(optimizer).__name__, "params": len(params), **lines}
            self._told[index:] = [told]
            self._changed = True
        self.refs[index : index + 1] = [new]
        self.known[id(optimizer)], self._index[id(optimizer)] = new, index
        return index

    def _enlist(self, optimizer: torch.optim.Optimizer, index: int) -> None:
        self._lazy.discard(index)
        for p in of_optimizer(optimizer):
            if is_lazy(p):
                self._lazy.add(index)
            else:
                self._registry.expect(p, index)

    def runs(self, index: int) -> None:
        """This one makes its update: note the line, the first time."""
        told = self._told[index]
        if "stepped" not in told:
            told["stepped"] = []
            told.update(self._lines("stepped", calling()))
            self._changed = True

    def _lines(self, how: str, at: Lines | None) -> dict[str, object]:
        """For what is told of it."""
        if at is None:
            return {}
        self._registry.seen.append(at)
        return {how: [w.as_dict() for w in where(how, at, self._registry.folder)]}

    def stepped(self, indices: Iterable[int], rivals: bool = False) -> None:
        """These have made an update together; `rivals`: each by a loss of its own."""
        new = sorted(indices)
        pairs = set(combinations(new, 2))
        if rivals and not pairs <= self._rivals:
            self._rivals |= pairs
            self._changed = True
        self._relate(pairs)
        if not self._stepped.issuperset(new):
            self._stepped.update(new)
            self._changed = True

    def met(self, ids: Iterable[int]) -> None:
        """These, by id, have made an update together that may not have been sampled: a GAN's second
        half is one also where no sample of it was taken."""
        if len(self._stepped) < len(self.refs):
            self.stepped([self._index[i] for i in ids if i in self._index])

    def _relate(self, pairs: Iterable[tuple[int, int]]) -> None:
        new = set(pairs) - self._mates
        self._mates |= new
        self._changed |= bool(new)

    @property
    def one_turn(self) -> bool:
        """Do all optimizers that ever stepped follow one loss, as far as is known?"""
        if len(self.refs) == 1:
            return True
        if self._changed:
            self._regroup()
        return len({self._turn[i] for i in self._stepped}) == 1

    @property
    def alive(self) -> int:
        return len(self.refs) if len(self.refs) < 2 else sum(r() is not None for r in self.refs)

    def _regroup(self) -> None:
        """Each turn has the number of its first optimizer."""
        turn = self._turn = list(range(len(self.refs)))

        def first(i: int) -> int:
            while turn[i] != i:
                i = turn[i]
            return i

        for a, b in sorted(self._mates - self._rivals):
            low, high = sorted((first(a), first(b)))
            turn[high] = low
        self._turn = [first(i) for i in range(len(turn))]

    def write(self) -> None:
        if not self._changed:
            return
        self._regroup()
        self._changed = False
        for i, (told, ref) in enumerate(zip(self._told, self.refs, strict=True)):
            optimizer = ref()
            if optimizer is not None:
                told.update(settings(optimizer))
            if i in self._stepped:
                told["turn"] = self._turn[i]
        self._writer.meta(optimizers=[dict(told) for told in self._told])
