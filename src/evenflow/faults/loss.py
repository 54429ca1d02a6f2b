"""The loss curve as a rule needs it: smoothed, and what is still to win."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..schema import Run
from .series import Floats, smooth

#: Steps in which healthy nets of the zoo have come off the loss of guessing.
YOUNG = 48


class Loss:
    """The loss of a run over its steps.

    Attributes:
        steps, values: the curve [N] (sampled rows where no curve was kept), NaN and Inf included.
        chance: loss of the best constant guess (log K for K classes; the target's variance for
            a squared error), NaN if unknown.
        classifies: whether 0 is within reach (a class label has no noise floor).
    """

    def __init__(self, run: Run, rows: Floats, chance: float, classifies: bool) -> None:
        kept = len(run.curve_steps) > 0
        self.steps = np.asarray(run.curve_steps if kept else run.steps, dtype=np.int64)
        self.values = np.asarray(run.curve_loss if kept else rows, dtype=np.float64)
        self.chance, self.classifies = chance, classifies

    @cached_property
    def finite(self) -> Floats:
        """Finite values of the curve, in order."""
        return self.values[np.isfinite(self.values)]

    @cached_property
    def window(self) -> int:
        """Steps that make one smoothed reading: a tenth of the run, 1 to 200."""
        return int(np.clip(len(self.finite) // 10, 1, 200))

    @cached_property
    def smoothed(self) -> Floats:
        """Running median of the finite values over `window` steps."""
        return smooth(self.finite, self.window)

    @cached_property
    def start(self) -> float:
        """Median of the first values (a twentieth of the run, at most 5); NaN without any."""
        n = int(np.clip(len(self.finite) // 20, 1, 5))
        return float(np.median(self.finite[:n])) if len(self.finite) else float("nan")

    @cached_property
    def end(self) -> float:
        """Median of the last `window` finite values; NaN without any."""
        return float(self.smoothed[-1]) if len(self.finite) else float("nan")

    @cached_property
    def best(self) -> float:
        """Least smoothed value; NaN without any."""
        return float(self.smoothed.min()) if len(self.finite) else float("nan")

    @cached_property
    def left(self) -> float:
        """Share of the loss still to win, 0 (converged) to 1 (no better than a constant guess).

        Against chance where that is known, else against the start; may exceed 1; NaN if unknown.
        """
        scale = self.chance if self.chance > 0 else self.start
        if not (np.isfinite(scale) and np.isfinite(self.end)) or scale <= 0:
            return float("nan")
        return max(self.end / scale, 0.0)

    @cached_property
    def fallen(self) -> float:
        """Share of the start's loss that is gone at the end (negative if it rose); NaN unknown."""
        if not np.isfinite(self.start) or self.start == 0 or not np.isfinite(self.end):
            return float("nan")
        return (self.start - self.end) / abs(self.start)

    @cached_property
    def converged(self) -> bool:
        """Whether little is left to win: small gradients are then a sign of success."""
        return bool(self.left < 0.1)

    @cached_property
    def young(self) -> bool:
        """Too few steps to call a loss stuck: healthy deep nets may need some dozens to set off."""
        return len(self.finite) < YOUNG

    @cached_property
    def stuck(self) -> bool:
        """No better than a constant guess, or hardly better than at the start; not while young."""
        if self.young:
            return False
        if np.isfinite(self.chance) and self.chance > 0:
            # noise may leave little to win of a regression, never of a class
            return bool(self.left > (0.9 if self.classifies else 0.95))
        return bool(self.fallen < 0.05)
