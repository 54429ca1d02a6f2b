"""The plan of one training: its rows, when it stops, at which rate; from settled options."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from . import losses
from .network import NetworkShape
from .outcome import Applied
from .rates import Factor, factor, range_test
from .settling import Settled, StoppingRules
from .targets import Array, Targets

#: Rows that the start and preflight look at.
LOOK = 512


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


def split(
    x_NC: Array, t: Array, w_N: Array | None, strata_N: Array | None, settled: Settled, seeds: Any
) -> tuple[Data, Data | None]:
    """Rows to train on, and validation rows where there are to be some.

    Args:
        x_NC, t, w_N: inputs, targets (first axis N) and weights, if there are any.
        strata_N: by what validation rows are chosen evenly; left out where a stratum is too small.
        settled: how many validation rows, and the tensors' device and type.
        seeds: numpy's RandomState, that the choice is drawn from.
    """

    def rows(chosen: Any) -> Data:
        target = torch.from_numpy(np.ascontiguousarray(t[chosen]))
        if target.is_floating_point():
            target = target.to(settled.dtype)
        weight = None if w_N is None else torch.from_numpy(w_N[chosen])
        to = (settled.device, settled.dtype)
        return Data(
            torch.from_numpy(np.ascontiguousarray(x_NC[chosen])).to(*to),
            target.to(settled.device),
            None if weight is None else weight.to(*to),
        )

    held = math.ceil(len(x_NC) * settled.validation)
    if held == 0 or held >= len(x_NC):
        return rows(slice(None)), None
    if strata_N is not None:
        counts = np.bincount(strata_N)
        if counts[counts > 0].min() < 2 or held < (counts > 0).sum():
            strata_N = None
    train, test = train_test_split(
        np.arange(len(x_NC)), test_size=held, random_state=seeds, stratify=strata_N
    )
    return rows(np.sort(train)), rows(test)


def looked_at(x: Tensor, seed: int) -> Tensor:
    """At most `LOOK` rows of x [N, C], drawn by the seed."""
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:LOOK]
    return x[rows.to(x.device)]


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
