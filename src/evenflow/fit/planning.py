"""From settled options and rows to the plan of one training, its rate tested."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from . import losses
from .loop import Data, Plan, Stop
from .rates import factor, range_test
from .record import Applied
from .settling import Settled
from .targets import Classes, Numbers


def planned(
    settled: Settled,
    targets: Classes | Numbers,
    data: Data,
    loss: Any,
    heal: bool,
    one_epoch: bool,
) -> Plan:
    """The plan; `loss` is a name or the user's own, `one_epoch` is `partial_fit`'s."""
    each = None if callable(loss) else targets.loss(loss)
    constant = targets.constant(
        data.t.cpu().numpy(),
        None if data.weight is None else data.weight.double().cpu().numpy(),
    )
    baseline = math.nan
    if each is not None:
        z = torch.from_numpy(constant).to(data.x).expand(len(data.x), -1)
        baseline = float(losses.mean(each, None, z, data.t, data.weight))
    schedule = "constant" if one_epoch and settled.schedule == "auto" else settled.schedule
    stop = Stop(settled.epochs, settled.error, settled.patience, settled.gradient, settled.seconds)
    return Plan(
        each=each,
        own=loss,
        batch=settled.batch,
        shuffle=settled.shuffle,
        rate=settled.rate,
        factor=factor(schedule, 0.0 if one_epoch else settled.warmup),
        stop=Stop(1) if one_epoch else stop,
        heal=heal,
        baseline=baseline,
        keep_best=True,
    )


def tested(plan: Plan, settled: Settled, net: nn.Module, data: Data) -> tuple[Plan, list[Applied]]:
    """The plan with a rate that the range test found safe, if it is to look; what it changed."""
    if not (settled.test_rate or plan.heal) or plan.stop.epochs == 0:
        return plan, []
    order = torch.randperm(len(data.x), generator=torch.Generator().manual_seed(0))
    parts = torch.split(order.to(data.x.device), max(settled.batch, 16))[:40]

    def loss(rows: Tensor) -> Any:
        x, t = data.x[rows], data.t[rows]
        w = None if data.weight is None else data.weight[rows]
        return lambda net: losses.mean(plan.each, plan.own, net(x), t, w)

    net.train()
    rate = range_test(net, settled.optimizing, [loss(rows) for rows in parts], plan.rate)
    why = f"EF703: in the range test the loss left below the rate {plan.rate:.3g}"
    told = rate < plan.rate and not settled.test_rate
    return replace(plan, rate=rate), [Applied(f"lr={rate:.3g}", 0, why)] if told else []
