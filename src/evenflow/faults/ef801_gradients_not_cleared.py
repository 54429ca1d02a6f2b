"""EF801: each update uses the gradients of all updates before it, too."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .series import Bools, Floats, longest, median, ratio
from .view import View

#: So many readings of an optimizer in a row.
FEWEST = 3
#: And so large a share of all of them: where gradients are cleared once an epoch, most are left.
MOST = 2 / 3
#: What is left of the update before, over what that update used: less was scaled down on purpose.
WHOLE = 0.95


class GradientsNotCleared(Rule):
    """`backward()` adds to gradients that earlier updates have used already.

    ## What it means
    `optimizer.zero_grad()` is missing, is called only once an epoch, or clears others than those
    that step: another optimizer's, another model's. PyTorch adds each new gradient to what stands
    in `.grad`.

    ## Why is this bad?
    Every update follows the sum of all gradients since the start. That is a momentum of 1, without
    any friction: steps grow, and the loss swings or runs away.

    ## How it is measured
    The norm of `.grad` when a backward pass begins, of the parameters that it reaches and the
    optimizer that then steps holds; the least over the passes of a step. So gradients accumulated
    over several passes are none of it, nor those of an attack on the inputs that runs first; nor
    those that a GAN's other half is given and clears at its own turn. An optimizer that steps less
    often than the one beside it may gather gradients meanwhile and is left out.

    ## Threshold
    Not 0 in three readings in a row and in two thirds of all. What is cleared is exactly 0, or
    None, so there is nothing to calibrate. Where two readings are of updates in a row, what is
    left must be what the update before used (95 %): a script that lets it decay (.9 is a momentum
    by hand) means to. In a script that updates by hand, only readings right after an update count.

    ## What to do
    Call `optimizer.zero_grad()` once for each update, before the backward pass or after the step,
    on the optimizer that steps.
    """

    code = "EF801"
    name = "gradients-not-cleared"
    title = N_("Gradients are not cleared")
    sentence = N_("Gradients of earlier updates are never cleared{at}")
    link = N_("gradients add up over updates")
    labels = (
        EvidenceLabel("uncleared", N_("readings with the gradient of before"), fact=True),
        EvidenceLabel("old_over_used", N_("what was left over the gradient used"), fact=True),
    )
    points_at = "step"
    stage = 12
    standing = True
    leads_to = (
        *("EF101", "EF102", "EF103", "EF104", "EF105"),
        *("EF201", "EF202", "EF203", "EF204", "EF205", "EF206"),
        *("EF301", "EF302", "EF401", "EF402", "EF403", "EF404", "EF703"),
    )
    overrules = True
    remedies = (
        Remedy("Call optimizer.zero_grad() before each loss.backward(), or after each step()."),
    )
    if_cause = remedies[0]
    causes = (
        Cause(
            "seldom-cleared",
            N_("zero_grad() is called, but not for every update"),
            Remedy("Move zero_grad() into the inner loop: once for each optimizer.step()."),
        ),
        Cause(
            "others-cleared",
            N_("zero_grad() clears other parameters than those that step"),
            Remedy(
                "Call zero_grad() on the optimizer that steps: a model's or another optimizer's "
                "clears its own parameters only."
            ),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        params, left, used = view.run.params, view.param("grad_left"), view.param("grad")
        held = [p.id for p in params if p.optimizer >= 0]
        by_hand = not held
        if by_hand:  # a step is a backward there: only what follows an update tells
            held = [p.id for p in params if p.trainable]
            left = np.where(_after_update(view), left, np.nan)
        old = [i for i in held if _kept(left[:, i])]
        if not old or _fades(view, left[:, old], used[:, old]):
            return
        rows = np.flatnonzero((left[:, old] > 0).any(axis=1))
        later = left[rows[0] :]  # the first update of all finds nothing
        cleared = bool((np.delete(later[:, held], np.searchsorted(held, old), axis=1) == 0).any())
        cause = "others-cleared" if cleared else ""
        if not cleared and (later[:, old] == 0).any():
            cause = "seldom-cleared"
        names = [params[i].name for i in old]
        yield self.finding(
            Severity.error,
            sites=view.reading(names) if cleared else (),
            params=names,
            steps=view.over(rows),
            evidence={
                "uncleared": float(len(rows)),
                "old_over_used": float(
                    median(ratio(_size(left[:, old]), _size(used[:, old]))[rows])
                ),
                "parameters": float(len(old)),
                "last_loss": view.loss.end,
            },
            threshold={"uncleared": float(FEWEST)},
            cause=cause,
            chain=(
                Link("cause", cause or self.code, None),
                Link("end", self.code, view.at(rows[0])),
            ),
        )


def _kept(left: Floats) -> bool:
    """[T] of one parameter: not cleared, in so many readings in a row, and in most?"""
    known = ~np.isnan(left)
    return bool(longest(left > 0, known) >= FEWEST and (left[known] > 0).mean() >= MOST)


def _fades(view: View, left: Floats, used: Floats) -> bool:
    """[T, P]: of what an update used, is less there when the next one begins?"""
    after = np.flatnonzero(np.diff(view.steps) == 1) + 1
    now, before = left[after], used[after - 1]
    both = ~np.isnan(now + before)  # a GAN's halves take turns
    share = ratio(_size(np.where(both, now, 0.0)), _size(np.where(both, before, 0.0)))
    share = share[share > 0]
    return len(share) > 0 and float(median(share)) < WHOLE


def _size(norms: Floats) -> Floats:
    """[T] 2-norm of several parameters' together, of norms [T, P]; 0 where none is known."""
    with np.errstate(over="ignore"):
        return np.asarray(np.sqrt((np.nan_to_num(norms) ** 2).sum(axis=1)))


def _after_update(view: View) -> Bools:
    """[T, P] was the parameter moved by the step right before?"""
    moved = view.param("update") > 0
    right_before = np.diff(view.steps, prepend=-2) == 1
    return np.asarray(np.roll(moved, 1, axis=0) & right_before[:, None])
