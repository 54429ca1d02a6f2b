"""EF209: a few coordinates that are a thousand times as large as all others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .series import first_of_last_spell, holds_at_end, median, ratio
from .view import View

#: Largest magnitude, alone and over the median one (Sun et al. 2024, section 2).
SIZE, TIMES = 100.0, 1000.0
#: Median magnitude over rms below which a norm leaves next to nothing of all the others.
DROWNED = 0.01
#: Share of float16's largest number from which on one more doubling or two may overflow.
BRINK = 65504.0 / 16
#: Readings of which most tell.
FEWEST = 5
#: An outlier of the data themselves is EF502's.
OUTLIER = 30.0


class MassiveActivations(Rule):
    """A few coordinates of a layer's output are a thousand times as large as all others.

    ## What it means
    One or two coordinates of what layers hand on (of the residual stream, as a rule) hold huge
    values, the same for nearly every input: they act as a bias.

    ## Why is this bad?
    In large transformers they are common and do no harm as such. In float16 they are the first to
    overflow, quantised to 8 bits they leave no steps for the others, and a norm that follows
    divides all others by them. Source: Sun et al. 2024 (arXiv:2402.17762, sections 2 and 3);
    Dettmers et al. 2022 (arXiv:2208.07339) for quantisation.

    ## How it is measured
    The largest magnitude of each sum and of each layer with weights, and its ratio to the median
    magnitude of a sample of the elements, in full readings.

    ## Threshold
    Above 100 and above 1,000 times the median (section 2 of the source), in the last three
    readings or in most of five and more. Warning where a norm follows and the median is below a
    hundredth of the rms, or in float16 within a factor of 16 of its largest number; info otherwise.
    133 healthy networks of the zoo are at 3 to 28 times; with one coordinate at 5,000 (decoder) or
    50,000 (encoder) it is above 1,000, and they learn next to nothing.

    ## What to do
    bfloat16 or float32 for the sums; before quantising, keep such coordinates in 16 bits or give
    attention a place to look at instead (an extra key, registers); where a bias or a feature of
    the data brought them, make that smaller.
    """

    code = "EF209"
    name = "massive-activations"
    title = N_("Massive activations")
    sentence = N_("A few coordinates of the activations drown all others{at}")
    mild = N_("A few coordinates of the activations are far larger than all others{at}")
    link = N_("massive activations")
    labels = (
        EvidenceLabel("peak", N_("largest magnitude over the median")),
        EvidenceLabel("absmax", N_("largest magnitude")),
        EvidenceLabel("others", N_("median magnitude over rms"), "share"),
    )
    stage = 195
    leads_to = (
        *("EF101", "EF103", "EF104", "EF202", "EF204", "EF205", "EF206", "EF301"),
        *("EF401", "EF404"),
    )
    overrules = True
    remedies = (
        Remedy(
            "Find what makes them (a bias, an embedding, a feature of the data) and start it at "
            "the size of the others."
        ),
        Remedy(
            "Keep sums in bfloat16 or float32, and leave these coordinates out of quantisation."
        ),
    )

    causes = (
        Cause("usual", N_("what large transformers do: it harms nothing as such"), harmless=True),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if (view.site("outlier")[:, list(view.data)] >= OUTLIER).any():
            return
        top = view.while_sound("absmax")
        top[np.isinf(top)] = np.nan
        peak = ratio(top, view.site("typical"))
        bad = (top >= SIZE) & (peak >= TIMES)
        known = ~np.isnan(peak)
        mostly = (2 * bad.sum(axis=0) > known.sum(axis=0)) & (known.sum(axis=0) >= FEWEST)
        held = mostly | holds_at_end(bad, known, 3)
        held[[*view.predictions, *view.outputs, *view.beyond]] = False
        ids = [int(i) for i in np.flatnonzero(held) if i in view.trunk]
        if not ids:
            return
        others, high, size = (
            median(np.where(bad, m, np.nan))
            for m in (ratio(view.site("typical"), view.site("rms")), peak, top)
        )
        drowned = [i for i in ids if _drowns(view, i, float(others[i]), float(size[i]))]
        ids = sorted(ids, key=lambda i: (i not in drowned, view.depth[i], -high[i], i))
        first = ids[0]
        row = first_of_last_spell(bad[:, first], known[:, first])
        yield self.finding(
            Severity.warning if drowned else Severity.info,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "peak": float(high[first]),
                "absmax": float(size[first]),
                "others": float(others[first]),
                "sites_affected": len(ids),
            },
            threshold={"peak": TIMES, "absmax": SIZE},
            cause="" if drowned else "usual",
        )


def _drowns(view: View, site: int, others: float, size: float) -> bool:
    """Whether the large ones do harm: by a norm that follows, or near float16's end."""
    normed = any(view.sites[i].kind == "norm" for i in view.consumers[site])
    brink = view.sites[site].dtype == "float16" and size >= BRINK
    return brink or (normed and others < DROWNED)
