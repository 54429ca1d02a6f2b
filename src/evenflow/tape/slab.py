"""The slab: the scalars of one sampled step, taken to the host in one copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ..schema import Channel, Reading

Scalar = float | torch.Tensor

#: How two values of one channel within a step (micro-batches, a trunk under two losses) combine.
_MEAN_SQUARE = frozenset({"rms", "delta", "delta_in"})
_LARGEST = frozenset({"absmax", "grad_absmax", "logit_max", "outlier", "feature_high"})
_SUMS = frozenset({"nonfinite", "delta_nonfinite", "loss"})
_LAST = frozenset({"dead", "observed"})


class Slab:
    """Collects (channel, scalar) pairs; a scalar on a device is copied only once, at the end.

    Values on the CPU become floats at once (an `.item()` there costs a microsecond and waits
    for nothing). Values elsewhere stay 0-dim tensors until `finish`, which stacks them and
    starts one copy; `Pending.reading` waits for it, so call that a step later.
    """

    def __init__(self) -> None:
        self._channels: list[Channel] = []
        self._values: list[Scalar] = []

    def __len__(self) -> int:
        return len(self._channels)

    def add(self, channel: Channel, value: Scalar) -> None:
        """Note one value; a CPU tensor is read now, any other later."""
        if isinstance(value, torch.Tensor) and value.device.type == "cpu":
            value = value.item()
        self._channels.append(channel)
        self._values.append(value)

    def values(self) -> list[tuple[Channel, Scalar]]:
        """What was noted so far."""
        return list(zip(self._channels, self._values, strict=True))

    def finish(self, step: int) -> Pending:
        """Start the copy and hand over; the slab is empty afterwards."""
        channels, values = self._channels, self._values
        self._channels, self._values = [], []
        where = [i for i, v in enumerate(values) if isinstance(v, torch.Tensor)]
        copies: list[tuple[list[int], torch.Tensor]] = []
        by_device: dict[torch.device, list[int]] = {}
        for i in where:
            by_device.setdefault(values[i].device, []).append(i)  # type: ignore[union-attr]
        done: Callable[[], None] = _nothing
        for device, index in by_device.items():
            wide = torch.float32 if device.type == "mps" else torch.float64
            stacked = torch.stack([values[i].detach().to(wide) for i in index])  # type: ignore[union-attr]
            if device.type == "cuda":
                host = torch.empty(len(index), dtype=wide, pin_memory=True)
                host.copy_(stacked, non_blocking=True)
                event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(torch.cuda.current_stream(device))
                done = _both(done, event.synchronize)
                copies.append((index, host))
            else:
                copies.append((index, stacked.cpu()))
        return Pending(step, channels, values, copies, done)


class Pending:
    """A sampled step on its way to the host."""

    def __init__(
        self,
        step: int,
        channels: list[Channel],
        values: list[Scalar],
        copies: list[tuple[list[int], torch.Tensor]],
        wait: Callable[[], None],
    ) -> None:
        self._step, self._channels, self._values = step, channels, values
        self._copies, self._wait = copies, wait

    @property
    def ready(self) -> bool:
        """Is everything on the host without waiting?"""
        return self._wait is _nothing

    def reading(
        self,
        layouts: dict[tuple[Channel, ...], tuple[Channel, ...]],
        extra: Mapping[str, float] | None = None,
    ) -> Reading:
        """Wait for the copy and fold values of one channel into one.

        `layouts` interns channel tuples, so that a layout met before is the same object; `extra`
        are metrics of the step that were known only later.
        """
        self._wait()
        for index, host in self._copies:
            for i, v in zip(index, host.tolist(), strict=True):
                self._values[i] = v
        folded: dict[Channel, list[float]] = {}
        for channel, value in zip(self._channels, self._values, strict=True):
            folded.setdefault(channel, []).append(float(value))
        _shares(folded)
        for metric, known in (extra or {}).items():
            if known == known:
                folded[Channel("step", 0, metric)] = [known]
        channels = tuple(folded)
        channels = layouts.setdefault(channels, channels)
        data = np.array([_fold(c.metric, v) for c, v in folded.items()], dtype=np.float64)
        return Reading(self._step, channels, data)


def _fold(metric: str, values: list[float]) -> float:
    if len(values) == 1:
        return values[0]
    if metric in _MEAN_SQUARE:
        return math.hypot(*values) / math.sqrt(len(values))
    if metric in _LARGEST:
        return math.nan if any(v != v for v in values) else max(values)
    if metric in _SUMS:
        return math.fsum(values)
    if metric in _LAST:
        return values[-1]
    return sum(values) / len(values)


def _shares(folded: dict[Channel, list[float]]) -> None:
    """Shares of a fork with two branches, exact from the three norms.

    <a, a+b> = (|a+b|^2 + |a|^2 - |b|^2) / 2, so share_a = that / |a+b|^2. Larger forks bring
    their own "share" values (inner products taken where the branches meet).
    """
    forks: dict[int, list[Channel]] = {}
    for c in folded:
        if c.of == "edge" and c.metric == "delta_in":
            forks.setdefault(c.edge, []).append(c)
    for fork, branches in forks.items():
        total = folded.get(Channel("site", fork, "delta"))
        if len(branches) != 2 or total is None:
            continue
        one, two = branches
        whole = total[-1] ** 2
        if not whole > 0 or len(total) != len(folded[one]) or len(total) != len(folded[two]):
            continue
        share = (whole + folded[one][-1] ** 2 - folded[two][-1] ** 2) / (2 * whole)
        folded[Channel("edge", one.id, "share", fork)] = [share]
        folded[Channel("edge", two.id, "share", fork)] = [1 - share]


def _nothing() -> None:
    return None


def _both(one: Callable[[], None], two: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        one()
        two()

    return both
