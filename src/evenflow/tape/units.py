"""Which units gradient still reaches, over a window of the latest observed batches."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from . import numbers
from .slab import Scalar

WINDOW = 64


class Units:
    """One bit a batch and a unit, per activation site, kept on the site's device.

    A unit is *observed* in a batch when some gradient came to its output, and *alive* when some
    of it got through: zero is not dead as long as one sample of one batch passes. Rows of large
    batches are subsampled, with a rising offset so that later batches show other rows.

    The window holds at most 64 batches, and after step 32 forgets the first sixteenth of the steps:
    samples lie closer at birth, and a unit that lived only then must not pass for alive for ever.
    """

    def __init__(self) -> None:
        self._bits: dict[int, tuple[Tensor, Tensor]] = {}
        self._offset = 0
        self._steps: deque[int] = deque(maxlen=WINDOW)
        self._window = 1

    def begin(self, step: int) -> None:
        """A sampled step begins."""
        if not self._steps or self._steps[-1] != step:
            self._steps.append(step)
        self._window = sum(16 * s + 32 >= step for s in self._steps)

    def observe(
        self, site: int, delta_out: Tensor, delta_in: Tensor, axis: int
    ) -> tuple[Scalar, Scalar]:
        """(share of units dead among those observed, batches observed).

        delta_out and delta_in are dL/da and dL/dz of an activation a = f(z), of one shape, with
        units along `axis`.
        """
        self._offset += 1
        seen = _reached(numbers.sample_rows(delta_out, self._offset), axis)
        alive = _reached(numbers.sample_rows(delta_in, self._offset), axis)
        old = self._bits.get(site)
        if old is None or old[0].shape != alive.shape or old[0].device != alive.device:
            old = (
                torch.zeros_like(alive, dtype=torch.int64),
                torch.zeros_like(alive, dtype=torch.int64),
            )
        bits = torch.where(seen, (old[0] << 1) | alive, old[0])
        count = (old[1] + seen).clamp_(max=WINDOW)
        self._bits[site] = (bits, count)
        count, mask = count.clamp(max=self._window), _mask(self._window)
        most = count.max()
        told = count * 2 >= most.clamp(min=1)
        dead = ((bits & mask) == 0) & told
        return dead.sum() / told.sum().clamp(min=1), most


def _mask(n: int) -> int:
    """The lowest n of 64 bits, as a signed number."""
    return -1 if n >= 64 else (1 << n) - 1


def _reached(g: Tensor, axis: int) -> Tensor:
    """For each unit along `axis`: is any element of g non-zero?"""
    if g.dim() <= 1:
        return g != 0
    axis %= g.dim()
    g = g.abs()
    if axis == g.dim() - 1:
        return g.reshape(-1, g.shape[-1]).amax(0) != 0
    if axis == 1:
        return g.flatten(2).amax(2).amax(0) != 0
    return g.amax([d for d in range(g.dim()) if d != axis]) != 0
