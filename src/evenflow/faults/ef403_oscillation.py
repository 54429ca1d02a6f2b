"""EF403: the loss swings up and down instead of falling."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .curve import autocorrelation, full_batch, goal, trend, turning, turns
from .view import View

#: Swings of a full-batch loss that make an oscillation, each this share of what is to be won.
SWINGS = 3
AMPLITUDE = 0.04
#: Correlation of one value with the next, trend removed, and share of steps at which the curve
#: crosses its trend, over this many steps. Noise of any size reaches both once in 300 runs.
CORRELATION = -0.6
TURNING = 0.9
SPELL = 32
#: Typical swing from step to step over what is to be won, and over the loss itself.
SIZE = 0.1
RELATIVE = 0.2
#: Both, for a loss without noise of batches: an exact to and fro shows at a hundredth.
RIPPLE = 0.005


class Oscillation(Rule):
    """The loss goes up and down with a large swing, again and again.

    ## What it means
    Each update jumps across the valley instead of going down it: the learning rate (or the
    momentum) is past what the curvature allows.

    ## Why is this bad?
    Much of each step undoes the one before; the loss ends higher than it need, and a little more
    curvature turns the swing into divergence.

    ## How it is measured
    Where every step saw the same data (the readings of input and target do not change) the curve
    holds no noise, and swings are counted: a rise from a trough, then a fall. Where batches
    differ, noise goes up and down as well, but at random: the correlation of one value with the
    next, trend removed, is near 0 for noise and near -1 for a loss that turns back at each step,
    and such a loss crosses its trend at every step, noise at every other. Losses of competing
    optimizers (GAN) are not judged, nor fewer than 32 steps.

    ## Threshold
    Full batch: 3 swings, each 4 % of the loss of guessing (or of the start's loss) and 20 % of
    the trough; or to and fro as below, where half a per cent of either is enough, since there is
    no noise to be told from it. Else: a correlation below -0.6 and a crossing at 90 % of the
    steps, over 32 steps running, with a typical swing of 10 % of what there is to win and 20 %
    of the loss itself. AutoTrainer (ICSE 2021) counts swings of accuracy of .03, which small
    batches reach unharmed. Calibrated on the calibration half of the zoo.

    ## What to do
    Lower the learning rate by 2 to 10, or the momentum; decay the rate over time.
    """

    code = "EF403"
    name = "oscillation"
    title = N_("Loss swings to and fro")
    sentence = N_("The loss swings up and down from step to step{at}")
    link = N_("loss swings")
    labels = (
        EvidenceLabel("swings", N_("turns up and down")),
        EvidenceLabel("swing", N_("typical swing against what is to be won"), "share"),
        EvidenceLabel("autocorrelation", N_("correlation of one loss with the next")),
        EvidenceLabel("largest_swing", N_("largest swing")),
    )
    stage = 330
    looks_back = True
    remedies = (
        Remedy(
            "Lower the learning rate by 2 to 10: the steps overshoot the valley.",
            by=("lr=x0.",),
        ),
        Remedy(
            "Lower the momentum, or use a larger batch if batches disagree.",
            unless=(Unless("-momentum", N_("Use a larger batch if batches disagree.")),),
            by=("momentum=",),
        ),
        Remedy("Decay the learning rate over time (cosine or step schedule)."),
    )

    def check(self, view: View) -> Iterable[Finding]:
        loss = view.loss
        y = loss.finite
        scale = goal(view).scale
        if len(y) < SPELL or view.unmeasured or not scale > 0:
            return
        steps = loss.steps[np.isfinite(loss.values)]
        whole = full_batch(view)
        peaks = turns(y, AMPLITUDE * scale) if whole else []
        if len(peaks) >= SWINGS:
            first, last = steps[peaks[0]], steps[peaks[-1]]
            evidence = {"swings": float(len(peaks)), "largest_swing": _largest(y, peaks)}
            threshold = {"swings": float(SWINGS)}
        else:
            found = _spell(y, *((RIPPLE * scale, RIPPLE) if whole else (SIZE * scale, RELATIVE)))
            if found is None:
                return
            a, b, correlation, swing = found
            first, last = steps[a], steps[b - 1]
            evidence = {"autocorrelation": correlation, "swing": swing / scale}
            evidence["steps_affected"] = last - first + 1
            threshold = {"autocorrelation": CORRELATION}
        yield self.finding(
            Severity.error if view.stuck else Severity.warning,
            sites=view.losses[:1],
            steps=(first, last),
            evidence=evidence | {"last_loss": loss.end},
            threshold=threshold,
            chain=(),
        )


def _largest(y: np.ndarray, peaks: list[int]) -> float:
    """Largest rise to a peak from the lowest value since the peak before."""
    edges = [0, *peaks]
    return max(float(y[p] - y[a : p + 1].min()) for a, p in zip(edges, peaks, strict=False))


def _spell(y: np.ndarray, size: float, relative: float) -> tuple[int, int, float, float] | None:
    """The longest run of windows that turn back at each step: begin, end, correlation, swing."""
    rest = np.abs(y - trend(y))
    best: tuple[int, int] | None = None
    a = -1
    for i in range(0, len(y) - SPELL + 1, SPELL // 4):
        window = y[i : i + SPELL]
        swing = 2 * float(np.median(rest[i : i + SPELL]))
        level = float(np.median(np.abs(window)))
        wild = swing > size and swing > relative * level
        if wild and turning(window) > TURNING and autocorrelation(window) < CORRELATION:
            a = i if a < 0 else a
            if best is None or i + SPELL - a > best[1] - best[0]:
                best = (a, i + SPELL)
        else:
            a = -1
    if best is None:
        return None
    part = y[best[0] : best[1]]
    return *best, autocorrelation(part), 2 * float(np.median(rest[best[0] : best[1]]))
