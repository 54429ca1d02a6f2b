"""EF604: signals survive through fewer layers than the network has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .birth import DOUBT, LOST, ROUGH, Birth
from .causes import DEPTH_TIMES_ACTIVATION, DEPTH_TIMES_WEIGHTS
from .profile import losses_by_kind
from .remedies import SKIPS
from .start import too_large
from .view import View


class TooDeepForItsInit(Rule):
    """Signals and gradients survive through fewer layers than the network has.

    ## What it means
    Each layer costs a part of what tells inputs apart, of the gradient, or of smoothness, and
    depth multiplies the parts. With this start the network is trainable to a certain depth (mean
    field theory gives about six times the depth scale ξ), and it is deeper.

    ## Why is this bad?
    Beyond that depth it stays at chance with any learning rate, however long it is trained.

    ## How it is measured
    On a forecast only. Level by level, the strain is the largest of: decades of gradient lost
    against 7.4; decades of 1 - c lost against those that rounding allows; and the sum of chaos
    (‖δ‖ times distance of outputs, steeper where outputs look alike or differ along one line
    only) against 3 decades and growth of E x² against 10. The trainable depth is the number of
    layers up to which it stays below one.

    ## Threshold
    A strain of 1: an error, of 0.75: a warning. The four scales are the most likely ones on the
    calibration half of `benchmarks/trainability` (perceptrons on digits, each at the best of three
    rates). On the other half the strain tells those that learn from those that fail with AUC 0.980
    (87 against 55), and 0.981 where gradients neither vanish nor explode (60 against 6).

    ## What to do
    Residual connections that start at zero (ReZero), orthogonal weights at criticality, tailored
    activations (TAT) for ReLU, centred LSUV or BatchNorm for sigmoid and tanh, or fewer layers.
    Deep plain nets get worse by BatchNorm: their gradient explodes.
    """

    code = "EF604"
    name = "too-deep-for-its-init"
    title = N_("Too deep for its initialisation")
    sentence = N_("The network is too deep for its initialisation{at}")
    means = N_("signals do not survive so many layers")
    labels = (
        EvidenceLabel("trainable_depth", N_("layers that signals survive")),
        EvidenceLabel("decades_alike", N_("difference between inputs smaller by"), "factor"),
        EvidenceLabel("chance", N_("chance to learn"), "share"),
    )
    stage = 160
    leads_to = ("EF101", "EF102", "EF205")
    remedies = (
        SKIPS,
        Remedy(
            "Use activations tailored to the depth (TAT) with orthogonal weights.",
            deep=True,
            by=("tailored",),
        ),
    )
    if_cause = remedies[0]
    causes = (DEPTH_TIMES_ACTIVATION, DEPTH_TIMES_WEIGHTS)

    def check(self, view: View) -> Iterable[Finding]:
        if not view.foreseen:
            return
        b = view.once(Birth)
        if b.depth < 2 or b.trainable_depth is None or b.worst < DOUBT:
            return
        if b.time.strain >= b.worst:
            return  # a loop over time looks deep: EF102's, through time
        if b.blame == "lost" and np.isinf(b.lost[-1]):
            return  # cut off, not faded: EF603's, EF605's or EF704's
        blame = b.blame
        cause = ""
        if blame == "lost":
            found = losses_by_kind(view, b.levels[0][0])
            cause = "" if found == "EF601" else found
        elif blame in ("chaos", "size"):
            normed = any(s.kind == "norm" for s in view.sites)
            usual = not too_large(view, view.layers)
            cause = "depth-times-weights" if usual or (normed and blame == "chaos") else ""
        k = min(b.trainable_depth, b.depth - 1)
        # gradient is missing in the layers nearest the data, the signal in those nearest the head
        ids = b.levels[: max(1, b.depth - k)] if blame in ("lost", "chaos") else b.levels[k:]
        sites = [level[0] for level in ids]
        yield self.finding(
            Severity.error if b.worst >= 1 else Severity.warning,
            sites=sites,
            steps=view.over([0]),
            evidence={
                "trainable_depth": b.trainable_depth,
                "depth": b.depth,
                "strain": b.worst,
                "decades_lost": float(max(0.0, np.nan_to_num(b.lost[-1]) * LOST)),
                "decades_alike": float(max(0.0, -np.nan_to_num(b.spread[-1]))),
                "decades_chaos": float(np.nan_to_num(b.chaos[-1]) * ROUGH),
                "decades_grown": float(max(0.0, np.nan_to_num(b.size[-1]))),
                "chance": b.chance,
            },
            threshold={"strain": 1.0 if b.worst >= 1 else DOUBT},
            cause=cause,
        )
