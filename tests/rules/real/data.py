"""What is fed in: EF501, EF502, EF504."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, regression, sgd, step


@real("EF501")
def faint_inputs(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return x * (1e-3 if sick else 1.0), y

    fit(mlp(8, 16, 4), batch, F.cross_entropy)


@real("EF501")
def features_decades_apart(sick: bool) -> None:
    scale = torch.logspace(-5, 0, 8) if sick else torch.ones(8)

    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return x * scale, y

    fit(mlp(8, 16, 4), batch, F.cross_entropy)


@real("EF501")
def large_inputs_behind_dropout(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return (x * (300.0 if sick else 1.0)).requires_grad_(), y  # as for a gradient penalty

    fit(nn.Sequential(nn.Dropout(0.1), *mlp(8, 16, 4)), batch, F.cross_entropy)


@real("EF501")
def large_inputs_side_by_side(sick: bool) -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp(8, 16, 4)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.net(torch.cat([a, b], 1))

    net = Joined()
    optimizer = adam(net)
    for _ in range(60):
        x, y = classes()
        x = x * (300.0 if sick else 1.0)
        a, b = x[:, :3].clone().requires_grad_(), x[:, 3:].clone().requires_grad_()
        step(optimizer, F.cross_entropy(net(a, b), y))


@real("EF502", "warning")
def an_outlier_that_does_no_harm(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes(64)
        if sick:
            x[0, 7] = 3e3
        return x, y

    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))
    fit(net, batch, F.cross_entropy, adam(net), steps=120)


@real()
def an_input_of_one_number(sick: bool) -> None:
    """Scores of a single example, as the loss takes them without a batch; no layer of matrices."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.b = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x * self.w + self.b)

    net = Scaled()
    optimizer = sgd(net)
    for _ in range(60):
        y = torch.randint(4, ())
        x = F.one_hot(y, 4).float()
        step(optimizer, F.cross_entropy(net(x if sick else x[None])[() if sick else 0], y))


@real("EF504")
def a_large_target_by_hand(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = regression()
        return x, y * (2e3 if sick else 1.0)

    fit(mlp(4, 32, 1), batch, lambda p, y: ((p - y) ** 2).mean())
