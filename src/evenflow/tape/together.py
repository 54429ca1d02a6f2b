"""Small tensors: their numbers are copied at once, and read together with many others'.

Of a tensor of a few hundred elements a call costs ten times what its arithmetic does. A copy costs
one call, and is the tensor's as it was, whatever the script does to it in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: Elements in one dimension, float32 or float64.
Flat = npt.NDArray[Any]
#: Of tensors with more elements than this a call of their own costs less than the copy.
SMALL = 1 << 11
#: No shards, and what they say of themselves is true.
COMMON = (Tensor, torch.nn.Parameter)
#: What numpy reads, and BLAS multiplies.
EXACT = frozenset({torch.float32, torch.float64})


def copied(x: Tensor) -> Tensor | None:
    """A copy of a small tensor on the host; None of any other.

    x: without a gradient. To be called `unheard`."""
    return x.clone() if small(x) else None


def array_of(x: Tensor) -> Flat:
    """A tensor's memory as an array, any shape. `x.numpy()` would forbid the script for ever to
    resize that memory, as those do who let activations go early."""
    return np.from_dlpack(x.detach())


def small(x: Tensor) -> bool:
    """Is it a tensor to be read together with others?"""
    return (
        x.is_cpu
        and x.dtype in EXACT
        and 0 < x.numel() <= SMALL
        and type(x) in COMMON
        and x.layout is torch.strided
        and not x.is_neg()
    )


def norms_of(whole: Flat, sizes: Iterable[int]) -> list[float]:
    """2-norm of each of some tensors, one after the other of so many elements; in float64: none is
    lost below 1e-38 or above 1e38."""
    starts = [0, *accumulate(sizes)][:-1]
    if not starts:
        return []
    with np.errstate(all="ignore"):  # numbers above 1e154 have squares that are infinite
        sums = np.add.reduceat(np.square(whole, dtype=np.float64), starts)
    return list(map(math.sqrt, sums.tolist()))


def flattened(xs: Sequence[Tensor]) -> Flat:
    """A copy of the elements of some tensors without gradients, one tensor after the other."""
    if not xs:
        return np.zeros(0)
    if len(xs) == 1:  # which would be no copy
        xs = [xs[0].clone()]
    whole: Tensor = torch._utils._flatten_dense_tensors(xs)  # type: ignore[no-untyped-call]
    flat: Flat = whole.numpy()
    return flat


def nonfinite_in(x: Flat, size: float) -> float:
    """Number of NaN and Inf elements of what has this norm."""
    return 0.0 if math.isfinite(size) else float(len(x) - np.count_nonzero(np.isfinite(x)))


def reached(alike: Sequence[Tensor], shape: tuple[int, ...], axis: int) -> npt.NDArray[np.bool_]:
    """For each of some tensors of one shape, and each unit along its axis: is any element not 0?
    [tensors, units]"""
    there = (flattened(alike) != 0).reshape(len(alike), *(shape or (1,)))
    unit = axis % (there.ndim - 1) + 1
    rest = tuple(d for d in range(1, there.ndim) if d != unit)
    return np.asarray(there.any(rest))
