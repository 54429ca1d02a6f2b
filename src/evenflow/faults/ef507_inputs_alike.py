"""EF507: the samples of the data are all but the same, before any layer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import reach
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .curve import WON
from .data import readers
from .ef501_unscaled_input import UnscaledInput
from .series import Bools, Ints, earliest, median
from .view import View

#: Deviation over samples of the feature that varies most, as a share of its own size.
ALIKE = 2e-2
#: The same of samples that are equal, with what float32 rounds.
EQUAL = 1e-5
#: What batches may differ by, in the size of their largest feature, if all hold the same.
BATCHES = 1e-2
#: Readings that tell; share of the loss left above which what differs a little was not used.
FEWEST, LEFT = 3, 0.5


class InputsAlike(Rule):
    """All samples that the network is given are the same, or nearly so.

    ## What it means
    Before any layer there is nothing to tell one sample from another: features normalised along
    the wrong axis, divided by their own largest value, scaled twice, cast to whole numbers,
    overwritten with zeros, or a data set that returns the same item for every index.

    ## Why is this bad?
    Whatever the layers do, the answer is the same for all samples. The loss falls to that of the
    best constant guess and stays; layers further on look collapsed, units die, and neither the
    learning rate nor the architecture is at fault.

    ## How it is measured
    For each feature of each input (whole numbers such as tokens as well) its deviation over the
    samples of a batch as a share of its root mean square: the largest of these counts, so that a
    common background, padding, rare words and constant columns do no harm as long as anything
    differs. All inputs that the loss depends on must be alike, in every batch; the first outputs
    too, at the start (a layout with time first has equal steps, not equal samples), and batches
    must not differ from one another either (one prompt sampled several times).

    ## Threshold
    Below 1e-5, as rounding leaves it: an error, where more than a quarter of the loss is left; a
    warning above 10 % (a single sample learned by heart is a usual test). Below 2 %, that is 1-c
    of theory below 4e-4: an error where training came to grief, a warning where more than half of
    the loss is left. Calibrated on digits of one constant plus a contrast (two hidden layers of
    64, Adam 1e-3, 600 steps, seeds 100 to 102): of the loss of guessing are left 40 % at a contrast
    of .1, all of it at .03 and below. Features far from unit size (EF501) that differ at all
    are left to that rule.

    ## What to do
    Look at two samples right before the model: print((x[0] - x[1]).abs().max()). Normalise each
    feature over the samples (axis 0 of a table), not each sample by itself.
    """

    code = "EF507"
    name = "inputs-alike"
    title = N_("The data's samples are all alike")
    sentence = N_("All samples that the network is given are alike{at}, before any layer")
    link = N_("samples alike")
    labels = (
        EvidenceLabel("varies", N_("deviation over samples of the feature that varies most")),
        EvidenceLabel("data_spread", N_("difference between the data's samples")),
    )
    stage = 25
    overrules = True
    standing = True
    leads_to = (
        *("EF101", "EF102", "EF104", "EF201", "EF202", "EF203", "EF204", "EF205", "EF206"),
        *("EF301", "EF302", "EF401", "EF402", "EF403", "EF404", "EF501", "EF506", "EF703", "EF806"),
    )
    remedies = (
        Remedy(
            "Look at two samples right before the model: print((x[0] - x[1]).abs().max()); then "
            "go back through the preparation to where they became equal."
        ),
        Remedy(
            "Normalise each feature over the samples (mean and deviation along axis 0 of a "
            "table), not each sample by its own largest value, and not twice."
        ),
        Remedy("Check that the data set uses the index that it is asked for."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        if view.ruined or view.unmeasured or view.loss.young or view.converged:
            return
        # tokens are transposed and sliced before an embedding reads them, which no link shows
        fed = [i for i in view.data if i in view.trunk or not view.consumers[i]]
        if not fed:
            return
        varies = view.site("varies")[:, fed]
        known = np.flatnonzero(~np.isnan(varies).any(axis=1))
        most = float(varies[known].max(initial=0.0))
        if len(known) < FEWEST or most >= ALIKE or not _one_batch(view, fed, known):
            return
        # at the start: a bias may learn to take away what all have in common
        if (earliest(view.site("spread"))[_first(view, fed)] >= ALIKE).any():
            return
        severity = _severity(view, most < EQUAL)
        if severity is None:
            return
        yield self.finding(
            severity,
            sites=(fed[0], *readers(view, fed[0])),
            steps=view.over(known),
            evidence={
                "varies": most,
                "data_spread": float(median(view.site("spread")[:, fed[0]])),
                "loss_left": view.loss.left,
            },
            threshold={"varies": EQUAL if most < EQUAL else ALIKE},
            chain=(Link("cause", self.code, None, fed[0]),),
        )


def _one_batch(view: View, fed: list[int], rows: Ints) -> bool:
    """Whether batches hold the same, as far as their largest feature tells."""
    high = view.site("feature_high")[rows][:, fed]
    return bool((np.ptp(high, axis=0) <= BATCHES * high.max(axis=0)).all())


def _first(view: View, fed: list[int]) -> list[int]:
    """The sites nearest to the data that tell how far apart their samples are."""
    told: Bools = np.asarray((~np.isnan(view.site("spread"))).any(axis=0))
    way = reach(view.consumers, fed, lambda i: i in fed or not told[i])
    return sorted(i for i in way if told[i] and i not in fed and i in view.trunk)


def _severity(view: View, equal: bool) -> Severity | None:
    if view.harmed or (equal and view.loss.left > WON):
        # samples that differ a little may be told apart, only not by this rate or start
        scaled = not equal and any(UnscaledInput().check(view))
        return None if scaled else Severity.error
    return Severity.warning if equal or view.loss.left > LEFT else None
