"""EF101: the gradient shrinks by decades on its way to the data, and layers stand still."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .birth import DOUBT, Birth
from .causes import DEPTH_TIMES_ACTIVATION, DEPTH_TIMES_WEIGHTS, THROUGH_TIME
from .profile import Profile, losses_by_kind
from .remedies import GATED, SKIPS
from .series import Bools, holds_at_end, largest, median
from .through_time import LOST, SHORT, measured
from .view import View

#: Decades a gradient must have lost. AutoTrainer (ICSE 2021) draws the line at a ratio of 1e-3.
FALL = 3.0
#: Steps after which "more than half of the training" speaks for itself.
ENOUGH = 150
#: Share of the loss that must be left to win.
LEFT = 0.3
#: Decades lost through time (first against last call of an unrolled cell).
TIME_FALL = 4.0


class VanishingGradient(Rule):
    """Layers near the data get a gradient decades smaller than those near the loss.

    ## What it means
    The layer error δ is multiplied by each layer's weights and by the slope of its activation
    on its way from the loss to the data. Where these factors stay below one, the product falls
    geometrically with depth, and the first layers receive next to nothing.

    ## Why is this bad?
    A layer without gradient keeps the random weights it started with. The layers behind it
    then learn from noise: depth costs accuracy instead of giving it.

    ## How it is measured
    For each layer with weights, ‖δ‖ and ‖gradient‖ / ‖weight‖ are compared with the largest of
    any layer it reaches on its way to the loss; the larger fall counts, in decades. Layers with
    no path between them (an actor and its critic, two heads), and networks that are trained in
    turns, are not compared. A weight smaller than usual starts is no measure for the layers
    before it: a usual one's size is put in its place. It must last, and there must be loss still
    to win. Whether the layer stands still is told by the update the optimizer
    really applied: Adam scales small gradients up until they are lost in its epsilon, and what
    it scales up is then mostly noise. For a cell unrolled over time, δ of the first call is
    compared with δ of the last; for a fused recurrent layer whose last step alone feeds the
    loss, a probe measures the same off the training step.

    ## Threshold
    A fall of 3 decades (AutoTrainer, ICSE 2021) for more than half of the training, or 4
    decades through time, while over 30 % of the loss is left. Healthy nets of the zoo's
    calibration half stay below 1.5 decades, sick ones above 5; recurrent ones may fall by 5 at
    birth, and recover within a tenth of the training (so a run of fewer than 48 steps is only
    judged where layers stand still, one of fewer than 150 by its last reading too). An error
    where the loss is stuck or the last updates are so small that a thousand of them, all the
    same way, or a whole run if shorter, move the weights by less than 0.1 % (1e-6 a step in
    runs of 1000 steps).

    In a forecast (before any step) from three quarters of what EF604 allows on. Through time, where
    the loss reads the last step alone: a warning where the gradient is lost (7.4 decades) within
    ten steps and half of the sequence, as no start of PyTorch's own does; where it is lost later
    an info, as only the data know whether what is forgotten matters (no chance is told then).

    ## What to do
    Start with weights fit for the depth (orthogonal or He), use an activation of slope one
    around zero, normalise, or add residual connections. For sigmoid nets of great depth centre
    the pre-activations layer by layer (LSUV); Xavier alone does not save them. Through time,
    use LSTM or GRU cells with a forget bias of one.
    """

    code = "EF101"
    name = "vanishing-gradient"
    title = N_("Vanishing gradient")
    sentence = N_("The gradient vanishes{at}")
    link = N_("gradient vanished")
    labels = (
        EvidenceLabel("layers_still", N_("layers that stand still")),
        EvidenceLabel("memory", N_("time steps remembered")),
        EvidenceLabel("decades", N_("gradient smaller than near the loss by"), "factor"),
    )
    stage = 260
    leads_to = ("EF104", "EF105", "EF205", "EF301", "EF401", "EF404")
    remedies = (
        SKIPS,
        Remedy(
            "Start sigmoid or tanh layers with centred LSUV (orthogonal weights, each "
            "unit scaled and shifted to mean 0, spread 1 on a batch): 95.9 % on the "
            "50-layer sigmoid net.",
            unless=(Unless("-sigmoid -tanh"),),
            deep=True,
            by=("init=lsuv-centred",),
        ),
        Remedy(
            "Put BatchNorm before sigmoid or tanh (93.8 %); Xavier initialisation (8.8 %) "
            "or LayerNorm (8.8 %) alone do not save a 50-layer sigmoid net.",
            unless=(Unless("batch_norm"), Unless("-sigmoid -tanh")),
            deep=True,
            by=("norm=batch",),
        ),
        Remedy(
            "For ReLU use He or orthogonal initialisation; do not add BatchNorm to a deep "
            "plain ReLU net (12.3 %).",
            unless=(Unless("he"), Unless("-relu -relu6"), Unless("batch_norm")),
            by=(
                "init=he",
                "init=orthogonal",
            ),
        ),
        Remedy(
            "Through time: an LSTM or GRU with forget-gate bias 1, or orthogonal "
            "recurrent weights.",
            unless=GATED,
            by=("recurrent=",),
        ),
    )
    causes = (DEPTH_TIMES_ACTIVATION, DEPTH_TIMES_WEIGHTS, THROUGH_TIME)

    def check(self, view: View) -> Iterable[Finding]:
        if view.loss.left < LEFT and not view.unmeasured:
            return
        if view.foreseen:
            yield from self._foreseen(view)
            return
        yield from self._through_depth(view)
        if not np.isnan(view.param("grad")).all():  # of none that came, time took nothing
            yield from self._through_time(view)

    def _through_depth(self, view: View) -> Iterable[Finding]:
        p = view.once(Profile)
        known = ~np.isnan(p.fall) & (view.sound[:, None])
        bad = p.fall >= FALL
        # exact zeros are EF104's unless they lie behind gradients about to underflow
        bad &= ~(p.zero & ~p.underflowed)
        lasting = (view.time_share(bad, known) > 0.5) & (bad.sum(axis=0) >= 3) & (p.peers >= 3)
        ids = [i for i, h in zip(p.layers, lasting, strict=True) if h]
        if not ids or not _settled(view, np.asarray(bad[:, lasting].any(axis=1))):
            return
        j = p.layers.index(ids[0])
        sizes = median(np.where(bad & np.isfinite(p.fall), p.fall, np.nan))[lasting]
        still = holds_at_end(bad & (p.still | p.zero), p.known, 3) & lasting
        first, last = view.over(np.flatnonzero(bad[:, j]))
        cause = losses_by_kind(view, ids[0])
        if view.loss.young and not still.any():
            return  # at birth a gradient may be small and yet find its way
        layers = sum(len(c) for c in p.towers if lasting[c].any())
        severe = view.stuck or int(still.sum()) * 3 >= layers
        yield self.finding(
            Severity.error if severe else Severity.warning,
            sites=ids,
            steps=(first, last),
            evidence={
                "decades": float(largest(sizes)),
                "update_ratio": float(median(p.update[view.late, j])),
                "layers_affected": len(ids),
                "layers_still": int(still.sum()),
                "layers": layers,
                "loss_left": view.loss.left,
            },
            threshold={"decades": FALL},
            cause=cause,
            then=(Link("end", "frozen", last, ids[0]),) if still.any() else (),
        )

    def _foreseen(self, view: View) -> Iterable[Finding]:
        """Before the first step: where so much is lost that learning is in doubt."""
        b, p = view.once(Birth), view.once(Profile)
        yield from self._forgets(view, b)
        if b.depth < 2 or not b.lost[-1] >= DOUBT:
            return
        fall = p.fall[0]
        bad = np.isfinite(fall) & (fall >= FALL) & (p.peers >= 3)
        ids = [i for i, x in zip(p.layers, bad, strict=True) if x]
        if not ids:
            return
        cause = losses_by_kind(view, ids[0])
        yield self.finding(
            Severity.error if b.lost[-1] >= 1 else Severity.warning,
            sites=ids,
            steps=view.over([0]),
            evidence={
                "decades": float(fall[bad].max()),
                "layers_affected": len(ids),
                "layers": sum(len(c) for c in p.towers if bad[c].any()),
            },
            threshold={"decades": FALL},
            cause=cause if cause not in ("EF601", "depth-times-weights") else "",  # their findings'
            chain=(Link("event", self.code, view.at(0), ids[0]),),
        )

    def _forgets(self, view: View, b: Birth) -> Iterable[Finding]:
        """Early time steps that the gradient does not reach: whether they matter is the data's."""
        found = b.time.shortest
        if found is None:
            return
        short = found.memory < SHORT and found.memory <= found.steps / 2
        yield self.finding(
            Severity.warning if short else Severity.info,
            sites=(found.site,),
            steps=view.over([0]),
            evidence={"decades": found.lost, "calls": found.steps, "memory": found.memory},
            threshold={"decades": LOST} | ({"memory": SHORT} if short else {}),
            cause="through-time",
        )

    def _through_time(self, view: View) -> Iterable[Finding]:
        found = []
        for site, calls, gain, last_alone in measured(view):
            fall = np.where(view.sound, -gain, np.nan)
            known = ~np.isnan(fall)
            bad = fall >= TIME_FALL
            if not (last_alone and view.time_share(bad, known) > 0.5 and bad.sum() >= 3):
                continue
            shown = fall[bad & np.isfinite(fall)]
            size = float(np.median(shown)) if len(shown) else TIME_FALL
            if not view.loss.young and _settled(view, bad):
                found.append((size, site, calls, np.flatnonzero(bad)))
        if not found:
            return
        size, site, calls, rows = max(found, key=lambda f: f[0])
        yield self.finding(
            Severity.error if view.stuck else Severity.warning,
            sites=(site,),
            steps=view.over(rows),
            evidence={"decades": size, "calls": calls, "loss_left": view.loss.left},
            threshold={"decades": TIME_FALL},
            cause="through-time",
        )


def _settled(view: View, bad: Bools) -> bool:
    """Whether it holds at the last sound reading, or held for most of a run of some length."""
    return bool(bad[view.sound][-1:].any()) or len(view.loss.finite) >= ENOUGH
