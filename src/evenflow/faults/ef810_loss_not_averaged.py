"""EF810: the loss is a sum, and its steps are as many times too long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..lang import N_
from ..network import is_adaptive
from ..schema import Finding, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .chance import BY_CLASS, backward_passes
from .ef402_divergence_or_spike import DivergenceOrSpike
from .ef403_oscillation import Oscillation
from .ef703_learning_rate_too_high import WILD, LearningRateTooHigh
from .remedies import LOWER_RATE
from .series import Floats, grouped, median
from .view import View

#: So many times the gradient of a mean.
TIMES = 4.0
#: First step of a mean, relative to the weights, that is no rate too high by itself.
SANE = WILD / 2


class Sum(NamedTuple):
    """What is added up: gradients of so many samples, or of so many elements in all."""

    samples: float
    elements: float


class LossNotAveraged(Rule):
    """The loss is added up over samples or micro-batches, at a rate that suits their mean.

    ## What it means
    `reduction="sum"`, `.sum()` over the samples' losses, or several backward passes before one
    update without dividing each loss by their number: the gradient is as many times that of the
    mean, and so is the step.

    ## Why is this bad?
    A learning rate is mostly quoted for a mean. Times 16 it diverges, or the loss bounces about
    at a level where the mean would go on falling; and it changes with the batch's size.

    ## How it is measured
    The layer error at the loss itself says what it is multiplied by on its way to the backward
    pass: 1 for a loss as it stands, 1/k for one that was divided by k. Times the backward passes
    of an update; times the samples, where the loss function was asked for a sum or gave a loss
    for each; of a loss by hand, at its last sum. What is clipped or divided afterwards counts.

    ## Threshold
    4 times the gradient of a mean or more, and a loss that was harmed by steps too long (EF703,
    EF402 or EF403, whose consequence it is then); and the first step, divided by that number,
    below a quarter of the weights (half of EF703's limit): else the rate is too high for a mean,
    too, and that is the cause. Adam and its kin divide such factors away: they
    are never accused. Nor is a training that goes well: its rate was chosen for the sum.

    ## What to do
    Divide each micro-batch's loss by their number; use `reduction="mean"`; or lower the rate by
    the number of times.
    """

    code = "EF810"
    name = "loss-not-averaged"
    title = N_("The loss is a sum where a mean is meant")
    sentence = N_("The loss is added up and not averaged{at}")
    link = N_("loss not averaged")
    labels = (
        EvidenceLabel("times_the_mean", N_("gradient, times that of a mean")),
        EvidenceLabel("passes", N_("backward passes for each update"), fact=True),
        EvidenceLabel("averaged_update", N_("the same of a mean")),
    )
    stage = 106
    leads_to = ("EF703", *LearningRateTooHigh.leads_to)
    overrules = True
    remedies = (
        Remedy("Average over the batch: reduction='mean', or .mean() in place of .sum()."),
        LOWER_RATE,
    )
    if_cause = remedies[0]
    causes = (
        Cause("summed", N_("the loss is a sum over samples or steps, not their mean"), sure=True),
        Cause(
            "accumulated",
            N_("gradients of several backward passes add up, each of a whole loss"),
            Remedy("Divide each micro-batch's loss by their number: (loss / parts).backward()."),
            sure=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if view.unmeasured or view.foreseen or not len(view.steps) or not view.calls:
            return
        if any(is_adaptive(view.class_of(k)) for k in range(len(view.optimizers))):
            return
        passes = backward_passes(view)
        kept = median(view.step("grad_kept"))
        added = _added(view)
        share = passes * float(np.fmin(kept, 1.0) if np.isfinite(kept) else 1.0)
        times = share * added.samples
        if not times >= TIMES:  # 0 where nothing was left of any gradient
            return
        update = _first_update(view)
        averaged = update / (share * added.elements)
        if not averaged < SANE:
            return
        harm = [
            f
            for rule in (LearningRateTooHigh, DivergenceOrSpike, Oscillation)
            for f in rule().check(view)
            if f.severity > Severity.info
        ]
        if not harm:
            return
        yield self.finding(
            max(f.severity for f in harm),
            sites=view.losses[:1],
            steps=(view.at(0), max(f.last_step for f in harm)),
            evidence={
                "times_the_mean": times,
                "passes": passes,
                "update_ratio": update,
                "averaged_update": averaged,
                "learning_rate": float(median(view.step("lr"))),
            },
            threshold={"times_the_mean": TIMES, "averaged_update": SANE},
            cause="accumulated" if added.samples < TIMES else "summed",
        )


def _added(view: View) -> Sum:
    """What the losses of one backward pass add up; 1 of a mean, NaN where it is not known."""
    # a loss for each sample is counted where the function gave it
    by_hand = [
        s.id
        for s in view.sites
        if s.op in ("sum", "mean") and s.shape in ((), (1,))
        if not any(view.sites[i].kind == "loss" for i in view.parents(s.id))
        if view.ancestors([s.id]).intersection(view.layers)  # a penalty on weights is no mean
    ]
    found = [_of(view, list(view.losses)), *(_of(view, [i]) for i in by_hand)]
    known = [s for s in found if np.isfinite(s.samples)]
    return max(known, key=lambda s: s.samples, default=Sum(float("nan"), float("nan")))


def _of(view: View, ids: list[int]) -> Sum:
    """Of calls of a loss function, or of the last reduction of a loss by hand, taken together step
    by step: one whose module is made anew each time is another site each time."""
    delta = view.site("delta")[view.sound][:, ids]
    rows = np.isfinite(delta).any(axis=1)
    summed = median(view.site("summed")[:, ids])
    factors = np.array([_factors(view, i, s == 1) for i, s in zip(ids, summed, strict=True)])
    whole = np.nansum(delta[rows, :, None] * factors.reshape(1, len(ids), 2), axis=1)
    samples, elements = median(whole)
    return Sum(float(samples), float(elements))


def _factors(view: View, id: int, summed: bool) -> tuple[float, float]:
    """How many samples, and elements, a site adds up for a layer error of 1 at its result."""
    site = view.sites[id]
    given = next((view.sites[i].shape for i in view.parents(id)), ())
    given = (*site.takes, given)[0]
    if (summed or site.op == "sum") and given:
        classes = given[1] if site.op in BY_CLASS and len(given) > 1 else 1
        return given[0], math.prod(given) / max(1, classes)
    return (site.shape[0], math.prod(site.shape)) if site.shape else (1.0, 1.0)


def _first_update(view: View) -> float:
    """The relative update of the first reading that has one, median over layers that do not start
    at zero; NaN without any."""
    typical: Floats = median(grouped(view.relative_update, list(view.calls)), axis=1)
    known = typical[np.isfinite(typical) & view.sound]
    return float(known[0]) if len(known) else float("nan")
