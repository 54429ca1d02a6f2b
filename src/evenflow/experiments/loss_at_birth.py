"""1. The loss at birth against guessing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown
from .result import Experiment, Tested

#: A network that knows nothing loses about what guessing does. So many times as much is told.
MUCH = 3.0
#: What outputs of unit size lose where the targets are smaller: no fault.
UNIT, _MEASURED = 1.0, ("squared", "absolute")
#: Below this share of guessing something is known before the first step.
KNOWN = 0.2
#: The mean of targets is so many deviations from zero: the loss at birth is the distance to them.
FAR = 3.0
#: From so many deviations on it is a fault.
LOST = 10.0


def test(lab: Lab) -> Tested:
    """The loss function's own value at the first batch, held against that of the best constant
    answer: ln K for K classes (labels as frequent as they are: their entropy), the variance of
    targets for squared, their mean absolute deviation for absolute differences.

    The zoo's healthy trainings (119, three seeds) begin at .05 to 1.3 times guessing, regressions
    at up to 3.5 times where the targets are smaller than 1, which is allowed; with the last layer's
    weights times 60 it is 4 times and more.
    """
    loss, targets = lab.subject.loss, lab.targets
    if not loss or not targets or "value" not in loss:
        return nothing("own-loss")
    value, guess = float(loss["value"]), guessing(loss, targets[0])
    if loss.get("reduction") == "sum":
        value /= max(math.prod(loss["target"]), 1)
    if guess is None:
        return nothing("own-loss")
    told: dict[str, Any] = {"loss": value, "guessing": guess}
    told["entropy"] = entropy(targets[0].get("labels", ())) if lab.kind == "classes" else math.nan
    told = {k: v for k, v in told.items() if not math.isnan(v)}
    if not math.isfinite(value):
        return failed("non-finite", code="EF103", **told)
    if value < KNOWN * guess:
        return passed("known", **told)
    if value <= MUCH * (max(guess, UNIT) if lab.kind in _MEASURED else guess):
        return passed("as-guessing", **told)
    mean, std = targets[0].get("mean", 0.0), targets[0].get("std", 1.0)
    if lab.kind in _MEASURED and abs(mean) > FAR * std:
        told |= {"mean": mean, "deviation": std}
        if abs(mean) <= LOST * std:  # Adam gets there in its first hundred steps
            return unknown("far-target", **told)
        cures = (f"target=standardise:{mean:.6g}:{std:.6g}",)
        return failed("far-target", code="EF504", treatments=cures, **told)
    return failed("over-sure", code="EF602", treatments=("init=lsuv",), **told)


def guessing(loss: Mapping[str, Any], target: Mapping[str, Any]) -> float | None:
    """What the best constant answer loses; None where that is not known."""
    kind, output = loss["kind"], loss["output"]
    if kind == "classes":
        classes = output[1] if len(output) > 1 else output[0]
        return math.log(classes) if classes > 1 else None
    if kind == "flags":
        return math.log(2)
    if kind == "squared":
        return float(target["std"]) ** 2 if "std" in target else None
    return float(target["absolute"]) if "absolute" in target else None


def constant(loss: Mapping[str, Any], target: Mapping[str, Any]) -> float | None:
    """What the best constant answer to this very batch loses, entry by entry: it can be learned
    without a look at the inputs. None where that is not known."""
    if loss["kind"] in ("classes", "flags"):
        return entropy(target["labels"]) if "labels" in target else None
    if loss["kind"] == "squared" and "apart" in target:
        return float(target["apart"]) ** 2
    return guessing(loss, target)


def entropy(labels: Any) -> float:
    """Of the labels as frequent as they are, in nats; NaN for none."""
    counts = Counter(labels)
    n = sum(counts.values())
    if not n:
        return math.nan
    return -sum(c / n * math.log(c / n) for c in counts.values())


EXPERIMENT = Experiment(
    1,
    "loss-at-birth",
    N_("loss at birth against guessing"),
    {
        "own-loss": N_("The loss is no function of torch's that says what guessing would lose."),
        "as-guessing": N_("It begins at {loss}, where guessing is {guessing}."),
        "known": N_("It begins at {loss}, far below guessing ({guessing}): something is known."),
        "non-finite": N_("The very first loss is not a finite number."),
        "over-sure": N_("It begins at {loss}, and guessing would be {guessing}: surely wrong."),
        "far-target": N_(
            "It begins at {loss}, and guessing would be {guessing}: the targets (mean {mean}, "
            "deviation {deviation}) are far from zero, where outputs begin."
        ),
    },
    {
        "known": N_("Fine for a trained start; else see that no input holds the label."),
        "non-finite": N_("Look for a division, a logarithm or an overflow in the forward pass."),
        "over-sure": N_("Make the last layer's weights smaller, so that outputs begin near zero."),
        "far-target": N_("Standardise the targets, or set the last bias to their mean."),
    },
    test,
)
