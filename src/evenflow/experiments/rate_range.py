"""8. The learning rate between "nothing moves" and "it leaves"; the batch and the noise."""

from __future__ import annotations

import math
import statistics
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown
from .bench import Change, Trace
from .by_heart import fall
from .loss_at_birth import guessing
from .result import Experiment, Tested

#: Factors on the script's rate, and steps on one batch at each.
FACTORS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)
STEPS = 12
#: The loss has left when it passes so many times that of the start and does not come back; or so
#: many times that of the start and of guessing, though it came back (Adam at a rate of 1: 30 to 60
#: times, and the batch is learned all the same).
LEFT, LEAPT = 3.0, 10.0
#: It does not move when it falls by less than this share; and falls well from the other on.
STILL, WELL = 1e-3, 0.05
#: Falls well means so many times the jitter of a loss that draws (dropout), too.
JITTERS = 10.0
#: So many times the rate is no matter of taste.
FAR = 100.0


def test(lab: Lab) -> Tested:
    """Twelve steps on the one batch at a thousandth to ten thousand times the script's rate
    (that from before its warm-up). Told as a fault: the loss leaves (above three times its start,
    or ten times, or not a number) at the script's rate; or it falls by less than .1 % there, and by
    less than 2 % in 80 steps, where a hundred times the rate or more would still not leave and
    falls by 5 %, or where Adam alone learns the batch by heart. On the zoo's healthy trainings it
    falls by .5 % or more in the twelve steps.

    Beside it the gradient noise scale (McCandlish et al. 2018, arXiv:1812.06162, appendix A.1) from
    the batch and its quarters: batches far below it learn with noise, far above it in vain.
    """
    optimizers = lab.subject.optimizers
    if not optimizers:
        return nothing("no-optimizer")
    rates = [r for o in optimizers for r in o["meant"] if math.isfinite(r)]
    if not rates:
        return nothing("no-rate")
    traces: dict[float, Trace] = {}
    for factor in FACTORS:
        if not lab.late:
            traces[factor] = lab.run(Change(same_batch=True, rate=factor), STEPS)
    own = traces.get(1.0)
    if own is None or not own.losses:
        return unknown("time" if own is None else own.ended, names=(own.why if own else "",))
    told: dict[str, Any] = {"rate": max(rates)}
    return _judged(lab, traces, told | _noise(lab))


def _judged(lab: Lab, traces: dict[float, Trace], told: dict[str, Any]) -> Tested:
    own, rate, loss = traces[1.0], told["rate"], lab.subject.loss
    guess = guessing(loss, lab.targets[0]) if loss and lab.targets else None
    safe = [f for f, t in traces.items() if not left(t, guess or 0.0)]
    moves = [f for f in safe if fall(traces[f]) >= STILL]
    told["fell"] = fall(own)
    told["highest"] = rate * max(safe, default=0.0)
    told["lowest"] = rate * min(moves, default=0.0)
    if 1.0 not in safe:
        best = max((f for f in moves if f < 1), default=0.1)
        return failed("leaves", code="EF703", treatments=(f"lr=x{best:g}",), **told)
    well = max(WELL, JITTERS * _jitter(traces[min(traces)]))
    far = [f for f in safe if f >= FAR and fall(traces[f]) >= well]
    idle = fall(own) < STILL and not lab.learned
    if idle and far:
        return failed("still", code="EF404", treatments=(f"lr=x{far[0]:g}",), **told)
    adam = lab.learner is not None and bool(lab.learner.optimizer)
    if idle and adam and all(fall(t) < STILL for f, t in traces.items() if f <= FAR):
        return failed("still", code="EF404", treatments=("optimizer=adam",), **told)
    if fall(own) < STILL:
        return passed("slow", **told)
    return passed("within", **told)


def left(trace: Trace, guess: float = 0.0) -> bool:
    """The loss went far up, or is no number, or the run failed."""
    losses = trace.losses
    if trace.ended == "error" or not losses or not all(map(math.isfinite, losses)):
        return True
    start, most = max(abs(losses[0]), 1e-12), max(losses)
    return most > LEAPT * max(start, guess) or (most > LEFT * start and losses[-1] > losses[0])


def _jitter(trace: Trace) -> float:
    """Deviation of the losses where next to nothing moves, over the first of them."""
    losses = trace.losses
    if not losses or not all(map(math.isfinite, losses)):
        return 0.0
    return statistics.pstdev(losses) / max(abs(losses[0]), 1e-12)


def _noise(lab: Lab) -> dict[str, float]:
    """The simple noise scale in samples, where the bench can part a batch."""
    inputs = lab.subject.batches[0]["inputs"] if lab.subject.batches else []
    n = max((i["shape"][0] for i in inputs if i["shape"]), default=0)
    if n < 8:
        return {}
    parts = [lab.run(Change(part=(k, 4), mode="still"), 0, ("noise",)) for k in range(4)]
    whole = lab.run(Change(mode="still"), 0, ("noise",))
    if any(t.ended != "done" or "noise" not in t.figures for t in (*parts, whole)):
        return {}
    small, big = sum(t.figures["noise"] for t in parts) / 4, whole.figures["noise"]
    b, full = n // 4, n
    signal = (full * big - b * small) / (full - b)
    noise = (small - big) / (1 / b - 1 / full)
    return {"noise": noise / signal, "batch": n} if signal > 0 and noise > 0 else {}


EXPERIMENT = Experiment(
    8,
    "rate-range",
    N_("the learning rate's range"),
    {
        "no-optimizer": N_("No optimizer was given."),
        "no-rate": N_("The optimizer has no learning rate."),
        "within": N_("The rate {rate} lies between {lowest} and {highest}: it moves and stays."),
        "slow": N_("At the rate {rate} the loss hardly moves; up to {highest} it stays."),
        "leaves": N_("At the rate {rate} the loss leaves within a few steps."),
        "still": N_("At the rate {rate} nothing moves; up to {highest} would be safe."),
    },
    {
        "leaves": N_("Lower the rate, or warm it up."),
        "still": N_("Raise the rate."),
    },
    test,
)
