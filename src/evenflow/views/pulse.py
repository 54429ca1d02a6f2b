"""What is said of a training while it runs: its step, loss and rate, and the worst of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..faults import faults
from ..lang import _, whole
from ..report import ASCII_BARS, BARS
from ..schema import Finding, Run, Severity
from ..words import number, what_happened, with_messages
from .following import Followed
from .strip import Strip, strip_of

#: A curve that falls by more than so much is read in decades.
_STEEP = 100.0


class Pulse(NamedTuple):
    """A run as it stands. NaN where it is not known.

    Attributes:
        step: of the latest update; -1 before any.
        losses: of (nearly) every step.
        strip: None where no layer was measured yet.
    """

    step: int
    losses: npt.NDArray[np.float64]
    rate: float
    strip: Strip | None

    def figures(self) -> list[tuple[str, str]]:
        """Name and value, as far as they are known."""
        out = [(_("step"), whole(self.step))] if self.step >= 0 else []
        if len(self.losses):
            out.append((_("loss"), number(float(self.losses[-1]))))
        if not np.isnan(self.rate):
            out.append((_("learning rate"), number(self.rate)))
        return out


def pulse_of(run: Followed) -> Pulse:
    """What a run says now."""
    rates = run.values("step", "lr")
    known = rates[0][~np.isnan(rates[0])] if len(rates) else rates
    latest = max([-1, *run.steps[-1:], *run.curve_steps[-1:]])
    rate = float(known[-1]) if known.size else float("nan")
    return Pulse(latest, np.array(run.curve_loss), rate, strip_of(run))


def worst(run: Run, findings: Sequence[Finding]) -> tuple[Severity, str] | None:
    """The first fault in a sentence, and how bad it is; None where there is none."""
    spoken = sorted(with_messages(findings, run), key=lambda f: -f.severity)
    for root, _followed in faults(spoken):
        if root.severity > Severity.info:
            return root.severity, f"{root.code} {what_happened(root, run)}"
    return None


def heights(losses: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.float64]:
    """[at most `most`]: means of stretches of the curve, from 0 to 1 between its least and its
    largest; infinite where one was not finite."""
    if not len(losses):
        return losses
    parts = np.array_split(losses, min(most, len(losses)))
    means = np.array([p.mean() if np.isfinite(p).all() else np.inf for p in parts])
    known = means[np.isfinite(means)]
    if not len(known):
        return means
    if known.min() > 0 and known.max() > _STEEP * known.min():
        means, known = np.log10(means), np.log10(known)
    low, high = known.min(), known.max()
    # a curve that hardly moves is flat, and not made large
    return np.asarray((means - low) / max(high - low, 1e-3 * max(abs(high), 1e-9)))


def sparkline(losses: npt.NDArray[np.float64], most: int, unicode: bool = True) -> str:
    """A curve in a row of bars; "!" where it was not finite.

    >>> sparkline(np.array([3.0, 2.0, 1.0, np.nan]), 9)
    '█▄▁!'
    """
    bars = BARS if unicode else ASCII_BARS
    places = heights(losses, most)
    top = len(bars) - 1
    return "".join(bars[round(float(p) * top)] if np.isfinite(p) else "!" for p in places)
