"""What a run read, as matrices: T rows, S sites, P parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..network import Wiring
from ..schema import Run, channel, metric_named
from .series import Bools, Floats, Ints, last_few, median

T = TypeVar("T")


class Readings(Wiring):
    """Cached, pure questions to the readings of one run. Nothing here writes to the run.

    All matrices have one row per sampled step and NaN where nothing was measured.
    """

    def __init__(self, run: Run) -> None:
        if run.early:  # micro-batches of weights that stand still show no course
            none = np.empty(0)
            run = replace(run, curve_steps=none.astype(np.int64), curve_loss=none)
        super().__init__(run)
        self.steps = np.asarray(run.steps, dtype=np.int64)
        self._analyses: dict[Callable[[Any], Any], Any] = {}
        self._matrices: dict[tuple[str, str], Floats] = {}
        self._recent: dict[str, Floats] = {}

    def once(self, analysis: Callable[[Any], T]) -> T:
        """What an analysis that several rules share makes of this view: worked out once."""
        if analysis not in self._analyses:
            self._analyses[analysis] = analysis(self)
        found: T = self._analyses[analysis]
        return found

    def _matrix(self, of: str, n: int, metric: str) -> Floats:
        if (of, metric) not in self._matrices:
            key = channel(of, 0, metric)  # a misspelt one raises
            out = np.full((len(self.steps), n), np.nan)
            for i in range(n):
                column = self.run.columns.get(key._replace(id=i))
                if column is not None:
                    out[:, i] = column
            out.setflags(write=False)
            self._matrices[of, metric] = out
        return self._matrices[of, metric]

    def site(self, metric: str) -> Floats:
        """[T, S] of a site metric."""
        return self._matrix("site", len(self.run.sites), metric)

    def param(self, metric: str) -> Floats:
        """[T, P] of a parameter metric (rows of another optimizer's steps are left out)."""
        key = ("param/own", metric)
        if key not in self._matrices:
            out = self._matrix("param", len(self.run.params), metric).copy()
            whose = self.step("optimizer")
            holder = np.array([p.optimizer for p in self.run.params], dtype=np.float64)
            if not np.isnan(whose).all() and out.size:
                other = (whose[:, None] != holder[None, :]) & (holder >= 0)[None, :]
                out[other & ~np.isnan(whose)[:, None]] = np.nan
            out.setflags(write=False)
            self._matrices[key] = out
        return self._matrices[key]

    def step(self, metric: str) -> Floats:
        """[T] of a step metric, all NaN if never measured."""
        column = self.run.step(metric)
        return np.full(len(self.steps), np.nan) if column is None else np.asarray(column)

    @cached_property
    def edges(self) -> Mapping[tuple[int, int], Floats]:
        """(site, input) -> [T] rms of delta sent back along that edge."""
        return {
            (c.id, c.edge): v
            for c, v in self.run.columns.items()
            if c.of == "edge" and c.metric == "delta_in"
        }

    def classes(self, loss: int, metric: str) -> Floats:
        """[T, K] of a metric of the classes that a loss tells apart; K is 0 where none was."""
        metric_named("class", metric)
        found = {
            c.edge: v
            for c, v in self.run.columns.items()
            if (c.of, c.id, c.metric) == ("class", loss, metric) and c.edge >= 0
        }
        out = np.full((len(self.steps), max(found, default=-1) + 1), np.nan)
        for k, column in found.items():
            out[:, k] = column
        return out

    @cached_property
    def ruin(self) -> int:
        """Row from which the run is non-finite (the loss or most outputs) for good; T if never."""
        bad = np.isinf(self.step("loss"))
        # in a column NaN also means "not measured"; the curve has a value for each of its steps
        broken = self.run.curve_steps[~np.isfinite(self.run.curve_loss)]
        bad |= np.isin(self.steps, broken)
        m = self.site("nonfinite")
        bad |= (m > 0).sum(axis=1) * 2 > (~np.isnan(m)).sum(axis=1)
        rows = np.flatnonzero(~bad)
        return len(bad) if not bad.any() else (int(rows[-1]) + 1 if len(rows) else 0)

    @cached_property
    def sound(self) -> Bools:
        """[T] rows before the run's ruin, if it has one."""
        return np.asarray(np.arange(len(self.steps)) < self.ruin)

    def while_sound(self, metric: str) -> Floats:
        """[T, S] of a site metric, NaN from the run's ruin on; a copy."""
        return np.where(self.sound[:, None], self.site(metric), np.nan)

    @cached_property
    def late(self) -> Bools:
        """[T] sound rows of the last quarter of the steps, at least the last three."""
        n = self.ruin
        if n == 0:
            return np.zeros(len(self.steps), dtype=np.bool_)
        s = self.steps[:n]
        first = min(int(np.searchsorted(s, s[-1] - (s[-1] - s[0]) / 4)), max(n - 3, 0))
        rows = np.arange(len(self.steps))
        return np.asarray((rows >= first) & (rows < n))

    def recent(self, metric: str) -> Floats:
        """[S]: median over the late rows; of full readings, where these have none, the last few."""
        if metric not in self._recent:
            m = self.site(metric)
            out = median(m[self.late])
            gaps = np.isnan(out)
            if gaps.any() and len(m):
                out[gaps] = last_few(m[: self.ruin, gaps])
            out.setflags(write=False)
            self._recent[metric] = out
        return self._recent[metric]

    def at(self, row: int) -> int:
        """Step number of a row."""
        return int(self.steps[row])

    def over(self, rows: Sequence[int] | Ints) -> tuple[int, int]:
        """Step numbers of the first and the last of some rows; zeros for a run without any."""
        return (self.at(rows[0]), self.at(rows[-1])) if len(self.steps) else (0, 0)

    @property
    def foreseen(self) -> bool:
        """A forecast: one reading from before the first step, which rules may go by."""
        return self.run.source == "predicted" and len(self.steps) > 0

    @cached_property
    def optimizers(self) -> tuple[Mapping[str, Any], ...]:
        """The run's optimizers as the tape noted them; empty if unknown."""
        noted = self.run.meta.get("optimizers") or ()
        return tuple(o for o in noted if isinstance(o, Mapping))

    def class_of(self, optimizer: int) -> str:
        """Name of an optimizer's class; "" if unknown."""
        noted = self.optimizers[optimizer : optimizer + 1]
        return str(noted[0].get("class", "")) if noted else ""

    @cached_property
    def adversarial(self) -> bool:
        """Losses that pull against each other (GAN): not all optimizers that stepped follow one.

        Those that step after one backward make one turn, as the session noted; in files without
        such notes each optimizer that made a sampled update is a turn.
        """
        turns = {o["turn"] for o in self.optimizers if "turn" in o}
        if turns:
            return len(turns) > 1
        whose = self.step("optimizer")
        return len(np.unique(whose[~np.isnan(whose)])) > 1
