"""3. Independence of samples, causality in time, and what the loss never depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..lang import N_
from .base import Lab, failed, nothing, passed, unknown, untried
from .bench import Change
from .result import Experiment, Tested

#: A share of the gradient above this is no rounding (float64; float32).
SHARE = {True: 1e-9, False: 1e-5}
#: From this share of a table's columns, or of channels, on it is told; and of samples.
COLUMNS, SAMPLES = 0.3, 0.5
#: Columns or positions drawn in a picture at most.
WIDE = 64
_STILL = Change(mode="still")
_EXACT = Change(mode="still", double=True)


def test(lab: Lab) -> Tested:
    """One backward pass from the output of single samples, and one from the loss, to the input
    (to the first embedding's output where the input is whole numbers). Dropout is off and batch
    norms use their running statistics, so that whatever is still mixed is mixed by the network.

    Told as a fault: any share of the gradient at other samples; at later positions, where the
    targets are the inputs one position on; 30 % of columns or channels, or half of the samples,
    which the loss does not depend on. Not judged: several inputs of which one holds pairs of
    numbers (graphs), outputs that pair samples with samples, batch statistics kept nowhere.
    """
    exact = True
    trace = lab.run(_EXACT, 0, ("reach", "mixing", "facts"))
    if trace.ended != "done":
        exact = False
        trace = lab.run(_STILL, 0, ("reach", "mixing", "facts"))
    if trace.ended != "done":
        return untried(trace)
    reach, mixing = trace.figures.get("reach") or [], trace.figures.get("mixing") or {}
    if not reach:
        return nothing("no-float-input")
    if not any(told["any"] for told in reach):
        return unknown("blind")
    picture = _picture(reach[0])
    dim = _sample_dim(lab, mixing)
    told: dict[str, Any] = {}
    dims = mixing.get("dims", {})
    if dim is not None and str(dim) in dims and not _pairs(lab, trace.figures, mixing):
        told["others"] = dims[str(dim)]["other"]
        if told["others"] > SHARE[exact]:
            return failed("mixed", code="EF808", picture=picture, **told)
    if any(b.get("shifted") for b in trace.figures.get("batches", ())) and "1" in dims:
        told["later"] = dims["1"]["later"]
        if told["later"] > SHARE[exact]:
            return failed("future", code="EF809", picture=picture, **told)
    return _coverage(reach[0], dim, told, picture)


def _sample_dim(lab: Lab, mixing: Mapping[str, Any]) -> int | None:
    """Which dimension of the input holds samples; None where the targets do not say so."""
    shape, dims = mixing.get("input", []), mixing.get("dims", {})
    targets = lab.targets
    if not targets or not shape:
        return None
    wanted = targets[0]["shape"]
    if not wanted or wanted[0] not in shape[:2]:
        per_position = len(shape) > 1 and math.prod(wanted) == shape[0] * shape[1]
        return 0 if per_position else None
    if len(wanted) > 1 and len(shape) > 2 and wanted[:2] == shape[:2]:
        # a target a position: samples may come second
        first, second = dims.get("0"), dims.get("1")
        apart = second is not None and second["other"] < SHARE[False]
        one_way = first is not None and first["later"] < SHARE[False] < first["earlier"]
        return 1 if apart and (one_way or lab.subject.time_first) else 0
    return 0 if wanted[0] == shape[0] else 1


def _pairs(lab: Lab, figures: Mapping[str, Any], mixing: Mapping[str, Any]) -> bool:
    """Samples are meant to hear of each other: graphs, similarities within the batch."""
    inputs = lab.subject.batches[0]["inputs"]
    whole = [i for i in inputs[1:] if "int" in i["dtype"] and 2 in i["shape"][:2]]
    output = mixing.get("output", [])
    square = len(output) == 2 and output[0] == output[1] == mixing["input"][0]
    return bool(whole) or square or bool(figures.get("batch_norm"))


def _coverage(
    told_of: Mapping[str, Any], dim: int | None, told: dict[str, Any], picture: list[str]
) -> Tested:
    shape, reached = told_of["shape"], told_of["reached"]
    features = 1 if len(shape) == 4 else len(shape) - 1
    if told_of["name"] == "embedding" or features == 0:
        features = -1
    columns = reached.get(str(features), [])
    if columns and len(columns) > 1:
        lost = [i for i, hit in enumerate(columns) if not hit]
        told["unread"] = len(lost) / len(columns)
        if told["unread"] > COLUMNS:
            return failed("unread", names=map(str, lost), picture=picture, **told)
    samples = reached.get(str(dim), []) if dim is not None else []
    if samples:
        told["silent"] = 1 - sum(samples) / len(samples)
        if told["silent"] >= SAMPLES:
            return failed("silent", picture=picture, **told)
    return passed("apart" if "others" in told else "covered", picture=picture, **told)


def _picture(told_of: Mapping[str, Any]) -> list[str]:
    """Pixels of images, else the columns or positions of the last dimensions: # reached, . not."""
    if "picture" in told_of:
        rows: list[str] = told_of["picture"]
        return rows if any("." in row for row in rows) else []
    hits = [told_of["reached"].get(str(d), []) for d in range(1, len(told_of["shape"]))]
    return ["".join("#" if h else "." for h in hit[:WIDE]) for hit in hits if 0 in hit]


EXPERIMENT = Experiment(
    3,
    "independence",
    N_("samples are apart, nothing looks ahead, inputs are read"),
    {
        "no-float-input": N_("No input that a gradient could reach."),
        "blind": N_("The loss depends on no input at all: see whether inputs matter."),
        "mixed": N_("The output for one sample depends on the inputs of others ({others} of it)."),
        "future": N_(
            "The output at one position depends on inputs at later ones ({later} of it), and the "
            "targets are those inputs."
        ),
        "unread": N_("The loss does not depend on columns {names} of the input ({unread} of all)."),
        "silent": N_("The loss does not depend on {silent} of the samples."),
        "apart": N_("The output for one sample depends on that sample alone."),
        "covered": N_(
            "The loss depends on all inputs; which dimension holds samples is not known."
        ),
    },
    {
        "mixed": N_(
            "Look for view or reshape where transpose is meant, softmax over dim 0, and layers "
            "that want batch_first."
        ),
        "future": N_("Mask later positions (is_causal=True, or a mask of the upper triangle)."),
        "unread": N_("See how the network slices its input; columns on purpose are best left out."),
        "silent": N_("Look for masks, clamps and a margin that already holds at birth."),
    },
    test,
)
