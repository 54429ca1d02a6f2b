"""EF302: updates are as large as a good part of the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..schema import Finding, Link, Severity
from .base import Rule
from .ef301_stalled_layer import _first_columns
from .series import first_of_last_spell, largest, longest, median
from .view import View

#: Relative update of a matrix of weights. DeepDiagnosis and TheDeepChecker warn above 1e-1.
LARGE = 0.2
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
    dimensions that started above zero; the first steps of a training are left out, where the
    moments of Adam are still warming up.

    ## Threshold
    0.2 in three readings running after step 4 (DeepDiagnosis and TheDeepChecker warn above
    0.1, which Adam on a small layer reaches unharmed), or 1 in any single one that the loss did
    not survive. Calibrated on the calibration half of the zoo (`benchmarks/diagnosis.py`).

    ## What to do
    Lower the learning rate, warm it up, clip the gradient by norm.
    """

    code = "EF302"
    name = "oversized-update"

    def check(self, view: View) -> Iterable[Finding]:
        columns = _first_columns(view)
        if not columns or not view.sound.any():
            return
        update = view.by_layer(view.relative_update)[:, columns]
        harm = view.ruined or view.stuck or (not view.adversarial and view.loss.fallen < 0.05)
        # a run that dies young is judged from birth
        rows = view.sound if view.ruined else view.born
        update = np.where(rows[:, None], update, np.nan)
        known = ~np.isnan(update)
        with np.errstate(invalid="ignore"):
            bad = update >= LARGE
            fatal = update >= 1.0
        lasting = longest(bad, known) >= LASTING
        if harm:
            lasting |= fatal.any(axis=0)
        if not lasting.any():
            return
        size = largest(update)
        order = sorted(np.flatnonzero(lasting), key=lambda c: -float(size[c]))
        ids = [view.layers[columns[c]] for c in order]
        c = int(order[0])
        worst = np.where(bad[:, c], update[:, c], np.nan)
        row = int(np.flatnonzero(bad[:, c])[0])
        last = int(np.flatnonzero(bad[:, c])[-1])
        cause = "EF703"
        yield self.finding(
            Severity.error if harm else Severity.warning,
            sites=ids,
            params=[view.run.params[w].name for i in ids for w in view.weights[i]],
            first=view.at(row),
            last=view.at(last),
            evidence={
                "update_ratio": float(median(worst)),
                "largest_update_ratio": float(size[c]),
                "readings": float(bad[:, c].sum()),
                "layers_affected": len(ids),
                "learning_rate": float(view.step("lr")[row]),
            },
            threshold={"update_ratio": LARGE},
            cause=cause,
            chain=(
                Link("cause", cause),
                Link(
                    "event", self.code, view.at(first_of_last_spell(bad[:, c], known[:, c])), ids[0]
                ),
            ),
        )
