"""EF602: weights so large that signals blow up, saturate or turn chaotic."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .birth import DOUBT, GROWN, ROUGH, Birth
from .curve import first_loss, harm_of
from .data import prediction_of
from .ef201_saturated_activation import MOST, SHARE, hidden
from .remedies import RIGHT_GAIN
from .start import before, too_large
from .view import View

#: rms by which a layer may enlarge what enters it: He's gain for ReLU is 1.4, the gain 4 of
#: `benchmarks/trainability` 2.
GAIN = 3.0
#: Loss before the first update over that of guessing, from which on its scores are too loud.
LOUD = 5.0


class WeightsTooLarge(Rule):
    """The weights a network starts with enlarge signals until they saturate or blow up.

    ## What it means
    Drawn with too much variance, weights enlarge what passes. Without bounds it grows by decades
    over the layers; a sigmoid or tanh turns it into saturated units; and where slopes are steeper
    than chords the network is chaotic: inputs as near as you like end far apart.

    ## Why is this bad?
    Saturated units have no slope to learn by. Outputs of a thousand cost a loss of a thousand,
    and the way down overshoots. In a chaotic network the gradient says nothing about what a step
    of any useful size will do.

    ## How it is measured
    On a forecast: growth: decades of E x² from the first layer to the last. Chaos: ‖δ‖ times
    the distance of two samples' outputs, at a layer against the head. Saturation: share of an
    activation's inputs past an asymptote, where the layer before has enlarged its input and the
    data are not to blame. A net with BatchNorm is left to EF604: there the norm makes it so; and so
    is one whose weights are no larger than PyTorch's own default, He, Xavier and orthogonal starts
    for their shapes. In a training: a classifier's loss before the first update against that of
    guessing, where the layer that made its scores, and no other, began with weights larger than any
    usual start's.

    ## Threshold
    An error from 11 decades of growth, 2.5 of chaos, or a sum of shares of both (fitted on the
    calibration half of `benchmarks/trainability`: 9.2 decades over skips still learn, 13.7 do
    not); or 85 % saturated (as EF201). A warning from three quarters, or half saturated, where the
    layer enlarges its input more than threefold. In a training, five times the loss of guessing:
    an error where nothing was learned, a warning where a tenth of the loss or more is left.

    ## What to do
    Draw weights with the gain of the activation (He, Xavier, LeCun, orthogonal); scale residual
    branches by 1 / sqrt(number of blocks) or start them at zero (ReZero).
    """

    code = "EF602"
    name = "weights-too-large"
    title = N_("Weights too large at the start")
    sentence = N_("Weights are too large at the start{at}")
    labels = (
        EvidenceLabel("gain", N_("enlarged by a factor of")),
        EvidenceLabel("begun", N_("loss before training against guessing")),
    )
    stage = 150
    leads_to = (
        *("EF604", "EF102", "EF201", "EF205", "EF206"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
    )
    sure = True
    remedies = (
        RIGHT_GAIN,
        Remedy(
            "Standardise inputs: large ones act like large weights.", unless=(Unless("scaled"),)
        ),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        if not view.foreseen:
            yield from self._loud(view)
            return
        b = view.once(Birth)
        if not b.depth:
            return
        normed = any(s.kind == "norm" for s in view.sites)
        timed = b.time.strain >= max(b.worst, DOUBT)  # a loop over time: EF102's
        grown = b.depth > 1 and b.grown[-1] >= DOUBT and too_large(view, view.layers)
        if grown and not ((normed and b.blame == "chaos") or timed):
            if b.chaos[-1] >= b.grown[-1] / 2:  # every layer folds what enters it
                ids = [level[0] for level in b.levels[:-1]]
            else:
                over = [i for i, s in enumerate(b.grown) if s >= min(1.0, float(b.grown[-1]))]
                ids = [b.levels[k][0] for k in over]
            yield self.finding(
                Severity.error if b.grown[-1] >= 1 else Severity.warning,
                sites=ids,
                steps=view.over([0]),
                evidence={
                    "decades_grown": float(np.nan_to_num(b.size[-1])),
                    "decades_chaos": float(np.nan_to_num(b.chaos[-1]) * ROUGH),
                    "strain": float(b.grown[-1]),
                    "depth": b.depth,
                },
                threshold={"strain": 1.0 if b.grown[-1] >= 1 else DOUBT}
                | ({"decades_grown": GROWN} if b.size[-1] >= GROWN else {}),
                chain=(Link("cause", self.code, view.at(0), ids[0]),),
            )
            return
        yield from self._saturated(view)

    def _loud(self, view: View) -> Iterable[Finding]:
        """Scores so large at birth that the first steps go into taking them back."""
        loss = view.loss
        if view.unmeasured or loss.young or view.converged or not loss.classifies:
            return
        if not loss.chance > 0:
            return
        begun, left = first_loss(view) / loss.chance, loss.left
        heads = before(view, prediction_of(view, view.losses[0]))
        others = [i for i in view.layers if i not in heads]  # theirs saturate, or blow up
        if not begun >= LOUD or not too_large(view, heads) or too_large(view, others):
            return
        yield self.finding(
            max(harm_of(view, left), Severity.warning),
            sites=heads,
            steps=view.over([0]),
            evidence={"begun": begun, "loss_left": left},
            threshold={"begun": LOUD},
            chain=(Link("cause", self.code, view.at(0), heads[0]),),
        )

    def _saturated(self, view: View) -> Iterable[Finding]:
        share, rms = view.site("saturated")[0], view.site("rms")[0]
        ids, gains = [], []
        for i in np.flatnonzero((share >= SHARE) & hidden(view)):
            for layer in view.parents(int(i)):
                sources = [rms[p] for p in view.parents(layer) if np.isfinite(rms[p])]
                # what is large because the data are is EF501's
                large = bool(sources) and rms[layer] >= GAIN * max(sources)
                if large and too_large(view, [layer]):
                    ids.append(int(i))
                    gains.append(float(rms[layer] / max(sources)))
                    break
        if not ids:
            return
        worst = float(share[ids].max())
        yield self.finding(
            Severity.error if worst >= MOST else Severity.warning,
            sites=ids,
            steps=view.over([0]),
            evidence={"saturated": worst, "gain": max(gains), "sites_affected": len(ids)},
            threshold={"saturated": MOST if worst >= MOST else SHARE, "gain": GAIN},
            chain=(Link("cause", self.code, view.at(0), ids[0]),),
        )
