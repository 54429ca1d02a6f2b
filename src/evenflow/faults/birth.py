"""A network at birth: how far signals and gradients survive, before any step.

D levels: layers with weights, by the number of layers between them and the data; level 1 reads
the data, level D is the head. All readings are the first row's. Formulas and calibration:
`docs/preflight.md`, `benchmarks/trainability`.
"""

from __future__ import annotations

import numpy as np

from ..network import MIXING, by_key
from .series import Floats, decades
from .through_time import ThroughTime, log10_delta
from .view import View

# The four scales: the most likely ones on the calibration half of `benchmarks/trainability` (even
# indices), rounded; `score.py` there fits them anew and prints how the other half is told apart.
#: Decades that δ times input may lose (where Adam's epsilon lies, and float32's).
LOST = 7.4
#: Decades above rounding (the square of the format's epsilon) that 1 - c must keep.
ABOVE = 0.5
#: Decades of roughness; each decade of 1 - c, or of distinct directions, counts half of one more.
ROUGH = 2.5
#: Decades of E x² gained.
GROWN = 11.0
#: Strain from which on learning is in doubt: a warning.
DOUBT = 0.75
#: Slope of the chance over the strain: at 1 it is even.
SLOPE = 8.0
#: log10 of the number format's epsilon.
_EPSILON = {"float16": -3.01, "bfloat16": -2.11, "float64": -15.65}
_FLOAT32 = -6.92


class Birth:
    """What the first reading says of a network's start. Logarithms to base 10, [D] each.

    Attributes:
        levels: ids of each level's layers.
        pull: rms δ times rms input of a layer, against the head's δ: the size of its weights'
            gradient. -inf where exactly zero.
        rough: ‖δ‖ times the distance of two samples' outputs, against the head's: 0 where the
            network from here on is linear, above where slopes are steeper than chords, that is
            where inputs as near as you like end far apart (chaos).
        spread: 1 - c against the data's. `alike` and `chaos` go by what a level got or gave,
            whichever differs more (`_unbiased`).
        size: E x² at the layer's output, against level 1's.
        rank: directions in which samples still differ, beyond the first, against level 1's.
        strain: of the first d levels under the last d's gradient; it fails from 1 on. The
            largest of `lost`, `alike` and `grown`, its parts.
        depth: D. trainable_depth: how many levels signals survive; None without layers.
        time: the same questions through time.
        chance: 0 to 1, that it learns as it stands; NaN where that cannot be told.
    """

    def __init__(self, view: View) -> None:
        layers = view.layers if len(view.steps) else ()
        mixing = (i for i in layers if view.sites[i].kind in MIXING)
        found = by_key(mixing, view.depth.__getitem__)
        self.levels = tuple(tuple(found[d]) for d in sorted(found))
        self.depth = len(self.levels)
        read = _Readings(view)
        asleep = _asleep(view, read) if self.depth else frozenset()
        self.asleep = asleep
        awake = [[i for i in level if i not in asleep] for level in self.levels]
        every = [list(level) for level in self.levels]
        self.pull = _top(awake, _shared(view, read.delta + read.input + read.positions))
        self.rough = _against(_top(awake, read.delta + read.apart), -1)
        self.spread = _top(every, read.spread)
        self.size = _against(_top(every, 2 * read.rms), 0)
        self.rank = _against(_top(every, read.rank), 0)
        self.lost = _lost(_top(awake, read.delta), _top(awake, read.input + read.positions))
        if self.depth:  # the whole network's, layer by layer
            self.lost[-1] = np.fmax.reduce(-self.pull)
        self.lost /= LOST
        self.format = _top(every, read.format)
        spread, rank = _unbiased(self.spread), _unbiased(self.rank)
        self.alike = -spread / (self.format - ABOVE)
        blur = np.clip(-np.nan_to_num(spread), 0, 4) + np.clip(-np.nan_to_num(rank), 0, 4)
        steepest = np.fmax.accumulate(self.rough[::-1])  # of the d levels nearest the head
        self.chaos = steepest * (1 + blur / 2) / ROUGH
        self.grown = np.nan_to_num(self.chaos) + np.clip(np.nan_to_num(self.size), 0, None) / GROWN
        parts = [np.nan_to_num(p, nan=0.0) for p in (self.lost, self.alike, self.grown)]
        self.strain = np.max(parts, axis=0)
        fine = np.flatnonzero(self.strain < 1)
        self.trainable_depth = (int(fine[-1]) + 1 if len(fine) else 0) if self.depth else None
        self.time = ThroughTime(view)
        strain = max(self.worst, self.time.strain)
        known = bool((self.pull < np.inf).any()) and (strain >= DOUBT or not self.time.untold)
        slope = np.clip(SLOPE * (strain - 1), -30, 30)
        self.chance = float(1 / (1 + np.exp(slope))) if known else float("nan")

    @property
    def worst(self) -> float:
        """The whole network's strain, 0 without layers."""
        return float(self.strain[-1]) if self.depth else 0.0

    @property
    def blame(self) -> str:
        """What strains the whole network most: "lost", "alike", "chaos" or "size"; "" nothing."""
        if self.worst <= 0:
            return ""
        grown = "chaos" if self.chaos[-1] >= self.grown[-1] / 2 else "size"
        parts = {"lost": self.lost[-1], "alike": self.alike[-1], grown: self.grown[-1]}
        return max(parts, key=lambda k: float(np.nan_to_num(parts[k])))


class _Readings:
    """[S] logarithms of the first row, NaN where unknown."""

    def __init__(self, view: View) -> None:
        def first(metric: str) -> Floats:
            m = view.site(metric)
            return m[0] if len(m) else np.full(len(view.sites), np.nan)

        sites = view.sites
        self.delta = log10_delta(view)
        self.rms = decades(first("rms"))
        self.format = np.array([2 * _EPSILON.get(s.dtype, _FLOAT32) for s in sites]) * -1.0
        spread = np.maximum(first("spread"), 10.0**-self.format)
        data = [spread[i] for i in view.data if spread[i] > 0]
        self.spread = decades(spread) - min(float(decades(max(data, default=1.0))), 0.0)
        each = np.array([s.size / max(1, s.shape[0] if s.shape else 1) for s in sites])
        self.apart = self.rms + decades(spread) / 2 + decades(each) / 2
        self.rank = decades(np.maximum(first("rank") - 1, 1e-4))
        self.input = np.zeros(len(sites))
        self.positions = np.zeros(len(sites))
        for s in sites:
            known = [self.rms[p] for p in view.parents(s.id) if np.isfinite(self.rms[p])]
            self.input[s.id] = max(known, default=0.0)
            weights = view.weights[s.id]
            if weights and s.shape:
                # a convolution's weight gathers gradient from every pixel
                units = view.run.params[weights[0]].shape[0]
                pixels = s.size / max(1, s.shape[0] * units)
                self.positions[s.id] = max(0.0, float(decades(max(pixels, 1.0))) / 2)


def _asleep(view: View, read: _Readings) -> frozenset[int]:
    """Layers whose δ is exactly zero though it reaches what lies before them: branches that start
    at zero (ReZero, a last norm with gain 0) and wake with the first update."""
    reached = [int(i) for i in np.flatnonzero(np.isfinite(read.delta))]
    behind = view.descendants(c for i in reached for c in view.consumers[i])
    return frozenset(int(i) for i in np.flatnonzero(np.isneginf(read.delta)) if i in behind)


def _top(levels: list[list[int]], values: Floats) -> Floats:
    """[D] the largest known value of each level; NaN without any."""
    tops = [np.fmax.reduce(values[ids], initial=np.nan) for ids in levels]
    return np.array(tops, dtype=np.float64)


def _against(a: Floats, level: int) -> Floats:
    """[D] the same less that of one level; NaN where that is not known."""
    return a - a[level] if len(a) and np.isfinite(a[level]) else np.full(len(a), np.nan)


def _shared(view: View, pull: Floats) -> Floats:
    """[S] the same, where the weights of several sites are one (a recurrent cell's) the largest:
    their gradients add up."""
    uses: dict[int, list[int]] = {}
    for i in view.layers:
        for p in view.weights[i]:
            uses.setdefault(p, []).append(i)
    for ids in uses.values():
        pull[ids] = np.fmax.reduce(pull[ids])
    return pull


def _unbiased(a: Floats) -> Floats:
    """[D] the larger of what a level gives and what it got: where signals are faint its own bias
    hides them, which the first steps mend."""
    return np.asarray(np.fmax(a, np.concatenate([a[:1], a[:-1]])))


def _lost(back: Floats, front: Floats) -> Floats:
    """[D] decades that gradients of weights lose at most in a network of d levels like these: its
    i-th level has the signal of the i-th here, and the δ of the one as far from the head."""
    n = len(back)
    with np.errstate(invalid="ignore"):
        lost = [np.fmax.reduce(-(back[n - d :] + front[:d])) for d in range(1, n + 1)]
    return np.array(lost, dtype=np.float64)
