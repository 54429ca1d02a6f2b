"""EF503: the data hold NaN or infinity, and the network takes them in."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .view import View


class NonFiniteInput(Rule):
    """NaN or infinity among the inputs or targets reaches the network's arithmetic.

    ## What it means
    Missing values came through as NaN, or preprocessing divided by zero.

    ## Why is this bad?
    One NaN in a batch makes the loss NaN, then every gradient, then every weight, for good.

    ## How it is measured
    Non-finite elements of the data and of targets at sampled steps, and whether they go on: a
    site that reads them gives a non-finite output, or was not measured; a target counts where
    the loss of that step is not finite. Networks that replace or mask missing values, and
    attention masks of minus infinity, are left alone. With a guard (`on_nonfinite`), also every
    batch in which it found NaN.

    ## Threshold
    One element. Exact: no calibration is needed.

    ## What to do
    Impute or drop missing values; check for features of deviation zero in the preprocessing.
    """

    code = "EF503"
    name = "non-finite-input"
    title = N_("NaN or infinity in the data")
    sentence = N_("The data hold NaN or infinity{at}")
    placed_as = ("event", "end")
    labels = (EvidenceLabel("nonfinite", N_("values that are NaN or infinite"), fact=True),)
    points_at = "calls"
    stage = 20
    leads_to = ("EF103", "EF401", "EF402")
    remedies = (
        Remedy(
            "Find and impute or drop missing values before training "
            "(torch.isfinite(x).all() on each batch)."
        ),
        Remedy("Check divisions by a standard deviation of zero in the preprocessing."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        told: set[int] = set()
        for found in self._sampled(view):
            told.update(found.sites)
            yield found
        yield from self._guarded(view, told)

    def _guarded(self, view: View, told: set[int]) -> Iterable[Finding]:
        """What the guard has seen between the samples, or kept from becoming one."""
        steps: dict[int, list[int]] = {}
        for e in view.run.events:
            site = e.detail.get("site")
            if e.kind == "nonfinite" and e.detail.get("where") == "input" and site in view.data:
                steps.setdefault(site, []).append(e.step)
        for i, at in steps.items():
            if i not in told:
                yield self.finding(
                    Severity.error,
                    sites=(i, *view.consumers[i]),
                    steps=(min(at), max(at)),
                    evidence={"nonfinite": 1.0, "batches_affected": float(len(at))},
                    threshold={"nonfinite": 1.0},
                    chain=(Link("cause", self.code, min(at), i),),
                )

    def _sampled(self, view: View) -> Iterable[Finding]:
        count_TS = view.site("nonfinite")
        for i in (*view.data, *view.targets):
            bad = count_TS[:, i] > 0
            if i in view.targets:
                onward = [j for j in view.losses if view.target_of(j) == i]
                # what a network masks after the loss function leaves the loss finite
                onward = onward if _spoils_loss(view, bad) else []
            else:
                readers = view.consumers[i]
                onward = [c for c in readers if _takes_in(view, c, bad) and not _is_mask(view, c)]
            if not bad.any() or not onward:
                continue
            rows = np.flatnonzero(bad)
            step = view.at(int(rows[0]))
            yield self.finding(
                Severity.error,
                sites=(i, *onward),
                steps=(step, view.at(int(rows[-1]))),
                evidence={
                    "nonfinite": float(np.nanmax(count_TS[rows, i])),
                    "batches_affected": float(len(rows)),
                    "batches": float((~np.isnan(count_TS[:, i])).sum()),
                },
                threshold={"nonfinite": 1.0},
                chain=(Link("cause", self.code, step, i),),
            )


def _spoils_loss(view: View, rows: np.ndarray) -> bool:
    """Whether the loss was not finite at one of these rows (or is not known there)."""
    at = np.isin(view.loss.steps, view.steps[rows])
    return bool(not at.any() or (~np.isfinite(view.loss.values[at])).any())


def _takes_in(view: View, id: int, rows: np.ndarray) -> bool:
    """Whether a reader's output is non-finite in a row where its data was, or unknown in all."""
    out = view.site("nonfinite")[rows, id]
    known = ~np.isnan(out)
    return bool(not known.any() or (out[known] > 0).any())


def _is_mask(view: View, id: int) -> bool:
    """Whether a reader uses it as an attention mask: added to scores, then a softmax."""
    site = view.sites[id]
    if site.kind in ("attention", "softmax"):
        return True
    return site.kind == "join" and any(view.sites[c].kind == "softmax" for c in view.consumers[id])
