"""EF812: weights are pulled to zero faster than the loss can hold them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule, Unless
from .chance import of_function, of_own
from .curve import NOTHING, goal, recent_fall
from .series import Floats, median, ratio
from .view import View

#: What is left of a weight's norm.
SHRUNK = 0.5
#: Part of the updates, along the way down, that does nothing but shrink the weights.
INWARD = 0.5
#: Fewest readings on the way down, and fewest steps in all.
READINGS, STEPS = 4, 40
#: Loss left of a training that has learnt something and has stopped.
SOME = 0.4
#: How far a loss to which nothing is added may be off its function's own value, by rounding.
ALONE = 1.01
#: Change of the loss that is none, as a share of what there is to win.
FLAT = 0.04


class DecayDominates(Rule):
    """Weight decay outweighs the gradient: the weights shrink, step by step, and learn nothing.

    ## What it means
    Each update takes a share of every weight away, and the gradient does not give it back. With
    SGD and AdamW that share is learning rate times decay; Adam's `weight_decay` goes through the
    division by the gradient's size, so that 0.1 there is already a great deal. An L2 penalty in
    the loss does the same.

    ## Why is this bad?
    Small weights pass on small signals and small gradients, so that decay wins by ever more. The
    network ends as a constant, and the loss at that of guessing.

    ## How it is measured
    The norm of each weight matrix from reading to reading, and the length of the updates. Were
    they nothing but decay, the norm would fall by as much as they are long; a gradient pulls
    crosswise. Weights whose output goes into a normalisation are left out, as their size is
    without effect, and so are embeddings, whose unseen rows do nothing but decay. Where the
    optimizer has no decay and the loss is its function's own value, nothing decays: the gradient
    itself may shrink weights that have nothing to learn.

    ## Threshold
    Half of the matrices have lost half of their norm or more; half of the updates' length went
    inward on the way there; and the loss is harmed: an error where 85 % is left, a warning where
    40 % is and it has stopped falling. 4 readings on the way, 40 steps.

    ## What to do
    Lower `weight_decay`: 1e-4 suits SGD, .01 to .1 AdamW, and 0 biases, gains and embeddings.
    """

    code = "EF812"
    name = "decay-dominates"
    title = N_("Weight decay outweighs the gradient")
    sentence = N_("The weights decay faster than they learn{at}")
    link = N_("weights decay")
    labels = (
        EvidenceLabel("norm_left", N_("norm that is left of the weights"), "share"),
        EvidenceLabel("inward", N_("part of the updates that shrinks the weights"), "share"),
        EvidenceLabel("weight_decay", N_("weight decay")),
        EvidenceLabel("steps_to_e", N_("steps in which the weights fall to a third")),
    )
    points_at = "optimizer"
    stage = 108
    looks_back = True
    leads_to = (
        *("EF101", "EF104", "EF105", "EF201", "EF202", "EF204", "EF205", "EF301", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
    )
    overrules = True
    remedies = (
        Remedy(
            "Lower weight_decay: 1e-4 suits SGD, 0.01 to 0.1 AdamW; give biases, gains and "
            "embeddings none."
        ),
        Remedy(
            "With Adam, let AdamW take its place: there weight_decay is not rescaled.",
            unless=(Unless("-adaptive"),),
        ),
    )
    if_cause = remedies[0]
    causes = (
        Cause("weight-decay", N_("the optimizer's weight decay"), sure=True),
        Cause(
            "penalty",
            N_("a penalty on the weights, in the loss or by hand"),
            Remedy("Lower the penalty's factor until the loss falls by more than the penalty."),
            sure=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        loss = view.loss
        ids = _judged(view)
        if not ids or view.unmeasured or view.foreseen or len(loss.finite) < STEPS:
            return
        weight = view.param("weight")[view.sound][:, ids]
        update = view.param("update")[view.sound][:, ids]
        told = [
            _way_down(view.steps[view.sound], w, u) for w, u in zip(weight.T, update.T, strict=True)
        ]
        left, inward, pace = np.array(told, dtype=np.float64).T
        down = (left <= SHRUNK) & (inward >= INWARD)
        if down.mean() < 0.5:
            return
        severity, rest = _harm(view)
        if severity is Severity.info:
            return
        whose = [ids[k] for k in np.flatnonzero(down)]
        decay = float(median(view.step("weight_decay")))
        if not decay > 0 and _nothing_added(view):
            return  # the gradient itself shrinks them, as where zero is the best there is to say
        sites = [i for i in view.layers if set(view.weights[i]) & set(whose)]
        yield self.finding(
            severity,
            sites=sites[:8],
            params=[view.run.params[i].name for i in whose],
            steps=(view.at(0), int(loss.steps[-1])),
            evidence={
                "norm_left": float(median(left[down])),
                "inward": float(median(inward[down])),
                "steps_to_e": float(median(pace[down])),
                "weight_decay": decay,
                "learning_rate": float(median(view.step("lr"))),
                "loss_left": rest,
            },
            threshold={"norm_left": SHRUNK, "inward": INWARD, "loss_left": NOTHING},
            cause="weight-decay" if decay > 0 else "penalty",
        )


def _nothing_added(view: View) -> bool:
    """Whether the loss is surely its function's own value, without a penalty on the weights: at
    each reading as many times that."""
    if len(view.losses) != 1:
        return False
    times = of_own(view, view.losses[0])
    times = times[np.isfinite(times) & (times > 0)]
    once = float(np.nanmax(view.step("backwards"), initial=1.0)) <= 1
    return bool(once and len(times) and times.max() <= ALONE * times.min())


def _judged(view: View) -> list[int]:
    """Ids of the weights whose size matters and whose rows are all seen."""
    ids: set[int] = set()
    for i in view.layers:
        after = [view.sites[c].kind for c in view.consumers[i]]
        if view.sites[i].kind != "embedding" and "norm" not in after:
            ids.update(view.weights[i])
    return sorted(ids)


def _way_down(steps: np.ndarray, weight: Floats, update: Floats) -> tuple[float, float, float]:
    """Of one weight: what is left of its norm; which part of its updates shrank it, on the way to
    its least size; the steps in which it fell to 1/e. NaN where it has no such way."""
    known = np.isfinite(weight) & (weight > 0)
    steps, weight, update = steps[known], weight[known], update[known]
    nothing = (float("nan"),) * 3
    if len(weight) < READINGS + 1:
        return nothing
    ends = np.flatnonzero(weight <= 1.1 * weight.min())
    n = int(ends[0])
    left = float(np.median(weight[-3:]) / weight[0])
    if n < READINGS:
        return nothing
    paces = -np.diff(np.log(weight[: n + 1])) / np.diff(steps[: n + 1])
    # the longer the way between two readings, the longer the updates may have been
    own = np.maximum(update[:n], update[1 : n + 1]) / weight[:n]
    pace = float(np.log(weight[0] / weight[n]) / (steps[n] - steps[0]))
    return left, float(median(ratio(paces, own))), 1 / pace if pace > 0 else float("nan")


def _harm(view: View) -> tuple[Severity, float]:
    """How bad it is, and the share of the loss that is left."""
    aim = goal(view)
    left = aim.left if aim.known else _own(view)
    if not left > SOME:
        return Severity.info, left
    if left >= NOTHING:
        return Severity.error, left
    still = recent_fall(view.loss.finite) < FLAT * aim.scale
    return (Severity.warning if still else Severity.info), left


def _own(view: View) -> float:
    """Share that is left of the loss function's own value, without what a penalty adds to it."""
    if len(view.losses) == 1:
        (i,) = view.losses
        base, _ = of_function(view, i)
        own = float(median(view.site("rms")[view.late, i])) / base if base > 0 else float("nan")
        if np.isfinite(own):
            return own
    return 1 - view.loss.fallen
