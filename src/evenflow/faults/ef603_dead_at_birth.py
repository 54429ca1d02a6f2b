"""EF603: units, or a whole layer, off for every sample before training begins."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Rule
from .causes import NEGATIVE_BIAS
from .ef201_saturated_activation import hidden
from .ef202_dead_units import ALL, fed_negative
from .remedies import STANDARDISE, ZERO_BIAS_AND_HE
from .view import View

#: Share of a layer's units. Half are off for a whole batch where all samples look alike.
SHARE = 0.75
#: Samples that must have been seen.
SAMPLES = 8


class DeadAtBirth(Rule):
    """Units of a rectifier are off for every sample before the first step.

    ## What it means
    Their pre-activation is negative for the whole batch: a bias below what the weights can make
    good, inputs all of one sign under unlucky weights, a bias drawn too wide.

    ## Why is this bad?
    They give zero and get zero. No optimizer wakes them; a layer that is wholly off cuts all that
    lies before it from the loss.

    ## How it is measured
    On a forecast only. Share of an activation's units to whose inputs no gradient came in the
    batch though it came to their outputs, and share of outputs that are exactly zero.

    ## Threshold
    75 % of a layer's units over at least 8 samples: a warning, as another batch may reach them.
    A healthy deep ReLU net in which samples look alike has up to 62 % (calibration half of
    `benchmarks/trainability`): each unit is on for all or for none. All of them: an error.

    ## What to do
    Start biases at zero or slightly above, standardise inputs, draw weights anew; LeakyReLU, GELU
    or SiLU are never wholly off.
    """

    code = "EF603"
    name = "dead-at-birth"
    title = N_("Units dead at birth")
    sentence = N_("Units are dead at birth{at}")
    means = N_("no sample turns them on")
    labels = (EvidenceLabel("samples", N_("samples seen")),)
    stage = 130
    leads_to = ("EF101", "EF104", "EF202", "EF205")
    remedies = (ZERO_BIAS_AND_HE, STANDARDISE)
    causes = (NEGATIVE_BIAS,)

    def check(self, view: View) -> Iterable[Finding]:
        if not view.foreseen:
            return
        dead, zeros = view.site("dead")[0], view.site("zeros")[0]
        seen = np.array([bool(s.shape) and s.shape[0] >= SAMPLES for s in view.sites])
        off = zeros >= ALL
        share = np.where(off, 1.0, np.nan_to_num(dead))
        # behind a layer that is off nothing arrives: the others are not dead themselves
        own = np.isnan(zeros) | (zeros >= 0.9 * share)
        bad = (share >= SHARE) & seen & own & hidden(view)
        ids = [int(i) for i in np.flatnonzero(bad)]
        if not ids:
            return
        ids.sort(key=lambda i: (-round(float(share[i]), 2), view.depth[i], i))
        top = ids[0]
        # a layer that is off in a branch leaves the way beside it
        ahead = [i for i in view.ancestors([top]) - {top} if view.weights[i]]
        cut = bool(off[top]) and not (view.site("delta")[0, ahead] > 0).any()
        cause = "negative-bias" if fed_negative(view, top, 1) else ""
        yield self.finding(
            Severity.error if cut else Severity.warning,
            sites=ids,
            steps=view.over([0]),
            evidence={
                "dead": float(share[top]),
                "samples": float(view.sites[top].shape[0]),
                "sites_affected": len(ids),
            },
            threshold={"dead": SHARE},
            cause=cause,
            cause_at=top,
        )
