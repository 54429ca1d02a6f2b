"""EF104: the gradient of a layer is exactly zero."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Remedy, Rule
from .causes import ZERO_INIT
from .profile import Profile
from .series import first_of_last_spell, holds_at_end, median
from .towers import towers_of
from .view import View


class ZeroGradient(Rule):
    """A layer gets a gradient, and every element of it is exactly zero.

    ## What it means
    Something on the way cuts the gradient off rather than shrinking it: weights that all start
    at zero, a softmax over a single unit (always one), an activation that is off for every
    input, a rounding or comparison that has no slope.

    ## Why is this bad?
    No optimizer and no patience mends an exact zero: the layer cannot move.

    ## How it is measured
    The norm of each weight's gradient, and the share of exact zeros in the layer error. Layers
    whose gradient fades over decades until it underflows belong to EF101; layers whose every
    unit is dead to EF202; parameters without any gradient to EF704.

    ## Threshold
    Exactly zero in each of the last three readings, with loss still to win. No tolerance, so no
    calibration.

    ## What to do
    Break the symmetry of a zero start (random weights; a zero last layer of a residual branch
    is fine), use a sigmoid with one unit or a softmax with two, look for operations without a
    slope (argmax, round, detach) between the layer and the loss.
    """

    code = "EF104"
    name = "zero-gradient"
    title = N_("Gradient exactly zero")
    sentence = N_("The gradient is exactly zero{at}")
    link = N_("gradient zero")
    stage = 270
    leads_to = ("EF205", "EF301", "EF401", "EF404")
    remedies = (
        Remedy(
            "Check that the layer's output reaches the loss: no detach(), no .data, no "
            "no_grad() and no rounding or argmax on the way."
        ),
        Remedy("Do not start weights that multiply each other at exactly zero."),
        Remedy(
            "A softmax over a single unit is constant: use one logit with "
            "binary_cross_entropy_with_logits."
        ),
        Remedy("If the layer is meant to be frozen, say so with requires_grad_(False)."),
    )
    causes = (ZERO_INIT,)

    def check(self, view: View) -> Iterable[Finding]:
        if view.converged and np.isfinite(view.loss.end) and view.loss.fallen > 0.5:
            return
        p = view.once(Profile)
        known = ~np.isnan(p.raw)
        bad = p.zero & ~p.underflowed
        held = holds_at_end(bad, known, 3)
        ids = [i for i, h in zip(p.layers, held, strict=True) if h]
        if not ids:
            return
        j = p.layers.index(ids[0])
        row = first_of_last_spell(bad[:, j], known[:, j])
        cause, source = _cause(view, ids)
        if source >= 0 and source in ids:
            ids = [source, *(i for i in ids if i != source)]
        yield self.finding(
            Severity.error,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "gradient": 0.0,
                "layers_affected": len(ids),
                "layers": len(p.layers),
                "readings": float(bad[:, j].sum()),
                "loss_left": view.loss.left,
            },
            threshold={"gradient": 0.0},
            cause=cause,
            cause_at=source if source >= 0 else None,
            then=(Link("end", "frozen", view.at(view.ruin - 1), ids[0]),),
        )


def _cause(view: View, ids: list[int]) -> tuple[str, int]:
    """Why it is zero, as far as the readings tell, and at which site of its tower or behind."""
    tower = view.once(towers_of).of
    concerned = {tower[i] for i in ids}
    way = view.descendants(i for i in view.layers if tower[i] in concerned)
    for i in view.predictions:
        s = view.sites[i]
        if i in way and s.kind == "softmax" and s.shape and s.shape[-1] == 1:
            return "EF701", i
    weight = view.param("weight")
    for i in view.layers:
        first = [weight[view.sound, w] for w in view.weights[i]] if i in way else []
        if first and all(len(c) and c[~np.isnan(c)][:1].sum() == 0 for c in first):
            return "zero-init", i
    dead = view.recent("dead")
    off = [i for i in view.of_kind("activation") if dead[i] >= 1 and i in way]
    if off:
        zeros = median(view.site("zeros")[view.late])
        blocked = [i for i in off if zeros[i] >= 1]
        return "EF202", (blocked or off)[-1]
    return "", -1
