"""EF302: updates are as large as a good part of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .profile import Profile
from .remedies import CLIP, LOWER_RATE, WARM_UP
from .series import Bools, earliest, largest, longest, median
from .view import View

#: Relative update of a matrix of weights. DeepDiagnosis and TheDeepChecker warn above 1e-1.
LARGE = 0.2
#: A single update as large as the weights.
WHOLE = 1.0
#: Readings it must last: birth and single spikes are not a habit.
LASTING = 3


class OversizedUpdate(Rule):
    """Step after step the optimizer replaces a good part of a layer's weights.

    ## What it means
    ‖Δw‖ / ‖w‖ says how much of itself a layer gives up in one step. In healthy training it is
    near one in a thousand.

    ## Why is this bad?
    A layer that gives up a fifth of itself forgets what it has learnt about as fast as it
    learns; units die or saturate, and the loss jumps.

    ## How it is measured
    The norm of the applied update over the norm of the weight, for weights of two or more
    dimensions. Weights that start near zero (zero heads, ReZero gates, LoRA) must grow first and
    are left out: those whose root mean square at the first reading is below a tenth of
    1/√fan_in.

    ## Threshold
    0.2 in three readings running after step 4, or 1 in any single one. DeepDiagnosis and
    TheDeepChecker warn above 0.1, which healthy nets reach: on the zoo's calibration half they
    go up to 0.5 at birth and 0.1 later; nets with a ruinous rate are between 1.5 and 2000 at
    birth. An error where the loss is stuck, has risen or is lost; nothing where it has been won
    (full-batch L-BFGS takes such steps).

    ## What to do
    Lower the learning rate, warm it up, clip the gradient by norm.
    """

    code = "EF302"
    name = "oversized-update"
    title = N_("Oversized update")
    sentence = N_("Updates are too large{at}")
    link = N_("update too large")
    labels = (EvidenceLabel("largest_update_ratio", N_("largest update relative to the weights")),)
    stage = 210
    leads_to = ("EF103", "EF201", "EF202", "EF205", "EF401", "EF402", "EF403")
    remedies = (
        LOWER_RATE,
        WARM_UP,
        CLIP,
        Remedy("Give this layer its own, lower learning rate."),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if not view.sound.any() or (view.converged and not view.ruined):
            return
        p = view.once(Profile)
        update = np.where(_grown_up(view, p.layers)[None, :], p.update, np.nan)
        known = ~np.isnan(update)
        bad = update >= LARGE
        whole = update >= WHOLE
        later = (view.sound & (view.steps >= 4))[:, None]  # statistics of the first are blips
        lasting = (longest(bad & later, known & later) >= LASTING) | whole.any(axis=0)
        if not lasting.any():
            return
        size = largest(update)
        order = sorted(np.flatnonzero(lasting), key=lambda c: -float(size[c]))
        ids = [p.layers[c] for c in order]
        c = int(order[0])
        worst = np.where(bad[:, c], update[:, c], np.nan)
        rows = np.flatnonzero(bad[:, c])
        yield self.finding(
            Severity.error if view.harmed else Severity.warning,
            sites=ids,
            params=[view.run.params[w].name for i in ids for w in view.weights[i]],
            steps=view.over(rows),
            evidence={
                "update_ratio": float(median(worst)),
                "largest_update_ratio": float(size[c]),
                "readings": float(bad[:, c].sum()),
                "layers_affected": len(ids),
                "learning_rate": float(view.step("lr")[rows[0]]),
            },
            threshold={"update_ratio": LARGE},
            cause="EF703",
        )


def _grown_up(view: View, layers: list[int]) -> Bools:
    """[L] layers whose weights did not start near zero."""
    # rms of the weight times sqrt(fan_in): norm / sqrt(fan_out)
    fan_out = [max((*p.shape, 1)[0], 1) for p in view.run.params]
    grown = earliest(view.param("weight")) / np.sqrt(fan_out) >= 0.1
    return np.array([all(grown[w] for w in view.weights[i]) for i in layers], dtype=np.bool_)
