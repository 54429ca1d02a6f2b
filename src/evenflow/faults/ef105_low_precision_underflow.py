"""EF105: gradients are too small for the number format that carries them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .series import Bools, first_of_last_spell, holds_at_end, median
from .view import View

#: Share of the layer error's non-zero elements below the smallest normal number.
SUBNORMAL = 0.75
_HALF = ("float16", "bfloat16")


class LowPrecisionUnderflow(Rule):
    """Numbers are too small for the format they are held in, and round to zero.

    ## What it means
    float16 has no normal number below 6.1e-5 and nothing below 6e-8: layer errors of that size
    lose their digits, then vanish. (Updates that a 16-bit weight swallows are EF303.)

    ## Why is this bad?
    The gradient is there, and the format throws it away: layers stand still for no other reason
    than their number format. On a CPU subnormal numbers are ten times slower as well.

    ## How it is measured
    The share of the layer error's non-zero elements below the smallest normal number of its
    format, as they lie in memory.

    ## Threshold
    Three quarters of the elements at some site, in the last three readings. (A healthy net with
    a GradScaler had 42 % on the zoo's calibration half, sick ones have 100 %.) An error where
    half of all layers suffer or the loss is stuck.

    ## What to do
    float16: use a GradScaler, or bfloat16. float32: the gradient vanishes for another reason, see
    EF101; `torch.set_flush_denormal(True)` restores the speed.
    """

    code = "EF105"
    name = "low-precision-underflow"
    title = N_("Gradient lost to low precision")
    sentence = N_("The gradient is too small for its number format{at}")
    link = N_("gradient underflowed")
    labels = (
        EvidenceLabel("underflow_share", N_("share of values too small for the format"), "share"),
        EvidenceLabel("bits", N_("bits of the format")),
        EvidenceLabel("zero_share", N_("share of values that are 0"), "share"),
    )
    stage = 280
    stage_if_sure = 220
    leads_to = ("EF101", "EF104", "EF301", "EF401", "EF404")
    remedies = (
        Remedy("Under float16 use torch.amp.GradScaler, or train in bfloat16 or float32."),
        Remedy(
            "Scale the loss up by a constant, and keep reductions and the optimizer in float32."
        ),
        Remedy(
            "If the gradient vanishes with depth as well, mend that first (skips, initialisation)."
        ),
    )
    if_cause = remedies[0]
    causes = (Cause("dtype", N_("too few bits in the number format"), remedies[0], sure=True),)

    def check(self, view: View) -> Iterable[Finding]:
        if view.converged:
            return
        share = view.while_sound("delta_subnormal")
        lost = view.while_sound("delta_zeros")
        low = np.array([s.dtype in _HALF for s in view.sites], dtype=np.bool_)
        known = ~np.isnan(share)
        # where nothing but zeros is left, all of it has underflowed
        share = np.where(low[None, :] & (lost >= 1), 1.0, share)
        bad = share >= SUBNORMAL
        held = holds_at_end(bad, known, 3)
        if low.any():
            held &= low  # float32 behind a 16-bit site only passes on what is left
        if not held.any() or (low.any() and not self._seen(view, low)):
            return
        late = median(share[view.late])
        most = -np.nan_to_num(late)
        ids = sorted(map(int, np.flatnonzero(held)), key=lambda i: (most[i], view.depth[i], i))
        row = first_of_last_spell(bad[:, ids[0]], known[:, ids[0]])
        half = len(ids) * 2 >= len(view.of_kind("affine", "activation", "norm")) > 0
        yield self.finding(
            Severity.error if view.stuck or (half and low.any()) else Severity.warning,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "underflow_share": float(late[ids[0]]),
                "zero_share": float(median(lost[view.late])[ids[0]]),
                "sites_affected": len(ids),
                "bits": 16.0 if low[ids[0]] else 32.0,
            },
            threshold={"underflow_share": SUBNORMAL},
            cause="dtype" if low.any() else "EF101",
        )

    def _seen(self, view: View, low: Bools) -> bool:
        """Whether zeros are those of underflow: seen while it happened, or right at the loss."""
        if (view.site("delta_subnormal")[:, low] > 0).any():
            return True
        loss = [i for i in view.losses if view.recent("delta")[i] > 0]
        return any(low[i] and view.recent("delta_zeros")[i] >= 1 for i in view.predictions if loss)
