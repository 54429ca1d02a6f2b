"""EF811: clipping leaves next to nothing of every gradient."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import is_adaptive
from ..schema import Finding, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .curve import harm_of, left_of
from .series import Bools, Floats, largest, median
from .view import View

#: Share of the gradient that is left by clipping that only trims.
KEPT = 0.1
#: Share of readings in which so little is left.
ALWAYS = 0.95
#: Fewest readings, and fewest updates (clipping ahead of unscale_ is told from the readings on).
READINGS, UPDATES = 8, 100
#: How far what clipping leaves varies from one update to the next: its limit is a number.
SAME = 0.02
#: Relative update below which the steps are small; healthy training is near 1e-3.
SMALL = 1e-3
#: Gradient an element, below which Adam's eps of 1e-8 is what it divides by.
UNDER_EPS = 1e-7


class ClippedAlways(Rule):
    """Every gradient is clipped, to less than a tenth of itself.

    ## What it means
    Clipping is meant for the odd gradient that is far too large. Here it cuts every one: the limit
    is the length of each step, whatever the loss asks for. Or gradients are clipped while they
    still carry a GradScaler's factor: a limit of 1 then is 1/65536 once they are unscaled.

    ## Why is this bad?
    SGD's steps are as much smaller as the gradients are; the loss barely moves, and raising the
    rate seems to do nothing. Adam divides the factor away again, until its eps takes over.

    ## How it is measured
    The 2-norm of the gradients as the latest backward pass left them against that just before
    the update, in full readings; it does not matter by which function, or by hand, they were
    clipped. That it was a clip shows in what is left: always the same norm, or the same largest
    element. What merely divides all gradients (accumulation by hand, a loss scale of one's own)
    leaves norms that differ. Whether the script called `GradScaler.unscale_` itself is heard.

    ## Threshold
    Less than a tenth is left in 95 % of the readings, 8 or more of them, over 100 updates (of
    clipping ahead of `unscale_`, any number), and what is left varies by less than 2 %. A warning
    where the steps are small (no layer moves by more than 1e-3 of itself a step; healthy training
    is near that) and a quarter of the loss or more is left; an error where 85 % is. With Adam and
    its kin only where the gradients have come near its eps (1e-7 an element). Else an info: a
    normalised gradient with a rate to match trains as well as any.

    ## What to do
    Call `scaler.unscale_(optimizer)` before clipping. Else raise the limit to about the median
    norm of the gradients, or leave it out; or raise the learning rate by as much as is cut.
    """

    code = "EF811"
    name = "clipped-always"
    title = N_("Every gradient is clipped to nearly nothing")
    sentence = N_("Clipping leaves next to nothing of every gradient{at}")
    link = N_("gradients clipped away")
    labels = (
        EvidenceLabel("gradient_kept", N_("share of the gradient that is left"), "share"),
        EvidenceLabel("clipped_readings", N_("readings clipped by that much"), "share"),
        EvidenceLabel("gradient_before", N_("gradient before clipping")),
        EvidenceLabel("gradient_after", N_("gradient after clipping")),
        EvidenceLabel("loss_scale", N_("scale of the loss")),
    )
    points_at = "step"
    stage = 104
    standing = True
    leads_to = ("EF101", "EF104", "EF301", "EF401", "EF404")
    remedies = (
        Remedy(
            "Raise the limit to about the median norm of the gradients, so that only the odd one "
            "is clipped, or leave clipping out."
        ),
        Remedy("Or raise the learning rate by as much as clipping takes away."),
    )
    if_cause = remedies[0]
    causes = (
        Cause(
            "before-unscale",
            N_("gradients are clipped before the scaler has unscaled them"),
            Remedy(
                "Call scaler.unscale_(optimizer) after scaler.scale(loss).backward() and before "
                "the gradients are clipped."
            ),
            sure=True,
        ),
        Cause("clip-too-low", N_("the limit lies far below every gradient"), sure=True),
        Cause(
            "length-alone",
            N_("a limit sets the length of the steps; no harm of it is seen"),
            harmless=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        kept = view.step("grad_kept")
        whose = view.step("optimizer")
        if np.isnan(whose).all():  # several stepped together, or none is known: as the first
            whose = np.zeros(len(whose))
        for index in np.unique(whose[np.isfinite(whose)]):
            rows = (whose == index) & np.isfinite(kept) & view.sound
            if rows.sum() >= READINGS:
                yield from self._of(view, rows, int(index))

    def _of(self, view: View, rows: Bools, index: int) -> Iterable[Finding]:
        """Of the updates of one optimizer."""
        kept = view.step("grad_kept")[rows]
        if (kept < KEPT).mean() < ALWAYS or not _by_limit(view, rows):
            return
        steps = view.steps[rows]
        early = _before_unscale(view, rows)
        if not early and steps[-1] - steps[0] < UPDATES:
            return
        after = float(median(view.step("grad_norm")[rows]))
        severity, update, left = _harm(view, index)
        cause = "before-unscale" if early else "clip-too-low"
        yield self.finding(
            severity,
            steps=(int(steps[0]), int(steps[-1])),
            evidence={
                "gradient_kept": float(median(kept)),
                "clipped_readings": float((kept < KEPT).mean()),
                "gradient_before": after / float(median(kept)),
                "gradient_after": after,
                "loss_scale": float(median(view.step("scale")[rows])) if early else np.nan,
                "update_ratio": update,
                "loss_left": left,
            },
            threshold={"gradient_kept": KEPT, "update_ratio": SMALL},
            cause=cause if severity > Severity.info else "length-alone",
        )


def _steady(x: Floats) -> bool:
    """Whether nearly all of it is one number."""
    x = x[np.isfinite(x)]
    middle = float(median(x)) if len(x) else 0.0
    return middle > 0 and bool((np.abs(x / middle - 1) < SAME).mean() >= ALWAYS)


def _by_limit(view: View, rows: Bools) -> bool:
    """Whether what is left is a limit: the same norm each time, or the same largest element;
    clipped while scaled, the same before the scale was divided away."""
    scale = view.step("scale")[rows]
    norm, top = view.step("grad_norm")[rows], largest(view.param("grad_absmax"), axis=1)[rows]
    return any(_steady(x) or _steady(x * scale) for x in (norm, top))


def _before_unscale(view: View, rows: Bools) -> bool:
    """Whether a scaler was there whose unscale_ the script did not call before the clip."""
    told = view.step("unscaled")[rows]
    scale = view.step("scale")[rows]
    return bool((told == 0).mean() >= ALWAYS and float(median(scale)) * KEPT > 1)


def _harm(view: View, index: int) -> tuple[Severity, float, float]:
    """How bad it is; the relative update of the layer that moves most; the share of loss left."""
    left = left_of(view)
    rows = view.late & np.isfinite(view.relative_update).any(axis=1)
    held = [p.id for p in view.run.params if p.optimizer in (index, -1) and len(p.shape) > 1]
    update = float(largest(median(view.relative_update[rows][:, held])))
    small = update < SMALL
    if is_adaptive(view.class_of(index)):
        size = sum(view.run.params[i].size for i in held)
        each = float(median(view.step("grad_norm")[rows])) / max(1.0, size) ** 0.5
        small = small and each < UNDER_EPS
    return harm_of(view, left) if small else Severity.info, update, left
