"""EF806: a normalisation takes mean and variance over next to no values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import by_key
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .series import median
from .view import View

#: Values of one channel in a batch, from which on its mean and variance are told at all.
BATCH = 4.0
#: Values of one sample: fewer leave no more of it than signs (two normalised ones are always -1
#: and 1, one is always 0; RMS norm, which takes no mean away, makes -1 or 1 of one value).
SAMPLE, RMS = 3.0, 2.0
#: Readings that tell.
FEWEST = 3


class TinyNormBatch(Rule):
    """A normalisation takes its mean and variance over next to no values.

    ## What it means
    Batch norm in training mode normalises each channel over the batch (and the pixels of a map).
    Two values come out as -1 and 1, whatever they were: only which is the larger gets through,
    and next to no gradient comes back. Group, layer and RMS norms do the same within a sample, if
    their groups hold one value (always 0) or two.

    ## Why is this bad?
    What a sample becomes hangs on who else is in its batch, the layers before the norm are hardly
    trained, and the running statistics that evaluation goes by describe another network than the
    one that was trained: held-out results fall far below the training's.

    ## How it is measured
    The number of values behind each mean and variance, from the shapes at the call: N for batch
    norm of [N, C], N·H·W of [N, C, H, W], channels per group times pixels for group norm. Batch
    norm with running statistics (eval mode, frozen) takes none and is left out, and so is what
    no loss depends on.

    ## Threshold
    Fewer than 4 over the batch, or fewer than 3 within a sample (RMS norm: 2), in more than half
    of the readings, of which there are at least 3: the ragged last batch of an epoch is no fault.
    Calibrated on digits (two hidden layers, seeds 100 and 101; held-out accuracy): batch norm
    over 2 values 69 %, 3 90 %, 4 94 %, 8 96 %, 16 97 %, layer norm with batches of 2 97 %; group
    norm over 1 value 10 %, 2 40 %, 3 96 %, 4 96 %. Error where training came to grief, warning
    otherwise: that evaluation disagrees cannot be seen from the training alone.

    ## What to do
    Larger batches (16 and more), a LayerNorm or GroupNorm in place of the batch norm, or the
    batch norm frozen in eval mode where it came trained; fewer groups, with 4 values or more in
    each.
    """

    code = "EF806"
    name = "tiny-norm-batch"
    title = N_("Normalised over too few values")
    sentence = N_("A normalisation takes its statistics over too few values{at}")
    labels = (
        EvidenceLabel("pooled", N_("values behind each mean and variance")),
        EvidenceLabel("norms", N_("normalisations concerned")),
    )
    stage = 80
    standing = True
    leads_to = (
        *("EF101", "EF102", "EF104", "EF201", "EF202", "EF205", "EF206"),
        *("EF301", "EF302", "EF401", "EF402", "EF403", "EF404"),
    )
    overrules = True
    remedies = (Remedy("Let a normalisation take its mean and variance over 16 values or more."),)
    if_cause = remedies[0]
    causes = (
        Cause(
            "small-batch",
            N_("batches too small for a batch norm"),
            Remedy(
                "Put LayerNorm or GroupNorm in place of the batch norm, or use batches of 16 "
                "or more.",
                then=N_(
                    "Batch norms that came trained: freeze them (norm.eval() after each "
                    "model.train()); accumulating gradients does not help, as the norm sees one "
                    "small batch at a time."
                ),
            ),
        ),
        Cause(
            "small-groups",
            N_("a norm within each sample whose groups hold next to nothing"),
            Remedy(
                "Normalise over more: fewer groups in GroupNorm (4 values or more in each), "
                "or no norm over an axis of length 1 or 2."
            ),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        pooled = view.site("pooled")
        known = (~np.isnan(pooled)).sum(axis=0)
        small = [
            i
            for i in view.of_kind("norm")
            if i in view.trunk
            and known[i] >= FEWEST
            and 2 * (pooled[:, i] < _limit(view, i)).sum() > known[i]
        ]
        for of_batches, few in by_key(small, lambda i: view.sites[i].op == "batch_norm").items():
            cause = "small-batch" if of_batches else "small-groups"
            least = min(few, key=lambda i: (float(median(pooled[:, i])), view.depth[i], i))
            limit = _limit(view, least)
            rows = np.flatnonzero(pooled[:, least] < limit)
            yield self.finding(
                Severity.error if view.harmed else Severity.warning,
                sites=(least, *(i for i in few if i != least)),
                steps=view.over(rows),
                evidence={"pooled": float(median(pooled[:, least])), "norms": len(few)},
                threshold={"pooled": limit},
                cause=cause,
                chain=(Link("cause", cause, None, least),),
            )


def _limit(view: View, id: int) -> float:
    return {"batch_norm": BATCH, "rms_norm": RMS}.get(view.sites[id].op, SAMPLE)
