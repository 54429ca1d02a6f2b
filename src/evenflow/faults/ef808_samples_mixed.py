"""EF808: samples of a batch are mixed with each other, or axes within a sample."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .view import View

#: Causes, by the number that the reading `mixed_by` tells them by. (2, an operation along the
#: samples, is EF804's to judge.)
_CAUSES = ("view-for-transpose", "time-first")


class SamplesMixed(Rule):
    """Samples of a batch, or axes within each sample, are mixed up by a view or a layer.

    ## What it means
    Somewhere the axis of the samples was taken for another one: `view` or `reshape` where a
    transpose is meant deals memory out to the wrong samples, and a recurrent or attention layer
    without `batch_first=True` takes samples for steps in time. Within a sample, a view for a
    transpose makes steps of attention heads, or pixels of classes.

    ## Why is this bad?
    What is learnt of one sample hangs on who else is in its batch, so it holds for no other batch:
    held-out results are far worse than the training's, or nothing is learnt at all. Where a
    sample's own axes are mixed, a loss holds numbers against targets that are not theirs, or
    layers have to unravel what was shuffled.

    ## How it is measured
    Once, at birth: the operations of a sampled forward are run again, apart from the training
    (nothing of the script's is called), and the output of one or two samples is differentiated by
    the inputs of all. Randomness is left out, and no gradient is let through what mixes samples on
    purpose: statistics of the batch, graphs, tables of all pairs, choices by index. Axes within a
    sample are told by the shapes of each `view` and `reshape` of that forward.

    ## Threshold
    A gradient that is not exactly 0, where a loss holds each sample against a target of its own,
    and a way of mixing that is never meant: [N, ..] viewed as [T, N, ..], or [A, N, ..] as
    [N, ..]; a layer whose first axis is time, given samples first. (A softmax along the samples is
    EF804.) Structure, so nothing to calibrate. Targets that have a step in time for each input may
    be time first, and are left out, as are forwards whose outputs take more than 128 MB. Error.

    Within a sample: the axes afterwards are those before in another order, some of them joined:
    [N, H, W, 3] as [N, 3, H, W]. Where the lengths divide one another, axes may have been split and
    joined to neighbours on purpose (two frames of speech made one), so that more has to tell: an
    attention made the heads, a recurrent layer reads the steps, a loss counts the classes. Warning;
    error where the loss is no better than a guess.

    ## What to do
    Use `transpose` or `permute` in place of `view`, and `batch_first=True`. To see it: change one
    sample of a batch in eval mode; only its own output may change.
    """

    code = "EF808"
    name = "samples-mixed"
    title = N_("Samples or their axes are mixed")
    sentence = N_("Samples of a batch, or axes within a sample, are mixed{at}")
    as_cause = N_("samples or axes that get mixed")
    labels = (
        EvidenceLabel("mixed", N_("other samples it depends on"), "share"),
        EvidenceLabel("views", N_("views that give one axis the memory of another"), fact=True),
    )
    points_at = "calls"
    stage = 68
    standing = True
    leads_to = (
        *("EF101", "EF104", "EF202", "EF204", "EF205", "EF206", "EF301", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
        "EF809",
    )
    overrules = True
    remedies = (
        Remedy("Change one sample of a batch in eval mode: only its own output may change."),
    )
    if_cause = Remedy("First keep samples and their axes apart (EF808).")
    causes = (
        Cause(
            "view-for-transpose",
            N_("a view where a transpose is meant"),
            Remedy(
                "Use transpose or permute where axes trade places: view and reshape only deal "
                "the same memory out anew.",
                then=N_(
                    "The last states of a recurrent layer are [layers, N, H]: "
                    "h.transpose(0, 1).flatten(1)."
                ),
            ),
            sure=True,
        ),
        Cause(
            "time-first",
            N_("a layer that takes the samples for steps in time"),
            Remedy("Build the layer with batch_first=True, or give it [T, N, features]."),
            sure=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        mixed, by = view.site("mixed"), view.site("mixed_by")
        for i in np.flatnonzero((mixed > 0).any(axis=0)).tolist():
            row = int(np.flatnonzero(mixed[:, i] > 0)[0])
            if by[row, i] >= len(_CAUSES):
                continue
            cause = _CAUSES[int(by[row, i])]
            yield self.finding(
                Severity.error,
                sites=(i,),
                steps=(view.at(row), view.at(-1)),
                evidence={"mixed": float(mixed[row, i])},
                threshold={"mixed": 0.0},
                cause=cause,
                chain=(Link("cause", cause, None, i),),
            )
        dealt = np.flatnonzero((view.site("dealt") > 0).any(axis=0)).tolist()
        if dealt:
            yield self.finding(
                Severity.error if view.harmed else Severity.warning,
                sites=tuple(dealt),
                steps=view.over([0, -1]),
                evidence={"views": len(dealt)},
                threshold={},
                cause=_CAUSES[0],
                chain=(Link("cause", _CAUSES[0], None, dealt[0]),),
            )
