"""EF103: NaN or infinity in the loss, the gradients or the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule, Unless
from .origin import Spread
from .remedies import LOWER_RATE_AND_CLIP
from .series import Bools, Floats, Ints, decades, earliest, ratio
from .view import View

#: Decades that the loss, an output, an error or a weight must have grown by before, for an
#: explosion to be a cause of NaN.
GROWN = 1.0
#: Causes that a rule of the explosion may take the place of; all others were seen.
UNKNOWN = "origin-unknown"
_BACKWARD = ("non-finite-slope", "non-finite-update")


class NonFiniteOrigin(NamedTuple):
    """Where it arose, as far as that was seen: the row, or the guard's step."""

    step: int
    cause: str
    sites: tuple[int, ...] = ()
    params: tuple[str, ...] = ()


class NonFinite(Rule):
    """A number became NaN or infinite, and it reached the loss or a gradient.

    ## What it means
    Some operation got finite numbers and gave back NaN or infinity: an overflow, a logarithm of
    zero, a division by zero, a root at zero (whose slope is infinite). Everything that depends
    on it is lost, and after one update so are the weights.

    ## Why is this bad?
    Weights that are NaN stay NaN. The training goes on at full cost and learns nothing.

    ## How it is measured
    NaN and infinite elements are counted at every site, forward and backward, in gradients,
    weights and updates, and the loss is looked at on every step. Named is the first operation
    whose inputs were finite and whose output was not (operations without gradients and casts to
    half precision included); where all outputs were finite, the one that was sent a finite layer
    error and sent on another (a root at zero, a division behind a mask); where the gradients were
    finite too, the update itself. Where NaN arose between two sampled steps it is said that the
    origin is not known: `on_nonfinite="report"` (`evenflow run --on-nonfinite report`) looks at
    every step and finds it by a replay. An infinite value that neither the loss nor a gradient
    ever sees (a mask of -inf before a softmax) is no fault, nor is an update that a GradScaler
    skipped while it sought its scale. An explosion is said to be the cause only where the loss,
    an output, an error or a weight had grown tenfold before. On a GPU an operation without
    gradients is seen only if it is one of those that fail easily (log, division, root, ...).

    ## Threshold
    One element. An error if the run ends in it, a warning if it passed. No calibration needed.

    ## What to do
    Look at the named operation: add an epsilon inside roots, logarithms and divisions, subtract
    the maximum before an exponential (log_softmax does), lower the learning rate or clip if an
    exploding gradient came before, use bfloat16 instead of float16, mend the data if NaN came in.
    """

    code = "EF103"
    name = "non-finite"
    title = N_("NaN or infinity")
    sentence = N_("NaN or infinity appears{at}")
    as_cause = N_("not finite")
    link = N_("NaN or infinity")
    labels = (
        EvidenceLabel("growth", N_("growth before that"), "change"),
        EvidenceLabel("origin_seen", N_("origin seen")),
        EvidenceLabel("forward", N_("forward")),
        EvidenceLabel("nonfinite", N_("values that are NaN or infinite: at least"), fact=True),
    )
    points_at = "calls"
    stage = 320
    leads_to = ("EF402", "EF401")
    is_end = True
    remedies = (
        Remedy(
            "Look at the first place named: an input, a log or division near zero, or an overflow."
        ),
        LOWER_RATE_AND_CLIP,
        Remedy("Under float16 use a GradScaler, or switch to bfloat16.", unless=(Unless("-half"),)),
        Remedy(
            "Where the update made it: a larger eps (1e-4 for Adam on float16 weights), "
            "or float32 weights with autocast."
        ),
        Remedy(
            "Use the fused, stable losses (cross_entropy, "
            "binary_cross_entropy_with_logits) on raw scores; add a small epsilon inside "
            "log, sqrt and division."
        ),
    )
    causes = (
        Cause("operation", N_("the operation itself: its inputs were finite"), sure=True),
        Cause(
            "origin-unknown",
            N_(
                "not known, as it arose between two sampled steps; on_nonfinite='report' "
                "(evenflow run --on-nonfinite report) finds the operation"
            ),
            sure=True,
        ),
        Cause(
            "non-finite-slope",
            N_(
                "its derivative, infinite or not defined there (the output is finite, or a "
                "mask hides it)"
            ),
            sure=True,
        ),
        Cause(
            "non-finite-update",
            N_(
                "the update itself, of finite weights and gradients: look at the optimizer's "
                "epsilon and rate in this number format"
            ),
            sure=True,
        ),
        Cause(
            "non-finite-loss",
            N_("what is worked out of the model's output, which was finite"),
            sure=True,
        ),
        Cause(
            "weights-not-finite",
            N_("weights that were not finite before the first update"),
            sure=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        bad_rows, loss_steps = _bad(view)
        guard = [e.step for e in view.run.events if e.kind == "nonfinite"]
        steps = [*(view.at(int(r)) for r in np.flatnonzero(bad_rows)), *loss_steps, *guard]
        if not steps:
            return
        first, last = min(steps), max(steps)
        found = _origin(view, bad_rows, first)
        curve = view.loss.values
        ends = view.ruined or (len(curve) > 0 and not np.isfinite(curve[-1]))
        cause, place = found.cause, found.sites[0] if found.sites else None
        if cause in ("operation", UNKNOWN) and _growth(view, found.step) >= GROWN:
            cause = ""  # whatever made it grow may be the cause
        yield self.finding(
            Severity.error if ends else Severity.warning,
            sites=found.sites,
            params=found.params,
            steps=(first, last),
            evidence={
                "nonfinite": _count(view, found),
                "steps_affected": float(len(set(steps))),
                "forward": float(found.cause not in (UNKNOWN, *_BACKWARD)),
                "origin_seen": float(found.cause != UNKNOWN),
                "growth": _growth(view, found.step),
            },
            threshold={"nonfinite": 1.0},
            cause=cause,
            chain=(
                *((Link("cause", cause, first, place),) if cause == "EF503" else ()),
                Link("event", self.code, first, place),
                *((Link("end", "non-finite", last),) if ends and cause == "EF503" else ()),
            )
            if cause in ("", "EF503")
            else (),
        )


def _bad(view: View) -> tuple[Bools, list[int]]:
    """Rows where a gradient or a loss was not finite, and steps whose loss was not."""
    bad = (view.site("delta_nonfinite") > 0).any(axis=1) | (view.step("grad_nonfinite") > 0)
    bad |= np.isinf(view.param("grad_absmax")).any(axis=1)
    bad &= np.isnan(view.step("scale"))  # a GradScaler overflows on purpose while it seeks its own
    # weights that are infinite by design (a learnt mask) are no update's fault
    still = np.nan_to_num(view.step("weight_nonfinite")) == 0
    bad |= (view.step("update_nonfinite") > 0) & still
    lost = view.site("nonfinite") > 0
    bad |= lost[:, list(view.losses)].any(axis=1)
    # infinity alone is a choice masked out, unless the loss or a gradient is lost to it
    bad |= (lost & ~np.isinf(view.site("rms")))[:, list(view.predictions)].any(axis=1)
    kept = len(view.run.curve_steps) > 0
    return bad, [int(s) for s in _losses_lost(view)[:10_000]] if kept else []


def _origin(view: View, bad: Bools, first: int) -> NonFiniteOrigin:
    """The earliest origin that was seen; one with a place before one without."""
    found = [*_guarded(view), *(_at_row(view, int(r), bad) for r in np.flatnonzero(bad)[:200])]
    seen = (o for o in found if o.cause != UNKNOWN)
    unknown = NonFiniteOrigin(first, UNKNOWN)
    return min(seen, key=lambda o: (not o.sites, o.step), default=unknown)


def _guarded(view: View) -> Iterable[NonFiniteOrigin]:
    """What the guard found by its replays."""
    causes = {"backward": "non-finite-slope", "update": "non-finite-update"}
    for event in view.run.events:
        if event.kind != "nonfinite":
            continue
        where, site = event.detail.get("where"), event.detail.get("site")
        sites = (site,) if isinstance(site, int) and 0 <= site < len(view.sites) else ()
        params = event.detail.get("params")
        names = tuple(p for p in params if isinstance(p, str)) if isinstance(params, list) else ()
        if where == "update":
            yield NonFiniteOrigin(event.step - 1, "non-finite-update", view.reading(names), names)
        elif where == "weights":
            yield NonFiniteOrigin(event.step, "weights-not-finite", view.reading(names), names)
        elif where == "loss" and not sites:
            yield NonFiniteOrigin(event.step, "non-finite-loss")
        elif where == "input" or (sites and view.sites[sites[0]].kind == "input"):
            yield NonFiniteOrigin(event.step, "EF503", sites)
        elif sites:
            yield NonFiniteOrigin(event.step, causes.get(str(where), "operation"), sites)


def _at_row(view: View, row: int, bad: Bools) -> NonFiniteOrigin:
    """What one sampled step tells. Weights that were lost already make all else their doing."""
    step = view.at(row)

    def named(metric: str) -> tuple[str, ...]:
        count = view.param(metric)[row]
        return tuple(p.name for p in view.run.params if count[p.id] > 0)

    if view.step("weight_nonfinite")[row] > 0:
        if row == 0 and step == 0:
            names = named("weight_nonfinite")
            return NonFiniteOrigin(step, "weights-not-finite", view.reading(names), names)
        return NonFiniteOrigin(step, UNKNOWN)
    count, rms = view.site("nonfinite"), view.site("rms")
    sound = ~bad & ~np.isin(view.steps, _losses_lost(view))
    usual = np.asarray((np.isinf(rms) & (count > 0))[sound].any(axis=0))
    spread = Spread(view.sites, count[row], rms[row], usual)
    site = spread.forward()
    if site is not None:
        data = view.sites[site].kind == "input"
        return NonFiniteOrigin(step, "EF503" if data else "operation", (site,))
    site = spread.backward(view.site("delta_nonfinite")[row])
    if site is not None:
        return NonFiniteOrigin(step, "non-finite-slope", (site,))
    # every layer error was finite: the slope by the parameter was not
    if names := named("grad_nonfinite"):
        return NonFiniteOrigin(step, "non-finite-slope", view.reading(names), names)
    if (view.step("grad_nonfinite")[row] > 0) < (view.step("update_nonfinite")[row] > 0):
        names = named("update_nonfinite")
        return NonFiniteOrigin(step, "non-finite-update", view.reading(names), names)
    return NonFiniteOrigin(step, UNKNOWN)  # on a device the parameters are counted, and not named


def _losses_lost(view: View) -> Ints:
    """Steps whose loss was not finite."""
    return view.loss.steps[~np.isfinite(view.loss.values)]


def _count(view: View, found: NonFiniteOrigin) -> float:
    """Elements that were not finite where and when it arose: at least so many."""
    rows = np.flatnonzero(view.steps == found.step)
    if not found.sites or not len(rows):
        return 1.0
    site = found.sites[0]
    counts = [view.site("nonfinite")[rows[0], site]]
    if found.cause == "non-finite-slope":  # what it has sent on
        counts = [view.site("delta_nonfinite")[rows[0], i] for i in view.parents(site)]
    return max([1.0, *(float(c) for c in counts if c > 0)])


def _growth(view: View, step: int) -> float:
    """Decades by which anything had grown since the first reading when it arose (0: nothing)."""
    upto = view.steps <= step
    most = [_grown(view.site(m)[upto]) for m in ("rms", "delta")]
    most += [_grown(view.param(m)[upto]) for m in ("weight", "grad")]
    curve = view.loss
    most.append(_grown(np.asarray(curve.values)[curve.steps <= step, None]))
    return max(most)


def _grown(m: Floats) -> float:
    """Decades between the first finite value of a column and a later one, at most."""
    if len(m) < 2:
        return 0.0
    size = np.where(np.isfinite(m) & (m != 0), np.abs(m), np.nan)
    up = decades(ratio(size, earliest(size)))
    return float(np.nan_to_num(up, nan=0.0, posinf=0.0, neginf=0.0).max(initial=0.0))
