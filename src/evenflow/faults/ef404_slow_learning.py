"""EF404: the network would learn, but its steps are too small to get anywhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .causes import LEARNING_RATE_TOO_LOW
from .curve import doubt, goal, left_of, recent_fall
from .series import largest, median, ratio
from .view import View

#: Fewest finite values of the loss.
SHORTEST = 40
#: Values from which on it is more than an info.
ENOUGH = 100
#: Share of the loss still there at the end.
LEFT = 0.85
#: Relative update of the layer that moves most; healthy training is near 1e-3.
SMALL = 1e-4
#: Relative gradient that asks for more.
ASKING = 1e-4


class SlowLearning(Rule):
    """Gradients are there, updates are far too small: the learning rate is too low.

    ## What it means
    Every layer, the last one too, moves by a tiny part of itself per step, although its gradient
    asks for more. At this rate the loss would need many times the steps to be won.

    ## Why is this bad?
    Time and money: the run ends long before the network has learnt.

    ## How it is measured
    The relative update ‖Δw‖ / ‖w‖ as the optimizer applied it, of the layer that moves most
    (median over the last quarter of the run), the relative gradient of the same layers, and the
    loss left against guessing (or against the start). A gradient that vanishes on its way to the
    first layers leaves the last ones their updates, so it is not mistaken for this. Learning
    rates that a schedule has spent are EF401. Not judged: fewer than 40 steps, competing
    optimizers (GAN), runs that end in NaN.

    ## Threshold
    85 % of the loss left and no layer that moves by more than 1e-4 of itself a step
    (TheDeepChecker's lower limit; DeepDiagnosis has 1e-5), the loss not rising by
    more than noise explains. Error if 97 %
    is left, warning otherwise; info before 100 steps, and while a warm-up still raises the rate.
    Calibrated on the calibration half of the zoo.

    ## What to do
    Raise the learning rate by 10, then by 3, until the loss falls well; or use Adam.
    """

    code = "EF404"
    name = "slow-learning"
    title = N_("Learning is too slow")
    sentence = N_("The loss falls, but too slowly{at}")
    link = N_("learning slow")
    labels = (
        EvidenceLabel("gradient_ratio", N_("gradient relative to the weights")),
        EvidenceLabel("steps_to_halve", N_("steps to halve the loss at this rate")),
    )
    points_at = "optimizer"
    stage = 350
    looks_back = True
    remedies = (
        Remedy(
            "Raise the learning rate: by 10 first, then by 3, until the loss falls well.",
            by=("lr=x10",),
        ),
        Remedy(
            "Add momentum 0.9, or use Adam.",
            unless=(Unless("adaptive"), Unless("momentum", N_("Use Adam."))),
            by=(
                "momentum=",
                "optimizer=adam",
            ),
        ),
        Remedy(
            "Standardise inputs: badly scaled features force small learning rates.",
            unless=(Unless("scaled"),),
            by=("input=standardise",),
        ),
    )
    causes = (LEARNING_RATE_TOO_LOW,)

    def check(self, view: View) -> Iterable[Finding]:
        loss = view.loss
        if len(loss.finite) < SHORTEST or view.unmeasured or not np.isfinite(loss.values[-1]):
            return
        aim = goal(view)
        left = left_of(view)
        if not (left >= LEFT and view.layers and view.late.any()):
            return
        update = median(view.by_layer(view.relative_update)[view.late])
        gradient = median(view.by_layer(view.relative_gradient)[view.late])
        most, asking = float(largest(update)), float(largest(gradient))
        if not (0 < most < SMALL and asking > ASKING):
            return
        rate = view.step("lr")
        if ratio(median(rate[view.late]), largest(rate)) < 0.01:
            return  # the schedule has ended: EF401
        fall = recent_fall(loss.finite)
        if fall < -0.05 * aim.scale - doubt(loss.finite):
            return
        severity = Severity.error if left >= 0.97 else Severity.warning
        if len(loss.finite) < ENOUGH or _warming(rate):
            severity = Severity.info
        evidence = {
            "update_ratio": most,
            "loss_left": left,
            "gradient_ratio": asking,
            "learning_rate": float(median(rate[view.late])),
            "last_loss": loss.end,
        }
        if fall > 0:
            # recent_fall spans from the middle of one third to the middle of another: 0.4 of a run
            per_step = fall / (0.4 * len(loss.finite))
            evidence["steps_to_halve"] = 0.5 * loss.end / per_step
        yield self.finding(
            severity,
            sites=(),
            steps=(int(loss.steps[0]), int(loss.steps[-1])),
            evidence=evidence,
            threshold={"update_ratio": SMALL, "loss_left": LEFT},
            cause="learning-rate-too-low",
            chain=(
                Link("cause", "learning-rate-too-low"),
                Link("end", self.code, int(loss.steps[-1])),
            ),
        )


def _warming(rate: np.ndarray) -> bool:
    """Whether the learning rate is still on its way up."""
    known = rate[~np.isnan(rate)]
    return len(known) > 3 and known[-1] >= known.max() and known[-1] > 1.5 * known[len(known) // 2]
