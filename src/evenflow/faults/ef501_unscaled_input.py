"""EF501: the input's features are decades away from unit size, and nothing scales them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .curve import WON
from .data import first, readers, typical
from .ef502_outlier_input import FAR
from .remedies import STANDARDISE
from .series import earliest, median
from .view import View

#: Root mean square of the largest feature; standardised data has 1, pixels of 0..1 less.
LARGE = 20.0
#: What the first layer then puts out; a start fit for the data gives about 1, and past 6 a
#: sigmoid is flat (slope below 1 % of its largest).
OUTPUT = 6.0
#: The same for the state of a recurrent layer, which lies between -1 and 1; an LSTM fed
#: with pixels of 0..255 starts at 0.4.
STATE = 0.3
#: Root mean square of all values, below which the biases outweigh the data.
SMALL = 0.01
#: Largest over smallest feature (5th percentile), for data without exact zeros.
APART = 1000.0
#: Share of the first layer's units that are flat or dead: the scale has done harm already.
LOST = 0.5


class UnscaledInput(Rule):
    """A layer with weights reads data whose features are far from unit size.

    ## What it means
    Weights start at a size that suits inputs of mean 0 and deviation 1. Features in the hundreds
    drive the first layer's outputs as high; features far below 1 are not heard beside others.

    ## Why is this bad?
    Saturating activations saturate at once, rectifiers die at the first updates, the gradient of
    the first weights is as large as the data, and one learning rate cannot suit all features.

    ## How it is measured
    Per feature (axis 1 of the data; channels of an image) the root mean square over the batch:
    its largest, and its 5th percentile over features; with them the first output of the layer
    that reads the data. Data that an embedding, a norm, a division or another function of the
    network sees first is left out, integers for an embedding too, and a layer whose output goes
    into nothing but a norm: there the data's size cancels, in the gradient of its weights as
    well. Batches with an extreme outlier (EF502) are passed over. Nothing measured: nothing said.

    ## Threshold
    Largest feature above 20 while the first layer puts out more than 6 (a recurrent one: has
    a state above 0.3); or all values together
    below 0.01; or features a factor of 1000 apart, in data without exact zeros. Raw pixels of
    0..16 and sums of a few units pass. Error where training came to grief; warning where more
    than a quarter of the loss of guessing is left, or more than half of the first activation
    is saturated at the start or dead at the end; info where the network has learned all the same.
    Calibrated on the calibration half of the zoo (raw wine 750, raw tumours 880; LeCun et al.,
    Efficient BackProp, 1998, section 4.3 on why inputs are scaled).

    ## What to do
    Standardise each feature with figures of the training set; divide pixels by 255; take the
    logarithm of positive features that span decades; or put a BatchNorm layer first.
    """

    code = "EF501"
    name = "unscaled-input"
    title = N_("Unscaled input")
    sentence = N_("The input is not scaled{at}")
    placed_as = ("event", "end")
    labels = (
        EvidenceLabel("feature_ratio", N_("largest over smallest feature")),
        EvidenceLabel("feature_low", N_("size of a small feature")),
        EvidenceLabel("feature_high", N_("size of the largest feature")),
        EvidenceLabel("first_output", N_("size of the first layer's output")),
    )
    stage = 30
    leads_to = (
        *("EF102", "EF103", "EF104", "EF201", "EF202", "EF203", "EF206", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
    )
    remedies = (
        STANDARDISE,
        Remedy(
            "Images: divide by 255, then subtract the mean and divide by the standard "
            "deviation of each channel."
        ),
        Remedy("Positive features that span decades: take the logarithm first."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        activations = frozenset(view.of_kind("activation"))
        for i in view.data:
            into = readers(view, i)
            if not into:
                continue
            calm = ~(view.site("outlier")[:, i] > FAR)
            high_T = np.where(calm, view.site("feature_high")[:, i], np.nan)
            high = float(median(np.where(np.isinf(high_T), np.nan, high_T)))
            if not np.isfinite(high):
                continue
            low, rms = typical(view, i, "feature_low"), typical(view, i, "rms")
            out = max((first(view, r, "rms") for r in into), default=float("nan"))
            needed = min(OUTPUT if view.sites[r].kind != "recurrent" else STATE for r in into)
            evidence = {"feature_high": high, "feature_low": low, "scale": rms, "first_output": out}
            cancels = all(_rescaled(view, r) for r in into)
            if high > LARGE and out > needed and not cancels:
                limit = {"feature_high": LARGE, "first_output": needed}
            elif 0 < high < 3 * SMALL and rms < SMALL and not cancels:
                limit = {"scale": SMALL}
            elif low > 0 and high / low > APART and typical(view, i, "zeros") < 0.01:
                evidence["feature_ratio"] = high / low
                limit = {"feature_ratio": APART}
            else:
                continue
            known = np.flatnonzero(~np.isnan(high_T))
            behind = [c for r in into for c in view.consumers[r] if c in activations]
            flat = [c for c in behind if earliest(view.site("saturated")[:, c]) > LOST]
            yield self.finding(
                _severity(view, bool(flat or (view.recent("dead")[behind] > LOST).any())),
                sites=(i, *into),
                steps=view.over(known),
                evidence=evidence,
                threshold=limit,
                # the data drove it into saturation from the start
                chain=(
                    Link("cause", self.code, None, i),
                    *(Link("event", "EF201", view.at(0), c) for c in flat[:1]),
                ),
            )


def _rescaled(view: View, reader: int) -> bool:
    """Whether norms alone read a layer's output; a batch norm in eval mode rescales nothing."""
    after = [view.sites[c] for c in view.consumers[reader]]
    own = np.asarray((~np.isnan(view.site("pooled"))).any(axis=0))
    return bool(after) and all(c.kind == "norm" and bool(own[c.id]) for c in after)


def _severity(view: View, spoilt: bool) -> Severity:
    """How much harm the scale has done; `spoilt`: the first activation was flat from the start, or
    most of its units are dead."""
    if view.harmed:
        return Severity.error
    learned = view.unmeasured or view.loss.left <= WON
    return Severity.info if learned and not spoilt else Severity.warning
