"""Flush: what sampled steps read goes to the store once it has arrived on the host."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from ..schema import Channel, Event, Reading
from ..store import Writer
from ..tape import Layouts, Pending, SiteRegistry
from .cadence import Cadence
from .sources import Sources


class Flush:
    """Keeps sampled steps until they can be written, and glances at each as it goes out."""

    def __init__(self, writer: Writer, registry: SiteRegistry, cadence: Cadence) -> None:
        self._writer, self._registry, self._cadence = writer, registry, cadence
        self.pending: list[tuple[Pending, float, float]] = []  # sampled steps on their way
        self.sources = Sources(writer, registry)
        self._layouts: Layouts = {}
        self._norms: deque[float] = deque(maxlen=32)
        self._noted: set[str] = set()
        self._seen: dict[int, tuple[tuple[Channel, ...], tuple[list[int], list[int]]]] = {}
        self.hearers: list[Callable[[Reading], None]] = []  # of each reading, once it is there

    def take(self, pending: Pending, wall: float, cost: float) -> None:
        """Take a sampled step of `wall` seconds, `cost` of them ours; it goes out if it can."""
        self.pending.append((pending, wall, cost))
        if pending.ready:
            self.send()

    def send(self) -> None:
        waiting, self.pending = self.pending, []
        registry = self._registry
        registry.number()
        if registry.dirty_sites:
            self._writer.sites([registry.sites[i] for i in sorted(registry.dirty_sites)])
            registry.dirty_sites.clear()
        if registry.dirty_params:
            self._writer.params([registry.params[i] for i in sorted(registry.dirty_params)])
            registry.dirty_params.clear()
        self.sources.write()
        for pending, wall, cost in waiting:
            extra = {"wall": wall, "cost": cost, "bare": self._cadence.bare, **self._cadence.told}
            reading = pending.reading(self._layouts, extra)
            if registry.overflowed:
                said = f"only the first {len(registry.sites)} sites are watched"
                self.note(reading.step, said, shown=True)
            self._writer.reading(reading)
            self._look(reading)
            for hear in self.hearers:
                hear(reading)

    def note(self, step: int, text: str, shown: bool = False) -> None:
        """Write a note, once; `shown`: in every summary of the run, not in its events alone."""
        if text not in self._noted:
            self._noted.add(text)
            self._writer.event(
                Event("note", step, {"text": text, **({"shown": True} if shown else {})})
            )

    def _look(self, reading: Reading) -> None:
        """Does anything look wrong at a glance? Then the next samples come denser."""
        counts, norms = self._places(reading.channels)
        bad = float(reading.values[counts].sum())
        norm = float(reading.values[norms[-1]]) if norms else 0.0
        known = sorted(self._norms)
        usual = known[len(known) // 2] if len(known) > 4 else norm
        if bad > 0 or not math.isfinite(norm) or norm > 10 * usual:
            self._cadence.alert()
        if math.isfinite(norm):
            self._norms.append(norm)

    def _places(self, channels: tuple[Channel, ...]) -> tuple[list[int], list[int]]:
        """Where the non-finite counts and gradient norms stand; `_layouts` keeps tuples alike."""
        known = self._seen.get(id(channels))
        if known is None or known[0] is not channels:
            counts = [i for i, c in enumerate(channels) if c.metric.endswith("nonfinite")]
            norms = [i for i, c in enumerate(channels) if c.metric == "grad_norm"]
            if len(self._seen) > len(self._layouts):
                self._seen.clear()
            known = self._seen[id(channels)] = channels, (counts, norms)
        return known[1]
