"""EF502: single values of the data lie hundreds of deviations out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .data import readers, typical
from .view import View

#: Distance from the feature's median over its size without that value. Standardised digits with
#: pixels that are rarely lit reach 40, tumour measurements 12.
FAR = 100.0


class OutlierInput(Rule):
    """A single value of the data is hundreds of times the size of its feature.

    ## What it means
    An error code (-999, 1e9), a wrong unit or a slipped decimal point: one sample speaks louder
    than all others together.

    ## Why is this bad?
    The gradient of that one batch throws the weights away: units die, activations saturate, the
    loss jumps. Statistics of the batch (BatchNorm, standardisation) are spoilt as well.

    ## How it is measured
    For each feature the value farthest from the median, over the root mean square of all the
    others (or that of a typical feature, so that pixels that are seldom lit do not count), in the
    batches of sampled steps. A batch that was not sampled may hide one. Whole numbers that go to
    an embedding or are held against the output as classes name things, and are left out; so are
    sparse data (most features zero), unless the value is above 100 itself.

    ## Threshold
    100 times. Heavy tails of real data stay far below: standardised digits 40, breast cancer 12.
    Error where training came to grief, warning otherwise. Calibrated on the calibration half of
    the zoo.

    ## What to do
    Look at the rows; remove or impute error codes; clip to about 10 robust deviations; take the
    logarithm of heavy-tailed features.
    """

    code = "EF502"
    name = "outlier-input"
    title = N_("Outliers in the input")
    sentence = N_("The input holds extreme outliers{at}")
    placed_as = ("event", "end")
    labels = (
        EvidenceLabel("outlier", N_("farthest value, in deviations")),
        EvidenceLabel("absmax", N_("largest magnitude")),
    )
    stage = 40
    leads_to = ("EF102", "EF103", "EF201", "EF202", "EF206", "EF302", "EF402", "EF403", "EF703")
    remedies = (
        Remedy(
            "Look at the rows with the outliers: wrong units and sentinel values (-999, "
            "1e9) should be removed or imputed."
        ),
        Remedy("Scale by median and interquartile range, and clip to about 10 robust deviations."),
        Remedy("Take the logarithm of heavy-tailed features."),
    )
    if_cause = remedies[1]

    def check(self, view: View) -> Iterable[Finding]:
        for i in (*view.data, *view.targets):
            if i in view.data and not readers(view, i) and _names(view, i):
                continue
            if view.is_target(i) and typical(view, i, "integer") == 1:
                continue
            far = view.site("outlier")[:, i]
            top = view.site("absmax")[:, i]
            sparse = np.nan_to_num(view.site("feature_low")[:, i]) == 0
            rows = np.flatnonzero((far > FAR) & np.isfinite(far) & (~sparse | (top > FAR)))
            if len(rows) == 0:
                continue
            worst = int(rows[np.argmax(far[rows])])
            yield self.finding(
                Severity.error if view.harmed else Severity.warning,
                sites=(i,),
                steps=view.over(rows),
                evidence={
                    "outlier": float(far[worst]),
                    "absmax": float(top[worst]),
                    "scale": typical(view, i, "rms"),
                    "batches_affected": float(len(rows)),
                    "batches": float(np.isfinite(far).sum()),
                },
                threshold={"outlier": FAR},
                chain=(Link("cause", self.code, view.at(int(rows[0])), i),),
            )


def _names(view: View, id: int) -> bool:
    """Whether whole numbers name classes or places: an embedding reads them, or only losses."""
    after = {view.sites[c].kind for c in view.consumers[id]}
    whole = typical(view, id, "integer") == 1
    return "embedding" in after or (whole and after <= {"loss"})
