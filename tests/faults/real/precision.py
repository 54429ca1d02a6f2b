"""What 16 bits cannot hold: EF105, EF303."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import classes, fit, mlp, real, sgd, step


def _brief(n: int = 32) -> tuple[Tensor, Tensor]:
    x, y = classes(n)
    return x.bfloat16(), y


def _cost(p: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(p.float(), y)


def _low(net: nn.Module, scale: float, rate: float, dtype: torch.dtype, steps: int = 60) -> None:
    net = net.to(dtype)
    optimizer = sgd(net, rate)
    for _ in range(steps):
        x, y = classes(32)
        loss = F.cross_entropy(net(x.to(dtype)).float(), y) * scale
        step(optimizer, loss)


@real("EF105", "error", "dtype")
def float16_errors_that_underflow(sick: bool) -> None:
    _low(mlp(8, 16, 16, 4), 1e-6 if sick else 1.0, 0.05, torch.float16)


@real("EF303", "error")
def updates_lost_in_bfloat16(sick: bool) -> None:
    _low(mlp(8, 16, 16, 4), 1.0, 1e-5 if sick else 0.3, torch.bfloat16, 80)


@real("EF303", "warning")
def one_layers_updates_lost(sick: bool) -> None:
    net = mlp(8, 16, 16, 16, 4, act=nn.ReLU).bfloat16()
    groups = [
        {"params": net[0].parameters(), "lr": 1e-6 if sick else 0.3},
        {"params": [p for m in net[1:] for p in m.parameters()], "lr": 0.3},
    ]
    optimizer = torch.optim.SGD(groups, 0.3)
    for _ in range(80):
        x, y = classes(64)
        step(optimizer, F.cross_entropy(net(x.bfloat16()).float(), y))


@real("EF105", "error", "EF101")
def float32_errors_that_underflow(sick: bool) -> None:
    gain, act = (0.05, nn.Sigmoid) if sick else (1.0, nn.Tanh)
    net = mlp(8, *[16] * 22, 4, act=act, gain=gain) if sick else mlp(8, 16, 16, 4, act=act)
    fit(net, classes, F.cross_entropy, sgd(net, 0.1))


@real("EF105", "warning", "dtype")
def a_few_errors_that_underflow(sick: bool) -> None:
    """A part in float16 behind a scale too small, beside one that learns."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.side = mlp(8, 32, 32, 4), nn.Linear(8, 4).half()

        def forward(self, x: Tensor) -> Tensor:
            return self.main(x) + self.side(x.half()).float() * (1e-3 if sick else 1.0)

    net = Two()
    fit(net, lambda: classes(64), F.cross_entropy, sgd(net, 0.5), steps=80)


@real("EF105", "error", "dtype")
def half_of_all_errors_subnormal_and_it_learns(sick: bool) -> None:
    """A loss made small, and a rate that makes up for it."""
    scale = 1e-3 if sick else 1.0
    _low(mlp(8, 32, 32, 4), scale, 0.3 / scale, torch.float16, 120)


class Lion(torch.optim.Optimizer):
    """Steps as long as the rate, whichever the gradient (Chen et al. 2023, without its decay)."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.sub_(group["lr"] * torch.lerp(m, p.grad, 0.1).sign())
                m.lerp_(p.grad, 0.01)


@real("EF303", "error")
def a_lions_updates_lost_in_bfloat16(sick: bool) -> None:
    net = mlp(8, 16, 16, 4).bfloat16()
    optimizer = Lion(net.parameters(), 1e-6 if sick else 3e-3)
    fit(net, _brief, _cost, optimizer, 80)
