"""Learning rate, warm-up, decay, momentum, and another optimizer.

The script's optimizer and its schedulers stay as they are: the settings are changed for the
duration of each update, so that schedules keep their shape. Any time; outputs stay the same.
Fails: a low rate only slows a network whose start is wrong; momentum 0.9 with a rate already near
the edge oscillates; a decay shorter than the training stands still at its end.

Sources: Goodfellow et al. 2016, Deep Learning, section 11.4.1; warm-up: Goyal et al. 2017,
arXiv:1706.02677, Xiong et al. 2020, arXiv:2002.04745; decay: Defazio et al. 2023, arXiv:2310.07831,
Bergsma et al. 2025, arXiv:2502.15938; momentum: Sutskever et al. 2013, ICML; optimizers: Kingma &
Ba 2015, arXiv:1412.6980, Loshchilov & Hutter 2019, arXiv:1711.05101.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..lang import _
from ..nearby import did_you_mean, there_are
from ..network import has_momentum
from .base import Entry, Facts, number, positive, shown, whole

#: Optimizers to swap to: the class in torch.optim, and the rate it begins with where none is given.
OPTIMIZERS = {
    "adam": ("Adam", 1e-3),
    "adamw": ("AdamW", 1e-3),
    "nadam": ("NAdam", 1e-3),
    "rmsprop": ("RMSprop", 1e-3),
    "sgd": ("SGD", 0.1),
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
    if name not in OPTIMIZERS:
        hint = did_you_mean(name, OPTIMIZERS, write=str) or there_are(OPTIMIZERS)
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


def _scheduled(share: str) -> str:
    return (
        "after the optimizer: scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: "
        f"{share}); scheduler.step() after each optimizer.step()"
    )


LR = Entry(
    kind="lr",
    about="learning rate times a factor, or set anew",
    examples=("x0.1", "x0.3", "x10", "0.001"),
    edit=lambda new: (
        f"set lr={shown(new.number)}"
        if new.fixed
        else f"multiply the learning rate by {shown(new.number)}"
    ),
    parse=_lr,
    apply="rate:lr",
)
WARMUP = Entry(
    kind="warmup",
    about="learning rate raised from 0 over the first updates",
    examples=("100", "500"),
    edit=lambda v: _scheduled(f"min(1, (t + 1) / {v})"),
    parse=lambda text: whole(text, least=1),
    apply="rate:warmup",
)
DECAY = Entry(
    kind="decay",
    about="learning rate that falls along a line to a hundredth over so many updates",
    examples=("300", "10000"),
    edit=lambda v: _scheduled(f"max(0.01, 1 - t / {v})"),
    parse=lambda text: whole(text, least=2),
    apply="rate:decay",
)
MOMENTUM = Entry(
    kind="momentum",
    about="momentum (Adam: the first beta)",
    examples=("0.9", "0.5", "0"),
    edit=lambda v: f"give the optimizer momentum={shown(v)} (Adam: betas=({shown(v)}, 0.999))",
    parse=_momentum,
    refuse=_has_momentum,
    apply="rate:momentum",
)
OPTIMIZER = Entry(
    kind="optimizer",
    about="another optimizer makes the updates",
    examples=("adam:0.001", "adamw:0.001", "sgd:0.1"),
    edit=lambda v: (
        f"optimizer = torch.optim.{OPTIMIZERS[v.name][0]}(model.parameters()"
        f"{'' if v.rate is None else f', lr={shown(v.rate)}'})"
    ),
    parse=_optimizer,
    refuse=_other,
    apply="rate:optimizer",
)
ENTRIES = (MOMENTUM, LR, WARMUP, DECAY, OPTIMIZER)
