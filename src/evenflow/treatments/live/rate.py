"""The optimizer's settings, changed for the duration of each update: schedulers never see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..rate import OPTIMIZERS, NewOptimizer, NewRate
from .context import TreatmentContext
from .stepping import Stage, Stepper


class Rate(Stage):
    """lr times factor(step); or lr = fixed times the share of its initial rate that a scheduler
    has left."""

    def __init__(self, factor: Callable[[int], float], fixed: float | None = None) -> None:
        self.factor, self.fixed = factor, fixed
        self._first: dict[int, float] = {}

    def override(self, group: dict[str, Any], step: int) -> dict[str, Any]:
        lr = group.get("lr")
        if lr is None:
            return {}
        if self.fixed is None:
            return {"lr": lr * self.factor(step)}
        first = self._first.setdefault(id(group), top_rate(group))
        return {"lr": lr * (self.fixed / first)}


def top_rate(group: dict[str, Any]) -> float:
    """The rate a schedule is built around: OneCycleLR's highest, else the first, else the one now
    (1 if that is 0)."""
    rates = (float(group.get(key, 0)) for key in ("max_lr", "initial_lr", "lr"))
    return next((rate for rate in rates if rate > 0), 1.0)


class Momentum(Stage):
    """momentum, or the first of betas, for the update."""

    def __init__(self, value: float) -> None:
        self.value = value

    def override(self, group: dict[str, Any], step: int) -> dict[str, Any]:
        if "betas" in group:
            return {"betas": (self.value, *group["betas"][1:])}
        return {"momentum": self.value} if "momentum" in group else {}


class Other(Stage):
    """Another optimizer does the update; the script's own finds no gradients and does nothing.

    The script's rate, as its schedulers change it, scales the other's: only the ratio to its
    initial rate counts.
    """

    def __init__(self, make: Callable[[list[dict[str, Any]]], torch.optim.Optimizer]) -> None:
        self.make = make
        self.inner: torch.optim.Optimizer | None = None
        self._first: list[float] = []
        self._rates: list[float] = []
        self._hidden: list[tuple[nn.Parameter, Any]] = []

    def before(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        groups = optimizer.param_groups
        if getattr(optimizer, "grad_scale", None) is not None:
            raise ValueError(
                "optimizer=... cannot take over from a fused optimizer under a GradScaler."
            )
        if self.inner is None:
            self.inner = self.make([{"params": list(g["params"])} for g in groups])
            own = Stepper.of(optimizer).own
            self._first = [top_rate({**g, "lr": own(g, "lr")}) for g in groups]
            self._rates = [float(g["lr"]) for g in self.inner.param_groups]
        for ours, theirs, rate, first in zip(
            self.inner.param_groups, groups, self._rates, self._first, strict=False
        ):
            held = {id(p) for p in ours["params"]}
            ours["params"].extend(p for p in theirs["params"] if id(p) not in held)
            ours["lr"] = rate * float(theirs["lr"]) / first
        self.inner.step()
        for group in groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._hidden.append((p, p.grad))
                    p.grad = None

    def after(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        while self._hidden:
            p, grad = self._hidden.pop()
            p.grad = grad


def lr(context: TreatmentContext, new: NewRate) -> None:
    """A factor on the script's rate, or a rate in its place."""
    fixed = new.number if new.fixed else None
    context.stage(lambda: Rate(lambda _: new.number, fixed))


def warmup(context: TreatmentContext, n: int) -> None:
    """lr (t + 1)/n in the first n updates."""
    context.stage(lambda: Rate(lambda t: min(1.0, (t + 1) / n)))


#: Of the rate it began with a decaying one keeps this share: a longer training still moves.
LAST = 0.01


def decay(context: TreatmentContext, n: int) -> None:
    """lr (1 - t/n) in the first n updates, never below a hundredth."""
    context.stage(lambda: Rate(lambda t: max(LAST, 1 - t / n)))


def momentum(context: TreatmentContext, level: float) -> None:
    """Momentum, or Adam's first beta."""
    for optimizer in context.optimizers:
        groups = optimizer.param_groups
        if not any("momentum" in g or "betas" in g for g in groups):
            raise ValueError(f"{type(optimizer).__name__} has no momentum.")
    context.stage(lambda: Momentum(level))


def optimizer(context: TreatmentContext, new: NewOptimizer) -> None:
    """Another optimizer, at a rate of its own."""
    name, usual = OPTIMIZERS[new.name]
    make: Callable[..., torch.optim.Optimizer] = getattr(torch.optim, name)
    rate = usual if new.rate is None else new.rate
    more = {"momentum": 0.9} if name == "SGD" else {}
    for o in context.optimizers:
        if isinstance(o, torch.optim.LBFGS):
            raise ValueError("LBFGS evaluates a closure within its step; swap it in the script.")
    context.stage(lambda: Other(lambda groups: make(groups, lr=rate, **more)))
