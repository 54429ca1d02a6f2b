"""9. The data: scale, outliers, what is not a number, constant features, order, doubles, shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed
from .result import Experiment, Tested

#: As EF501 and EF502 hold them: size of the largest feature, largest over smallest, and the
#: farthest value in deviations.
LARGE, APART, FAR = 20.0, 1000.0, 100.0
#: First operations whose outputs grow with the input: nothing has scaled it before.
WEIGHTED = frozenset(
    [
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "matmul",
        "__matmul__",
        "mm",
        "addmm",
        "bmm",
        "einsum",
        "lstm",
        "gru",
        "rnn_tanh",
        "rnn_relu",
        "lstm_cell",
        "gru_cell",
    ]
)
#: Samples from which on one label alone, and one value alone, are no chance.
FEW = 8
#: This share of batches holds one label each, where there are several.
PURE = 0.8


def test(lab: Lab) -> Tested:
    """What can be said of the first batches without training: shapes that broadcast in the loss;
    inputs or targets that are not finite; samples that are all alike; features whose size is above
    20 or parted by 1,000, or values 100 deviations out, where nothing scales them before the first
    weights (thresholds as EF501 and EF502); batches of one label each where there are several, or
    one batch of one label of 8 samples or more.

    Doubles between batches and the commonest label's share are told, not judged.
    """
    if not lab.subject.batches:
        return nothing("no-batch")
    told = _figures(lab)
    for look in _LOOKS:
        if (answer := look(lab, dict(told))) is not None:
            return answer
    return passed("sound", **told)


def _shapes(lab: Lab, told: dict[str, Any]) -> Tested | None:
    shapes = [list(s) for s in lab.subject.broadcast]
    loss = lab.subject.loss
    if not shapes and lab.kind in ("squared", "absolute") and loss["output"] != loss["target"]:
        shapes = [loss["output"], loss["target"]]
    if not shapes:
        return None
    return failed("broadcast", names=map(str, shapes), code="EF803", **told)


def _finite(lab: Lab, told: dict[str, Any]) -> Tested | None:
    for tensor in _tensors(lab):
        if tensor.get("nonfinite"):
            bad = tensor["nonfinite"]
            return failed("non-finite", names=(tensor["name"],), code="EF503", values=bad, **told)
    return None


def _alike(lab: Lab, told: dict[str, Any]) -> Tested | None:
    for batch in lab.subject.batches:
        rows = [i["rows"] for i in batch["inputs"] if i.get("rows")]
        if rows and len(rows[0]) >= FEW and all(len(set(r)) == 1 for r in rows):
            return failed("alike", code="EF507", **told | {"samples": len(rows[0])})
    return None


def _scale(lab: Lab, told: dict[str, Any]) -> Tested | None:
    if not WEIGHTED.intersection(lab.subject.readers) or set(lab.subject.readers) - WEIGHTED:
        return None
    first = [i for i in lab.subject.batches[0]["inputs"] if "widest" in i]
    for tensor in first:
        widest, narrowest = tensor["widest"], max(tensor["narrowest"], 1e-300)
        told |= {"largest": widest, "smallest": narrowest, "outlier": tensor["outlier"]}
        names = (tensor["name"],)
        if tensor["outlier"] > FAR:
            cures = ("input=clamp:10",)
            return failed("outlier", names=names, code="EF502", treatments=cures, **told)
        if widest > LARGE or widest / narrowest > APART:
            cures = ("input=standardise",)
            return failed("unscaled", names=names, code="EF501", treatments=cures, **told)
    return None


def _order(lab: Lab, told: dict[str, Any]) -> Tested | None:
    if lab.kind != "classes":
        return None
    batches = [t["labels"] for t in lab.targets if len(t.get("labels", ())) >= FEW]
    pure = [b for b in batches if len(set(b)) == 1]
    if not batches or len(pure) < PURE * len(batches):
        return None
    return failed("one-label", code="EF505", pure=len(pure), **told)


_LOOKS: Sequence[Callable[[Lab, dict[str, Any]], Tested | None]] = (
    _shapes, _finite, _alike, _scale, _order,
)  # fmt: skip


def _tensors(lab: Lab) -> list[Mapping[str, Any]]:
    both = [[*b["inputs"], *b.get("targets", ())] for b in lab.subject.batches]
    return [tensor for tensors in both for tensor in tensors]


def _figures(lab: Lab) -> dict[str, Any]:
    """Told whatever comes of it."""
    first = lab.subject.batches[0]["inputs"]
    told: dict[str, Any] = {"batches": len(lab.subject.batches)}
    rows = Counter(r for b in lab.subject.batches for r in (b["inputs"] or [{}])[0].get("rows", ()))
    told["samples"] = sum(rows.values())
    told["doubles"] = told["samples"] - len(rows)
    told["constant"] = sum(i.get("constant", 0) for i in first)
    labels = Counter(label for t in lab.targets for label in t.get("labels", ()))
    if labels and lab.kind in ("classes", "flags"):
        told |= {"labels": len(labels), "commonest": max(labels.values()) / sum(labels.values())}
    return told


EXPERIMENT = Experiment(
    9,
    "data",
    N_("the data"),
    {
        "no-batch": N_("No batch was seen."),
        "sound": N_(
            "{samples} samples: {doubles} doubles, {constant} constant features, all finite, of "
            "sound size."
        ),
        "broadcast": N_("Output and target broadcast: {names}. Each is held against all others."),
        "non-finite": N_("{names} holds {values} values that are not finite."),
        "alike": N_("All {samples} samples are the same."),
        "outlier": N_("{names} holds a value {outlier} deviations out, and nothing scales it."),
        "unscaled": N_(
            "Features of {names} are of size {smallest} to {largest}, and nothing scales them."
        ),
        "one-label": N_("{pure} of {batches} batches hold one label only: sorted, or lost."),
    },
    {
        "broadcast": N_("Give both one shape: squeeze(-1) the output or unsqueeze the target."),
        "non-finite": N_("Find the rows; remove or impute them."),
        "alike": N_("Look at how samples are loaded: one is read again and again."),
        "outlier": N_("Look at that row: an error code, a unit, a slipped decimal point."),
        "unscaled": N_("Standardise: subtract each feature's mean, divide by its deviation."),
        "one-label": N_("Shuffle: DataLoader(..., shuffle=True)."),
    },
    test,
)
