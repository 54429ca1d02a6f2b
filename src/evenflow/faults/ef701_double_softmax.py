"""EF701: what the network puts out is not what the loss function takes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .chance import BY_CLASS, seen
from .curve import goal
from .data import DIFFERENCES, prediction_of, typical
from .view import View

#: Losses that take raw scores and normalise them themselves.
RAW = ("cross_entropy", "binary_cross_entropy_with_logits")
#: Losses that take the logarithms of probabilities.
LOGS = ("nll_loss", "kl_div")
#: What these activations can put out at most and at least.
BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, np.inf),
}
#: How far beyond its bounds a target may lie: its largest value for a sigmoid, its root mean
#: square for a tanh (whose bounds standardised data pass at the tails).
BEYOND = 1.2
#: Share of targets below 0 that an output without negative values may leave unmet.
NEGATIVE = 0.2
#: Share of the loss of guessing left where such an output does harm.
LEFT = 0.4


#: One thing that does not fit: which site is at fault, how bad, evidence, threshold.
Mismatch = tuple[int, Severity, dict[str, float], dict[str, float]]


class DoubleSoftmax(Rule):
    """The last function of the network and the loss function do not belong together.

    ## What it means
    `cross_entropy` applies log-softmax itself, `binary_cross_entropy_with_logits` a sigmoid: a
    softmax or sigmoid before them squashes the scores twice. `nll_loss` wants logarithms of
    probabilities. A softmax over a single unit is always 1. A ReLU or tanh on the scores keeps
    them from saying "no", or from saying anything clearly. A sigmoid cannot reach a target of 3.

    ## Why is this bad?
    Squashed twice, scores of ten classes lie between 0 and 1: the loss cannot fall below 1.46,
    and gradients are small where they should be large. With the wrong form the loss is
    meaningless and can fall without limit while nothing is learnt.

    ## How it is measured
    Read off the tape: the site whose output the loss function got (dropout looked through), its
    op, and for what was written by hand its values: rows that sum to 1 without a negative entry
    are probabilities; a share of negative values below 90 % is not logarithms. Attention's
    softmax in the middle of a network is not on that path. Log-softmax before `cross_entropy`
    changes nothing and is told as info.

    ## Threshold
    Structure, so none but these: rows of probabilities sum to 1 within 1e-3; 90 % of negative
    values for logarithms; a target more than 20 % beyond what the last activation can put out
    (its largest value for a sigmoid, its root mean square for a tanh), or 20 % negative targets
    for an output that has none. Error where the loss is surely wrong, and where a target out of
    reach leaves 40 % of the loss of guessing (or lies there as a whole); warning where an
    activation on the scores, or before a squared error, limits what can be said.

    ## What to do
    Hand raw scores to `cross_entropy` and to `binary_cross_entropy_with_logits`; hand
    `log_softmax` to `nll_loss`; take the activation off the last layer.
    """

    code = "EF701"
    name = "double-softmax"
    title = N_("Output and loss do not fit")
    sentence = N_("The output and the loss do not fit each other{at}")
    as_cause = N_("output and loss that do not fit each other")
    labels = (
        EvidenceLabel("units", N_("number of units"), fact=True),
        EvidenceLabel("softmaxes", N_("softmaxes in a row"), fact=True),
        EvidenceLabel("row_sum", N_("sum of a row of scores"), fact=True),
        EvidenceLabel("negative", N_("share of negative values"), "share"),
        EvidenceLabel("target_absmax", N_("largest target")),
        EvidenceLabel("target_negative", N_("share of negative targets"), "share"),
    )
    points_at = "calls"
    stage = 70
    standing = True
    leads_to = ("EF104", "EF401", "EF404", "EF103", "EF504", "EF201", "EF205")
    remedies = (
        Remedy("Give cross_entropy the raw scores (logits): it applies log_softmax itself."),
        Remedy(
            "Give nll_loss the output of log_softmax, and binary_cross_entropy a sigmoid's output."
        ),
        Remedy(
            "Use binary_cross_entropy_with_logits on raw scores instead of a sigmoid of your own."
        ),
        Remedy("Take the activation off the last layer."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        told: set[tuple[int, str]] = set()
        for loss in view.losses:
            prediction, op = prediction_of(view, loss), view.sites[loss].op
            if prediction < 0:
                continue
            prediction = _source(view, prediction)
            if (prediction, op) in told:
                continue
            told.add((prediction, op))
            # one fault of a pair is enough: the next is its shadow
            for site, severity, evidence, threshold in islice(_judge(view, loss, prediction), 1):
                yield self.finding(
                    severity,
                    sites=(site, loss),
                    steps=view.over([0, -1]),
                    evidence=evidence,
                    threshold=threshold,
                    chain=(Link("cause", self.code, None, site),),
                )


def _source(view: View, id: int) -> int:
    """The site itself, dropout looked through."""
    while view.sites[id].kind == "dropout" and view.parents(id):
        id = view.parents(id)[0]
    return id


def _judge(view: View, loss: int, id: int) -> Iterator[Mismatch]:
    site, op, target = view.sites[id], view.sites[loss].op, view.target_of(loss)
    # what the loss was given: views stand between it and what the site put out
    shape, kind = seen(view, loss), site.kind
    units = shape[1] if len(shape) > 1 else 0
    alone = kind == "softmax" and len(site.shape) > 1 and site.shape[1] == 1
    sums, negative = typical(view, id, "row_sum"), typical(view, id, "negative")
    values = {"row_sum": sums, "negative": negative}
    before = [view.sites[_source(view, p)] for p in view.parents(id)]
    if alone or (op in BY_CLASS and units == 1):
        yield id, Severity.error, {"units": 1.0, **values}, {"units": 2.0}
    if kind == "softmax" and any(b.kind == "softmax" for b in before):
        yield id, Severity.error, values | {"softmaxes": 2.0}, {"softmaxes": 1.0}
    probabilities = abs(sums - 1) < 1e-3 and negative == 0 and len(shape) == 2 and units > 1
    if op in RAW:
        if site.op == "log_softmax":
            if op == "cross_entropy":
                yield id, Severity.info, values, {}
            else:
                yield id, Severity.error, values, {"row_sum": 1.0}
        elif kind == "softmax" or (op == "cross_entropy" and probabilities):
            yield id, Severity.error, values, {"row_sum": 1.0}
        elif site.op in ("sigmoid", "hardsigmoid", "logsigmoid"):
            yield id, Severity.error, values, {"negative": 0.0}
        elif site.op in ("relu", "tanh", "hardtanh", "relu6", "softsign"):
            yield id, Severity.warning, values, {"negative": 0.0}
    if op in LOGS and site.op not in ("log_softmax", "log", "logsigmoid") and negative < 0.9:
        yield id, Severity.error, values, {"negative": 0.9}
    if op.startswith("binary_cross_entropy") and target >= 0:
        top = typical(view, target, "absmax")
        if top > 1.0 + 1e-3:
            yield target, Severity.error, {"target_absmax": top}, {"target_absmax": 1.0}
    if op in DIFFERENCES and target >= 0:
        yield from _out_of_reach(view, id, target)


def _out_of_reach(view: View, id: int, target: int) -> Iterator[Mismatch]:
    """A bounded output for a target beyond its bounds.

    An error where most of the target lies there, or where most of the loss is left.
    """
    site = view.sites[id]
    if site.op not in BOUNDS:
        return
    low, high = BOUNDS[site.op]
    top, below = typical(view, target, "absmax"), typical(view, target, "negative")
    mean, std = typical(view, target, "mean"), typical(view, target, "std")
    size = float(np.hypot(mean, std))
    lost = goal(view).left > LEFT or abs(mean) - std > high
    severity = Severity.error if lost and not view.unmeasured else Severity.warning
    if low == 0 and below > NEGATIVE:
        yield id, severity, {"target_negative": below}, {"target_negative": NEGATIVE}
    elif low == 0 and top > BEYOND * high:
        yield id, severity, {"target_absmax": top}, {"target_absmax": high}
    elif size > BEYOND * high:
        yield id, severity, {"target_rms": size}, {"target_rms": high}
