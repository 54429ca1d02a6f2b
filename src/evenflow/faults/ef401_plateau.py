"""EF401: the loss stands still far from what there is to win."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .causes import LEARNING_RATE_TOO_LOW, LEARNING_RATE_ZERO
from .curve import ABOVE, Goal, above_guessing, doubt, flat_since, goal, recent_fall
from .ef404_slow_learning import SlowLearning
from .remedies import MORE_UNITS
from .series import Floats, largest, median
from .view import View

#: Fewest finite values of the loss to speak of a plateau.
SHORTEST = 40
#: Share of the loss of guessing that is still there.
LEFT = 0.9
#: Change over the last three fifths of the run, as a share of what there is to win.
FLAT = 0.04
#: What the noise of batches may add to that.
NOISE = 0.06
#: The fall that its gradients promised to first order, as a multiple of what there is to win, from
#: which on a loss that stands still will not move; and from which on one that hardly moves at all.
PROMISED, PROMISED_FLAT = 3.0, 1.0
#: The same for a warning, where the loss hardly moves though every layer is pulled with full
#: strength, or the way that each layer went meanwhile, in sizes of its weights; the fewest steps
#: for it; and what full strength is: the weakest layer's ‖w‖ ‖g‖ as a share of the last one's.
PROMISED_WHOLE, WENT, LONGER, WHOLE = 0.25, 1 / 3, 100, 0.5
#: Such a loss: its change and what noise may add to that.
STILL = 0.01
#: A learning rate is spent below this share of its largest, for a quarter of the run or more.
SPENT = 1e-2
#: Loss left that a spent learning rate must not leave behind.
LEFT_SPENT = 0.3


class Plateau(Rule):
    """The loss has been flat for most of the run, and nearly all of it is still to be won.

    ## What it means
    The network does no better than a constant guess, and does not get better; or the learning
    rate has decayed to nothing while the loss is still high.

    ## Why is this bad?
    Nothing is learnt: compute is spent, weights hardly change, or change to no purpose.

    ## How it is measured
    The loss of the last tenth of the steps is held against the loss of guessing: log K for K
    classes, log 2 for a binary cross entropy, the target's variance for a squared error. That
    figure is only believed where the loss at the start or at the end lies near it. Where it is
    unknown, the loss at the start stands in for it, and the loss must not have fallen while some
    layer is measurably without gradient. Flat: medians of the first and the last third of the
    last three fifths of the curve differ by little. Where the updates are too small to get
    anywhere (EF404), that is named as the cause. A run that ends in NaN, or whose loss climbs,
    is EF103 or EF402. Losses of competing optimizers (GAN) are not judged, nor fewer than 40
    steps.

    ## Threshold
    A warning where a classifier's loss began far above that of guessing and is still 10 % above it,
    even if it falls: a constant would do better. An error:
    90 % of the loss of guessing left, and a change under 4 % of it (and what the noise of
    batches explains, at most 6 % more). AutoTrainer (ICSE 2021) calls a change of accuracy
    under .01 slow; DeepDiagnosis waits for 20 flat epochs. For a spent learning rate: under 1 %
    of its largest for the last quarter of the run or more, 30 % of the loss left, and gradients
    that have not faded. Calibrated on the calibration half of the zoo.

    An error needs evidence that the loss will not move: a spent rate, updates too small, layers
    that are starved, or steps enough for this rate and this size of network. For these the fall
    that the gradients promised to first order, the sum of ‖Δw‖ ‖g‖ over all steps, is held
    against what there is to win: once that and the loss moved by less than 1 %, noise included,
    or 3 times that and every layer is pulled with full strength (no layer's ‖w‖ ‖g‖ is under
    half of the last one's: a chain of ReLU layers has them equal, Du, Hu & Lee 2018,
    arXiv:1806.00900; a network that is still to leave a saddle has faint ones). Where both hold
    and 100 steps were made, a quarter of it is a warning, or steps that add up to a third of each
    layer's own size: labels that do not belong to their inputs leave nothing to wait for. Before
    that the finding is an info: a network may need hundreds of steps to set off. Figures:
    `python benchmarks/plateaus.py`.

    ## What to do
    Mend the cause if one is named. Else try learning rates ten times higher and lower, and see
    whether the network can learn 20 samples by heart: if not, data or set-up are at fault.
    """

    code = "EF401"
    name = "plateau"
    title = N_("Loss is stuck")
    sentence = N_("The loss is stuck{at}")
    link = N_("loss stuck")
    labels = (
        EvidenceLabel("promised", N_("fall promised by gradients, times what was to be won")),
        EvidenceLabel("recent_fall", N_("fall of the loss lately"), "share"),
        EvidenceLabel("guessing_loss", N_("loss of guessing")),
        EvidenceLabel("flat_steps", N_("steps without a fall")),
        EvidenceLabel("rate_left", N_("part of the learning rate that is left")),
    )
    stage = 360
    looks_back = True
    is_end = True
    if_shallow = (MORE_UNITS,)
    remedies = (
        Remedy("Mend the cause first if one is named; a flat loss is mostly a symptom."),
        Remedy(
            "Try learning rates 10 times higher and 10 times lower for a few hundred steps each."
        ),
        Remedy(
            "Check that inputs and targets belong together: a net that cannot overfit 20 "
            "samples has a fault in the set-up."
        ),
        Remedy(
            "Check that optimizer.step() is called and that the optimizer holds these parameters."
        ),
    )
    causes = (
        LEARNING_RATE_TOO_LOW,
        Cause(
            "learning-rate-decayed",
            N_("a schedule that took the learning rate to nothing"),
            Remedy(
                "Check the schedule: a decay meant for epochs may be applied at every batch; "
                "let the rate fall over the whole run."
            ),
        ),
        LEARNING_RATE_ZERO,
    )

    def check(self, view: View) -> Iterable[Finding]:
        loss = view.loss
        if len(loss.finite) < SHORTEST or view.unmeasured or not np.isfinite(loss.values[-1]):
            return
        aim = goal(view)
        fall = recent_fall(loss.finite) / aim.scale
        above = above_guessing(view)
        if np.isfinite(above) and not aim.known and fall > -FLAT:
            yield self._above(view, above, fall)
            return
        if not abs(fall) < FLAT + min(doubt(loss.finite) / aim.scale, NOISE):
            return
        spent, promised = _spent(view), _promised(view) / aim.scale
        finite_steps = loss.steps[np.isfinite(loss.values)]
        first = int(finite_steps[flat_since(loss.smoothed, FLAT * aim.scale)])
        evidence = {
            "loss_left": aim.left,
            "recent_fall": fall,
            "last_loss": loss.end,
            "guessing_loss" if aim.known else "start_loss": aim.scale,
            "flat_steps": float(finite_steps[-1] - first),
        }
        cause, since, left, severity = "", 0, LEFT, Severity.error
        if spent >= 0 and aim.left >= LEFT_SPENT and _still_pulling(view):
            rate = view.step("lr")
            top = float(np.nanmax(rate))
            left, since = LEFT_SPENT, spent
            cause = "learning-rate-decayed" if top > 0 else "learning-rate-zero"
            if top > 0:
                evidence["rate_left"] = float(rate[~np.isnan(rate)][-1]) / top
        elif not (aim.left >= LEFT and (aim.known or (loss.fallen < FLAT and _starved(view)))):
            return
        elif any(SlowLearning().check(view)):
            cause = "learning-rate-too-low"
        else:
            severity = _will_not_move(view, aim, fall, promised)
        yield self.finding(
            severity,
            sites=view.losses[:1],
            steps=(first, finite_steps[-1]),
            evidence=evidence | {"promised": promised},
            threshold={"loss_left": left, "recent_fall": FLAT},
            cause=cause,
            chain=(Link("cause", cause, since), Link("end", self.code, first)) if cause else (),
        )

    def _above(self, view: View, above: float, fall: float) -> Finding:
        """However far it fell, a constant would do better."""
        loss = view.loss
        return self.finding(
            Severity.warning,
            sites=view.losses[:1],
            steps=(int(loss.steps[0]), int(loss.steps[-1])),
            evidence={
                "loss_left": above,
                "recent_fall": fall,
                "last_loss": loss.end,
                "guessing_loss": loss.chance,
                "start_loss": loss.start,
            },
            threshold={"loss_left": ABOVE},
            chain=(),
        )


def _spent(view: View) -> int:
    """Step from which the learning rate was spent, a quarter of the run or more; -1 if it was not.

    A rate that is zero from start to end counts as spent from the first step.
    """
    rate = view.step("lr")
    known = np.flatnonzero(~np.isnan(rate))
    if len(known) < 3:
        return -1
    steps, rate = view.steps[known], rate[known]
    alive = np.flatnonzero((rate >= SPENT * rate.max()) & (rate > 0))
    begun = int(alive[-1]) + 1 if len(alive) else 0
    since = int(steps[begun]) if begun < len(steps) else -1
    # sampled steps lie apart: the rate may have been spent well before the row that shows it
    return since if 0 <= since <= 0.75 * steps[-1] and steps[-1] > 0 else -1


def _promised(view: View) -> float:
    """How far the loss would have fallen had each step kept what its gradient promised: the sum
    over all steps and parameters of |update| |gradient|. Inf where neither was measured."""
    step = view.param("update") * view.param("grad")
    known = np.isfinite(step).any(axis=1)
    added = np.where(known, np.nansum(step, axis=1), np.nan)
    sums = _over_steps(view, added[:, None])
    return float(sums[0]) if np.isfinite(sums[0]) else float("inf")


def _way(view: View) -> float:
    """Sum over all steps of |update| / |weight|, of the layer that went least; NaN if unknown."""
    sums = _over_steps(view, view.by_layer(view.relative_update))
    known = sums[np.isfinite(sums)]
    return float(known.min()) if len(known) else float("nan")


def _over_steps(view: View, m: Floats) -> Floats:
    """Of [T, N] of sampled steps, the sum over all steps [N]: each row stands for those up to the
    next, and rows that were not measured for what the others show. NaN where none was."""
    n = view.ruin
    m, lasted = m[:n], view.lasted[:n]
    known = np.isfinite(m)
    covered = (known * lasted[:, None]).sum(axis=0)
    sums = np.where(known, m, 0.0) * lasted[:, None]
    share = np.divide(lasted.sum(), covered, out=np.full(len(covered), np.nan), where=covered > 0)
    return np.asarray(sums.sum(axis=0) * share)


def _still_pulling(view: View) -> bool:
    """Whether the gradient is still a tenth or more of its largest: convergence would end it."""
    norm = view.step("grad_norm")
    late, top = median(norm[view.late]), largest(norm[view.sound])
    return bool(late > 0.1 * top)


def _will_not_move(view: View, aim: Goal, fall: float, promised: float) -> Severity:
    """An error if it is sure that more steps will not help, a warning if it is likely."""
    still = abs(fall) + doubt(view.loss.finite) / aim.scale < STILL
    whole = _whole(view)
    enough = PROMISED_FLAT if still else PROMISED if whole else float("inf")
    if _starved(view) or promised >= enough:
        return Severity.error
    long = len(view.loss.finite) >= LONGER and (promised >= PROMISED_WHOLE or _way(view) >= WENT)
    return Severity.warning if still and whole and long else Severity.info


def _whole(view: View) -> bool:
    """Whether no layer is pulled much less than the last one: ‖w‖ ‖g‖ of each in the late rows."""
    pull = median(view.by_layer(view.param("weight") * view.param("grad"))[view.late])
    known = pull[~np.isnan(pull)]
    return bool(len(known) > 1 and known.min() >= WHOLE * known[-1])


def _starved(view: View) -> bool:
    """Whether half of the layers move too little to learn in this run."""
    update = median(view.by_layer(view.relative_update)[view.late])
    known = ~np.isnan(update)
    return bool(known.any() and (update[known] < view.too_small).mean() >= 0.5)
