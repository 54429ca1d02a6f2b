"""EF101: the gradient shrinks by decades on its way to the data, and layers stand still."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..schema import Finding, Link, Severity
from .base import Rule
from .profile import Profile, losses_by_kind
from .series import decades, first_of_last_spell, holds_at_end, median, ratio
from .view import View

#: Decades a gradient must have lost. AutoTrainer (ICSE 2021) draws the line at a ratio of 1e-3.
FALL = 3.0
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
    any layer nearer the loss; the fall is told in decades. It only counts where the update that
    the optimizer really applied is too small to move the layer in this run (Adam scales small
    gradients up until they are lost in its epsilon), and where there is loss still to win. For
    a cell unrolled over time, δ of the first call is compared with δ of the last.

    ## Threshold
    A fall of 3 decades, as AutoTrainer (ICSE 2021) has it, **and** an update so small that a
    thousand steps the same way, or the whole run if shorter, move the weights by less than
    0.1 % (1e-6 a step in runs of 1000 steps), held in the last three readings. Through time
    4 decades. Calibrated on the calibration half of the zoo (`benchmarks/diagnosis.py`).

    ## What to do
    Start with weights fit for the depth (orthogonal or He), use an activation of slope one
    around zero, normalise, or add residual connections. For sigmoid nets of great depth centre
    the pre-activations layer by layer (LSUV); Xavier alone does not save them. Through time,
    use LSTM or GRU cells with a forget bias of one.
    """

    code = "EF101"
    name = "vanishing-gradient"

    def check(self, view: View) -> Iterable[Finding]:
        if view.converged:
            return
        yield from self._through_depth(view)
        yield from self._through_time(view)

    def _through_depth(self, view: View) -> Iterable[Finding]:
        p = Profile(view)
        if len(set(p.weights)) < 3:
            return
        with np.errstate(invalid="ignore"):
            bad = p.still & (p.fall >= FALL)
        bad |= p.underflowed & (bad.any(axis=1, keepdims=True))
        held = holds_at_end(bad, p.known, 3)
        ids = [i for i, h in zip(view.layers, held, strict=True) if h]
        if not ids:
            return
        j = view.layers.index(ids[0])
        fall = median(np.where(view.late[:, None], p.fall, np.nan))[held]
        fall = fall[np.isfinite(fall)]
        worst = float(fall.max()) if len(fall) else float("nan")
        first = view.at(first_of_last_spell(bad[:, j], p.known[:, j]))
        cause = losses_by_kind(view, ids[0])
        severe = view.stuck or (len(ids) * 3 >= len(view.layers) and not view.loss.left < 0.5)
        yield self.finding(
            Severity.error if severe else Severity.warning,
            sites=ids,
            first=first,
            last=view.at(view.ruin - 1),
            evidence={
                "decades": worst,
                "update_ratio": float(median(p.update[view.late, j])),
                "layers_affected": len(ids),
                "layers": len(view.layers),
                "loss_left": view.loss.left,
            },
            threshold={"decades": FALL, "update_ratio": view.too_small},
            cause=cause,
            chain=(
                *((Link("cause", cause),) if cause else ()),
                Link("event", self.code, first, ids[0]),
                Link("end", "frozen", view.at(view.ruin - 1), ids[0]),
            ),
        )

    def _through_time(self, view: View) -> Iterable[Finding]:
        worst: tuple[float, tuple[int, ...], int] | None = None
        for ids in view.unrolled:
            delta = view.site("delta")[:, [ids[0], ids[-1]]]
            fall = -decades(ratio(delta[:, 0], delta[:, 1]))
            fall[~view.sound] = np.nan
            known = ~np.isnan(fall)
            with np.errstate(invalid="ignore"):
                bad = fall >= TIME_FALL
            if not holds_at_end(bad, known, 3):
                continue
            late = fall[view.late & np.isfinite(fall)]
            size = float(np.median(late)) if len(late) else float(np.inf)
            if worst is None or size > worst[0]:
                worst = (size, ids, first_of_last_spell(bad, known))
        if worst is None:
            return
        size, ids, row = worst
        yield self.finding(
            Severity.error if view.stuck else Severity.warning,
            sites=ids[:1],
            first=view.at(row),
            last=view.at(view.ruin - 1),
            evidence={"decades": size, "calls": len(ids), "loss_left": view.loss.left},
            threshold={"decades": TIME_FALL},
            cause="through-time",
            chain=(
                Link("cause", "through-time"),
                Link("event", self.code, view.at(row), ids[0]),
                Link("end", "frozen", view.at(view.ruin - 1), ids[0]),
            ),
        )
