"""A view of a run: what rules ask of it, worked out once. T rows, S sites, P parameters."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .chance import chance
from .loss import Loss
from .objective import objective
from .readings import Readings
from .series import Bools, Floats, grouped, ratio


class View(Readings):
    """Cached, pure analyses over one run: what rules ask of its readings."""

    @cached_property
    def relative_update(self) -> Floats:
        """[T, P] |applied update| / |weight|."""
        return ratio(self.param("update"), self.param("weight"))

    @cached_property
    def relative_gradient(self) -> Floats:
        """[T, P] |gradient| / |weight|."""
        return ratio(self.param("grad"), self.param("weight"))

    def by_layer(self, m: Floats) -> Floats:
        """[T, L] of a parameter matrix [T, P]: the largest of each of `layers`' weights."""
        return grouped(m, [self.weights[i] for i in self.layers])

    @cached_property
    def objective(self) -> str:
        """What the loss is, if it measures no progress (see `objective.objective`); else ""."""
        return objective(self, self.loss.values)

    @property
    def unmeasured(self) -> bool:
        """The loss tells nothing of progress: such runs are judged by their layers alone."""
        return bool(self.objective)

    @cached_property
    def loss(self) -> Loss:
        """The loss curve and what is still to win."""
        return Loss(self.run, self.step("loss"), *chance(self))

    @cached_property
    def stuck(self) -> bool:
        """The loss is no better than a constant guess's; never if it measures nothing."""
        return not self.unmeasured and self.loss.stuck

    @cached_property
    def converged(self) -> bool:
        """Little loss is left to win, so that little gradient is a sign of success."""
        return not self.unmeasured and self.loss.converged

    @cached_property
    def ruined(self) -> bool:
        """The run ends non-finite."""
        return self.ruin < len(self.steps)

    @cached_property
    def harmed(self) -> bool:
        """The loss is lost to NaN, stuck at a guess, or no lower than it began; not converged."""
        if self.ruined:
            return True
        risen = not self.unmeasured and self.loss.fallen < 0.05
        return (self.stuck or risen) and not self.converged

    @cached_property
    def lasted(self) -> Floats:
        """[T] steps that each sound row stands for: up to the next one, or the run's end."""
        end = int(self.steps[-1]) + 1 if len(self.steps) else 0
        if len(self.run.curve_steps):
            end = max(end, int(self.run.curve_steps[-1]) + 1)
        if self.ruined:
            end = int(self.steps[self.ruin])
        lasted = np.diff(np.append(self.steps[: self.ruin], end)).astype(np.float64)
        return np.pad(np.maximum(lasted, 0.0), (0, len(self.steps) - self.ruin))

    def time_share(self, mask: Bools, known: Bools) -> Floats:
        """Share of the training's steps for which `mask` [T, ...] held, where it was known."""
        spent = self.lasted.reshape(-1, *(1 for _ in mask.shape[1:]))
        return ratio((spent * (mask & known)).sum(axis=0), (spent * known).sum(axis=0))

    @cached_property
    def too_small(self) -> float:
        """Relative update below which a layer does not learn in this run.

        Were all its updates to pull the same way for the whole run (a thousand steps at most),
        the weights would still have moved by less than a thousandth.
        """
        last = int(self.steps[-1]) if len(self.steps) else 0
        return float(1e-3 / np.clip(last, 30, 1000))
