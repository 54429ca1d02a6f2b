"""EF803: every prediction is compared with every target."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .data import DIFFERENCES
from .view import View

#: Losses that compare element by element, and so broadcast.
ELEMENTWISE = (
    *DIFFERENCES,
    *("kl_div", "poisson_nll_loss", "gaussian_nll_loss", "soft_margin_loss"),
)


class BroadcastLoss(Rule):
    """The prediction and the target have shapes that broadcast: (N, 1) against (N,).

    ## What it means
    An (N, 1) prediction less an (N,) target is an (N, N) table: every prediction is compared
    with the targets of all samples, not with its own.

    ## Why is this bad?
    The best answer to all targets at once is their mean, so the network learns to say the mean
    for every sample. The loss falls to the target's variance and stays there; no error is raised.

    ## How it is measured
    The shapes of what the loss function was given, after every squeeze, view or index, or of the
    two sides of a difference in the script (`pred - y`, one side of which carries a gradient).
    A prediction and a target that agree after a view in between are no fault, a target that is a
    single number neither, nor a table that was asked for by axes put in on both sides.

    ## Threshold
    More comparisons than the larger of the two has elements: error. One column of predictions
    against several columns of targets: warning. Structure, so there is nothing to calibrate.

    ## What to do
    Give both the same shape: `pred.squeeze(1)`, or `y.unsqueeze(1)`; and assert
    `pred.shape == y.shape` before the loss.
    """

    code = "EF803"
    name = "broadcast-loss"
    title = N_("Loss over a table of all pairs")
    sentence = N_("Every prediction is compared with every target{at}: their shapes broadcast")
    labels = (
        EvidenceLabel("comparisons", N_("comparisons made")),
        EvidenceLabel("predictions", N_("predictions")),
        EvidenceLabel("targets", N_("targets")),
    )
    points_at = "calls"
    stage = 50
    standing = True
    leads_to = ("EF401", "EF404", "EF205")
    remedies = (
        Remedy("Give both the same shape: pred.squeeze(1), or y.unsqueeze(1)."),
        Remedy("Assert pred.shape == y.shape before the loss: torch only warns."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        told: set[tuple[str, str, str]] = set()
        for s in view.sites:
            place = (s.root, s.path, s.op)
            severity = _fault(view, s.id) if len(s.takes) == 2 and place not in told else None
            if severity is None or not len(view.steps):
                continue
            told.add(place)
            made, wanted = prod(np.broadcast_shapes(*s.takes)), max(map(prod, s.takes))
            yield self.finding(
                severity,
                sites=(s.id, *view.parents(s.id)[:1]),
                steps=view.over([0, -1]),
                evidence={
                    "comparisons": made,
                    "predictions": prod(s.takes[0]),
                    "targets": prod(s.takes[1]),
                },
                threshold={"comparisons": wanted},
                chain=(Link("cause", self.code, None, s.id),),
            )


def _fault(view: View, id: int) -> Severity | None:
    """How bad the shapes of a loss or a difference are; None where they are right."""
    site = view.sites[id]
    a, b = site.takes
    try:
        table = prod(np.broadcast_shapes(a, b))
    except ValueError:  # a loss that does not compare element by element
        return None
    outer = table > max(prod(a), prod(b))
    if site.kind != "loss":
        accident = (  # asked of a table alone: the walk is long
            outer
            and len(a) != len(b)
            and not any(view.weights[i] for i in view.descendants([id]) if i != id)
        )
        return Severity.error if accident else None
    if site.op not in ELEMENTWISE:
        return None
    if outer:  # axes put in on both sides ask for the table: quantiles, pairs
        return None if len(a) == len(b) >= 3 else Severity.error
    column = len(a) == len(b) == 2 and a[0] == b[0] > 1 and a[1] == 1 < b[1]
    return Severity.warning if column else None
