"""EF402: the loss climbs away, or jumps and comes back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .curve import before_training, goal, noise, spikes
from .remedies import CLIP, LOWER_RATE, WARM_UP
from .view import View

#: A loss this many times the start's, for good, has diverged.
TIMES_START = 3.0
#: A loss that rose this many times above the start and never came back below it, too.
TIMES_PEAK = 10.0
#: Steps within which a loss that overshot is back at its start: that is a spike.
SOON = 20
#: Share of what had been won that is lost again, for good.
LOST = 0.5
#: A loss that reaches zero or less must rise by this many robust deviations of its noise.
CLEAR = 6.0


class DivergenceOrSpike(Rule):
    """The loss rises far above what it had been, for good (error) or for a while (warning).

    ## What it means
    Steps overshoot so far that the loss climbs instead of falling, or one step throws the
    network back and it needs many to recover.

    ## Why is this bad?
    After a divergence the weights are worse than at the start, often with dead or saturated
    units; after a spike part of what was learnt is lost, and momentum estimates are spoilt.

    ## How it is measured
    Divergence: the median of the loss over the last tenth of the steps against the start and
    against the best such median; a peak counts when three values running are that high. A run
    that ends in NaN has diverged if the loss had climbed before. Spike: a value against the
    median of the 20 before it, in robust deviations on a log scale (a plain one for losses
    below zero), and against what there was to win. Losses of competing optimizers (GAN) are not
    judged. Fewer than 10 values tell only of a climb into NaN.

    ## Threshold
    Divergence: 3 times the start's loss at the end; or a peak of 10 times the start's and an end
    that is no better than the start (unless the loss was back there within 20 steps of each
    climb: an overshoot, a spike); or half of what was won lost again at 3 times the best
    loss (losses that reach zero or less: by 6 deviations of their noise). Spike: 3 times the
    base, half of what there is to win, 8 robust deviations, for two steps (one step: five times
    what there is to win). Calibrated on the calibration half of the zoo, where small batches
    and near-converged networks set the limits.

    ## What to do
    Lower the learning rate, clip the gradient, warm up. For single spikes look at the batch.
    """

    code = "EF402"
    name = "divergence-or-spike"
    title = N_("Loss diverges or spikes")
    sentence = N_("The loss diverges{at}")
    mild = N_("The loss spikes and comes back{at}")
    link = N_("loss diverged")
    labels = (
        EvidenceLabel("loss_reached", N_("loss")),
        EvidenceLabel("best_loss", N_("best loss")),
        EvidenceLabel("peak_loss", N_("highest loss")),
        EvidenceLabel("jump", N_("jump, times the usual noise")),
        EvidenceLabel("spikes", N_("spikes")),
        EvidenceLabel("base_loss", N_("usual loss")),
    )
    stage = 340
    leads_to = ("EF401",)
    is_end = True
    remedies = (
        LOWER_RATE,
        CLIP,
        WARM_UP,
        Remedy("Look at the batch at that step: outliers or wrong labels cause single spikes."),
    )

    def check(self, view: View) -> Iterable[Finding]:
        loss = view.loss
        y = loss.finite
        if len(y) < 3 or view.unmeasured:
            return
        steps = loss.steps[np.isfinite(loss.values)]
        ends_well = bool(np.isfinite(loss.values[-1]))
        diverged = list(self._diverged(view, steps, ends_well))
        yield from diverged
        if not diverged and len(y) >= 10:
            yield from self._spiked(view, steps)

    def _diverged(self, view: View, steps: np.ndarray, ends_well: bool) -> Iterable[Finding]:
        loss = view.loss
        y, start, best, end = loss.finite, before_training(view), loss.best, loss.end
        if len(y) < 10:
            best, end = float(y.min()), float(y[-1])
        if not ends_well:  # the way into NaN is short: its last values are the end
            end = max(end, float(np.median(y[-3:])))
        won = max(start - best, 0.0)
        room = max(abs(start), won)
        high, peak = start + (TIMES_START - 1) * room, start + (TIMES_PEAK - 1) * room
        gave_up = best + LOST * won
        since = 0
        # around zero a factor says nothing: there the noise is the yardstick
        clear = 0.0 if y.min() > 0 else CLEAR * noise(y)
        if end > max(high, start + clear):
            measured, threshold = end, high
        elif len(y) < 10:
            return
        elif _held_peak(y) > peak and end >= start - 0.1 * abs(start) and not _back(y, peak, start):
            measured, threshold = _held_peak(y), peak
        elif won > 0.3 * goal(view).scale and end > max(gave_up, best + clear, 3 * best):
            measured, threshold = end, gave_up
            since = int(np.argmin(y))
        else:
            return
        first = int(steps[since + int(np.argmax(y[since:] > threshold))])
        yield self.finding(
            Severity.error,
            sites=view.losses[:1],
            steps=(first, int(loss.steps[-1])),
            evidence={
                "loss_reached": measured,
                "start_loss": start,
                "best_loss": best,
                "peak_loss": float(y.max()),
                "last_loss": end,
            },
            threshold={"loss_reached": threshold},
            chain=(),
        )

    def _spiked(self, view: View, steps: np.ndarray) -> Iterable[Finding]:
        y = view.loss.finite
        aim = goal(view)
        scale = max(aim.scale, abs(before_training(view)))
        if y.min() <= 0:
            scale = max(scale, float(np.ptp(view.loss.smoothed)))
        found = spikes(y, scale) if np.isfinite(scale) else []
        if not found:
            return
        worst = max(found, key=lambda s: s.height)
        yield self.finding(
            Severity.warning,
            sites=view.losses[:1],
            steps=(int(steps[found[0].start]), int(steps[found[-1].end])),
            evidence={
                "jump": worst.noise,
                "peak_loss": float(y[worst.peak]),
                "base_loss": worst.base,
                "spikes": float(len(found)),
                "steps_affected": float(sum(s.end - s.start + 1 for s in found)),
            },
            threshold={"jump": 8.0, "peak_loss": worst.base + 0.5 * scale},
            chain=(),
        )


def _back(y: np.ndarray, peak: float, start: float) -> bool:
    """Whether the loss was back at its start soon after each climb: an overshoot, a spike."""
    home = np.flatnonzero(y <= start + 0.1 * abs(start))
    for up in np.flatnonzero(y > peak):
        after = home[home > up]
        if not len(after) or after[0] - up > SOON:
            return False
    return True


def _held_peak(y: np.ndarray) -> float:
    """Largest median of three values running."""
    return float(np.median(np.lib.stride_tricks.sliding_window_view(y, 3), axis=1).max())
