"""EF103: NaN or infinity in the loss, the gradients or the weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..schema import Event, Finding, Link, Severity
from .base import Rule
from .series import Bools, latest
from .view import View

#: Operations that make infinity or NaN of finite numbers that are not even large.
FRAGILE = frozenset(
    {
        *("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "div", "truediv", "reciprocal"),
        *("exp", "pow", "acos", "asin", "atanh", "norm", "std", "var", "cdist"),
    }
)


class NonFinite(Rule):
    """A number became NaN or infinite, and it reached the loss or a gradient.

    ## What it means
    Some operation got finite numbers and gave back NaN or infinity: an overflow, a logarithm of
    zero, a division by zero, a root at zero (whose slope is infinite). Everything that depends
    on it is lost, and after one update so are the weights.

    ## Why is this bad?
    Weights that are NaN stay NaN. The training goes on at full cost and learns nothing.

    ## How it is measured
    NaN and infinite elements are counted at every site, forward and backward, and the loss is
    looked at on every step. The site named first is the first in forward order whose inputs
    were finite while its output was not; where the forward was finite, the site nearest the
    loss at which the layer error was not. Where the reading came too late for that (the weights
    are NaN already), the operations are named that could have made it, and the evidence says
    `origin_seen` 0: `on_nonfinite="report"` finds the true origin by replay. An infinite value
    that neither the loss nor a gradient ever sees (a mask of -inf before a softmax) is no fault,
    nor is an update that a GradScaler skipped while it sought its scale.

    ## Threshold
    One element. An error if the run ends in it, a warning if it passed. No calibration needed.

    ## What to do
    Look at the named operation: add an epsilon inside roots, logarithms and divisions, subtract
    the maximum before an exponential (log_softmax does), lower the learning rate or clip if an
    exploding gradient came before, use bfloat16 instead of float16, mend the data if NaN came in.
    """

    code = "EF103"
    name = "non-finite"

    def check(self, view: View) -> Iterable[Finding]:
        bad_rows, loss_steps = _bad(view)
        guard = [e for e in view.run.events if e.kind == "nonfinite"]
        steps = [*(view.at(int(r)) for r in np.flatnonzero(bad_rows)), *loss_steps]
        steps += [e.step for e in guard]
        if not steps:
            return
        first, last = min(steps), max(steps)
        sites, forward, seen = _origin(view, bad_rows, guard, first)
        site = sites[0] if sites else -1
        count = view.site("nonfinite")
        row = int(np.flatnonzero(bad_rows)[0]) if bad_rows.any() else -1
        curve = view.loss.values
        ends = view.ruined or (len(curve) > 0 and not np.isfinite(curve[-1]))
        evidence = {
            "nonfinite": float(np.nan_to_num(count[row, site])) if site >= 0 and row >= 0 else 1.0,
            "steps_affected": float(len(set(steps))),
            "forward": float(forward),
            "origin_seen": float(seen),
        }
        if evidence["nonfinite"] == 0:  # it arose in the backward: count there
            evidence["nonfinite"] = float(np.nan_to_num(view.site("delta_nonfinite")[row, site]))
        evidence["nonfinite"] = max(evidence["nonfinite"], 1.0)
        cause = "EF503" if site >= 0 and view.sites[site].kind == "input" else ""
        place = site if site >= 0 else None
        yield self.finding(
            Severity.error if ends else Severity.warning,
            sites=sites,
            first=first,
            last=last,
            evidence=evidence,
            threshold={"nonfinite": 1.0},
            cause=cause,
            chain=(
                *((Link("cause", cause, first, place),) if cause else ()),
                Link("event", self.code, first, place),
                *((Link("end", "non-finite", last),) if ends else ()),
            ),
        )


def _bad(view: View) -> tuple[Bools, list[int]]:
    """Rows where a gradient or a loss was not finite, and steps whose loss was not."""
    bad = np.zeros(len(view.steps), dtype=np.bool_)
    scaled = ~np.isnan(view.step("scale"))
    m = view.site("delta_nonfinite")
    if m.size:
        # a GradScaler overflows on purpose while it seeks its scale
        bad |= (np.nan_to_num(m) > 0).any(axis=1) & ~scaled
    grads = view.param("grad_absmax")
    if grads.size:
        bad |= np.isinf(grads).any(axis=1) & ~scaled
    ends = [*view.losses, *view.predictions]
    if ends:
        bad |= (np.nan_to_num(view.site("nonfinite")[:, ends]) > 0).any(axis=1)
    loss = view.loss
    return bad, [int(s) for s in loss.steps[~np.isfinite(loss.values)][:10_000]] if len(
        view.run.curve_steps
    ) else []


def _origin(
    view: View, bad: Bools, guard: list[Event], first: int
) -> tuple[tuple[int, ...], bool, bool]:
    """Sites where it arose, whether in the forward, and whether it was seen to arise there.

    A reading that comes late finds NaN in the weights and so everywhere. Then those are named
    that could have made it: operations that turn finite numbers into infinite ones.
    """
    for event in guard:
        site = event.detail.get("site")
        if isinstance(site, int) and 0 <= site < len(view.sites):
            return (site,), not event.detail.get("backward", False), True
    rows = np.flatnonzero(bad)
    if len(rows) == 0:
        return (), False, False
    row = int(rows[0])
    known = view.site("nonfinite")[row]
    count = np.nan_to_num(known)
    weights = [i for i in view.layers if count[i] > 0]
    spoilt = row > 0 and view.layers and weights[:1] == list(view.layers[:1])
    if spoilt and not any(count[i] > 0 for i in view.data):
        return _fragile(view, row), False, False
    for s in view.sites:
        if count[s.id] > 0 and not any(count[i] > 0 for i in view.parents(s.id)):
            # a mask of -inf is followed by a finite softmax; an origin has lost all that follows
            follows = view.consumers[s.id]
            if not follows or not all(known[i] == 0 for i in follows):
                return (s.id,), True, True
    delta = np.nan_to_num(view.site("delta_nonfinite")[row])
    for s in reversed(view.sites):
        if delta[s.id] > 0 and not any(delta[i] > 0 for i in view.consumers[s.id]):
            return (s.id,), False, True
    return (), False, False


def _fragile(view: View, row: int) -> tuple[int, ...]:
    """Operations that can make infinity of finite numbers, the nearest to it first."""
    before = latest(view.site("absmax")[:row])
    ids = [
        s.id
        for s in view.sites
        # a division by a constant is safe
        if s.op in FRAGILE and s.id in view.trunk and ("div" not in s.op or len(s.inputs) > 1)
    ]
    if not ids:  # none: whatever was largest overflowed
        grown = [i for i in view.trunk if np.isfinite(before[i])]
        ids = sorted(grown, key=lambda i: -before[i])[:1]
    return tuple(sorted(ids, key=lambda i: -np.nan_to_num(before[i], nan=np.inf)))
