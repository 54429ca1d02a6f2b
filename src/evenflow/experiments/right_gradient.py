"""2. The gradient is right: it says how the loss changes along random directions."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown, untried
from .bench import Change
from .result import Experiment, Tested

#: Steps along a direction as long as the parameter, and where the network is moved to first: away
#: from exact zeros, at which a rectifier has two slopes.
STEP, JITTER = {True: 1e-6, False: 3e-3}, {True: 1e-3, False: 3e-2}
#: Where slopes disagree, smaller steps are tried: a rectifier may have bent in between.
SHARES = {True: (1.0, 0.1, 0.01), False: (1.0, 1 / 3)}
#: Rounding of the loss, of which a difference is so many at most.
ROUNDING, TIMES = {True: 2.3e-16, False: 6e-8}, 100
#: The slopes differ by so much of the larger.
APART = {True: 0.02, False: 0.3}
#: A slope below this share of the other is none at all.
NONE = 1e-3


_WRONG = N_("The gradient of {names} is wrong: {said}, where the loss changes by {slope}.")


class Slope(NamedTuple):
    """Of one parameter: what the gradient says (None: it has none) and what the loss does."""

    name: str
    said: float | None
    done: float
    error: float  # of `done`, by rounding

    def wrong(self, double: bool) -> bool:
        said = self.said or 0.0
        apart = abs(said - self.done)
        return apart > APART[double] * max(abs(said), abs(self.done)) + TIMES * self.error


def test(lab: Lab) -> Tested:
    """<dL/dp, v> against (L(p + hv) - L(p - hv)) / 2h for each parameter tensor p, v random and as
    long as p. In float64 where the model runs in it (h = 1e-6), else in its own precision (h =
    3e-3, and only gross faults are told). Random numbers start alike in all runs.

    On the zoo's 119 healthy trainings they agree; a disagreement is tried again with h ten
    and a hundred times as small (20 convolutions with batch norms: a rectifier bends within 1e-6).
    """
    double = True
    base = lab.run(Change(jitter=JITTER[True], double=True), 0, ("slopes",))
    if base.ended != "done" or base.figures["dtype"] != "float64":
        double = False
        base = lab.run(Change(jitter=JITTER[False]), 0, ("slopes",))
    if base.ended != "done":
        return untried(base)
    if base.figures["dtype"] not in ("float64", "float32"):
        return nothing("rough", names=(base.figures["dtype"],))
    again = lab.bench.run(Change(jitter=JITTER[double], double=double), 0)
    if again.losses != base.losses:
        return unknown("not-frozen")
    slopes = base.figures["slopes"]
    params = lab.subject.params
    alone = not lab.subject.optimizers
    known = [n for n in slopes if alone or params.get(n, {}).get("held", 0)]
    if not known:
        return nothing("no-parameters")
    chosen = _spread(known, max(1, (lab.bench.most_runs - 2) // 2))
    found = []
    for name in chosen:
        if lab.late:
            break
        slope = None
        for share in SHARES[double]:
            slope = _measured(lab, name, slopes[name], base.losses[0], double, share) or slope
            if slope is None or not slope.wrong(double):
                break
        if slope is not None:
            found.append(slope)
    if not found:
        return unknown("time")
    return _judged(found, base.figures.get("cuts", {}), double)


def _spread(names: list[str], most: int) -> list[str]:
    if len(names) <= most:
        return names
    return [names[i * len(names) // most] for i in range(most)]


def _measured(
    lab: Lab, name: str, said: float | None, loss: float, double: bool, share: float
) -> Slope | None:
    h = STEP[double] * share
    ends = []
    for way in (h, -h):
        change = Change(nudge=way, params=(name,), jitter=JITTER[double], double=double)
        trace = lab.bench.run(change, 0)
        if trace.ended != "done" or not math.isfinite(trace.losses[0]):
            return None
        ends.append(trace.losses[0])
    error = ROUNDING[double] * max(abs(loss), 1e-3) / h
    return Slope(name, said, (ends[0] - ends[1]) / (2 * h), error)


def _judged(found: list[Slope], cuts: dict[str, int], double: bool) -> Tested:
    wrong = sorted((s for s in found if s.wrong(double)), key=lambda s: -abs(s.done))
    told: dict[str, float] = {
        "tensors": len(found),
        "wrong": len(wrong),
        "bits": 64 if double else 32,
    }
    if not wrong:
        return passed("right", **told)
    cut = [s for s in wrong if not s.said]
    if cut:
        told |= {"slope": cut[0].done}
        return failed("cut", names=[s.name for s in cut], code="EF807", **told)
    told |= {"said": wrong[0].said or 0.0, "slope": wrong[0].done}
    names = [s.name for s in wrong]
    if "edited" in cuts or "data" in cuts:
        return failed("edited", names=names, **told)
    if all(abs(s.done) <= NONE * abs(s.said or 0.0) for s in wrong):
        return passed("straight-through", names=names, **told)
    if cuts.keys() & {"detach", "no_grad"}:
        return unknown("held", names=names, **told)
    return failed("wrong", names=names, **told)


EXPERIMENT = Experiment(
    2,
    "right-gradient",
    N_("the gradient is right"),
    {
        "right": N_(
            "The gradients of {tensors} tensors say how the loss changes (float{bits}, differences "
            "along random directions)."
        ),
        "no-parameters": N_("No parameter is trained."),
        "rough": N_("The loss is a {names}, whose rounding is larger than any difference."),
        "not-frozen": N_("The loss differs from run to run, so that no difference can be taken."),
        "cut": N_(
            "The loss depends on {names} (slope {slope}), and no gradient reaches it: it was cut."
        ),
        "edited": _WRONG,
        "wrong": _WRONG,
        "straight-through": N_(
            "The loss does not change with {names}, and yet there is a gradient: straight through "
            "a rounding, on purpose as a rule."
        ),
        "held": N_(
            "The gradient of {names} is not the loss's whole slope ({said}, {slope}): a part is "
            "held constant by detach or no_grad. Right if it is meant so."
        ),
    },
    {
        "cut": N_(
            "Look for .detach(), torch.no_grad(), .item(), torch.tensor(...) or argmax on its way."
        ),
        "edited": N_("Look for .data or an edit under torch.no_grad() in the forward pass."),
        "wrong": N_(
            "Look at the backward of custom functions: torch.autograd.gradcheck tests each alone."
        ),
    },
    test,
)
