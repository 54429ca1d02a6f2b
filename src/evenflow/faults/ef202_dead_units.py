"""EF202: units that no gradient has reached in any batch of the window."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import by_key
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .causes import NEGATIVE_BIAS
from .ef201_saturated_activation import hidden, moved
from .remedies import LOWER_RATE, STANDARDISE, WARM_UP, ZERO_BIAS_AND_HE
from .series import Floats, earliest, first_of_last_spell, holds_at_end, median
from .view import View

#: Share of a layer's units. Training itself kills up to a third of a wide ReLU layer unharmed.
SHARE = 0.5
#: Share of zeros at which a whole layer is off.
ALL = 0.999
#: Batches that the window must hold before a unit may be called dead.
BATCHES = 8


class DeadUnits(Rule):
    """Units of a rectifier are off for every input, so they can never learn again.

    ## What it means
    A ReLU unit whose pre-activation is negative for every example gives zero and gets zero: no
    gradient, no update, no way back. A unit that is merely often off is not dead.

    ## Why is this bad?
    Dead units are width that was paid for and lost. A layer that is wholly dead cuts everything
    before it off from the loss.

    ## How it is measured
    Per unit: has any gradient reached it in any of the last batches (at most 64)? The share of
    units for which the answer is no; all of them where every output of the layer is zero for
    the whole batch, reading after reading. Of a layer called several times the least share of
    any call counts: a unit that lives in one is not dead. Of several layers those come first
    whose own output is zero: layers behind a dead one lose their gradient without being dead
    themselves.

    ## Threshold
    Half of a layer's units (BTTackler, KDD 2024, and SageMaker Debugger draw the line there)
    over at least 8 observed batches, in the last three readings. An error where a layer has
    lost 90 % and the loss is stuck, or has lost all. By unit and window, not by share of zeros:
    DeepDiagnosis calls 68 of 188 normal models dead for their zeros. Calibrated on the
    calibration half of the zoo.

    ## What to do
    Lower the learning rate, scale the inputs, start biases at zero or slightly above; LeakyReLU,
    GELU or SiLU cannot die for good. Dead units can be revived (ReDo: new incoming weights,
    zero outgoing ones).
    """

    code = "EF202"
    name = "dead-units"
    title = N_("Dead units")
    sentence = N_("Units are dead{at}")
    means = N_("no gradient reaches them any more")
    link = N_("units dead")
    labels = (EvidenceLabel("zeros", N_("share of outputs that are 0"), "share"),)
    stage = 240
    leads_to = ("EF101", "EF104", "EF205", "EF401", "EF404")
    leads_as_error = True  # only a layer that is wholly dead keeps the signal from passing
    remedies = (
        Remedy(
            LOWER_RATE.text,
            then=WARM_UP.text,
            by=(
                "lr=x0.",
                "warmup",
            ),
        ),
        ZERO_BIAS_AND_HE,
        Remedy(
            "Swap ReLU for LeakyReLU, ELU, GELU or SiLU, so that no unit is ever wholly off.",
            unless=(Unless("-relu -relu6"),),
            by=("activation=",),
        ),
        STANDARDISE,
        Remedy(
            "Revive the dead units: draw their incoming weights anew, set their bias and "
            "outgoing weights to zero, clear their optimizer state.",
            by=("revive",),
        ),
    )
    causes = (NEGATIVE_BIAS,)

    def check(self, view: View) -> Iterable[Finding]:
        dead = view.while_sound("dead")
        observed, zeros = view.site("observed"), view.site("zeros")
        # the window reaches back to when they were alive; a layer that is all zeros is not
        dead = np.where(~np.isnan(dead) & (zeros >= ALL), np.fmax(dead, zeros), dead)
        known = ~np.isnan(dead) & ~((observed < BATCHES) & ~(zeros >= ALL))
        dead = _by_place(view, dead)
        bad = dead >= SHARE
        needed = 3 if len(dead) >= 6 else 2
        # a layer behind a dead one is not as often zero itself as its units are dead
        own = view.recent("zeros")
        off = np.isnan(own) | (own >= 0.9 * view.recent("dead"))
        held = holds_at_end(bad, known, needed) & hidden(view)
        late = median(np.where(known, dead, np.nan)[view.late])
        ids = [int(i) for i in np.flatnonzero(held & off)]
        if not ids:
            return
        ids.sort(key=lambda i: (-round(float(late[i]), 1), view.depth[i], i))
        top = ids[0]
        row = first_of_last_spell(bad[:, top], known[:, top])
        share = float(np.nan_to_num(late[top], nan=float(dead[known[:, top], top][-1])))
        cause = _cause(view, top, row)
        severe = share >= 0.999 or (share >= 0.9 and view.stuck)
        yield self.finding(
            Severity.error if severe else Severity.warning,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "dead": share,
                "batches": float(observed[known[:, top], top][-1]),
                "zeros": float(own[top]),
                "sites_affected": len(ids),
                "loss_left": view.loss.left,
            },
            threshold={"dead": SHARE},
            cause=cause,
            cause_at=top,
            then=(Link("end", "dead", view.at(view.ruin - 1), top),) if severe else (),
        )


def _by_place(view: View, dead: Floats) -> Floats:
    """[T, S] the least share over the calls of one place: what lives in any call is not dead.

    An agent's seventh act always sees much the same state, and most units may be off in it.
    """
    ids = map(int, np.flatnonzero(np.isfinite(dead).any(axis=0)))
    places = by_key(ids, lambda i: view.sites[i].place)
    out = dead.copy()
    for calls in places.values():
        least = np.fmin.reduce(dead[:, calls], axis=1)[:, None]
        out[:, calls] = np.where(np.isnan(dead[:, calls]), np.nan, least)
    return out


def _cause(view: View, site: int, row: int) -> str:
    """Dead from birth: by a bias below zero; later: by updates that went too far."""
    born_off = earliest(view.site("zeros")[:, site]) >= 0.9
    if born_off and fed_negative(view, site, min(row, 3) + 1):
        return "negative-bias"
    return "EF703" if moved(view, row, 0.3) else ""


def fed_negative(view: View, site: int, rows: int) -> bool:
    """Whether a layer gave it values all but one-sided, below zero, at first."""
    mean, rms = (median(view.site(m)[:rows]) for m in ("mean", "rms"))
    before = [i for i in view.parents(site) if view.weights[i]]
    return any(mean[i] < 0 and -mean[i] > 0.8 * rms[i] for i in before)
