"""Dead units looked for on the tape, made sure of on more batches, and drawn anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...network import unwrap
from ...schema import Reading
from ...treatments import (
    ActivationTrace,
    ForwardTrace,
    redraw_units_,
    trace_forward,
    unit_chains,
    units_of,
)
from ..replay import Held

#: A layer is looked into when half its units got no gradient in 8 or more batches (as EF202), three
#: readings on end, the last ones. Training itself kills up to a third of a wide layer unharmed.
SHARE, BATCHES, READINGS = 0.5, 8, 3
#: All outputs of the layer are zero.
ALL = 0.999
#: So many batches more must find a unit silent before it is drawn anew.
SURE = 8
#: Attempts after a revival before the next, and revivals of one layer at most.
REST, TIMES = 100, 5


class RevivedLayer(NamedTuple):
    """A layer revived: units of all, on how many batches they were silent, which time it is."""

    name: str
    units: int
    share: float
    batches: int
    times: int


class Reviver:
    """Watches for layers that died, from what sampled steps read (`read`)."""

    def __init__(self) -> None:
        self.wanted: set[int] = set()  # sites
        self.tired = False
        self._on_end: Counter[int] = Counter()
        self._silent: dict[tuple[int, int], Tensor] = {}  # (model, activation) -> units
        self._calls: dict[int, int] = {}  # model -> length of its forward
        self._seen = 0
        self._rest_until = 0
        self._times: Counter[str] = Counter()

    def read(self, reading: Reading) -> None:
        if self.tired:
            return
        known: dict[int, dict[str, float]] = {}
        for c, v in zip(reading.channels, reading.values, strict=True):
            if c.of == "site" and c.metric in ("dead", "observed", "zeros"):
                known.setdefault(c.id, {})[c.metric] = float(v)
        for site, m in known.items():
            zeros = m.get("zeros", 0.0)
            off = m.get("dead", 0.0) >= SHARE and m.get("observed", 0.0) >= BATCHES
            # layers behind a dead one get no gradient either: theirs are not zeros
            off = (off and zeros >= 0.9 * m["dead"]) or ("dead" in m and zeros >= ALL)
            self._on_end[site] = self._on_end[site] + 1 if off else 0
            if self._on_end[site] >= READINGS:
                self.wanted.add(site)
            else:
                self.wanted.discard(site)

    def look(self, held: Sequence[Held], attempt: int) -> list[tuple[int, ForwardTrace]]:
        """Look at one more batch of each model; with enough of them, what was seen (else [])."""
        if attempt < self._rest_until:
            return []
        plain = [(unwrap(h.module), h) for h in held]
        try:
            looks = [
                (id(m), trace_forward(m, (h.args, h.kwargs), ActivationTrace(m))) for m, h in plain
            ]
        except ValueError:  # arguments that were changed since, or that serve only once
            self.rest(attempt)
            return []
        for model, seen in looks:
            assert isinstance(seen, ActivationTrace)
            if self._calls.setdefault(model, len(seen.calls)) != len(seen.calls):
                self.rest(attempt)  # another path through the model each time
                return []
            for before, activation, _ in unit_chains(seen):
                out = seen.kept[activation.index]
                rows = out.movedim(units_of(before), -1).reshape(-1, out.shape[units_of(before)])
                silent = (rows == 0).all(0)
                key = (model, activation.index)
                self._silent[key] = silent & self._silent.get(key, silent)
        self._seen += 1
        return looks if self._seen >= SURE else []

    def worst(self, looks: Sequence[tuple[int, ForwardTrace]]) -> float:
        """The largest share of a layer's units that no batch switched on."""
        shares = [
            float(self._silent[model, activation.index].float().mean())
            for model, seen in looks
            for _, activation, _ in unit_chains(seen)
        ]
        return max(shares, default=0.0)

    def revive(
        self,
        looks: Sequence[tuple[int, ForwardTrace]],
        optimizers: Sequence[torch.optim.Optimizer],
        attempt: int,
    ) -> list[RevivedLayer]:
        """Draw anew what was silent on all batches. At τ = 0 outputs stay the same, on every
        batch that leaves these units silent."""
        done = []
        for model, seen in looks:
            generator = torch.Generator().manual_seed(attempt)
            for before, activation, after in unit_chains(seen):
                dead = self._silent[model, activation.index]
                share = float(dead.float().mean())
                name = before.path or before.op
                if share < SHARE or self._times[name] >= TIMES:
                    continue
                if redraw_units_(dead, before, after, optimizers, generator):
                    self._times[name] += 1
                    units = int(dead.sum())
                    done.append(RevivedLayer(name, units, share, self._seen, self._times[name]))
        self.tired = max(self._times.values(), default=0) >= TIMES
        self.rest(attempt)
        return done

    def rest(self, attempt: int) -> None:
        """Look again when what was done has had its time."""
        self.wanted.clear()
        self._on_end.clear()
        self._silent.clear()
        self._calls.clear()
        self._seen, self._rest_until = 0, attempt + REST
