"""EF504: a regression target is far from the size of what the network puts out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .curve import WON, goal
from .data import DIFFERENCES, first, prediction_of, typical
from .view import View

#: Root mean square of the target.
LARGE = 5.0
#: Target over first predictions.
APART = 10.0
#: Share of the training after which a loss still above the best constant's tells of harm: the
#: steps went into reaching the target's mean.
LATE = 0.5
#: A target above this is told all the same: its largest column hides that others are not learned.
BLATANT = 50.0


class UnscaledTarget(Rule):
    """The target is many times larger than what the network puts out at first.

    ## What it means
    A network with usual weights starts with outputs of about unit size or less. Where the target
    has a mean of hundreds, most of the training goes into reaching that mean.

    ## Why is this bad?
    The first gradients are as large as the target, and those of a squared error larger still:
    updates are oversized, units die, or the learning rate has to be so low that little else is
    learnt.

    ## How it is measured
    Root mean square of the target of a squared, absolute or Huber error, and of the prediction
    at the first reading. Where the loss is written by hand, the first difference of the two
    stands in for the target. An output layer that starts at the target's mean is not flagged.

    ## Threshold
    A target above 5 and 10 times the first predictions, where it does harm: an error where training
    came to grief, a warning where the loss ends above a quarter of the best constant's or was above
    the whole of it for half of the training, or the target is above 50 (a loss that its largest
    column rules says nothing of the others). Losses that measure no progress (actor and critic,
    whose targets are networks' own estimates) show no such harm and are left alone.
    Calibrated on the calibration half of the zoo (raw pixels of 0..16: 7.8).

    ## What to do
    Standardise the target and undo that on predictions; or start the last bias at the target's
    mean and scale the output by its deviation; or predict the logarithm.
    """

    code = "EF504"
    name = "unscaled-target"
    title = N_("Unscaled target")
    sentence = N_("The target is not scaled to what the network puts out{at}")
    placed_as = ("event", "end")
    labels = (
        EvidenceLabel("target_ratio", N_("target over first predictions")),
        EvidenceLabel("prediction_rms", N_("size of the first predictions")),
        EvidenceLabel("target_mean", N_("mean of the target")),
        EvidenceLabel("target_std", N_("deviation of the target")),
    )
    stage = 110
    leads_to = (
        *("EF102", "EF103", "EF201", "EF202", "EF206", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
    )
    remedies = (
        Remedy(
            "Standardise the target on the training set and undo it on predictions.",
            by=("target=standardise",),
        ),
        Remedy(
            "Or start the last layer's bias at the target's mean, and scale its output by "
            "the target's standard deviation."
        ),
        Remedy("Positive targets that span decades: predict the logarithm."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        if view.unmeasured:
            return
        told: set[int] = set()
        for loss in view.losses:
            target, prediction = view.target_of(loss), prediction_of(view, loss)
            if view.sites[loss].op not in DIFFERENCES or min(target, prediction) < 0:
                continue
            if target not in told:
                told.add(target)
                more = {
                    "target_mean": typical(view, target, "mean"),
                    "target_std": typical(view, target, "std"),
                }
                yield from self._compare(
                    view, target, prediction, typical(view, target, "rms"), more
                )
        for minus, prediction in _by_hand(view):
            yield from self._compare(view, minus, prediction, first(view, minus, "rms"), {})

    def _compare(
        self, view: View, site: int, prediction: int, size: float, more: dict[str, float]
    ) -> Iterable[Finding]:
        said = first(view, prediction, "rms")
        if size <= BLATANT and _learned(view):
            return
        if not (size > LARGE and np.isfinite(said) and size > APART * said):
            return
        yield self.finding(
            Severity.error if view.harmed else Severity.warning,
            sites=(site, prediction),
            steps=view.over([0]),
            evidence={
                "target_rms": size,
                "target_ratio": size / said if said > 0 else float("inf"),
                "prediction_rms": said,
                "start_loss": view.loss.start,
                **more,
            },
            threshold={"target_rms": LARGE, "target_ratio": APART},
            chain=(Link("cause", self.code, view.at(0), site),),
        )


def _learned(view: View) -> bool:
    """Whether most of what the best constant leaves has been won, and not only at last: then the
    target's size did no harm. Never where the best constant's loss is not known."""
    aim = goal(view)
    if view.harmed or not aim.known or not aim.left <= WON:
        return False
    above = view.loss.finite > aim.scale
    return bool(above.mean() <= LATE)


def _by_hand(view: View) -> Iterable[tuple[int, int]]:
    """Differences of an output and a tensor from outside, squared or made absolute for the loss.

    `((model(x) - y) ** 2).mean()`: the first difference is as large as the target is, where the
    target is much larger than the output.
    """
    if view.losses:
        return
    for s in view.sites:
        parents = view.parents(s.id)
        if s.op not in ("sub", "rsub") or len(parents) != 1 or len(s.inputs) != 1:
            continue
        after = [view.sites[c] for c in view.consumers[s.id]]
        if after and all(c.op in ("pow", "square", "abs", "mul", "norm") for c in after):
            ends = {e.op for c in after for e in map(view.sites.__getitem__, view.consumers[c.id])}
            if ends <= {"mean", "sum"}:
                yield s.id, parents[0]
