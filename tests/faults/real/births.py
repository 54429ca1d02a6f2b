"""Networks at birth, foreseen: EF101, EF102, EF205, EF601 to EF604."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import birth, foresee, mlp
from .layers import Fused


def _x(n: int = 32, width: int = 8) -> Tensor:
    return torch.randn(n, width)


def scaled(gain: float, depth: int, act: Any = nn.Tanh, width: int = 32) -> nn.Sequential:
    """A net with weights of `gain` times LeCun's size."""
    net = mlp(8, *[width] * depth, 4, act=act)
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=gain / m.in_features**0.5)
                nn.init.zeros_(m.bias)
    return net


@birth("EF101", "info", "through-time")
def a_layer_that_forgets_late(sick: bool) -> Any:
    return Fused(nn.RNN, 0.5 if sick else 1.7), torch.randn(32, 48 if sick else 8, 4)


@birth()
def a_net_of_nothing(sick: bool) -> Any:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp(8, 16, 16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) * (0.0 if sick else 1.0)

    return Net(), _x()


@birth()
def a_loop_of_ones_own_layer(sick: bool) -> Any:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u, self.w, self.head = nn.Linear(4, 32), nn.Linear(32, 32), nn.Linear(32, 4)
            with torch.no_grad():
                nn.init.orthogonal_(self.w.weight)

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(len(x), 32)
            for t in range(x.shape[1]):
                h = torch.tanh(self.u(x[:, t]) + self.w(h))
            return self.head(h)

    return Loop(), torch.randn(32, 12, 4)


@birth()
def a_layer_that_cannot_be_opened(sick: bool) -> Any:
    class Outer(Fused):
        """Torch's function without its module."""

        def forward(self, x: Tensor) -> Tensor:
            h, flat = x.new_zeros(1, len(x), 32), list(self.rnn._flat_weights)
            out = torch._VF.rnn_tanh(x, h, flat, True, 1, 0.0, True, False, True)[0]
            return self.head(out[:, -1])

    return (Outer if sick else Fused)(nn.RNN, 1.0), torch.randn(32, 12, 4)


@birth("EF604", "error")
def a_deep_net_that_scales_down(sick: bool) -> Any:
    """Neither slopes nor weights took the gradient: a factor did."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(8))
            for layer in self.layers:
                nn.init.orthogonal_(layer.weight)
            self.head = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x).relu() * (0.05 if sick else 1.0) + 0.5
            return self.head(x)

    return Scaled(), _x()


@birth()
def a_loss_and_its_targets(sick: bool) -> Any:
    x = _x()
    return foresee(mlp(8, 16, 16, 4), x, loss_fn=F.cross_entropy, targets=x[:, :4].argmax(1))


@birth("EF603", "warning")
def most_units_off(sick: bool) -> Any:
    net = mlp(8, 32, 32, 4, act=nn.ReLU)
    if sick:
        with torch.no_grad():
            net[2].bias[:27] = -20.0
    return net, _x()


@birth("EF604", "", "depth-times-activation")
def a_deep_sigmoid_net(sick: bool) -> Any:
    return scaled(1.0, 9 if sick else 2, nn.Sigmoid), _x()


@birth("EF601", "warning")
def weights_rather_small(sick: bool) -> Any:
    return scaled(0.2 if sick else 1.5, 8 if sick else 4), _x()


@birth("EF101", "warning")
def a_gradient_that_will_be_faint(sick: bool) -> Any:
    return scaled(0.3 if sick else 1.5, 12 if sick else 4), _x()


@birth("EF602", "warning")
def an_activation_past_its_slopes_by_half(sick: bool) -> Any:
    return scaled(6.0 if sick else 1.0, 4), _x()


@birth("EF205", "warning")
def samples_that_will_look_alike(sick: bool) -> Any:
    return scaled(0.5, 8 if sick else 2, nn.Sigmoid), _x()


@birth("EF102", "warning")
def a_gradient_that_will_be_large(sick: bool) -> Any:
    return scaled(3.0 if sick else 1.4, 12 if sick else 4, nn.ReLU), _x()


@birth("EF102", "warning", "through-time")
def a_layer_that_may_explode(sick: bool) -> Any:
    return Fused(nn.RNN, 3.0 if sick else 1.7), torch.randn(32, 48 if sick else 8, 4)


@birth("EF101", "warning", "through-time")
def a_layer_that_forgets_soon(sick: bool) -> Any:
    return Fused(nn.RNN, 0.02 if sick else 1.7), torch.randn(32, 32 if sick else 8, 4)


@birth("EF102", "error", "through-time")
def a_layer_that_will_explode(sick: bool) -> Any:
    return Fused(nn.RNN, 8.0 if sick else 1.0, nonlinearity="relu"), torch.randn(32, 16, 4)
