"""4. One batch by heart: can the network learn the labels of one batch at all?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..lang import N_
from .base import Lab, failed, passed, unknown
from .bench import Change, Trace
from .loss_at_birth import KNOWN, guessing
from .result import Experiment, Tested

#: Steps on the one batch, and Evenflow's own settings, in the order they are tried.
STEPS = 80
CHOICES = ("adam:3e-3", "adam:1e-2", "adam:3e-4")
#: The loss falls by this share where a batch is being learned; below the other it is not at all.
LEARNED, STILL = 0.5, 0.15
#: From this share on the script's own setting does something.
STIRRED = 0.02


def test(lab: Lab) -> Tested:
    """The same batch for 80 steps, by the script's own optimizer at the rate it was
    built with; where the loss does not fall by
    half, by Adam at rates .003, .01 and .0003. The mean of the last tenth of the losses counts.

    The zoo's healthy trainings (119, three seeds) lose 53 % and more at their best setting, by the
    script's own at least 9 %; what falls by less
    than 15 % at each of them cannot learn. In between it passes, and the figure is told. A loss
    that is made of several, or has uncertain targets, need not come to zero: it is not judged.
    """
    best: tuple[float, Change, Trace] | None = None
    own = math.nan
    settings = [Change(same_batch=True, optimizer=text) for text in CHOICES]
    if lab.subject.optimizers:
        settings.insert(0, Change(same_batch=True, rate=1.0))
    for change in settings:
        trace = lab.run(change, STEPS)
        if not trace.losses or (trace.ended != "done" and len(trace.losses) < STEPS // 2):
            if best is not None:
                break
            return unknown(trace.ended, names=(trace.why,))
        fell = fall(trace)
        own = fell if not change.optimizer else own
        if best is None or fell > best[0]:
            best = fell, change, trace
        if fell >= LEARNED or lab.late:
            break
    assert best is not None
    return _judged(lab, own, *best)


def fall(trace: Trace) -> float:
    """By what share of its start the loss fell; below 0 it rose, -inf where it is not a number."""
    first, end = trace.losses[0], level(trace.losses)
    if not math.isfinite(end) or not math.isfinite(first):
        return -math.inf
    return (first - end) / max(abs(first), 1e-12)


def level(losses: Sequence[float]) -> float:
    """Where they came to: the mean of the last tenth."""
    last = losses[-max(len(losses) // 10, 1) :]
    return sum(last) / len(last)


def _judged(lab: Lab, own: float, fell: float, change: Change, trace: Trace) -> Tested:
    told: dict[str, Any] = {"start": trace.losses[0], "fell": fell, "steps": len(trace.losses)}
    told["end"] = level(trace.losses)
    lab.learned = own >= STIRRED
    if math.isfinite(own):
        told["own"] = own
    if fell >= STILL:
        lab.learner = change
    loss, targets = lab.subject.loss, lab.targets
    guess = guessing(loss, targets[0]) if loss and targets else None
    if guess and float(loss["value"]) < KNOWN * guess:
        lab.learned = True
        return passed("known", **told)
    if fell < STILL:
        if not _reducible(lab, trace.losses[0]):
            return unknown("own-loss", **told)
        return failed("not-learned", code="EF401", **told)
    if own < STILL and change.optimizer:
        return passed("other-rate", names=(change.optimizer,), **told)
    return passed("learned" if fell >= LEARNED else "slowly", **told)


def _reducible(lab: Lab, start: float) -> bool:
    """The loss is one that a network which knows the answers brings to zero: a function of torch's
    alone, with labels that are certain."""
    loss = lab.subject.loss
    if not loss or not lab.targets:
        return False
    certain = lab.kind in ("squared", "absolute") or "labels" in lab.targets[0]
    if loss.get("held"):  # the target may be made of outputs, as in Q-learning
        return False
    return certain and abs(float(loss["value"]) - start) <= 1e-3 * abs(start)


EXPERIMENT = Experiment(
    4,
    "by-heart",
    N_("one batch by heart"),
    {
        "learned": N_("The loss on one batch falls from {start} to {end} within {steps} steps."),
        "slowly": N_("The loss on one batch falls from {start} to {end} in {steps} steps: slowly."),
        "other-rate": N_(
            "The loss on one batch falls from {start} to {end} with {names}, hardly with the "
            "script's own optimizer."
        ),
        "known": N_("The batch is known already: its loss is {start}."),
        "not-learned": N_(
            "Not even one batch is learned: {start} becomes {end} in {steps} steps, whatever the "
            "rate."
        ),
        "own-loss": N_("The loss goes from {start} to {end}; how low it can come is not known."),
    },
    {
        "other-rate": N_("Try that optimizer and rate, or see the range of rates below."),
        "not-learned": N_(
            "See that outputs can take the targets' values, that the loss fits them, and that "
            "gradients reach the weights (evenflow preflight)."
        ),
    },
    test,
)
