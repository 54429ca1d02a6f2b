"""Which units gradient still reaches, over a window of the last 64 observed batches."""

from __future__ import annotations

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
    """

    def __init__(self) -> None:
        self._bits: dict[int, tuple[Tensor, Tensor]] = {}
        self._offset = 0

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
        most = count.max()
        told = count * 2 >= most.clamp(min=1)
        dead = (bits == 0) & told
        return dead.sum() / told.sum().clamp(min=1), most

    def forget(self) -> None:
        """Start the windows anew."""
        self._bits.clear()


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
