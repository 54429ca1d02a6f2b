"""Which samples of a batch were seen before: a fingerprint each, of those that were read."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..schema import PRINTED, REMEMBERED
from .scalars import Scalar

#: Elements of a sample that are looked at, at most.
_ELEMENTS = 256
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Seen:
    """The fingerprints of one input's samples. Never waits for a device."""

    def __init__(self) -> None:
        self._prints: Tensor | None = None
        self._count = 0

    def again(self, x: Tensor) -> Scalar | None:
        """Share of the samples (axis 0; of the first `PRINTED` of them) that an earlier batch held;
        from now on these are seen, too, up to `REMEMBERED` samples. None where there are none."""
        print_B = prints(x)
        if print_B is None:
            return None
        if self._prints is None or self._prints.device != print_B.device:
            self._prints = torch.zeros(REMEMBERED, dtype=torch.int64, device=print_B.device)
            self._count = 0
        share = torch.isin(print_B, self._prints[: self._count]).float().mean()
        end = self._count + len(print_B)
        if end <= REMEMBERED:
            self._prints[self._count : end] = print_B
            self._count = end
        return share


def prints(x: Tensor) -> Tensor | None:
    """[B] whole numbers: equal for samples of equal bits, else, but once in 2^64, not.

    A sum of the elements' bits, each times a number of its own, modulo 2^64. None for what has no
    samples of at least one element.
    """
    if x.dim() < 1 or not x.numel() or x.is_complex() or x.is_quantized:
        return None
    few = x.detach()[:PRINTED]
    few = few.reshape(len(few), -1)
    few = few[:, :: math.ceil(few.shape[1] / _ELEMENTS)].contiguous()
    bits_BF = few.view(_BITS[few.element_size()]).to(torch.int64)
    bits_BF = bits_BF ^ (bits_BF >> 32)  # round numbers have their bits at the upper end
    return (bits_BF * _factors(bits_BF.shape[1]).to(bits_BF.device)).sum(1)


@lru_cache(maxsize=16)
def _factors(count: int) -> Tensor:
    """Odd numbers without a pattern, always the same; torch's random state has no part in it."""
    drawn = np.random.Generator(np.random.PCG64(7)).integers(-(2**63), 2**63, count, dtype=np.int64)
    return torch.from_numpy(drawn | 1)
