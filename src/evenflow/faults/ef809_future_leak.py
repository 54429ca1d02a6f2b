"""EF809: what is to be predicted can be read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .view import View


class FutureLeak(Rule):
    """The output at one time depends on later inputs, which are what it is to predict.

    ## What it means
    The targets are the inputs of a step later, as of a language model or a forecast, and the
    output at a time t depends on inputs after t: the mask of an attention is missing, inverted or
    put on after the softmax, a layer is bidirectional, or a convolution reads to both sides.

    ## Why is this bad?
    The network copies the answer. The training's loss, and the held-out loss, are too good to be
    true, and what it generates, where the future is not there yet, is noise.

    ## How it is measured
    Once, at birth: whether targets are the inputs of a step later, value by value; then the
    operations of that forward are run again, apart from the training (nothing of the script's is
    called), and outputs at one time of each sample are differentiated by the inputs of all times.
    Randomness and norms over time are left out.

    ## Threshold
    Targets equal to the next inputs in all places (at least 8; -100 is no target), and a gradient
    at a later input that is not exactly 0: a masked key's is. Structure, so nothing to calibrate.
    Encoders whose targets are their own inputs (masked words) or something else may look both
    ways. Forwards whose outputs take more than 128 MB are left out. Error.

    ## What to do
    Mask later keys before the softmax (`is_causal=True`, or a mask of the upper triangle), take
    unidirectional layers, pad convolutions on the left only. To see it: change the last input; only
    the last output may change.
    """

    code = "EF809"
    name = "future-leak"
    title = N_("The answer can be read")
    sentence = N_("An output depends on later inputs, which it is to predict{at}")
    as_cause = N_("outputs that see the inputs they are to predict")
    labels = (EvidenceLabel("ahead", N_("later inputs it depends on"), "share"),)
    points_at = "calls"
    stage = 69
    standing = True
    leads_to = ("EF402", "EF403")
    remedies = (
        Remedy(
            "Mask later steps before the softmax: is_causal=True, or a mask of the upper triangle."
        ),
        Remedy("Use no bidirectional layer, and pad convolutions over time on the left only."),
        Remedy("Change the last input of a sequence: only the last output may change."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        ahead = view.site("ahead")
        for i in np.flatnonzero((ahead > 0).any(axis=0)).tolist():
            row = int(np.flatnonzero(ahead[:, i] > 0)[0])
            yield self.finding(
                Severity.error,
                sites=(i,),
                steps=(view.at(row), view.at(-1)),
                evidence={"ahead": float(ahead[row, i])},
                threshold={"ahead": 0.0},
                chain=(Link("cause", self.code, None, i),),
            )
