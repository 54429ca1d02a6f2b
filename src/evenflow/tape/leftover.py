"""Gradients that stand in parameters when a backward begins: of updates before, not cleared."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from . import numbers
from .numbers import local
from .registry import SiteRegistry
from .scalars import Scalar


def values_of(grads: Iterable[tuple[int, Tensor | None]]) -> tuple[list[int], list[Tensor]]:
    """Those of (index, gradient) that are there and can be read: indices, and what to read."""
    index: list[int] = []
    found: list[Tensor] = []
    for i, g in grads:
        if g is None:
            continue
        if type(g) is not Tensor or g.requires_grad:
            g = local(g).detach()
            if numbers.mute(g):
                continue
        found.append(g.coalesce().values() if g.is_sparse else g)
        index.append(i)
    return index, found


class Leftover:
    """Of one sampled step: by parameter, the least norm of `.grad` before its backward passes.

    The second pass of an accumulation finds the first one's gradients, and an attack on the inputs
    may run before the clearing: what is 0 at any pass that reaches the parameter was cleared.
    Norms are taken in full readings, and while the latest look found something; a gradient that is
    None costs none.
    """

    def __init__(self, registry: SiteRegistry) -> None:
        self._registry = registry
        self._least: dict[int, Scalar] = {}
        self._chasing = False

    def begin(self) -> None:
        self._least = {}

    def taken(self) -> dict[int, Scalar]:
        """All that was seen in this step, by index of parameter; the next begins anew."""
        found, self._least = self._least, {}
        return found

    def look(self, reached: Iterable[Tensor], full: bool) -> None:
        """A backward is about to add to the gradients of these parameters."""
        known, least = self._registry, self._least
        held = [(i, p.grad) for p in reached if (i := known.param(p)) is not None]
        least.update((i, 0.0) for i, g in held if g is None)
        there = [(i, g) for i, g in held if g is not None and least.get(i) != 0.0]
        if not there or not (full or self._chasing or not there[0][1].is_cpu):
            return
        index, found = values_of(there)
        for i, size in zip(index, numbers.norms(found), strict=True):
            least[i] = _least(least.get(i), size)
        self._chasing = any([v != 0.0 for v in least.values() if isinstance(v, float)])


def _least(before: Scalar | None, now: Scalar) -> Scalar:
    if isinstance(before, float) and isinstance(now, float):
        return min(before, now)
    if isinstance(before, Tensor) and isinstance(now, Tensor):
        return torch.minimum(before, now)
    return now
