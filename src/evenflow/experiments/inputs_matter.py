"""5. Inputs matter: the same steps with inputs zeroed, or given to other samples."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown, untried
from .bench import Change
from .by_heart import CHOICES, STEPS, STILL, fall, level
from .loss_at_birth import constant
from .result import Experiment, Tested

#: Two curves whose ends differ by less than this share of the start are one.
SAME = 0.01
#: And by less than this share of where they came to (a CTC loss that learned the blank: 1.1 %).
LEVEL = 0.005
#: Steps over successive batches, at first and, where that shows nothing, at most; the second takes
#: so many seconds at most. And how many standard errors tell two curves apart.
STREAM, LONGER, SECONDS, ERRORS = 60, 300, 6.0, 3.0
#: Losses on samples that were not seen before, from which on equal curves are a fault.
ENOUGH = 30
#: Below this share of what the best constant answer loses, more than that was learned.
BEYOND = 0.8
#: Two losses that differ by less are one.
ROUNDING = 1e-6


def test(lab: Lab) -> Tested:
    """The one batch once more by the setting that learned it, with every input zeroed: the loss
    must then stay higher, by 1 % of its start, or .5 % of where it came to. Over successive
    batches, where the bench has them: 60 steps with inputs permuted among samples, labels kept;
    the last half of the losses must be higher than those of the true pairs by three standard
    errors of their differences. If they are not, once more for up to 300 steps.

    Equal curves with inputs zeroed are a fault where they come below 80 % of what the best constant
    answer loses, or are equal step by step; else the constant is all that was learned so far.
    Equal curves with inputs permuted are one where classes are learned and 30 losses or more are of
    samples not seen before (later ones may be known by heart, whatever their labels); else the
    task may just be slow, and it is not known.
    """
    alike = len({label for t in lab.targets for label in t.get("labels", (0, 1))}) < 2
    if alike:
        return nothing("one-label")
    if lab.learner is None:
        return _unlearned(lab)
    seen = lab.run(lab.learner, STEPS)
    blind = lab.run(replace(lab.learner, inputs="zeroed"), STEPS)
    if blind.ended != "done":
        return untried(blind)
    told: dict[str, Any] = {"seen": level(seen.losses), "blind": level(blind.losses)}
    if not math.isfinite(told["blind"]):
        return unknown("nothing-learned", **told)
    apart = (told["blind"] - told["seen"]) / max(abs(seen.losses[0]), 1e-12)
    higher = abs(told["blind"] - told["seen"]) > LEVEL * abs(told["seen"])
    if abs(apart) < SAME and not higher and fall(seen) >= STILL:
        if _one(seen.losses, blind.losses) or _beyond(lab, told["seen"]):
            return failed("blind", **told)
        return unknown("constant", **told)
    if not lab.bench.streams:
        return passed("seen", **told)
    return _permuted(lab, told)


def _unlearned(lab: Lab) -> Tested:
    """Nothing was learned by heart. The steps tried there, with inputs zeroed: are the losses the
    very same, though the parameters moved?"""
    change = Change(same_batch=True, optimizer=CHOICES[0])
    seen = lab.run(change, STEPS)
    blind = lab.run(replace(change, inputs="zeroed"), STEPS)
    moved = any(abs(a - seen.losses[0]) > ROUNDING * abs(a) for a in seen.losses)
    if moved and _one(seen.losses, blind.losses):
        return failed("blind", seen=level(seen.losses), blind=level(blind.losses))
    return unknown("nothing-learned")


def _one(a: Sequence[float], b: Sequence[float]) -> bool:
    """The very same curve."""
    pairs = list(zip(a, b, strict=False))
    same = all(abs(x - y) <= ROUNDING * max(abs(x), abs(y)) for x, y in pairs)
    return same and len(pairs) >= STEPS // 2


def _beyond(lab: Lab, loss: float) -> bool:
    """More was learned than one answer to all."""
    known = lab.subject.loss and lab.targets
    best = constant(lab.subject.loss, lab.targets[0]) if known else None
    return best is not None and loss < BEYOND * best


def _permuted(lab: Lab, told: dict[str, Any]) -> Tested:
    assert lab.learner is not None
    own = replace(lab.learner, same_batch=False)
    began, steps = time.monotonic(), STREAM
    true, mixed = _both(lab, own, steps)
    spent = time.monotonic() - began
    if not _paired(true, mixed) and spent < SECONDS:
        steps = int(min(LONGER, STREAM * SECONDS / max(spent, 1e-3)))
        longer = _both(lab, own, steps)
        true, mixed = longer if len(longer[0]) > len(true) else (true, mixed)
    if len(true) < 2:
        return passed("seen", **told)
    told |= {"permuted": level(mixed), "paired": level(true), "losses": len(true)}
    if _paired(true, mixed):
        return passed("paired", **told)
    if lab.kind in ("classes", "flags") and len(true) >= ENOUGH and not lab.late:
        return failed("mispaired", **told)
    return unknown("unpaired", **told)


def _both(lab: Lab, own: Change, steps: int) -> tuple[list[float], list[float]]:
    """Losses of true and of permuted pairs, as long as their samples were not seen before."""
    true = lab.run(own, steps)
    mixed = lab.run(replace(own, inputs="permuted"), steps)
    fresh = int(true.figures.get("fresh", len(true.losses)))
    n = min(len(true.losses), len(mixed.losses), fresh)
    return list(true.losses[:n]), list(mixed.losses[:n])


def _paired(true: list[float], mixed: list[float]) -> bool:
    """Are the true pairs learned better?"""
    apart = [b - a for a, b in zip(true, mixed, strict=True)][len(true) // 2 :]
    if len(apart) < 2:
        return False
    mean = sum(apart) / len(apart)
    error = (sum((d - mean) ** 2 for d in apart) / len(apart) / len(apart)) ** 0.5
    return bool(mean > ERRORS * error)


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
        "constant": N_("So far only one answer to all was learned ({blind}, {seen})."),
        "paired": N_("Inputs given to other samples are learned worse ({permuted}, {paired})."),
        "mispaired": N_(
            "Inputs given to other samples are learned just as well ({permuted}, {paired}, over "
            "{losses} batches): the labels are not these inputs'."
        ),
        "unpaired": N_(
            "Inputs given to other samples are learned just as well so far ({permuted}, {paired})."
        ),
    },
    {
        "blind": N_("Look for outputs made of a constant, of an index, or of inputs times zero."),
        "mispaired": N_("See that inputs and labels are shuffled, sorted and cut together."),
        "unpaired": N_(
            "See that inputs and labels are shuffled together; a hard task may only be slow."
        ),
    },
    test,
)
