"""Inputs and targets put to scale, inside the model.

Inputs: each feature to mean 0 and deviation 1, to [0, 1], or clamped to ± 10 robust deviations, by
the statistics of the first batch (or of the first 100: `running`). Targets: the network learns
(t - mean)/std, its outputs stay in the target's units, and the gradient is what standardised
targets would give under a squared error. Step 0. Fails: a first batch that is not representative;
a trained network computes something else.
"""

from __future__ import annotations

from .base import Entry, Facts, number


def _input(value: str) -> None:
    kind, colon, more = value.partition(":")
    if kind == "clamp":
        if colon:
            number(more, above=0)
    elif kind not in ("standardise", "minmax") or (colon and more != "running"):
        raise ValueError(
            f"{value!r} must be standardise, minmax (each with :running, if wanted), or clamp:10"
        )


def _refuse(value: str, facts: Facts) -> str | None:
    if not facts.floating or facts.embedding:
        return "the inputs are token numbers, not measurements."
    if facts.step > 0 and not value.startswith("clamp"):
        return "the layers have learned from the inputs as they are."
    return None


def _target(value: str) -> None:
    parts = value.split(":")
    if parts[0] != "standardise" or len(parts) != 3:
        raise ValueError(f"{value!r} must read standardise:MEAN:STD, such as standardise:250:80")
    number(parts[1])
    number(parts[2], above=0)


def _late(value: str, facts: Facts) -> str | None:
    return "the head has learned the target's units." if facts.step > 0 else None


def _edit_input(value: str) -> str:
    if value.startswith("clamp"):
        return "clamp each feature to its median ± 10 robust deviations (IQR / 1.349)"
    if value.startswith("minmax"):
        return "x = (x - x_train.amin(0)) / (x_train.amax(0) - x_train.amin(0))"
    return "x = (x - x_train.mean(0)) / x_train.std(0).clamp_min(1e-8), training set's statistics"


def _edit_target(value: str) -> str:
    _, mean, std = value.split(":")
    return f"train on (y - {mean}) / {std} and give predictions * {std} + {mean}"


INPUT = Entry(
    kind="input",
    about="inputs put to scale, or outliers clamped",
    codes=("EF501", "EF502", "EF201", "EF202", "EF602", "EF603", "EF703"),
    when="start",
    needs=("batch",),
    preserves=False,
    cost="one pass over the inputs a step",
    fails="a first batch that is not representative; use :running",
    source="LeCun et al. 1998, Efficient BackProp, section 4.3",
    values={
        "standardise": "mean 0, deviation 1 of each feature",
        "standardise:running": "over the first 100 batches",
        "minmax": "lowest 0, highest 1",
        "clamp:10": "at most 10 robust deviations from the median",
    },
    edit=_edit_input,
    check=_input,
    refuse=_refuse,
    apply="standardise:inputs",
)
TARGET = Entry(
    kind="target",
    about="the network learns standardised targets",
    codes=("EF504", "EF703", "EF402", "EF102"),
    when="start",
    needs=("batch",),
    preserves=False,
    cost="none",
    fails="the gradient is put to scale for a squared error; others need another rate",
    source="Bishop 1995, Neural Networks for Pattern Recognition, section 8.2",
    values={"standardise:0:1": "mean and deviation of the training targets"},
    edit=_edit_target,
    check=_target,
    refuse=_late,
    apply="standardise:target",
)
ENTRIES = (INPUT, TARGET)
