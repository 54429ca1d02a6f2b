"""EF102: the gradient grows by decades on its way to the data, through time, or all at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .birth import DOUBT, Birth
from .causes import DEPTH_TIMES_WEIGHTS, THROUGH_TIME
from .curve import CREDIBLE, before_training
from .ef201_saturated_activation import moved
from .profile import Profile, growth
from .remedies import BRANCHES, CLIP, LOWER_RATE, SHORTER
from .series import first_of_last_spell, holds_at_end, largest, median
from .start import too_large
from .through_time import measured
from .view import View

#: Decades by which the gradient relative to the weights tops that of the layers near the loss.
GROWTH = 3.0
#: The same from the last time step to the first, where nothing is learned: the recurrent nets of
#: `benchmarks/trainability/recurrent.py` that learn gain 2.4 at most, those that fail 2.1 and more.
OVER_TIME = 2.0
#: A gradient ten times the weight itself: no healthy net of the zoo comes near.
VAST = 10.0
#: Decades by which the whole gradient jumps over its running median.
JUMP = 3.0


def _began(view: View, id: int, row: int, size: float) -> str:
    """What made the gradient grow by `size` decades between the loss and a layer: training, the
    weights it began with, or depth with weights as usual."""
    if row > 0:
        return "EF703" if moved(view, row) else ""
    on_the_way = view.descendants([id])
    return "EF602" if too_large(view, on_the_way, size) else "depth-times-weights"


#: Its sites, row, size in decades, cause, whether it is an error, and more evidence.
Explosion = tuple[list[int], int, float, str, bool, dict[str, float]]


class ExplodingGradient(Rule):
    """Layers near the data get a gradient decades larger than those near the loss.

    ## What it means
    The factors that δ meets on its way back are above one, and depth, or time in a recurrent
    net, multiplies them. Or one batch throws the gradient up by decades.

    ## Why is this bad?
    One step along such a gradient throws the weights far from where they were: units die, the
    loss jumps, and the next step may already be NaN.

    ## How it is measured
    ‖δ‖ of each layer is compared with that of the layers nearest the loss, of its own tower
    (networks with no path between them, or trained in turns, are not compared). Weights and
    gradients scale against each other, so δ alone proves nothing (many healthy tanh nets would be
    called exploding): ‖gradient‖ / ‖weight‖ must have grown as much, or be above 10 outright. For a
    cell unrolled over time, δ of the first call is compared with δ of the last; for a fused
    recurrent layer a probe measures the same off the training step. A jump is the
    norm of the whole gradient against the median of the readings before it. Each counts only
    where it does harm: the loss is stuck, has risen, or is lost to NaN.

    ## Threshold
    3 decades each, or 2 through depth where gradients are a hundred times the weights. Through
    time 2 where the loss is no better than guessing, or (a warning) began above three times that.
    AutoTrainer's ratio of 70 (1.8 decades) called 14 of 15 normal tanh nets exploding. On the
    zoo's calibration half healthy nets stay below 1.1 decades, sick ones are above 4.

    In a forecast (before any step) from three quarters of what EF604 allows on.

    ## What to do
    Clip the gradient's norm, start with smaller weights (gain near one), normalise, lower the
    learning rate. A gradient that explodes by structure needs another start, not clipping.
    """

    code = "EF102"
    name = "exploding-gradient"
    title = N_("Exploding gradient")
    sentence = N_("The gradient explodes{at}")
    link = N_("gradient exploded")
    labels = (
        EvidenceLabel("gradient_norm", N_("gradient norm")),
        EvidenceLabel("decades", N_("gradient larger than near the loss by"), "factor"),
    )
    stage = 190
    stage_if_sure = 170
    leads_to = (
        *("EF103", "EF301", "EF302", "EF202", "EF201", "EF206"),
        *("EF401", "EF402", "EF403", "EF703"),
    )
    remedies = (
        CLIP,
        Remedy(
            "Start with orthogonal, He or Xavier weights of the right gain, so that each "
            "layer passes the gradient on at its size.",
            unless=(Unless("he"), Unless("xavier")),
            by=("init=",),
        ),
        LOWER_RATE,
        Remedy(
            "Add residual connections that start at zero (ReZero) or scale each branch by "
            "1 / sqrt(number of blocks).",
            unless=(Unless("skips", BRANCHES),),
            by=("rezero",),
        ),
        Remedy(
            "Through time: orthogonal recurrent weights, gated cells (LSTM, GRU), shorter "
            "sequences.",
            unless=(Unless("-recurrent"), Unless("gated", SHORTER)),
        ),
        Remedy(
            "BatchNorm on a deep plain net makes gradients grow at each layer: take it "
            "out or add skips.",
            unless=(Unless("-batch_norm"), Unless("skips")),
        ),
    )
    causes = (DEPTH_TIMES_WEIGHTS, THROUGH_TIME)

    def check(self, view: View) -> Iterable[Finding]:
        if not view.layers or view.ruin == 0:
            return
        if view.foreseen:
            yield from self._foreseen(view)
            return
        found = _through_time(view) or _structural(view) or _fused(view) or _jump(view)
        if found is None:
            return
        ids, row, size, cause, severe, more = found
        yield self.finding(
            Severity.error if severe else Severity.warning,
            sites=ids,
            steps=view.over([row, max(view.ruin - 1, 0) if severe else row]),
            evidence={
                "decades": size,
                "gradient_norm": float(view.step("grad_norm")[row]),
                **more,
                "loss_left": view.loss.left,
            },
            threshold={"decades": OVER_TIME if size < GROWTH else GROWTH},
            cause=cause,
        )

    def _foreseen(self, view: View) -> Iterable[Finding]:
        """Before the first step: where growth puts learning in doubt and the gradient shares it."""
        b, p = view.once(Birth), view.once(Profile)
        worst = b.time.worst
        if worst is not None and worst.strain >= DOUBT:
            yield self.finding(
                Severity.error if worst.strain >= 1 else Severity.warning,
                sites=(worst.site,),
                steps=view.over([0]),
                evidence={
                    "decades": worst.gained,
                    "calls": worst.steps,
                    "decades_grown": worst.size,
                    "decades_chaos": worst.chaos,
                    "strain": worst.strain,
                },
                threshold={"strain": 1.0 if worst.strain >= 1 else DOUBT},
                cause="through-time",
            )
            return
        if b.depth < 2 or not b.grown[-1] >= DOUBT:
            return
        grown = growth(p.delta, p.towers)[0]
        bad = np.isfinite(grown) & (grown >= GROWTH) & (p.peers >= 3)
        ids = [i for i, x in zip(p.layers, bad, strict=True) if x]
        if ids:
            yield self.finding(
                Severity.error if b.grown[-1] >= 1 else Severity.warning,
                sites=ids,
                steps=view.over([0]),
                evidence={"decades": float(grown[bad].max()), "layers_affected": len(ids)},
                threshold={"decades": GROWTH},
            )


def _structural(view: View) -> Explosion | None:
    p = view.once(Profile)
    if not view.harmed:
        return None
    grown, relative = growth(p.delta, p.towers), growth(p.gradient, p.towers)
    grown[:, p.peers < 3] = np.nan
    known = ~np.isnan(grown)
    # weights may make up for delta, so that it alone proves nothing
    bad = (grown >= GROWTH) & ((relative >= GROWTH) | (p.gradient >= VAST))
    bad |= (grown >= GROWTH - 1) & (p.gradient >= 10 * VAST)
    if view.ruined:  # it may all be over after a step or two: what was seen must do
        held = bad.any(axis=0) & (bad.sum(axis=0) * 2 >= known.sum(axis=0))
    else:
        held = holds_at_end(bad, known, 3)
    if not held.any():
        return None
    ids = [i for i, h in zip(p.layers, held, strict=True) if h]
    j = p.layers.index(ids[0])
    row = first_of_last_spell(bad[:, j], known[:, j])
    size = float(largest(median(np.where(bad[:, held], grown[:, held], np.nan))))
    cause = _began(view, ids[0], row, size) if known[0, j] else ""
    return ids, row, size, cause, True, {"layers_affected": len(ids)}


def _through_time(view: View) -> Explosion | None:
    """From the last time step to the first: of a cell δ by call, of a fused layer the probe."""
    guess = view.loss.chance if view.loss.classifies else np.nan
    for site, calls, grown, _last_alone in measured(view):
        grown = np.where(view.sound, grown, np.nan)
        known = np.isfinite(grown)
        if not known.any():
            continue
        # where nothing is learned two decades speak: no start that learns has them
        limit = OVER_TIME if view.harmed else GROWTH
        bad = grown >= limit
        begun = grown[known][0] >= OVER_TIME and before_training(view) > CREDIBLE * guess
        often = bad.sum() * 2 >= known.sum()
        if begun or (often and (view.harmed or holds_at_end(bad, known, 3))):
            bad |= known & (grown >= OVER_TIME) if begun else bad
            row = int(np.flatnonzero(bad)[0])
            size = float(np.median(grown[bad]))
            severe = view.harmed or not begun
            return [site], row, size, "through-time", severe, {"calls": calls}
    return None


def _fused(view: View) -> Explosion | None:
    """A fused recurrent layer hides its time steps; its own gradient tells."""
    p = view.once(Profile)
    fused = np.array([view.sites[i].kind == "recurrent" for i in p.layers], dtype=np.bool_)
    if not fused.any() or fused.all():
        return None
    grown = growth(p.gradient, p.towers)
    bad = (grown >= GROWTH) & (p.gradient >= VAST) & fused
    if not bad.any():
        return None
    j = int(np.flatnonzero(bad.any(axis=0))[0])
    row = int(np.flatnonzero(bad[:, j])[0])
    size = float(largest(grown[bad[:, j], j]))
    return [p.layers[j]], row, size, "through-time", view.harmed, {}


def _jump(view: View) -> Explosion | None:
    norm = np.where(view.sound, view.step("grad_norm"), np.nan)
    rows = np.flatnonzero(np.isfinite(norm) & (norm > 0))
    if len(rows) < 4 or view.unmeasured:
        return None
    sizes = np.log10(norm[rows])
    calm = np.full(len(sizes), np.median(sizes))
    calm[:64] = [np.median(sizes[: max(k, 1)]) for k in range(len(calm[:64]))]
    jump = sizes - calm
    k = int(np.argmax(jump))
    if k < 2 or jump[k] < JUMP:
        return None
    row = int(rows[k])
    relative = view.by_layer(view.relative_gradient)[row]
    order = [view.layers[j] for j in np.argsort(-np.nan_to_num(relative))[:3]]
    return order, row, float(jump[k]), "", view.harmed, {}
