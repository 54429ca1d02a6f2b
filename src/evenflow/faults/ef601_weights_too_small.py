"""EF601: weights so small that each layer passes on only part of signal and gradient."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Rule
from .birth import DOUBT, LOST, Birth
from .profile import losses_by_kind
from .remedies import RIGHT_GAIN
from .view import View


class WeightsTooSmall(Rule):
    """The weights a network starts with let signal and gradient fade from layer to layer.

    ## What it means
    A layer multiplies the signal by its weights and the layer error by their transpose. Drawn
    with too little variance they shrink both at every layer. PyTorch's default for linear layers
    has a third of the variance that keeps a tanh net alive, a sixth of what ReLU needs: enough for
    a few layers, and what many of them lose by it is told as EF604.

    ## Why is this bad?
    The factors multiply over depth. The first layers get no gradient to speak of, and what they
    make of the data does not reach the output: the network answers with a constant.

    ## How it is measured
    On a forecast only (`evenflow.preflight`). For each layer log10 of rms δ times rms input,
    held against the head's δ: the size of its weights' gradient. The fall is the weights' where
    the sites that lose it are mostly layers with weights, and not activations, and the weights are
    smaller than PyTorch's own default, He, Xavier and orthogonal starts for their shapes.

    ## Threshold
    An error from 7.4 decades lost: of the networks of `benchmarks/trainability` (calibration
    half) those that lost up to 7.0 learn with Adam at the best of three rates, those that lost
    7.9 do not. A warning from three quarters of that.

    ## What to do
    Draw weights with the gain of the activation: He for ReLU and its kin, Xavier or orthogonal
    for tanh, centred LSUV for deep sigmoid nets.
    """

    code = "EF601"
    name = "weights-too-small"
    title = N_("Weights too small at the start")
    sentence = N_("Weights are too small at the start{at}")
    labels = (EvidenceLabel("signal_decades", N_("the signal gets"), "change"),)
    stage = 140
    leads_to = ("EF604", "EF101", "EF205")
    sure = True
    remedies = (RIGHT_GAIN,)
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        if not view.foreseen:
            return
        b = view.once(Birth)
        if b.depth < 2 or not np.isfinite(b.lost[-1]) or b.lost[-1] < DOUBT:
            return
        first = next(i for level in b.levels for i in level if i not in b.asleep)
        if losses_by_kind(view, first) != self.code:
            return
        weak = [level[0] for level, p in zip(b.levels, b.pull, strict=True) if p <= -DOUBT * LOST]
        yield self.finding(
            Severity.error if b.lost[-1] >= 1 else Severity.warning,
            sites=weak,
            steps=view.over([0]),
            evidence={
                "decades_lost": float(b.lost[-1] * LOST),
                "signal_decades": float(b.size[-1] / 2),
                "depth": b.depth,
                "layers_affected": len(weak),
            },
            threshold={"decades_lost": LOST if b.lost[-1] >= 1 else DOUBT * LOST},
            chain=(Link("cause", self.code, view.at(0), first),),
        )
