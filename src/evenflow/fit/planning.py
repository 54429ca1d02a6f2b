"""The plan of one training: its rows, when it stops, at which rate; from settled options."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from . import losses
from .network import NetworkShape
from .outcome import Applied
from .rates import Factor, factor, range_test
from .settling import Settled, StoppingRules
from .targets import Targets


@dataclass(frozen=True, slots=True)
class Data:
    """Rows as tensors on one device: x [N, I], targets [N, ...], weights [N] or None."""

    x: Tensor
    t: Tensor
    weight: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> Data:
        weight = None if self.weight is None else self.weight[rows]
        return Data(self.x[rows], self.t[rows], weight)

    def batches(self, size: int) -> Iterator[Data]:
        """One after the other, as views."""
        x, t = torch.split(self.x, size), torch.split(self.t, size)
        weights = (None,) * len(x) if self.weight is None else torch.split(self.weight, size)
        return map(Data, x, t, weights)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One training, all settled."""

    each: losses.PerSample  # or the user's own, which may give one number for the batch
    batch: int
    shuffle: bool
    rate: float
    factor: Factor
    stop: StoppingRules
    heal: bool
    baseline: float

    def loss(self, net: nn.Module, data: Data) -> Tensor:
        """The mean loss of these rows."""
        return losses.mean(self.each, net(data.x), data.t, data.weight)


def planned(
    settled: Settled,
    targets: Targets,
    data: Data,
    loss: Any,
    heal: bool,
    one_epoch: bool,
) -> TrainingPlan:
    """The plan; `loss` is a name or the user's own, `one_epoch` is `partial_fit`'s."""
    each, baseline = loss, math.nan
    if not callable(loss):
        each = targets.loss(loss)
        weight = None if data.weight is None else data.weight.double().cpu().numpy()
        constant = targets.constant(data.t.cpu().numpy(), weight)
        z = torch.from_numpy(constant).to(data.x).expand(len(data.x), -1)
        baseline = float(losses.mean(each, z, data.t, data.weight))
    schedule = "constant" if one_epoch and settled.schedule == "auto" else settled.schedule
    return TrainingPlan(
        each=each,
        batch=settled.batch,
        shuffle=settled.shuffle,
        rate=settled.rate,
        factor=factor(schedule, 0.0 if one_epoch else settled.warmup),
        stop=StoppingRules(1) if one_epoch else settled.stop,
        heal=heal,
        baseline=baseline,
    )


def tested(
    plan: TrainingPlan, settled: Settled, net: nn.Module, data: Data
) -> tuple[TrainingPlan, list[Applied]]:
    """The plan with a rate that the range test found safe, if it is to look; what it changed."""
    if not (settled.test_rate or plan.heal) or plan.stop.epochs == 0:
        return plan, []
    order = torch.randperm(len(data.x), generator=torch.Generator().manual_seed(0))
    parts = torch.split(order.to(data.x.device), max(settled.batch, 16))[:40]
    losses_of = [partial(plan.loss, data=data[rows]) for rows in parts]
    net.train()
    rate = range_test(net, settled.optimizing, losses_of, plan.rate)
    why = f"EF703: in the range test the loss left below the rate {plan.rate:.3g}"
    told = rate < plan.rate and not settled.test_rate
    return replace(plan, rate=rate), [Applied(f"lr={rate:.3g}", 0, why)] if told else []


def auto_told(settled: Settled, shape: NetworkShape, plan: TrainingPlan) -> dict[str, object]:
    """What every `auto` came to, for the report."""
    return {
        "hidden": shape.hidden,
        "activation": shape.activations,
        "norm": shape.norm,
        "residual": shape.residual,
        "optimizer": settled.optimizing.optimizer,
        "learning_rate": plan.rate,
        "l2": settled.optimizing.l2,
        "clip": settled.optimizing.clip,
        "batch_size": settled.batch,
        "epochs": plan.stop.epochs,
        "validation": settled.validation,
        "patience": plan.stop.patience,
    }
