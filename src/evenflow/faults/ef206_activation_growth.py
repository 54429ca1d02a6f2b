"""EF206: activations grow by decades, over depth or over time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .remedies import BRANCHES, LOWER_RATE_AND_CLIP
from .series import Bools, decades, first_of_last_spell, holds_at_end, largest, median
from .start import too_large
from .view import View

#: Decades above the data (depth), or above the site's own size at birth (time).
DEPTH = 2.0
TIME = 2.0
#: Largest finite number of a 16-bit float; activations within a factor of four may overflow.
BRINK = 65504.0 / 4


class ActivationGrowth(Rule):
    """Activations become larger by decades from layer to layer or from step to step.

    ## What it means
    Each layer, or each residual block, multiplies the size of what passes through it; or the
    weights grow as the training goes on and the activations with them.

    ## Why is this bad?
    Large activations make large gradients, saturate what follows, drown small but telling
    differences, and at last overflow: in float16 at 65504.

    ## How it is measured
    Root mean square of each site against that of the data (depth), and against the site's own
    at birth (time), in decades; for sites in float16 the largest magnitude as well.

    ## Threshold
    2 decades in the last three readings (healthy nets of the zoo's calibration half stay below
    1, sick ones are above 4); in float16, a quarter of the largest number. The output itself is
    left out, as it must be as large as its target. An error where the loss is stuck, has risen
    or is lost.

    ## What to do
    Smaller weights at the start (gain near one; in residual nets a branch scaled by 1/√depth or
    starting at zero), normalisation, weight decay, a lower learning rate.
    """

    code = "EF206"
    name = "activation-growth"
    title = N_("Activations grow")
    sentence = N_("Activations grow{at}")
    link = N_("activations grew")
    labels = (
        EvidenceLabel("data_rms", N_("size of the data (root mean square)")),
        EvidenceLabel("decades_over_time", N_("growth over the training"), "change"),
        EvidenceLabel("decades", N_("larger by"), "factor"),
    )
    stage = 200
    leads_to = ("EF103", "EF201", "EF204", "EF301", "EF401", "EF402")
    remedies = (
        Remedy(
            "Add normalisation (LayerNorm before each block) or scale each branch of a "
            "residual net.",
            unless=(Unless("norm skips", BRANCHES), Unless("norm")),
            by=("norm=layer",),
        ),
        LOWER_RATE_AND_CLIP,
        Remedy(
            "Add weight decay.",
            unless=(Unless("decay"),),
            by=("l2=",),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        # a forward that has just gone non-finite still shows how it grew
        rows = np.arange(len(view.steps)) < max(view.ruin, 1)
        rms = np.where(rows[:, None] & np.isfinite(view.site("rms")), view.site("rms"), np.nan)
        if not rms.size or not rows.any():
            return
        late = view.late if view.late.any() else rows
        base = float(np.fmax(largest(median(rms[:, list(view.data)])), 1.0))
        birth = median(rms[:3])
        size = decades(rms)
        depth = size - np.log10(base)
        time = size - np.maximum(decades(birth), -1.0)
        low = np.array([s.dtype == "float16" for s in view.sites], dtype=np.bool_)
        brink = (view.site("absmax") > BRINK) & low
        bad = (depth >= DEPTH) | ((time >= TIME) & (depth >= DEPTH - 1)) | brink
        known = ~np.isnan(rms)
        enough = 3 if not view.ruined else min(3, max(1, int(rows.sum())))
        held = holds_at_end(bad[rows], known[rows], enough) & _inner(view)
        if not held.any():
            return
        ids = sorted((int(i) for i in np.flatnonzero(held)), key=lambda i: (view.depth[i], i))
        recent = median(size[late])
        top = max(ids, key=lambda i: float(recent[i]))
        row = first_of_last_spell(bad[:, ids[0]], known[:, ids[0]])
        grown = float(recent[top] - np.log10(base))
        born = first_of_last_spell(bad[:, top], known[:, top]) == 0
        large = born and too_large(view, view.ancestors([top]), grown)
        rate = row > 0 and float(recent[top] - size[0, top]) > 1
        cause = "EF602" if large else "EF703" if rate else ""
        yield self.finding(
            Severity.error if view.harmed else Severity.warning,
            sites=ids,
            steps=view.over([row, max(view.ruin, 1) - 1]),
            evidence={
                "decades": grown,
                "rms": float(10.0 ** recent[top]),
                "data_rms": base,
                "decades_over_time": float(recent[top] - decades(birth)[top]),
                "sites_affected": len(ids),
            },
            threshold={"decades": DEPTH},
            cause=cause,
        )


def _inner(view: View) -> Bools:
    """[S] which sites the rule is about: what a layer hands on to another."""
    inner = np.zeros(len(view.sites), dtype=np.bool_)
    kinds = ("affine", "activation", "norm", "join", "recurrent", "attention", "matmul")
    inner[[s.id for s in view.sites if s.kind in kinds and s.id in view.trunk]] = True
    # the answer must be as large as the target is
    inner[[*view.predictions, *view.outputs, *view.beyond]] = False
    # what a saturated activation reads is EF201's, what a softmax reads EF208's: neither can pass
    # its size on
    full = view.recent("saturated") >= 0.5
    full[view.of_kind("softmax")] = True
    for s in reversed(view.sites):
        readers = view.consumers[s.id]
        bounded = bool(readers) and all(full[r] for r in readers)
        inner[s.id] &= not bounded
        full[s.id] |= bounded and s.kind in ("join", "other")  # scores are scaled and masked
    return inner
