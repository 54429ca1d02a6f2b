"""Inputs and targets put to scale, inside the model.

Inputs: each feature to mean 0 and deviation 1, to [0, 1], or clamped to ± 10 robust deviations, by
the statistics of the first batch (or of the first 100: `running`). Targets: the network learns
(t - mean)/std, its outputs stay in the target's units, and the gradient is what standardised
targets would give under a squared error. Step 0. Fails: a first batch that is not representative;
a trained network computes something else; losses that are no squared error want another rate.
Source: LeCun et al. 1998, Efficient BackProp, section 4.3; Bishop 1995, Neural Networks for Pattern
Recognition, section 8.2.
"""

from __future__ import annotations

from typing import NamedTuple

from .base import Entry, Facts, number, positive, shown


class InputScale(NamedTuple):
    """`kind`: "standardise", "minmax" or "clamp" (at `width` robust deviations); `running`: over
    the first batches rather than the first."""

    kind: str
    running: bool
    width: float


class TargetScale(NamedTuple):
    """Mean and deviation of the training targets."""

    mean: float
    std: float


def _input(text: str) -> InputScale:
    kind, colon, more = text.partition(":")
    if kind == "clamp":
        return InputScale(kind, False, positive(more) if colon else 10.0)
    if kind not in ("standardise", "minmax") or (colon and more != "running"):
        raise ValueError(
            f"{text!r} must be standardise, minmax (each with :running, if wanted), or clamp:10"
        )
    return InputScale(kind, bool(colon), 10.0)


def _refuse(wanted: InputScale, facts: Facts) -> str | None:
    if not facts.floating or facts.embedding:
        return "the inputs are token numbers, not measurements."
    if facts.step > 0 and wanted.kind != "clamp":
        return "the layers have learned from the inputs as they are."
    return None


def _target(text: str) -> TargetScale:
    parts = text.split(":")
    if parts[0] != "standardise" or len(parts) != 3:
        raise ValueError(f"{text!r} must read standardise:MEAN:STD, such as standardise:250:80")
    return TargetScale(number(parts[1]), positive(parts[2]))


def _late(wanted: TargetScale, facts: Facts) -> str | None:
    return "the head has learned the target's units." if facts.step > 0 else None


def _edit_input(wanted: InputScale) -> str:
    if wanted.kind == "clamp":
        return "clamp each feature to its median ± 10 robust deviations (IQR / 1.349)"
    if wanted.kind == "minmax":
        return "x = (x - x_train.amin(0)) / (x_train.amax(0) - x_train.amin(0))"
    return "x = (x - x_train.mean(0)) / x_train.std(0).clamp_min(1e-8), training set's statistics"


def _edit_target(wanted: TargetScale) -> str:
    mean, std = map(shown, wanted)
    return f"train on (y - {mean}) / {std} and give predictions * {std} + {mean}"


INPUT = Entry(
    kind="input",
    about="inputs put to scale, or outliers clamped",
    examples=("standardise", "standardise:running", "minmax", "clamp:10"),
    edit=_edit_input,
    parse=_input,
    refuse=_refuse,
    apply="standardise:inputs",
)
TARGET = Entry(
    kind="target",
    about="the network learns standardised targets",
    examples=("standardise:0:1",),
    edit=_edit_target,
    parse=_target,
    refuse=_late,
    apply="standardise:target",
)
ENTRIES = (INPUT, TARGET)
