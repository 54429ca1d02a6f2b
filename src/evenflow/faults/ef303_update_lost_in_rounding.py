"""EF303: updates smaller than the numbers that hold the weights can show."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .curve import harm_of, left_of
from .series import Bools, Floats, holds_at_end, largest, median, ratio
from .view import View

#: Half a unit in the last place, relative to the number, at least.
HALF_UNIT = {"bfloat16": 2.0**-9, "float16": 2.0**-12}
#: What is left of a step's length where nearly all of it is rounded away.
APPLIED = 0.3
#: Fewest readings; share of the run's largest rate from which on a step is one to count.
READINGS, EARNEST = 4, 0.1


class UpdateLostInRounding(Rule):
    """The weights are kept in bfloat16 or float16, and steps are too small for them to take.

    ## What it means
    Next to a weight of .1 the nearest bfloat16 numbers are .0005 away: a step of 1e-5 rounds back
    to the same weight, at every step anew. Only weights near zero still move.

    ## Why is this bad?
    Gradients are there, the optimizer works, and the network stays what it was. Lower rates, as
    fine-tuning and schedules have them, lose the more.

    ## How it is measured
    Of weight matrices in 16 bits: the length of the applied update against the one the optimizer
    asked for (SGD: rate times gradient; Adam and Lion: the rate, for each element), and the step
    asked for of an element against half a unit in the last place of a weight of usual size.
    Weights with a 32-bit copy behind them, stochastic rounding or compensated sums move
    by whole units now and then: their updates are longer than asked for, and never accused.

    ## Threshold
    The step is below half a unit (2^-9 of the weight in bfloat16, 2^-12 in float16) and less than
    .3 of its length arrives, over the later half of 4 readings or more; or less than a tenth of
    half a unit arrived in the last three. An error where half of all elements in 16 bits are so
    lost and 85 % of the loss is left, a warning where a quarter is or fewer elements are lost,
    else an info. A training that has converged is not judged.

    ## What to do
    Keep weights in float32 and let `torch.autocast` compute in bfloat16; or an optimizer that
    holds a 32-bit copy, rounds stochastically or sums with compensation.
    """

    code = "EF303"
    name = "update-lost-in-rounding"
    title = N_("Updates are lost in rounding")
    sentence = N_("Updates are too small for the numbers that hold the weights{at}")
    link = N_("updates rounded away")
    labels = (
        EvidenceLabel("applied", N_("part of the step that arrives"), "share"),
        EvidenceLabel("half_units", N_("size of a step (below 1 it rounds to nothing)")),
        EvidenceLabel("lost", N_("share of 16-bit weights so lost"), "share"),
    )
    stage = 8
    leads_to = ("EF104", "EF301", "EF401", "EF404", "EF802")
    remedies = (
        Remedy(
            "Keep the weights in float32 and compute in bfloat16: torch.autocast around forward "
            "and loss in place of model.bfloat16() or model.half()."
        ),
        Remedy(
            "Or use an optimizer that holds a 32-bit copy of the weights, rounds stochastically or "
            "sums with compensation."
        ),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        weights = {i for site in view.layers for i in view.weights[site]}
        ids = [
            p.id
            for p in view.run.params
            if p.id in weights and p.dtype in HALF_UNIT and p.optimizer >= 0 and p.trainable
        ]
        if not ids or view.foreseen or view.converged:
            return
        wanted = _wanted(view, ids)
        rate = view.step("lr")
        rows = view.sound & (rate > 0) & (rate >= EARNEST * float(largest(rate)))
        if rows.sum() < READINGS:
            return
        first, last = view.over(np.flatnonzero(rows))
        rows = _later(view, rows)
        applied = _arrived(view.param("update")[rows][:, ids], wanted[rows])
        half = np.array([HALF_UNIT[view.run.params[i].dtype] for i in ids])
        steps = median(ratio(wanted[rows], view.param("weight")[rows][:, ids])) / half
        lost = (applied < APPLIED) & (steps < 1) | _swallowed(view, ids, half) & (applied < 1)
        sizes = np.array([view.run.params[i].size for i in ids], dtype=np.float64)
        share = float(sizes[lost].sum() / sizes.sum())
        if not lost.any():
            return
        whose = {ids[k] for k in np.flatnonzero(lost)}
        left = left_of(view)
        yield self.finding(
            harm_of(view, left) if share >= 0.5 else Severity.warning,
            sites=[i for i in view.layers if whose.intersection(view.weights[i])][:8],
            params=[view.run.params[i].name for i in sorted(whose)],
            steps=(first, last),
            evidence={
                "applied": float(median(applied[lost])),
                "half_units": float(median(steps[lost])),
                "lost": share,
                "learning_rate": float(median(rate[rows])),
                "loss_left": left,
            },
            threshold={"applied": APPLIED, "half_units": 1.0},
        )


def _wanted(view: View, ids: list[int]) -> Floats:
    """[T, N] length of the step that the optimizer asked for; NaN where its kind is not known."""
    rate, grad = view.step("lr")[:, None], view.param("grad")[:, ids]
    out = np.full(grad.shape, np.nan)
    for k, i in enumerate(ids):
        p = view.run.params[i]
        name = view.class_of(p.optimizer).lower()
        if name.startswith("sgd"):
            out[:, k] = rate[:, 0] * grad[:, k]
        elif "adam" in name or "lion" in name:
            out[:, k] = np.where(grad[:, k] > 0, rate[:, 0] * np.sqrt(p.size), np.nan)
    return out


def _later(view: View, rows: Bools) -> Bools:
    """Of some rows those of the run's later half, the last few at least: a 32-bit copy starts at
    numbers that the weights can show, and at first gathers steps before any weight moves."""
    late: Bools = rows & (view.steps >= view.steps[rows][-1] / 2)
    late[np.flatnonzero(rows)[-READINGS:]] = True
    return late


def _arrived(update: Floats, wanted: Floats) -> Floats:
    """Root mean square of what arrived over that of what was asked for: a copy in 32 bits moves a
    few weights now and then, and each by much more than was asked for at that step."""
    both = np.isfinite(update) & (wanted > 0)
    sums = [np.where(both, x, 0.0) ** 2 for x in (update, wanted)]
    return np.sqrt(ratio(*(x.sum(axis=0) for x in sums)))


def _swallowed(view: View, ids: list[int], half: Floats) -> Bools:
    """Of each weight: less than a tenth of half a unit arrived at the end, gradients there. This
    holds of weights whose group has a rate of its own, too."""
    update = np.where(view.sound[:, None], view.relative_update, np.nan)[:, ids]
    grad = view.param("grad")[:, ids]
    known = ~np.isnan(update) & ~np.isnan(grad)
    return holds_at_end((update < half / 10) & (grad > 0), known, 3)
