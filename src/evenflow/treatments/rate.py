"""Learning rate, warm-up, decay, momentum, and another optimizer.

The script's optimizer and its schedulers stay as they are: the settings are changed for the
duration of each update, so that schedules keep their shape. Any time; outputs stay the same.
Fails: a low rate only slows a network whose start is wrong.
"""

from __future__ import annotations

import difflib
import math

from .base import Entry, Facts, detail, number, whole

OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")

_CLASS: dict[str, str] = {
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}


def _lr(value: str) -> None:
    number(value.removeprefix("x"), above=0)


def _momentum(value: str) -> None:
    number(value, above=-1e-12, upto=1 - 1e-9)


def _optimizer(value: str) -> None:
    name = value.partition(":")[0]
    if name not in OPTIMIZERS:
        near = difflib.get_close_matches(name, OPTIMIZERS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(OPTIMIZERS)}."
        raise ValueError(f"{name!r} is no optimizer to swap to; {hint}")
    if ":" in value:
        number(detail(value), above=0)


def _has_momentum(value: str, facts: Facts) -> str | None:
    if facts.optimizer in ("adagrad", "adadelta", "rprop", "lbfgs"):
        return f"{facts.optimizer} has no momentum."
    return None


def _other(value: str, facts: Facts) -> str | None:
    if facts.optimizer == "lbfgs":
        return "LBFGS evaluates a closure within its step; swap it in the script."
    if facts.optimizer == value.partition(":")[0] and (
        ":" not in value or math.isclose(facts.lr, float(detail(value)))
    ):
        return f"the script uses {facts.optimizer} already."
    return None


_SHARED = {"when": "any", "needs": ("optimizer",), "preserves": True, "cost": "none"}

LR = Entry(
    kind="lr",
    about="learning rate times a factor, or set anew",
    codes=("EF703", "EF402", "EF403", "EF302", "EF404", "EF202", "EF203", "EF103", "EF102"),
    fails="slows a network whose start is wrong",
    source="Goodfellow et al. 2016, Deep Learning, section 11.4.1",
    values={"x0.1": "a tenth", "x0.3": "a third", "x10": "ten times", "0.001": "this rate"},
    edit=lambda v: f"multiply the learning rate by {v[1:]}" if v.startswith("x") else f"set lr={v}",
    check=_lr,
    apply="rate:lr",
    **_SHARED,  # type: ignore[arg-type]
)
WARMUP = Entry(
    kind="warmup",
    about="learning rate raised from 0 over the first updates",
    codes=("EF703", "EF302", "EF204", "EF202", "EF402", "EF206"),
    fails="none known beyond the time it takes",
    source="Goyal et al. 2017, arXiv:1706.02677; Xiong et al. 2020, arXiv:2002.04745",
    values={"100": "over 100 updates", "500": "over 500 updates"},
    edit=lambda v: (
        "after the optimizer: scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: "
        f"min(1, (t + 1) / {v})); scheduler.step() after each optimizer.step()"
    ),
    check=lambda v: (whole(v, least=1), None)[1],
    apply="rate:warmup",
    **_SHARED,  # type: ignore[arg-type]
)
DECAY = Entry(
    kind="decay",
    about="learning rate that falls along a line to a hundredth over so many updates",
    codes=("EF403", "EF703", "EF302", "EF402"),
    fails="a training that goes on beyond them stands still: give the updates of the whole of it",
    source="Defazio et al. 2023, arXiv:2310.07831; Bergsma et al. 2025, arXiv:2502.15938",
    values={"300": "over 300 updates", "10000": "over 10,000 updates"},
    edit=lambda v: (
        "after the optimizer: scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: "
        f"max(0.01, 1 - t / {v})); scheduler.step() after each optimizer.step()"
    ),
    check=lambda v: (whole(v, least=2), None)[1],
    apply="rate:decay",
    **_SHARED,  # type: ignore[arg-type]
)
MOMENTUM = Entry(
    kind="momentum",
    about="momentum (Adam: the first beta)",
    codes=("EF404", "EF403"),
    fails="0.9 with a rate already near the edge oscillates",
    source="Sutskever et al. 2013, ICML",
    values={"0.9": "usual", "0.5": "calmer", "0": "none"},
    edit=lambda v: f"give the optimizer momentum={v} (Adam: betas=({v}, 0.999))",
    check=_momentum,
    refuse=_has_momentum,
    apply="rate:momentum",
    **_SHARED,  # type: ignore[arg-type]
)
OPTIMIZER = Entry(
    kind="optimizer",
    about="another optimizer makes the updates",
    codes=("EF404", "EF301", "EF101", "EF401"),
    fails="adaptive steps ignore how small a gradient is: noise is followed too",
    source="Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101",
    values={"adam:0.001": "Adam", "adamw:0.001": "AdamW", "sgd:0.1": "SGD with momentum 0.9"},
    edit=lambda v: (
        f"optimizer = torch.optim.{_CLASS[v.partition(':')[0]]}(model.parameters()"
        f"{', lr=' + detail(v) if detail(v) else ''})"
    ),
    check=_optimizer,
    refuse=_other,
    apply="rate:optimizer",
    **_SHARED,  # type: ignore[arg-type]
)
ENTRIES = (LR, WARMUP, DECAY, MOMENTUM, OPTIMIZER)
