"""EF804: a softmax or a normalisation along an axis of one value, or along the batch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import reach
from ..schema import Finding, Link, Severity, Site
from .base import Cause, EvidenceLabel, Remedy, Rule
from .chance import seen
from .data import PASSING, prediction_of, read_by
from .series import latest
from .view import View

#: Readings that tell, where not the weights but the data decide how long the axis is.
FEWEST = 3
#: Kinds behind which a width is what it was: they work element by element.
_KEEPING = ("activation", "dropout", "other", "join", "norm")
#: A gradient through a `normalize` of one value is no more than rounding.
_ROUNDING = 1e-5
#: Who takes the largest of a softmax over samples means them to compete (expert choice).
_CHOICES = frozenset(("topk", "sort", "argsort", "kthvalue", "msort"))


class WrongDimension(Rule):
    """A softmax or a normalisation goes along the wrong axis: one of length 1, or the batch.

    ## What it means
    A softmax over one value is 1 whatever the value is, and a normalised single value is -1 or 1:
    `softmax(score, dim=-1)` of scores [N, T, 1] weighs every step alike. Along the batch, the
    samples of a batch compete with each other, and what is said of one hangs on the others.

    ## Why is this bad?
    Nothing that comes before an axis of one value gets a gradient, so it never learns. What was
    learnt along the batch does not hold for other batches, and least for one sample alone.

    ## How it is measured
    The axis and its length as the softmax (functions, methods and modules, log-softmax and
    `F.normalize` too) was given them, and the layer error on either side. A softmax that is the
    network's output is EF701; a layer, group or batch norm over next to nothing EF806.

    ## Threshold
    Structure, so nothing to calibrate. One value: the axis has length 1 in every reading, the
    gradient behind it is exactly 0, and the layer before has one unit, or the result is summed
    along another axis. An attention with a single key, or a sequence of length 1, is data and no
    fault. Batch: axis 0, as long as the batch, of a table with other axes, on the way to a loss
    that compares sample by sample. Tables of all pairs, choices of experts (topk) and softmaxes
    along both axes are meant so. Error.

    ## What to do
    Name the axis that is meant: `dim=1` for scores [N, T, 1], `dim=-1` for scores [N, T] or
    classes [N, C]. Without `dim` torch guesses, for three axes the first.
    """

    code = "EF804"
    name = "wrong-dimension"
    title = N_("Softmax along the wrong axis")
    sentence = N_("A softmax or normalisation goes along the wrong axis{at}")
    as_cause = N_("a softmax or normalisation along the wrong axis")
    labels = (
        EvidenceLabel("along", N_("values along the axis")),
        EvidenceLabel("axis", N_("axis, counted from 0"), fact=True),
        EvidenceLabel("samples", N_("samples in the batch"), fact=True),
    )
    points_at = "calls"
    stage = 65
    standing = True
    leads_to = (
        *("EF101", "EF104", "EF202", "EF204", "EF205", "EF206", "EF301", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF703"),
    )
    overrules = True
    remedies = (
        Remedy(
            "Give the softmax the axis that is meant: dim=1 for scores [N, T, 1], dim=-1 for "
            "scores [N, T] or classes [N, C]."
        ),
    )
    if_cause = remedies[0]
    causes = (
        Cause("one-value", N_("an axis with a single value"), sure=True),
        Cause("samples", N_("the axis of the samples"), sure=True),
    )

    def check(self, view: View) -> Iterable[Finding]:
        along, mixed = view.site("along"), view.site("mixed")
        length, axis = latest(along), latest(view.site("axis"))
        found: dict[tuple[str, str, str, str], list[int]] = {}
        for i in np.flatnonzero(np.isfinite(along).any(axis=0)).tolist():
            lengths, cause = along[np.isfinite(along[:, i]), i], ""
            if i not in view.trunk:
                continue
            if (lengths == 1).all():
                cause = "one-value" if _of_one(view, i, int(axis[i]), len(lengths)) else ""
            elif axis[i] == 0 and not _meant(view, i):
                known = bool((mixed[:, i] > 0).any())
                cause = "samples" if known or _of_samples(view, i) else ""
            if cause:
                s = view.sites[i]
                found.setdefault((cause, s.root, s.path, s.op), []).append(i)
        for (cause, *_), ids in found.items():
            first = ids[0]
            evidence = {"axis": float(axis[first]), "along": float(length[first])}
            if cause == "samples":
                evidence["samples"] = float(view.sites[first].shape[0])
            yield self.finding(
                Severity.error,
                sites=(*ids, *view.parents(first)[:1]),
                steps=view.over([0, -1]),
                evidence=evidence,
                threshold={"along": 2.0} if cause == "one-value" else {},
                cause=cause,
                chain=(Link("cause", cause, None, first),),
            )


# -- one value --------------------------------------------------------------------------------
def _of_one(view: View, id: int, axis: int, readings: int) -> bool:
    """Is an axis of length 1 an error of the script, and not of its data?"""
    if id in _outputs(view) or not _silent(view, id):
        return False
    if _one_unit(view, id, axis):
        return True
    return readings >= FEWEST and _summed_along_another(view, id)


def _outputs(view: View) -> frozenset[int]:
    """What the loss functions were given, dropout looked through."""
    return reach(view.links, view.predictions, lambda i: view.sites[i].kind in PASSING)


def _silent(view: View, id: int) -> bool:
    """Whether next to nothing comes back through the site, in any reading; False if unknown."""
    before = view.parents(id)[:1]
    if not before:
        return False
    back = view.edges.get((id, before[0]))
    if back is None:
        if len(view.consumers[before[0]]) > 1:
            return False
        back = view.site("delta")[:, before[0]]
    known = np.isfinite(back)
    limit = 0.0
    if view.sites[id].kind == "norm":
        limit = _ROUNDING * float(np.nanmax(view.site("delta")[:, id], initial=0.0))
    return bool(known.any() and (back[known] <= limit).all())


def _one_unit(view: View, id: int, axis: int) -> bool:
    """Whether the axis is that of a layer's only unit."""
    links = view.links

    def keeps(i: int) -> bool:
        return i == id or view.sites[i].kind in _KEEPING

    found = [i for i in reach(links, [id], keeps) - {id} if view.sites[i].kind == "affine"]
    for i in found:
        shape, own = view.sites[i].shape, view.sites[id].shape
        if len(shape) < 2:
            continue
        unit = 1 if view.sites[i].op.startswith("conv") else len(shape) - 1
        if shape[unit] != 1:
            continue
        alone = shape[1:].count(1) == 1  # else a view may have taken either
        if (alone and axis > 0) or (own == shape and axis == unit):
            return True
    return False


def _summed_along_another(view: View, id: int) -> bool:
    """Whether the weights are spent over an axis other than the one they were made along: each
    of its steps is multiplied by 1. An attention with a single key keeps its queries."""
    steps = [n for n in view.sites[id].shape[1:] if n > 1]
    if not steps:
        return False
    for i in read_by(view, id):
        site = view.sites[i]
        if site.kind == "matmul" and any(n not in site.shape[1:] for n in steps):
            return True
        if site.op in ("mul", "multiply"):
            sums = [view.sites[j] for j in view.consumers[i] if view.sites[j].op in ("sum", "mean")]
            if any(n not in s.shape[1:] for s in sums for n in steps):
                return True
    return False


# -- the batch --------------------------------------------------------------------------------
def _meant(view: View, id: int) -> bool:
    """Whether samples are to compete: along both axes (Sinkhorn, matching), or to be chosen."""
    kinds = ("softmax", "norm")
    twins = {j for p in view.parents(id) for j in view.consumers[p] if j != id}
    if any(view.sites[j].kind in kinds for j in twins):
        return True
    return any(view.sites[j].op in _CHOICES for j in view.descendants([id]))


def _of_samples(view: View, id: int) -> bool:
    """Do samples compete that a loss holds against targets of their own?"""
    shape = view.sites[id].shape
    rows = shape[0] if shape else 0
    if len(shape) < 2 or rows < 2 or max(shape[1:]) == 1:
        return False
    if any(n % rows == 0 for n in shape[1:]) and not _of_a_layer(view, id):
        return False  # a table of all pairs
    before = view.ancestors([id])
    data = [view.sites[i] for i in view.data if i in before]
    sizes = [s.shape for s in data]
    if not any(len(s.shape) > 1 and s.shape[0] == rows and not _square(s) for s in data):
        return False
    after = view.descendants([id])
    # time first: what the target shares with the input is more than the first axis
    paired = [
        loss
        for loss in view.losses
        if prediction_of(view, loss) in after and _rows(view, loss) == rows
    ]
    wide = [view.sites[loss].takes[1] for loss in paired]
    return any(all(len(s) < 3 or t[1:2] != s[1:2] for s in sizes) for t in wide)


def _square(data: Site) -> bool:
    """As many steps as samples: either may come first. (A table of features has no steps.)"""
    steps = len(data.shape) > 2 or not data.dtype.startswith(("float", "bfloat"))
    return steps and data.shape[0] == data.shape[1]


def _of_a_layer(view: View, id: int) -> bool:
    """Whether all that the site reads comes straight from layers: no product of two tensors."""
    kinds = (*_KEEPING, "softmax")
    reached = reach(view.links, [id], lambda i: view.sites[i].kind in kinds) - {id}
    return all(view.sites[i].kind in (*kinds, "affine", "input") for i in reached)


def _rows(view: View, loss: int) -> int:
    """Samples that a loss function compares with their targets; 0 where it does not."""
    takes = view.sites[loss].takes
    prediction = seen(view, loss)
    if len(takes) != 2 or not prediction or not takes[1] or prediction[0] != takes[1][0]:
        return 0
    table = any(n == prediction[0] for n in prediction[1:2])
    return 0 if table else prediction[0]
