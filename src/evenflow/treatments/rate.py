"""Learning rate, warm-up, decay, momentum, and another optimizer.

The script's optimizer and its schedulers stay as they are: the settings are changed for the
duration of each update, so that schedules keep their shape. Any time; outputs stay the same.
Fails: a low rate only slows a network whose start is wrong.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..lang import _
from ..nearby import did_you_mean, there_are
from ..network import has_momentum
from .base import Entry, Facts, number, positive, shown, whole

#: Optimizers to swap to.
_CLASS: dict[str, str] = {
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}


class NewRate(NamedTuple):
    """Of the learning rate: a factor on the script's, or (`fixed`) the rate itself."""

    number: float
    fixed: bool


class NewOptimizer(NamedTuple):
    """Its name, and its rate; None: the one it is usually begun with."""

    name: str
    rate: float | None


def _lr(text: str) -> NewRate:
    return NewRate(positive(text.removeprefix("x")), not text.startswith("x"))


def _momentum(text: str) -> float:
    return number(text, above=-1e-12, upto=1 - 1e-9)


def _optimizer(text: str) -> NewOptimizer:
    name, colon, rate = text.partition(":")
    if name not in _CLASS:
        hint = did_you_mean(name, _CLASS, write=str) or there_are(_CLASS)
        said = _("{name!r} is no optimizer to swap to; {hint}")
        raise ValueError(said.format(name=name, hint=hint))
    return NewOptimizer(name, positive(rate) if colon else None)


def _has_momentum(momentum: float, facts: Facts) -> str | None:
    if not has_momentum(facts.optimizer):
        return f"{facts.optimizer} has no momentum."
    return None


def _other(new: NewOptimizer, facts: Facts) -> str | None:
    if facts.optimizer == "lbfgs":
        return "LBFGS evaluates a closure within its step; swap it in the script."
    same_rate = new.rate is None or math.isclose(facts.lr, new.rate)
    if facts.optimizer == new.name and same_rate:
        return f"the script uses {facts.optimizer} already."
    return None


_SHARED = {"when": "any", "preserves": True, "cost": "none"}

LR = Entry(
    kind="lr",
    about="learning rate times a factor, or set anew",
    fails="slows a network whose start is wrong",
    source="Goodfellow et al. 2016, Deep Learning, section 11.4.1",
    values={"x0.1": "a tenth", "x0.3": "a third", "x10": "ten times", "0.001": "this rate"},
    edit=lambda new: (
        f"set lr={shown(new.number)}"
        if new.fixed
        else f"multiply the learning rate by {shown(new.number)}"
    ),
    parse=_lr,
    apply="rate:lr",
    **_SHARED,  # type: ignore[arg-type]
)
WARMUP = Entry(
    kind="warmup",
    about="learning rate raised from 0 over the first updates",
    fails="none known beyond the time it takes",
    source="Goyal et al. 2017, arXiv:1706.02677; Xiong et al. 2020, arXiv:2002.04745",
    values={"100": "over 100 updates", "500": "over 500 updates"},
    edit=lambda v: (
        "after the optimizer: scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: "
        f"min(1, (t + 1) / {v})); scheduler.step() after each optimizer.step()"
    ),
    parse=lambda text: whole(text, least=1),
    apply="rate:warmup",
    **_SHARED,  # type: ignore[arg-type]
)
DECAY = Entry(
    kind="decay",
    about="learning rate that falls along a line to a hundredth over so many updates",
    fails="a training that goes on beyond them stands still: give the updates of the whole of it",
    source="Defazio et al. 2023, arXiv:2310.07831; Bergsma et al. 2025, arXiv:2502.15938",
    values={"300": "over 300 updates", "10000": "over 10,000 updates"},
    edit=lambda v: (
        "after the optimizer: scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: "
        f"max(0.01, 1 - t / {v})); scheduler.step() after each optimizer.step()"
    ),
    parse=lambda text: whole(text, least=2),
    apply="rate:decay",
    **_SHARED,  # type: ignore[arg-type]
)
MOMENTUM = Entry(
    kind="momentum",
    about="momentum (Adam: the first beta)",
    fails="0.9 with a rate already near the edge oscillates",
    source="Sutskever et al. 2013, ICML",
    values={"0.9": "usual", "0.5": "calmer", "0": "none"},
    edit=lambda v: f"give the optimizer momentum={shown(v)} (Adam: betas=({shown(v)}, 0.999))",
    parse=_momentum,
    refuse=_has_momentum,
    apply="rate:momentum",
    **_SHARED,  # type: ignore[arg-type]
)
OPTIMIZER = Entry(
    kind="optimizer",
    about="another optimizer makes the updates",
    fails="adaptive steps ignore how small a gradient is: noise is followed too",
    source="Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101",
    values={"adam:0.001": "Adam", "adamw:0.001": "AdamW", "sgd:0.1": "SGD with momentum 0.9"},
    edit=lambda v: (
        f"optimizer = torch.optim.{_CLASS[v.name]}(model.parameters()"
        f"{'' if v.rate is None else f', lr={shown(v.rate)}'})"
    ),
    parse=_optimizer,
    refuse=_other,
    apply="rate:optimizer",
    **_SHARED,  # type: ignore[arg-type]
)
ENTRIES = (MOMENTUM, LR, WARMUP, DECAY, OPTIMIZER)
