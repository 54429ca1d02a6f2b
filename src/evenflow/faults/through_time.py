"""Time is depth: what a recurrent net's start does to signal and gradient from step to step.

The same weights act at each time step, so that their factor is multiplied as often. A chain is one
recurrent layer in one direction: of a fused layer as the forecast has opened it
(`Run.meta["through_time"]`, see `forecast.overtime`), of a loop of the user's own the sites that
read the same weights one after another. Formulas and calibration: `docs/preflight.md`,
`benchmarks/trainability/recurrent.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .series import Floats, decades, median, ratio
from .view import View

#: Decades of E x² gained over time, and of roughness (as `birth.ROUGH`), that make a strain of 1:
#: less than through depth, for one change of the shared weights acts at every step.
GROWN, ROUGH = 8.0, 2.0
#: Decades after which a gradient is lost (as `birth.LOST`).
LOST = 7.4
#: A memory of fewer steps than this is shorter than any that PyTorch's own starts give (20 of a
#: ReLU RNN, 25 and more of the others): the weights are to blame.
SHORT = 10.0
#: Fewest calls that make a chain of a loop of the user's own.
CALLS = 5
#: A stored list is cut here: files may come from anyone.
_POINTS = 4096


class Chain(NamedTuple):
    """One recurrent layer over time, first step first; [N] logarithms to base 10, NaN = unknown.

    Attributes:
        site: of the layer, or of the first call of a loop's.
        steps: number of time steps (`delta` and its like may hold fewer points).
        ends: whether the loss reads the last step alone, so that the gradient of the first tells
            what is remembered.
        delta, rms, spread: of the layer error, the state, and its 1 - c.
    """

    site: int
    steps: int
    ends: bool
    delta: Floats
    rms: Floats
    spread: Floats

    @property
    def size(self) -> float:
        """Decades of E x² gained since the first step; 0 where nothing is known."""
        known = self.rms[~np.isnan(self.rms)]
        return float(2 * (known.max() - known[0])) if len(known) else 0.0

    @property
    def chaos(self) -> float:
        """Decades by which ‖δ‖ times the distance of two samples' states tops the last step's."""
        rough = self.delta + self.rms + self.spread / 2
        if not len(rough) or not np.isfinite(rough[-1]):
            return 0.0
        return float(np.nanmax(rough) - rough[-1])

    @property
    def gained(self) -> float:
        """Decades that δ gains from the last step to the one where it is largest."""
        known = self.delta[np.isfinite(self.delta)]
        return float(known.max() - known[-1]) if len(known) else 0.0

    @property
    def lost(self) -> float:
        """Decades that δ loses from the last step back to the first; NaN if that says nothing."""
        if not self.ends or len(self.delta) < 2 or not np.isfinite(self.delta[-1]):
            return float("nan")
        return float(self.delta[-1] - np.nan_to_num(self.delta[0], nan=-300.0, neginf=-300.0))

    @property
    def strain(self) -> float:
        """As `Birth.strain`: it fails from 1 on."""
        return self.chaos / ROUGH + max(self.size, 0.0) / GROWN

    @property
    def memory(self) -> float:
        """Steps back through which the gradient lives; inf where it does to the first."""
        return self.steps * LOST / self.lost if self.lost >= LOST else float("inf")


class ThroughTime:
    """What is foreseen of a network through time.

    Attributes:
        chains: see there.
        closed: sites of recurrent layers that could not be opened: nothing can be promised.
    """

    def __init__(self, view: View) -> None:
        self.chains: list[Chain] = []
        self.closed: list[int] = []
        if not view.foreseen:
            return
        self.chains += _stored(view)
        opened = {c.site for c in self.chains}
        self.chains += _loops(view)
        looped = {i for ids in _called(view) for i in ids}
        for s in view.sites:
            fused = s.kind == "recurrent" and not s.op.endswith("_cell")
            if fused and s.id not in opened | looped:
                self.closed.append(s.id)

    @property
    def worst(self) -> Chain | None:
        """The chain under most strain."""
        return max(self.chains, key=lambda c: c.strain, default=None)

    @property
    def strain(self) -> float:
        """Its strain; 0 without any."""
        return self.worst.strain if self.worst is not None else 0.0

    @property
    def shortest(self) -> Chain | None:
        """The chain that forgets soonest, if one forgets."""
        found = [c for c in self.chains if np.isfinite(c.memory)]
        return min(found, key=lambda c: c.memory, default=None)

    @property
    def untold(self) -> bool:
        """Whether no promise can be made: a layer is closed, or forgets what may be needed."""
        return bool(self.closed) or self.shortest is not None


def _stored(view: View) -> Iterator[Chain]:
    """What the forecast kept, as far as it is what it should be."""
    kept = view.run.meta.get("through_time")
    for record in kept if isinstance(kept, list) else ():
        site = record.get("site") if isinstance(record, Mapping) else None
        if not (type(site) is int and 0 <= site < len(view.sites)):
            continue
        steps = record.get("steps")
        rows = [_numbers(record.get(key)) for key in ("delta", "rms", "spread")]
        if type(steps) is not int or not 2 <= steps < 1 << 31:
            continue
        if len(rows[0]) and len({len(r) for r in rows}) == 1:
            yield Chain(site, steps, record.get("ends") is True, *rows)


def _numbers(value: Any) -> Floats:
    values = value[:_POINTS] if isinstance(value, list) else []
    plain = [float(v) if type(v) in (int, float) and abs(v) < 1e6 else np.nan for v in values]
    return np.array(plain, dtype=np.float64)


def _called(view: View) -> Iterator[list[int]]:
    """Sites that read the same weights one after another, `CALLS` times or more."""
    for uses in view.calls.values():
        ids = sorted(i for i in uses if view.sites[i].kind != "embedding")
        if len(ids) >= CALLS and set(ids) <= view.ancestors(ids[-1:]):
            yield ids


def measured(view: View) -> Iterator[tuple[int, float, Floats, bool]]:
    """Site, number of time steps, [T] decades that δ gains from the last step to the first (of a
    cell δ by call, of a fused layer the probe), and whether the loss reads the last step alone:
    with a loss at every step each has its own gradient, and forgetting may be what the data ask.
    """
    for ids in view.unrolled:
        delta = view.site("delta")[:, [ids[0], ids[-1]]]
        yield ids[0], float(len(ids)), decades(ratio(delta[:, 0], delta[:, 1])), True
    for i in view.of_kind("recurrent"):
        steps = float(median(view.site("flow_steps")[:, i]))
        zeros = float(median(view.site("delta_zeros")[:, i]))
        yield i, steps, view.site("flow")[:, i], steps >= 5 and not zeros < 1 - 1.5 / steps


def log10_delta(view: View) -> Floats:
    """[S] what a forecast kept of δ, beyond the range of the stored numbers; else NaN."""
    kept = view.run.meta.get("log10_delta")
    whole = isinstance(kept, list) and len(kept) == len(view.sites)
    return np.array(kept, np.float64) if whole else np.full(len(view.sites), np.nan)


def _loops(view: View) -> Iterator[Chain]:
    delta = log10_delta(view)
    rms, spread = decades(view.site("rms")[0]), decades(view.site("spread")[0])
    for ids in _called(view):
        if view.sites[ids[0]].kind == "affine":
            ids = ids[1:]  # the first call is given a state of zeros: it shows the bias alone
        yield Chain(ids[0], len(ids), True, delta[ids], rms[ids], spread[ids])
