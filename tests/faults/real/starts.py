"""How a run began: weights unlike any usual start's, and norms over too few values."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .births import scaled
from .book import adam, birth, classes, fit, mlp, real, sgd
from .layers import Cells


def _normed(depth: int, gain: float, width: int = 32) -> nn.Sequential:
    """Layers of weights times `gain`, each with a batch norm that takes the gain away again."""
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Linear(width if k else 8, width), nn.BatchNorm1d(width), nn.ReLU()]
        with torch.no_grad():
            layers[-3].weight.mul_(gain)  # type: ignore[operator, union-attr]
    return nn.Sequential(*layers, nn.Linear(width, 4))


@birth("EF604", "error", "depth-times-weights")
def a_batch_norm_behind_each_of_many_large_layers(sick: bool) -> Any:
    return _normed(60 if sick else 2, 5.0), torch.randn(32, 8)


@birth("EF602", "error")
def an_activation_past_nearly_all_its_slopes(sick: bool) -> Any:
    return scaled(50.0 if sick else 1.0, 1), torch.randn(32, 8)


@birth("EF602")
def large_weights_behind_a_gated_layer(sick: bool) -> Any:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(4, 8, batch_first=True)
            self.net = scaled(6.0 if sick else 1.4, 12 if sick else 2, nn.ReLU)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(self.gru(x)[0][:, -1])

    return Gated(), torch.randn(32, 6, 4)


@birth("EF102", "error", "through-time")
def a_cell_of_large_weights(sick: bool) -> Any:
    """It looks deep, and it is long."""
    return Cells(6.0 if sick else 1.0, act="relu"), torch.randn(32, 30 if sick else 8, 4)


@real("EF102", "error", "depth-times-weights")
def a_gradient_that_many_batch_norms_make_explode(sick: bool) -> None:
    net = _normed(60 if sick else 2, 1.0)
    fit(net, classes, F.cross_entropy, sgd(net, 1e-6 if sick else 0.1))


@real("EF102", "error", "EF703", every=1)
def a_decay_of_the_wrong_sign(sick: bool) -> None:
    """The start is as usual; each update makes the weights a tenth larger."""
    net = mlp(8, *[16] * 5, 4, act=nn.ReLU)
    optimizer = sgd(net, 1e-10 if sick else 0.1)
    if sick:  # the optimizer itself would refuse it
        optimizer.param_groups[0]["weight_decay"] = -1.05e9
    fit(net, classes, F.cross_entropy, optimizer)


@real("EF806")
def batches_of_two_for_a_deep_net(sick: bool) -> None:
    """Too few values explain even what depth would: the gradient that is lost on the way."""
    net = _normed(12, 1.0)
    fit(net, lambda: classes(2 if sick else 32), F.cross_entropy, adam(net, 1e-3))


def _loud(sick: bool, times: float, steps: int) -> None:
    net = mlp(8, 32, 4)
    if sick:
        with torch.no_grad():
            net[-1].weight.mul_(times)
    fit(net, classes, F.cross_entropy, adam(net, 1e-3), steps=steps)


@real("EF602", "error")
def scores_a_hundred_times_too_large(sick: bool) -> None:
    _loud(sick, 200.0, 80)


@real("EF602", "warning")
def scores_too_large_that_are_being_taken_back(sick: bool) -> None:
    _loud(sick, 30.0, 400)
