"""The scalar buffer: the numbers of one sampled step, taken to the host in one copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from ..schema import FOLDS, Channel, Reading, metric_named
from .together import copied, flattened, norms_of

Scalar = float | torch.Tensor
Fold = Callable[[Sequence[float]], float]

#: A channel as the buffer keeps it: a plain tuple, equal to the `Channel` it will become, made in a
#: tenth of the time. A sampled step notes hundreds.
Key = tuple[str, int, str, int]

#: Elements that are held before they are read.
_HELD = 1 << 18


@lru_cache(maxsize=16)
def widest(device: str) -> torch.dtype:
    """float64 where such devices have it (Apple's have not, others may not); else float32."""
    try:
        torch.empty(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError, NotImplementedError):
        return torch.float32
    return torch.float64


@lru_cache(maxsize=1 << 13)
def core_keys(site: int) -> tuple[Key, ...]:
    """Keys of the two readings that every site has."""
    return (("site", site, "rms", -1), ("site", site, "nonfinite", -1))


class Layout(NamedTuple):
    """What a sampled step noted: each channel once, and its forks with two branches.

    `places` holds, channel by channel, where its values stand among those noted and how they fold;
    None if each has one, in order. A fork is (delta, one branch's delta_in, the other's), indices
    of `channels`; `whole` is `channels` with the two shares of every fork after them.
    """

    channels: tuple[Channel, ...]
    places: tuple[tuple[Sequence[int], Fold], ...] | None
    forks: tuple[tuple[int, int, int], ...]
    whole: tuple[Channel, ...]


#: The layouts met so far, by what was noted.
Layouts = dict[tuple[Key, ...], Layout]
_MOST_LAYOUTS = 64  # a script whose steps never look alike must not fill the memory


#: Reads one small tensor: (buffer, elements, 2-norm, and what was noted about it).
SmallRead = Callable[..., None]


class ScalarBuffer:
    """Collects (channel, scalar) pairs; a scalar on a device is copied only once, at the end.

    Values on the CPU become floats at once (an `.item()` there costs a microsecond and waits
    for nothing). Values elsewhere stay 0-dim tensors until `finish`, which stacks them and
    starts one copy; `Pending.reading` waits for it, so call that a step later.
    """

    def __init__(self) -> None:
        self._channels: list[Key] = []
        self._values: list[Scalar] = []
        self._small: list[tuple[torch.Tensor, SmallRead, tuple[Any, ...]]] = []  # see `hold`
        self._elements = 0

    def __len__(self) -> int:
        self.settle()
        return len(self._channels)

    def hold(self, x: torch.Tensor, read: SmallRead, *about: Any) -> bool:
        """Have a small tensor read together with others; False if it is not small. `read(buffer,
        elements, 2-norm, *about)` is called before anybody asks for what was noted, or once enough
        is held."""
        copy = copied(x)
        if copy is None:
            return False
        self._small.append((copy, read, about))
        self._elements += copy.numel()
        if self._elements > _HELD:
            self.settle()
        return True

    def settle(self) -> None:
        if self._small:
            small, self._elements = self._small[:], 0
            del self._small[: len(small)]  # another thread may add to it meanwhile
            copies = [copy for copy, _, _ in small]
            whole, lengths = flattened(copies), [copy.numel() for copy in copies]
            start = 0
            for (_, read, about), n, size in zip(
                small, lengths, norms_of(whole, lengths), strict=True
            ):
                read(self, whole[start : start + n], size, *about)
                start += n

    def cut(self, start: int, end: int) -> None:
        """Forget what was noted between two lengths."""
        self.settle()
        del self._channels[start:end], self._values[start:end]

    def add(self, channel: Key, value: Scalar) -> None:
        """Note one value; a CPU tensor is read now, any other later."""
        if type(value) is not float and isinstance(value, torch.Tensor) and value.is_cpu:
            value = value.item()
        self._channels.append(channel)
        self._values.append(value)

    def replace(self, channel: Key, value: Scalar) -> None:
        """Note one value in place of all that were noted for its channel."""
        self.settle()
        kept = [i for i, c in enumerate(self._channels) if tuple(c) != tuple(channel)]
        self._channels = [self._channels[i] for i in kept]
        self._values = [self._values[i] for i in kept]
        self.add(channel, value)

    def extend(self, channels: Sequence[Key], values: Sequence[Scalar]) -> None:
        """Note several values, none of which is a tensor on the CPU."""
        self._channels.extend(channels)
        self._values.extend(values)

    def values(self) -> list[tuple[Channel, Scalar]]:
        self.settle()
        return list(zip(map(Channel._make, self._channels), self._values, strict=True))

    def finish(self, step: int) -> Pending:
        """Start the copy and hand over; the buffer is empty afterwards."""
        self.settle()
        channels, values = self._channels, self._values
        self._channels, self._values = [], []
        copies: list[tuple[list[int], torch.Tensor]] = []
        waits: list[Callable[[], None]] = []
        by_device: dict[torch.device, list[int]] = {}
        for i, v in enumerate(values):
            if isinstance(v, torch.Tensor):
                by_device.setdefault(v.device, []).append(i)
        for device, index in by_device.items():
            wide = widest(device.type)
            stacked = torch.stack([values[i].detach().to(wide) for i in index])  # type: ignore[union-attr]
            if device.type == "cuda":
                host = torch.empty(len(index), dtype=wide, pin_memory=True)
                host.copy_(stacked, non_blocking=True)
                event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(torch.cuda.current_stream(device))
                waits.append(event.synchronize)
                copies.append((index, host))
            else:
                copies.append((index, stacked.cpu()))
        return Pending(step, channels, values, copies, waits)


@dataclass(slots=True, eq=False)
class Pending:
    """A sampled step on its way to the host."""

    _step: int
    _channels: list[Key]
    _values: list[Scalar]
    _copies: list[tuple[list[int], torch.Tensor]]
    _waits: list[Callable[[], None]]

    @property
    def ready(self) -> bool:
        return not self._waits

    def reading(self, layouts: Layouts, extra: Mapping[str, float] | None = None) -> Reading:
        """Wait for the copy and fold values of one channel into one.

        `layouts` keeps what was met before, so that a layout is read quickly the second time and
        its channels are the same object; `extra` are metrics of the step known only later.
        """
        for wait in self._waits:
            wait()
        for index, host in self._copies:
            for i, v in zip(index, host.tolist(), strict=True):
                self._values[i] = v
        for metric, late in (extra or {}).items():
            if late == late:
                self._channels.append(("step", 0, metric, -1))
                self._values.append(late)
        noted = tuple(self._channels)
        values = [float(v) for v in self._values]
        known = layouts.get(noted)
        if known is None:
            known = _layout(noted)
            if len(layouts) < _MOST_LAYOUTS:
                layouts[noted] = known
        last = values
        if known.places is not None:
            parts = [([values[i] for i in place], fold) for place, fold in known.places]
            values = [fold(part) if len(part) > 1 else part[0] for part, fold in parts]
            last = [part[-1] for part, _ in parts]
        shares = _shares(last, known.forks)
        channels, data = known.whole, np.array(values + shares, dtype=np.float64)
        if any([v != v for v in shares]):  # a fork that no gradient came to has none
            n = len(values)
            there = [*range(n), *(n + i for i, v in enumerate(shares) if v == v)]
            channels, data = tuple(channels[i] for i in there), data[there]
        return Reading(self._step, channels, data)


def _layout(noted: Sequence[Key]) -> Layout:
    places: dict[Key, list[int]] = {}
    for i, key in enumerate(noted):
        places.setdefault(key, []).append(i)
    channels = tuple(map(Channel._make, places))
    at = {c: i for i, c in enumerate(channels)}
    branches: dict[int, list[Channel]] = {}
    for c in channels:
        if c.of == "edge" and c.metric == "delta_in":
            branches.setdefault(c.edge, []).append(c)
    forks: list[tuple[int, int, int]] = []
    for fork, into in branches.items():
        three = (Channel("site", fork, "delta"), *into)
        if len(into) == 2 and len({len(places.get(c, ())) for c in three}) == 1:
            forks.append((at[three[0]], at[three[1]], at[three[2]]))
    shares = [channels[k]._replace(metric="share") for _, *two in forks for k in two]
    once = len(places) == len(noted)
    folds = [FOLDS[metric_named(c.of, c.metric).fold] for c in channels]  # a misspelt one raises
    listed = None if once else tuple(zip(places.values(), folds, strict=True))
    return Layout(channels, listed, tuple(forks), (*channels, *shares))


def _shares(values: Sequence[float], forks: Sequence[tuple[int, int, int]]) -> list[float]:
    """Both shares of each fork with two branches, exact from the three norms; NaN without delta.

    <a, a+b> = (|a+b|^2 + |a|^2 - |b|^2) / 2, so share_a = that / |a+b|^2. Larger forks bring
    their own "share" values (inner products taken where the branches meet).
    """
    shares: list[float] = []
    for total, one, two in forks:
        whole = values[total] * values[total]
        away = math.nan
        if whole > 0:
            away = (values[one] * values[one] - values[two] * values[two]) / (2 * whole)
        shares += (0.5 + away, 0.5 - away)
    return shares
