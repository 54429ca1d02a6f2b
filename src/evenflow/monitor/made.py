"""One update: made by the optimizers that step after, or within, one backward."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..schema import Channel
from ..tape import Recorder, Scalar, ScalarBuffer, SiteRegistry, Update, of_optimizer, settings

_WHAT = "reading an update"


class Passes:
    """The outermost backward passes of the step that is running."""

    def __init__(self) -> None:
        self.since = 0  # since an optimizer stepped
        self.skipped = 0  # updates left out, before the first that was made
        self.reset()

    def reset(self) -> None:
        self.since = self.count = 0
        self.reach: list[frozenset[int]] = []  # of each sampled one: the parameters it reached

    def begin(self) -> None:
        self.since += 1
        self.count += 1

    def end(self, recorder: Recorder) -> None:
        """It has run, recorded, in a script with several optimizers."""
        met = recorder.backward.latest.values()
        self.reach.append(frozenset(recorder.registry.known_params(met)))


class SampledUpdate:
    """A sampled update from its first optimizer's step on.

    `hand`: made by the script itself, after its backward; read when the next backward begins.
    """

    def __init__(self, step: int, scalars: ScalarBuffer, left: dict[int, Scalar]) -> None:
        self.step, self.scalars = step, scalars
        self._left = left  # see `Leftover`
        self._apart: list[Update] = []  # of optimizers that did not step in the update before
        self.hand: Update | None = None
        self.optimizers: set[int] = set()  # their indices
        self.reach: list[frozenset[int]] = []  # see `Passes`
        self.took = 0.0, 0.0  # seconds, and those of them that were ours
        self.recorded = False  # all but what later optimizers of this update add is there
        self._main: tuple[int, dict[str, float], int] | None = None

    def record(self, passes: Passes) -> None:
        """Its first optimizer has stepped, and no backward runs any more."""
        self.scalars.add(Channel("step", 0, "backwards"), float(passes.count))
        self.reach, self.recorded = passes.reach, True

    def take(self, part: Update, optimizer: torch.optim.Optimizer, index: int, again: bool) -> None:
        """One of its optimizers has stepped; `again`: as in the update before."""
        part.scalars = self.scalars
        if again:
            part.left(self._left)
        else:
            self._apart.append(part)
        part.recorder.sure(_WHAT, "update", part.gradients)
        part.recorder.sure(_WHAT, "update", part.applied)
        self.optimizers.add(index)
        size = sum(p.numel() for p in of_optimizer(optimizer))
        if self._main is None or size > self._main[0]:
            self._main = size, settings(optimizer), index

    def whole(self, stepped: int, alive: int) -> bool:
        """Is nobody left to step? Of so many that live; in the first step, nobody is known yet."""
        return self.recorded and self.hand is None and self.step > 0 and stepped >= alive

    def rivals(self, registry: SiteRegistry) -> bool:
        """Had its optimizers losses that compete?"""
        if len(self.optimizers) < 2:
            return False
        whose = [frozenset(registry.params[i].optimizer for i in r) for r in self.reach]
        return separate(w & self.optimizers for w in whose)

    def finish(self) -> ScalarBuffer:
        if self.hand is not None:
            self.hand.left(self._left)
            self.hand.recorder.sure(_WHAT, "update", self.hand.applied)
        # One that steps more rarely than those beside it may gather gradients meanwhile.
        for part in self._apart if len(self.optimizers) == 1 else ():
            part.left(self._left)
        if self._main is not None:
            _, told, index = self._main
            for name, value in told.items():
                self.scalars.add(Channel("step", 0, name), value)
            if len(self.optimizers) == 1:
                self.scalars.add(Channel("step", 0, "optimizer"), float(index))
        return self.scalars


def separate(reach: Iterable[frozenset[int]]) -> bool:
    """Do the losses of one update pull at different networks? `reach`: of each of its backwards
    the optimizers whose parameters it reached.

    A GAN's two losses reach {D} and {G, D}, or {D} and {G}. Micro-batches reach all alike; the
    losses of several tasks share a trunk and have each a head of their own.
    """
    met = [r for r in dict.fromkeys(reach) if r]
    return any([a < b or not a & b for a in met for b in met if a != b])


def by_hand(recorder: Recorder, leaves: dict[int, Tensor], inputs: Any, result: Any) -> Update:
    """The update that a script is about to make itself, after its backward from `inputs` (what
    `autograd.grad` was given; none for `backward`) to `leaves`."""
    grads: dict[int, Tensor] = {}
    if inputs:
        leaves = {id(p): p for p in inputs if isinstance(p, Tensor) and p.is_leaf}
        pairs = zip(inputs, result or (), strict=False)
        grads = {id(p): g for p, g in pairs if isinstance(g, Tensor)}
    update = update_of(recorder, leaves.values())
    recorder.sure(_WHAT, "update", update.gradients, grads or None)
    return update


def update_of(recorder: Recorder, params: Iterable[Tensor]) -> Update:
    """Of no parameters, where they cannot be read: the rest of the sample is none the worse."""
    made: Update | None = recorder.sure(_WHAT, "update", Update, recorder, params)
    return made or Update(recorder, ())
