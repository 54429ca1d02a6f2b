"""EF605: units that start alike and are pushed alike, so they stay alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .causes import ZERO_INIT
from .series import earliest, latest
from .view import View

#: Share of a layer's units that have a twin.
SHARE = 0.5


class SymmetricWeights(Rule):
    """Units of a layer start with the same weights and get the same gradient.

    ## What it means
    Weights set to a constant (zeros, ones, one value for all) make units that compute the same.
    Where what follows treats them the same too, their gradients are equal to the last digit.

    ## Why is this bad?
    Equal weights with equal updates stay equal for ever: a layer of a hundred units learns like
    one. Where all is zero, nothing moves at all.

    ## How it is measured
    Share of a layer's units whose row of weights and whose row of the gradient both equal another
    unit's: in a forecast, and in a training at the last of the first three full readings (two at
    least). A last layer that starts at zero is no fault: its units get different errors and part
    with the first step.

    ## Threshold
    Half of the units of a layer: an error. Rows drawn at random are never equal, so there is
    nothing to calibrate.

    ## What to do
    Draw weights at random (biases may start at zero). A residual branch may end in a layer of
    zeros, but not begin with one too.
    """

    code = "EF605"
    name = "symmetric-weights"
    title = N_("Units start alike")
    sentence = N_("Units start alike and stay alike{at}")
    means = N_("they get the same gradient, and so act as one")
    as_cause = N_("units that start alike")
    labels = (EvidenceLabel("alike", N_("share of units that have a twin"), "share"),)
    stage = 120
    leads_to = ("EF104", "EF205", "EF301", "EF401", "EF404")
    remedies = (
        Remedy(
            "Draw weights at random: units that start alike stay alike.",
            by=("init=",),
        ),
    )
    causes = (ZERO_INIT,)

    def check(self, view: View) -> Iterable[Finding]:
        alike = view.param("alike")
        # a branch that starts at zero passes no gradient at the first step, and wakes at the second
        read = (~np.isnan(alike)).sum(axis=0) >= (1 if view.foreseen else 2)
        # what diverges ends alike (all zero, all NaN): those that begin alike are meant
        always = np.minimum(earliest(alike), latest(alike))
        last = np.where(read, always, 0.0)  # of no rows at all: zeros
        share = {
            i: max(float(last[p]) for p in view.weights[i])
            for i in view.layers
            if view.weights[i] and view.sites[i].kind != "embedding"
        }
        ids = [i for i, s in share.items() if s >= SHARE]
        if not ids:
            return
        ids.sort(key=lambda i: (view.depth[i], i))
        names = [view.run.params[p].name for i in ids for p in view.weights[i]]
        weight = earliest(view.param("weight"))
        zero = all(weight[p] == 0 for i in ids for p in view.weights[i])
        cause = "zero-init" if zero else ""
        yield self.finding(
            Severity.error,
            sites=ids,
            params=list(dict.fromkeys(names)),
            steps=view.over([0, 0 if view.foreseen else -1]),
            evidence={"alike": share[ids[0]], "layers_affected": len(ids)},
            threshold={"alike": SHARE},
            cause=cause,
            cause_at=ids[0],
        )
