"""Tensors as they are at one moment, so that it can be told how far each has moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from . import numbers
from .scalars import Scalar
from .together import flattened, norms_of, small


class Snapshot:
    """A copy of some tensors, which `moved` lets go.

    Small ones lie in one array, and are read in few calls; of the others each has a copy.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._small = [small(t) for t in tensors]
        few, rest = self._split(tensors)
        self._sizes = [t.numel() for t in few]
        self._few = flattened(few).astype(np.float64, copy=False)
        # Copies, in one call; the minus sign is so that what is then can be added to them.
        self._minus = list(torch._foreach_neg(rest)) if rest else []

    def norms(self) -> list[Scalar]:
        return self._in_order(norms_of(self._few, self._sizes), numbers.norms(self._minus))

    def moved(self, after: Sequence[Tensor]) -> dict[int, Scalar]:
        """2-norm of the way each has gone to what it is now, by its place in the list; without
        those that have another size now."""
        few, rest = self._split(after)
        alike = [small(t) and t.numel() == n for t, n in zip(few, self._sizes, strict=True)]
        if all(alike):
            with np.errstate(all="ignore"):  # infinite less infinite is NaN, as in torch
                way = flattened(few) - self._few
            near: list[Scalar] = list(norms_of(way, self._sizes))
        else:
            old = np.split(self._few, np.cumsum(self._sizes)[:-1])
            near = [
                numbers.norm(t.reshape(-1) - torch.from_numpy(o)) if t.numel() == len(o) else _NONE
                for t, o in zip(few, old, strict=True)
            ]
        minus, self._minus, self._few = self._minus, [], self._few[:0]
        same = [i for i, t in enumerate(rest) if t.shape == minus[i].shape]
        if same:
            torch._foreach_add_([minus[i] for i in same], [rest[i] for i in same])
        far: list[Scalar] = [_NONE] * len(rest)
        for i, size in zip(same, numbers.norms([minus[i] for i in same]), strict=True):
            far[i] = size
        ways = self._in_order(near, far)
        return {i: way for i, way in enumerate(ways) if way is not _NONE}

    def _split(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Those that were small, and the others."""
        pairs = list(zip(tensors, self._small, strict=True))
        return [t for t, is_small in pairs if is_small], [
            t for t, is_small in pairs if not is_small
        ]

    def _in_order(self, few: Sequence[Scalar], rest: Sequence[Scalar]) -> list[Scalar]:
        """One for each tensor, of those for the small and for the others."""
        near, far = iter(few), iter(rest)
        return [next(near) if is_small else next(far) for is_small in self._small]


_NONE = float("nan")  # this object: of a tensor that has another size now
