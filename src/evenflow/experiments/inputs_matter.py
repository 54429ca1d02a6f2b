"""5. Inputs matter: the same steps with inputs zeroed, or given to other samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown
from .by_heart import STEPS, STILL, fall
from .result import Experiment, Tested

#: Two curves whose ends differ by less than this share of the start are one.
SAME = 0.01
#: Steps over successive batches, and how many standard errors tell two curves apart.
STREAM, ERRORS = 60, 3.0


def test(lab: Lab) -> Tested:
    """The one batch once more by the setting that learned it, with every input zeroed: the loss
    must then stay higher, by 1 % of its start, or twice as high. Over successive batches, where
    the bench has them: 60 steps with inputs permuted among samples, labels kept; the last half of
    the losses must be higher than those of the true pairs by three standard errors of their
    differences.

    Equal curves with inputs zeroed are a fault. Equal curves with inputs permuted are one where
    classes are learned and the true pairs come nowhere below guessing by frequency; else the task
    may just be slow, and it is not known.
    """
    alike = len({label for t in lab.targets for label in t.get("labels", (0, 1))}) < 2
    if alike:
        return nothing("one-label")
    if lab.learner is None:
        return unknown("nothing-learned")
    seen = lab.run(lab.learner, STEPS)
    blind = lab.run(replace(lab.learner, inputs="zeroed"), STEPS)
    if blind.ended != "done":
        return unknown("error" if blind.ended == "error" else "cannot", names=(blind.why,))
    told: dict[str, Any] = {"seen": _end(seen.losses), "blind": _end(blind.losses)}
    if not math.isfinite(told["blind"]):
        return unknown("nothing-learned", **told)
    apart = (told["blind"] - told["seen"]) / max(abs(seen.losses[0]), 1e-12)
    twice = told["blind"] > 2 * abs(told["seen"])
    if abs(apart) < SAME and not twice and fall(seen) >= STILL:
        return failed("blind", **told)
    if not lab.bench.streams:
        return passed("seen", **told)
    return _permuted(lab, told)


def _permuted(lab: Lab, told: dict[str, Any]) -> Tested:
    assert lab.learner is not None
    own = replace(lab.learner, same_batch=False)
    true = lab.run(own, STREAM)
    mixed = lab.run(replace(own, inputs="permuted"), STREAM)
    n = min(len(true.losses), len(mixed.losses))
    if n < STREAM // 2:
        return passed("seen", **told)
    half = [b - a for a, b in zip(true.losses[n // 2 : n], mixed.losses[n // 2 : n], strict=True)]
    mean = sum(half) / len(half)
    error = (sum((d - mean) ** 2 for d in half) / len(half) / len(half)) ** 0.5
    told |= {"permuted": _end(mixed.losses), "paired": _end(true.losses), "apart": mean}
    if mean > ERRORS * error:
        return passed("paired", **told)
    return unknown("unpaired", **told)


def _end(losses: Sequence[float]) -> float:
    last = losses[-max(len(losses) // 10, 1) :]
    return sum(last) / len(last)


EXPERIMENT = Experiment(
    5,
    "inputs-matter",
    N_("inputs matter"),
    {
        "one-label": N_("All labels are one: nothing to tell apart."),
        "nothing-learned": N_("Nothing was learned, so that nothing can be compared."),
        "seen": N_("With inputs zeroed one batch is learned to {blind}, with its own to {seen}."),
        "blind": N_(
            "With inputs zeroed the batch is learned just as well ({blind}, {seen}): the network "
            "does not look at them."
        ),
        "paired": N_("Inputs given to other samples are learned worse ({permuted}, {paired})."),
        "unpaired": N_(
            "Inputs given to other samples are learned just as well so far ({permuted}, {paired})."
        ),
    },
    {
        "blind": N_("Look for outputs made of a constant, of an index, or of inputs times zero."),
        "unpaired": N_(
            "See that inputs and labels are shuffled together; a hard task may only be slow."
        ),
    },
    test,
)
