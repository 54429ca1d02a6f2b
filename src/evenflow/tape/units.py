"""Which units gradient still reaches, over a window of the latest observed batches."""

from __future__ import annotations

from collections import deque
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import numbers
from .scalars import Scalar
from .together import EXACT, array_of, copied, reached

Bits = npt.NDArray[np.int64]
#: One truth a unit: an array on the host, a tensor on a device.
Flags = npt.NDArray[np.bool_] | Tensor

WINDOW = 64
#: Units that a map tells of at most, of one site and of all; and what stands for "seldom observed".
MAPPED, MAPPED_ALL, UNSEEN = 4096, 1 << 16, 255
_FEW = 128  # positions of one sample, looked at first


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
        self._together: tuple[tuple[list[int], list[int]], Bits, Bits] | None = None
        self._waiting: dict[int, tuple[Flags, Flags]] = {}  # site -> (seen, alive) of its units
        self._small: dict[tuple[tuple[int, ...], int], list[tuple[int, Tensor, Tensor]]] = {}
        self._there: set[int] = set()  # the sites of both
        self._told: dict[int, tuple[Scalar, Scalar]] = {}
        self._offset = 0
        self._steps: deque[int] = deque(maxlen=WINDOW)
        self._window = 1

    def begin(self, step: int) -> None:
        self._waiting.clear()
        self._small.clear()
        self._there.clear()
        self._told.clear()
        if not self._steps or self._steps[-1] != step:
            self._steps.append(step)
        self._window = sum(16 * s + 32 >= step for s in self._steps)

    def observe(
        self, site: int, delta_out: Tensor, delta_in: Tensor, axis: int, limit: int
    ) -> None:
        """Note one batch of a site.

        delta_out and delta_in are dL/da and dL/dz of an activation a = f(z), of one shape, with
        units along `axis`; of tensors larger than `limit` only some samples are looked at.
        """
        if site in self._there:  # another micro-batch of this step
            self._advance()
        self._there.add(site)
        self._offset += 1
        into = copied(delta_in)
        out = None if into is None else copied(delta_out)
        if into is not None and out is not None:
            self._small.setdefault((tuple(delta_in.shape), axis), []).append((site, out, into))
            return
        alive = seen = _reached(delta_in, axis, self._offset, limit)
        if isinstance(alive, Tensor) or not alive.all():  # what got through had come
            seen = alive | _reached(delta_out, axis, self._offset, limit)
        self._waiting[site] = seen, alive

    def take(self) -> dict[int, tuple[Scalar, Scalar]]:
        """By site: (share of units dead among those observed, batches observed) of this step."""
        self._advance()
        told, self._told = self._told, {}
        return told

    def maps(self) -> dict[int, npt.NDArray[np.uint8]]:
        """By site, of each unit: in how many batches of the window gradient got through it.

        0 is dead; `UNSEEN` where it was observed less than half as often as others. It waits for a
        device, so it is for the end of a training. Sites with dead units come first, and no more
        than `MAPPED_ALL` units are told of.
        """
        found = {}
        for site, (bits, count) in self._bits.items():
            held, seen = (t.reshape(-1)[:MAPPED].cpu().numpy() for t in (bits, count))
            told = np.ascontiguousarray(held & _mask(self._window)).view(np.uint8)
            through = np.unpackbits(told.reshape(-1, 8), axis=1).sum(axis=1, dtype=np.uint8)
            enough = np.minimum(seen, self._window)
            through[enough * 2 < max(int(enough.max(initial=0)), 1)] = UNSEEN
            found[site] = through
        out, left = {}, MAPPED_ALL
        for site in sorted(found, key=lambda i: (not (found[i] == 0).any(), i)):
            if len(found[site]) <= left:
                out[site] = found[site]
                left -= len(found[site])
        return out

    def _advance(self) -> None:
        """Move the windows of all sites that wait: one call for all, since each call costs."""
        waiting, self._waiting = self._waiting, {}
        small, self._small = self._small, {}
        self._there.clear()
        for (shape, axis), held in small.items():
            sites, outs, into = zip(*held, strict=True)
            through = reached(into, shape, axis)
            came = reached(outs, shape, axis) | through
            waiting.update({i: (came[k], through[k]) for k, i in enumerate(sites)})
        on_host: dict[int, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = {}
        for site, (seen, alive) in waiting.items():
            if not isinstance(alive, Tensor) and not isinstance(seen, Tensor):
                on_host[site] = seen, alive
                continue
            assert isinstance(alive, Tensor) and isinstance(seen, Tensor)
            self._together = None
            bits, count = self._known(site, alive.shape, alive.device)
            bits = torch.where(seen, (bits << 1) | alive, bits)
            count = (count + seen).clamp_(max=WINDOW)
            self._bits[site] = (bits, count)
            self._told[site] = _dead(bits & _mask(self._window), count, self._window)
        if on_host:
            self._advance_on_host(list(on_host), list(on_host.values()))

    def _advance_on_host(
        self, sites: list[int], new: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]
    ) -> None:
        seen, alive = (np.concatenate([n[k] for n in new]) for k in (0, 1))
        sizes = [len(n[1]) for n in new]
        starts = [0, *accumulate(sizes[:-1])]
        bits, count = self._windows(sites, sizes)
        np.copyto(bits, (bits << 1) | alive, where=seen)
        np.minimum(count + seen, WINDOW, out=count)
        enough = np.minimum(count, self._window)
        most = np.maximum.reduceat(enough, starts)
        told = enough * 2 >= np.repeat(np.maximum(most, 1), sizes)
        dead = np.add.reduceat(((bits & _mask(self._window)) == 0) & told, starts, dtype=np.int64)
        of = np.maximum(np.add.reduceat(told, starts, dtype=np.int64), 1)
        shares, observed = (dead / of).tolist(), most.tolist()
        self._told.update(zip(sites, zip(shares, map(float, observed), strict=True), strict=True))

    def _windows(self, sites: list[int], sizes: list[int]) -> tuple[Bits, Bits]:
        """The windows of these sites in two arrays, of which `_bits` holds the parts."""
        if self._together is None or self._together[0] != (sites, sizes):
            host = torch.device("cpu")
            olds = [
                self._known(site, torch.Size([size]), host)
                for site, size in zip(sites, sizes, strict=True)
            ]
            bits, count = (np.concatenate([old[k].numpy() for old in olds]) for k in (0, 1))
            self._together = (sites, sizes), bits, count
            for site, size, end in zip(sites, sizes, accumulate(sizes), strict=True):
                part = slice(end - size, end)
                self._bits[site] = torch.from_numpy(bits[part]), torch.from_numpy(count[part])
        return self._together[1:]

    def _known(self, site: int, shape: torch.Size, on: torch.device) -> tuple[Tensor, Tensor]:
        old = self._bits.get(site)
        if old is None or old[0].shape != shape or old[0].device != on:
            none = torch.zeros(shape, dtype=torch.int64, device=on)
            return none, none
        return old


def _dead(bits: Tensor, count: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """(share of dead units among those observed often enough, batches observed)."""
    count = count.clamp(0, window)
    most = count.max()
    told = count * 2 >= most.clamp(min=1)
    return ((bits == 0) & told).sum() / told.sum().clamp(min=1), most


def _mask(n: int) -> int:
    """The lowest n of 64 bits, as a signed number."""
    return -1 if n >= 64 else (1 << n) - 1


def _reached(g: Tensor, axis: int, offset: int, limit: int) -> Flags:
    """For each unit along `axis`: is any element of g non-zero?"""
    if g.dim() <= 1:
        there = (g != 0).reshape(-1)
    else:
        axis %= g.dim()
        if axis == g.dim() - 1 and g.is_contiguous():
            g, axis = g.view(-1, g.shape[-1]), 1  # tokens are samples too
        g = numbers.sample_rows(g, offset, limit)
        if axis == 1 and g.is_cpu and g.dtype in EXACT:
            return _reached_on_host(array_of(g))
        there = _any(g, axis)
    return there.numpy() if there.is_cpu else there


def _reached_on_host(g: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """`_any` along axis 1. Of many positions a few will do, unless a unit is silent: then more are
    looked at, but only that unit's."""
    if g.ndim == 2:
        whole: npt.NDArray[np.bool_] = (g != 0).any(0)
        return whole
    # A reduction of its own: two calls fewer than `(g != 0).any(1)`, and most sites end here.
    shown: npt.NDArray[np.bool_] = np.logical_or.reduce(
        g[0].reshape(g.shape[1], -1)[:, :_FEW], axis=1
    )
    for rows in (max(1, len(g) // 8), len(g)):
        if shown.all():
            break
        silent = (~shown).nonzero()[0]
        shown[silent] = (g[:rows, silent] != 0).any((0, *range(2, g.ndim)))
    return shown


def _any(g: Tensor, axis: int) -> Tensor:
    g = g.abs()
    if axis == g.dim() - 1:
        return g.reshape(-1, g.shape[-1]).amax(0) != 0
    if axis == 1:
        return g.flatten(2).amax(2).amax(0) != 0
    return g.amax([d for d in range(g.dim()) if d != axis]) != 0
