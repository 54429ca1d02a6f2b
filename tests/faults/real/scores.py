"""What the loss is given: EF701."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, regression


@real("EF701", "error")
def scores_of_one_class(sick: bool) -> None:
    net = mlp(8, 16, 1 if sick else 2)

    def batch() -> tuple[Tensor, Tensor]:
        x, _ = classes()
        return x, torch.zeros(len(x), dtype=torch.long) if sick else (x[:, 0] > 0).long()

    fit(net, batch, F.cross_entropy)


@real("EF701", "error")
def softmax_of_a_softmax(sick: bool) -> None:
    def loss(p: Tensor, y: Tensor) -> Tensor:
        p = p.softmax(1).softmax(1) if sick else p
        return F.cross_entropy(p, y)

    fit(mlp(8, 16, 4), classes, loss)


@real("EF701", "info")
def log_softmax_before_cross_entropy(sick: bool) -> None:
    fit(mlp(8, 16, 4, end=nn.LogSoftmax(1) if sick else None), classes, F.cross_entropy)


def _two(n: int = 32) -> tuple[Tensor, Tensor]:
    x, _ = classes(n)
    return x, F.one_hot((x[:, 0] > 0).long(), 2).float()


@real("EF701", "error")
def log_softmax_before_a_sigmoid(sick: bool) -> None:
    end = nn.LogSoftmax(1) if sick else None
    fit(mlp(8, 16, 2, end=end), _two, F.binary_cross_entropy_with_logits)


@real("EF701", "error")
def probabilities_by_hand(sick: bool) -> None:
    def loss(p: Tensor, y: Tensor) -> Tensor:
        e = p.exp()
        return F.cross_entropy(e / e.sum(1, keepdim=True) if sick else p, y)

    fit(mlp(8, 16, 4), classes, loss)


@real("EF701", "warning")
def relu_on_the_scores(sick: bool) -> None:
    fit(mlp(8, 16, 4, end=nn.ReLU() if sick else None), classes, F.cross_entropy)


@real("EF701", "error")
def sigmoid_for_logarithms(sick: bool) -> None:
    fit(mlp(8, 16, 4, end=nn.Sigmoid() if sick else nn.LogSoftmax(1)), classes, F.nll_loss)


@real("EF701", "error")
def targets_above_one(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, _ = classes()
        return x, (x[:, :1] > 0).float() * (2 if sick else 1)

    fit(mlp(8, 16, 1), batch, F.binary_cross_entropy_with_logits)


@real("EF701", "error")
def a_relu_and_negative_targets(sick: bool) -> None:
    fit(mlp(4, 32, 1, end=nn.ReLU() if sick else None), regression)


@real("EF701", "error")
def a_sigmoid_and_large_targets(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = regression()
        return x, y + 3

    fit(mlp(4, 32, 1, end=nn.Sigmoid() if sick else None), batch, optimizer=None, steps=150)


@real("EF701", "error")
def a_sigmoid_and_targets_just_above(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, _ = regression()
        return x, 1.25 + 0.05 * x[:, :1]

    net = mlp(4, 32, 1, end=nn.Sigmoid() if sick else None)
    fit(net, batch, F.l1_loss, adam(net, 3e-2), steps=120)


@real("EF701", "warning")
def a_sigmoid_and_some_targets_above_one(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, _ = regression()
        return x, (1.5 * (x[:, :1] > 0).float()).clamp(min=0.0)

    net = mlp(4, 32, 1, end=nn.Sigmoid() if sick else None)
    fit(net, batch, optimizer=adam(net, 3e-2), steps=120)


@real("EF701", "error")
def a_tanh_and_large_targets(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = regression()
        return x, 4 * y

    fit(mlp(4, 32, 1, end=nn.Tanh() if sick else None), batch)
