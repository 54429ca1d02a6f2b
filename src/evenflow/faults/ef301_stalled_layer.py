"""EF301: a layer stands still while the others learn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .causes import LEARNING_RATE_TOO_LOW
from .profile import Profile
from .series import decades, first_of_last_spell, holds_at_end, largest, median, ratio
from .view import View

#: Decades below the median layer's relative update.
BELOW = 3.0


class StalledLayer(Rule):
    """A layer gets a gradient, and its updates are decades smaller than those of its peers.

    ## What it means
    The optimizer holds the layer, a gradient reaches it, yet it hardly moves: a learning rate
    of (nearly) zero in its parameter group, a weight so large that the update does not matter,
    a gradient that something scales away.

    ## Why is this bad?
    The layer keeps what it started with. If that is random, the rest has to work around it.

    ## How it is measured
    Relative update ‖Δw‖ / ‖w‖ of each layer, as the optimizer applied it, against the median
    over the layers. Frozen layers (`requires_grad=False`) are meant to stand still and are left
    out; layers whose gradient is zero belong to EF104, fading gradients to EF101.

    ## Threshold
    3 decades below the median, and too small to move the layer in this run (as EF101), in the
    last three readings, with loss still to win. Calibrated on the calibration half of the zoo.

    ## What to do
    Look at the parameter groups: rate, decay and clipping of the group that holds the layer.
    """

    code = "EF301"
    name = "stalled-layer"
    title = N_("Layer has stalled")
    sentence = N_("Learning has stalled{at}")
    means = N_("its weights hardly move, while others do")
    link = N_("stalled")
    labels = (
        EvidenceLabel(
            "decades_below_peers", N_("updates smaller than the other layers' by"), "factor"
        ),
        EvidenceLabel(
            "peers_update_ratio", N_("the other layers' updates relative to their weights")
        ),
    )
    stage = 310
    leads_to = ("EF401", "EF404")
    remedies = (
        Remedy(
            "If learning is done there, nothing; else raise the learning rate for this "
            "layer (its own parameter group)."
        ),
        Remedy("Mend what starves it: a vanishing gradient, saturation or dead units further on."),
        Remedy(
            "Adam or RMSprop scale each layer's updates by its own gradients.",
            unless=(Unless("adaptive"),),
        ),
    )
    causes = (LEARNING_RATE_TOO_LOW,)

    def check(self, view: View) -> Iterable[Finding]:
        if view.converged or len(view.layers) < 2:
            return
        p = view.once(Profile)
        if len(p.layers) < 2:
            return
        update = p.update
        peers = median(update, axis=1)[:, None]
        if len(p.layers) < 4:  # with few layers the median may be the stalled one itself
            peers = largest(update, axis=1)[:, None]
        below = -decades(ratio(update, peers))
        known = ~np.isnan(update) & ~np.isnan(below)
        bad = (below >= BELOW) & p.still & (p.raw > 0)
        bad &= ~(p.fall >= BELOW)  # the gradient itself faded: EF101
        bad &= largest(update, axis=1)[:, None] > view.too_small
        held = holds_at_end(bad, known, 3)
        if not held.any():
            return
        ids = [i for i, h in zip(p.layers, held, strict=True) if h]
        j = int(np.flatnonzero(held)[0])
        row = first_of_last_spell(bad[:, j], known[:, j])
        late = median(below[view.late, j])
        yield self.finding(
            Severity.error if view.stuck else Severity.warning,
            sites=ids,
            params=[view.run.params[w].name for i in ids for w in view.weights[i]],
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "decades_below_peers": float(late),
                "update_ratio": float(median(update[view.late, j])),
                "peers_update_ratio": float(median(peers[view.late, 0])),
                "layers_affected": len(ids),
                "loss_left": view.loss.left,
            },
            threshold={"decades_below_peers": BELOW, "update_ratio": view.too_small},
            cause="learning-rate-too-low",
            then=(Link("end", "frozen", view.at(view.ruin - 1), ids[0]),),
        )
