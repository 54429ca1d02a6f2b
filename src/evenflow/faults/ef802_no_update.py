"""EF802: gradients come at every step, and no weight ever changes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .causes import LEARNING_RATE_ZERO
from .series import largest, median
from .view import View

#: Fewest backward passes, or sampled updates, that tell.
FEWEST = 3
#: A loss that fell by this share says that something moved where it was not looked for.
FALLEN = 0.2


class NoUpdate(Rule):
    """The backward pass runs, an optimizer is there, and nothing it holds ever changes.

    ## What it means
    `optimizer.step()` is never called (`scheduler.step()` in its place is the usual slip), or it
    is called with nothing to do: the gradients were cleared after the backward pass, or the
    learning rate is 0 from start to end. Or every update was left out, as its gradients were NaN
    or Inf (a GradScaler does so).

    ## Why is this bad?
    The network stays what it was at the start. The loss goes up and down with the batches, which
    looks like slow learning.

    ## How it is measured
    Backward passes are counted, and so are steps of any optimizer; where an optimizer holds the
    parameters that gradients reach and never steps, some of their elements at the end are held
    against those at the first backward. Where it does step: the applied update ‖Δw‖ of every
    parameter it holds and the network uses, exactly 0 at each sampled step, while gradients are
    not 0 (those it was given, or those seen in the layers). A script that has no optimizer and
    moves nothing either may not mean to train: it is not judged at all. Nor is one whose loss
    fell by a fifth: something moved there that was not looked at.

    ## Threshold
    3 backward passes, or 3 sampled updates; exact zeros, so there is nothing to calibrate.

    ## What to do
    Call `optimizer.step()` after each `loss.backward()`; clear gradients before the backward
    pass or after the step, not between them; set a learning rate above 0.
    """

    code = "EF802"
    name = "no-update"
    title = N_("Nothing is updated")
    sentence = N_("Gradients come, and no weight ever changes{at}")
    link = N_("no weight changes")
    labels = (
        EvidenceLabel("backward_passes", N_("backward passes without an update"), fact=True),
        EvidenceLabel("zero_updates", N_("updates of exactly zero"), fact=True),
    )
    points_at = "optimizer"
    stage = 10
    leads_to = ("EF104", "EF301", "EF401", "EF404", "EF807", "EF205")
    remedies = (
        Remedy(
            "Call optimizer.step() after each loss.backward(), and scheduler.step() after that."
        ),
    )
    if_cause = remedies[0]
    causes = (
        Cause("no-step", N_("an optimizer is there, and its step() is never called")),
        Cause(
            "all-skipped",
            N_("every update was skipped, as its gradients were NaN or Inf"),
            Remedy(
                "Find what makes gradients NaN or Inf (a loss that overflows in half "
                "precision, a log or a division of 0); a GradScaler that only starts too high "
                "finds its scale in a few steps."
            ),
        ),
        Cause(
            "gradients-cleared",
            N_("gradients are cleared between the backward pass and the step"),
            Remedy(
                "Call zero_grad() before the backward pass or after the step, never between them."
            ),
        ),
        LEARNING_RATE_ZERO,
    )

    def check(self, view: View) -> Iterable[Finding]:
        skipped = bool(view.run.meta.get("skipped"))  # counted: no loss can say otherwise
        if not len(view.steps) or view.foreseen or (view.loss.fallen >= FALLEN and not skipped):
            return
        passes = view.run.meta.get("no_update")
        stepped = any("turn" in o for o in view.optimizers)
        if isinstance(passes, int) and not stepped:
            if passes >= FEWEST and not (view.param("update") > 0).any():
                counted = max(passes, len(view.loss.values))
                cause = "all-skipped" if skipped else "no-step"
                yield self._finding(view, {"backward_passes": counted}, cause)
            return
        used = {name for s in view.sites for name in s.params}
        held = [p.id for p in view.run.params if p.optimizer >= 0 and p.name in used]
        update, grad = view.param("update")[:, held], view.param("grad")[:, held]
        rows = np.isfinite(update).any(axis=1)
        if rows.sum() < FEWEST or (update > 0).any():
            return
        reached = bool((grad > 0).any())
        if not reached and not (view.site("delta")[:, list(view.layers)] > 0).any():
            return  # no gradient, no update: that is a fault of the gradient
        rate = view.step("lr")
        cause = "" if reached else "gradients-cleared"
        if reached and np.isfinite(rate).any() and np.nanmax(np.abs(rate)) == 0:
            cause = "learning-rate-zero"
        evidence = {
            "zero_updates": float(rows.sum()),
            "gradient": float(median(largest(grad, axis=1))) if reached else float("nan"),
            "learning_rate": float(median(rate)),
        }
        yield self._finding(view, evidence, cause)

    def _finding(self, view: View, evidence: dict[str, float], cause: str) -> Finding:
        last = max(view.at(-1), int(view.loss.steps[-1]) if len(view.loss.steps) else 0)
        return self.finding(
            Severity.error,
            steps=(0 if cause in ("no-step", "all-skipped") else view.at(0), last),
            evidence=evidence | {"last_loss": view.loss.end},
            threshold={k: float(FEWEST) for k in ("backward_passes", "zero_updates")},
            cause=cause,
            chain=(Link("cause", cause or self.code, None), Link("end", self.code, 0)),
        )
