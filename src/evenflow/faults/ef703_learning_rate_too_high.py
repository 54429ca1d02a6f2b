"""EF703: updates are so large that they undo what they are meant to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .curve import goal
from .ef201_saturated_activation import SHARE, born, hidden
from .remedies import CLIP, LOWER_RATE, WARM_UP
from .series import Bools, Floats, grouped, largest, median
from .view import View

#: Relative update of half of the layers in one step: the weights are thrown away, not adjusted.
WILD = 0.5
#: Relative update of one layer that replaces it outright.
THROWN = 1.0
#: Step after step.
LASTING = 0.1
#: The loss climbs to this many times the start's.
CLIMB = 2.0
#: A rate that was raised between two readings (another optimizer, a schedule).
RAISED = 2.0
#: Share of the loss of guessing that is left where updates last too large.
LEFT = 0.5


class Harm(NamedTuple):
    """What became of the loss, and from which step; kind "" where nothing did."""

    kind: str
    step: int
    size: float


class LearningRateTooHigh(Rule):
    """Updates replace a good part of the weights, and the loss pays for it.

    ## What it means
    An update is right to first order only: past a certain size the loss it was to lower rises.
    A learning rate that high throws weights away each step, all layers alike.

    ## Why is this bad?
    The loss climbs or swings; units die or saturate and do not come back; at worst NaN.

    ## How it is measured
    The relative update ‖Δw‖ / ‖w‖ as the optimizer applied it, median over the layers with
    weights (those that start at zero are left out until they have grown), together with what
    the loss did: a climb above the start, NaN, or no way down. Large updates that did no harm
    are not flagged: Adam on narrow layers begins with a tenth. A first step that is too large
    because gradients explode through depth is named EF102 as well, which then is the cause.

    ## Threshold
    Median layer above 0.5 in one step (or any layer above 1, where activations that began in their
    slopes end saturated by half) and the loss twice the start's afterwards, or stuck, or
    NaN; or above 0.1 in three readings running (DeepDiagnosis, TheDeepChecker: 0.1) with a climb,
    or to the end with half of the loss left. Error where little was won, warning otherwise.
    Calibrated on the calibration half of the zoo.

    ## What to do
    Lower the learning rate by 10, then by 3; warm it up; clip the gradient by norm.
    """

    code = "EF703"
    name = "learning-rate-too-high"
    title = N_("Learning rate too high")
    sentence = N_("The learning rate is too high{at}")
    as_cause = N_("learning rate too high")
    placed_as = ()
    labels = (EvidenceLabel("loss_climb", N_("climb of the loss, times the start's")),)
    points_at = "optimizer"
    stage = 180
    leads_to = (
        *("EF101", "EF102", "EF103", "EF104"),
        *("EF201", "EF202", "EF203", "EF204", "EF205", "EF206", "EF208", "EF302"),
        *("EF401", "EF402", "EF403"),
    )
    remedies = (
        LOWER_RATE,
        WARM_UP,
        CLIP,
        Remedy(
            "Standardise inputs and targets: large ones make the same rate too high.",
            unless=(Unless("scaled"),),
        ),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        layers = [ids[0] for ids in view.calls.values()]
        rows = np.flatnonzero(view.sound | (np.arange(len(view.steps)) <= view.ruin))
        if not layers or len(rows) == 0 or len(view.loss.finite) < 2 or view.unmeasured:
            return
        update = _grown(grouped(view.relative_update, list(view.calls)))
        typical = median(update, axis=1)
        known = ~np.isnan(typical)
        wild = typical > WILD
        large = typical > LASTING
        wild |= _thrown(view, update)
        lasting = _runs_of_three(large, known)
        if not (wild.any() or lasting.any()):
            return
        bad = wild | lasting
        row = int(np.flatnonzero(bad)[0])
        harm = _harm(view, _since(view, row))
        # a word model has most of ln V left for long: only updates large to the end say why
        if not harm.kind or (harm.kind == "left" and not (lasting & view.late).any()):
            return
        top = largest(update[: row + 1])
        order = np.argsort(-np.nan_to_num(top))
        aim = goal(view)
        poor = view.ruined or view.stuck or aim.left > LEFT or view.loss.fallen < LEFT
        first, last = min(view.at(row), harm.step), view.at(int(np.flatnonzero(bad)[-1]))
        limit = WILD if wild.any() else LASTING
        yield self.finding(
            Severity.error if poor else Severity.warning,
            sites=[layers[c] for c in order[:8]],
            steps=(first, last),
            evidence={
                "update_ratio": float(np.nanmax(np.where(bad, typical, np.nan))),
                "loss_climb": harm.size,
                "learning_rate": float(view.step("lr")[row]),
                "loss_left": aim.left,
                "readings": float(bad.sum()),
            },
            threshold={"update_ratio": limit, "loss_climb": CLIMB}
            if harm.kind == "climb"
            else {"update_ratio": limit},
            chain=(
                Link("cause", self.code, first),
                *((Link("event", "EF402", harm.step),) if harm.kind == "climb" else ()),
                *((Link("end", "non-finite", harm.step),) if harm.kind == "ruin" else ()),
                *((Link("end", "EF401", last),) if harm.kind == "stuck" else ()),
            ),
        )


def _thrown(view: View, update: Floats) -> Bools:
    """[T] rows where one layer was replaced outright in a run whose activations were in their
    slopes at birth and are saturated by half ever after: paralysed by the updates."""
    share = view.site("saturated")
    late = median(share[view.late]) >= SHARE
    out = largest(update, axis=1) > THROWN
    caught = late & hidden(view)
    if not caught.any() or any(born(view, int(i)) for i in np.flatnonzero(caught)):
        out[:] = False
    return np.asarray(out)


def _grown(update: Floats) -> Floats:
    """Relative updates without those of layers that began at (nearly) zero: ratio 1 is their
    nature in the first steps."""
    out = update.copy()
    if len(out):
        # weights of zero have no ratio at the first reading, and about 1 at the next
        born_zero = np.isnan(out[0]) & (np.abs(out[1:3] - 1) < 0.5).any(axis=0)
        out[:, born_zero] = np.nan
    return out


def _runs_of_three(bad: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[T] rows that belong to three or more bad known rows running."""
    out = np.zeros(len(bad), dtype=np.bool_)
    rows = np.flatnonzero(known)
    for i in range(len(rows) - 2):
        if bad[rows[i : i + 3]].all():
            out[rows[i : i + 3]] = True
    return out


def _since(view: View, row: int) -> int:
    """The step after which the loss may pay for updates that were first seen at this reading: where
    the rate was raised since the reading before, steps that were not sampled had it, too."""
    rate = view.step("lr")
    raised = row > 0 and rate[row] > RAISED * rate[row - 1]
    return view.at(row - 1) if raised else view.at(row)


def _harm(view: View, since: int) -> Harm:
    """The worst that the loss did after a step: "ruin", "climb", "stuck", "left", or ""."""
    loss = view.loss
    y, steps = loss.values, loss.steps
    after = steps > since
    start = float(y[np.isfinite(y)][0])
    finite = np.where(np.isfinite(y) & after, y, -np.inf)
    peak = int(np.argmax(finite)) if after.any() else -1
    climb = float("nan")
    if peak >= 0 and np.isfinite(finite[peak]):
        climb = (finite[peak] - start) / max(abs(start), 1e-30) + 1
    broken = np.flatnonzero(~np.isfinite(y))
    if len(broken) and not np.isfinite(y[-1]):
        return Harm("ruin", int(steps[broken[0]]), climb)
    if climb > CLIMB:
        above = np.flatnonzero(finite > start + (CLIMB - 1) * abs(start))
        return Harm("climb", int(steps[above[0]]), climb)
    aim = goal(view)
    if aim.left > 0.9 or (not aim.known and loss.fallen < 0.05):
        return Harm("stuck", int(steps[-1]), climb)
    if aim.left > LEFT:
        return Harm("left", int(steps[-1]), climb)
    return Harm("", since, climb)
