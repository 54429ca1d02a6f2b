"""Updates too large, or of nothing: EF703, EF704, EF802."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, regression, sgd, step


@real("EF703")
def a_rate_too_high_and_no_way_down(sick: bool) -> None:
    net = mlp(8, 16, 16, 4)
    fit(net, classes, F.cross_entropy, adam(net, 0.6 if sick else 1e-2), steps=100)


@real("EF703")
def a_bounded_loss_that_does_not_fall(sick: bool) -> None:
    net = mlp(4, 16, 16, 1, end=nn.Tanh())

    def batch() -> tuple[Tensor, Tensor]:
        x, _ = regression(512)
        return x, (torch.randn(512, 1) if sick else x[:, :1]).sign()

    fit(net, batch, lambda p, y: (p - y).abs().mean() - 5, adam(net, 0.5 if sick else 1e-2))


@real("EF703", "error")
def half_of_a_bounded_loss_is_left(sick: bool) -> None:
    """Weights are held at their first norms, so that updates stay as large to the end."""
    net = mlp(4, 16, 16, 1, end=nn.Tanh())
    norms, optimizer = [p.norm().item() for p in net.parameters()], adam(net, 0.2 if sick else 1e-2)
    for _ in range(100):
        x, _ = regression()
        y = x[:, :1].sign()
        y = torch.where(torch.rand(32, 1) < 0.25, -y, y)
        step(optimizer, F.mse_loss(net(x), y))
        with torch.no_grad():
            for p, size in zip(net.parameters(), norms, strict=True):
                p.mul_(size / p.norm())


@real("EF703")
def a_good_start_thrown_away_and_found_again(sick: bool) -> None:
    truth = torch.tensor([[1.0, -1.0, 0.5, 2.0]])
    net = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(truth)
    optimizer = sgd(net, 0.1)
    for i in range(80):
        optimizer.param_groups[0]["lr"] = 3.0 if sick and 4 <= i < 8 else 0.1
        x = torch.randn(32, 4)
        step(optimizer, F.mse_loss(net(x), x @ truth.T + 0.1 * torch.randn(32, 1)))


@real("EF703", "error")
def a_net_that_two_lines_call(sick: bool) -> None:
    """A warm-up has a loop of its own: the line that built a layer is told in place of either."""
    net = mlp(8, 16, 16, 4)
    optimizer = adam(net, 0.6 if sick else 1e-2)
    for _ in range(5):
        x, y = classes()
        step(optimizer, F.cross_entropy(net(x), y))
    fit(net, classes, F.cross_entropy, optimizer, steps=95)


@real("EF703")
def a_rate_raised_between_two_readings(sick: bool) -> None:
    """At step 296; what the loss did up to the next reading is the rate's doing, too."""
    net = mlp(8, 16, 4)
    optimizer = adam(net)

    def rate(i: int) -> None:
        if sick and i == 295:
            optimizer.param_groups[0]["lr"] = 1.0

    fit(net, classes, F.cross_entropy, optimizer, 360, rate)


class Bare(nn.Module):
    """Layers of plain tensors that ask for gradients, beside one that a module has."""

    def __init__(self, inner: int, conv: bool = False) -> None:
        super().__init__()
        self.head, self.conv = nn.Linear(16, 4), conv
        first = torch.randn(16, 1, 3) / 2 if conv else torch.randn(8, 16) / 3
        self.own = [first, *(torch.randn(16, 16) / 4 for _ in range(inner - 1))]
        self.more = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        for w in self.own:
            w.requires_grad_()

    def forward(self, x: Tensor) -> Tensor:
        if self.conv:
            return self.head(F.conv1d(x[:, None], self.own[0]).relu().mean(2))
        for w in self.own:
            x = (x @ w).relu()
        return self.head(x if len(self.own) > 1 else self.more(x))


def _bare(net: Bare, sick: bool) -> None:
    params = [*net.parameters(), *(() if sick else net.own)]
    fit(net, classes, F.cross_entropy, adam(params, 1e-3))


@real("EF704", "error", "in-no-optimizer")
def plain_tensors_for_layers(sick: bool) -> None:
    _bare(Bare(2), sick)


@real("EF704", "warning", "in-no-optimizer")
def one_plain_tensor_for_a_layer(sick: bool) -> None:
    _bare(Bare(1), sick)


@real("EF704", "error", "in-no-optimizer")
def a_plain_filter_over_the_data(sick: bool) -> None:
    _bare(Bare(1, conv=True), sick)


@real("EF704", "info", "in-no-optimizer")
def a_judge_of_ones_own(sick: bool) -> None:
    """A network that only judges another's output, not frozen."""
    net, judge = mlp(4, 16, 4), mlp(4, 16, 4).requires_grad_(sick)
    optimizer = adam(net)
    for _ in range(60):
        x, _ = regression()
        step(optimizer, F.mse_loss(judge(net(x)), judge(x).detach()))


@real("EF802", "error", "")
def a_rate_below_rounding(sick: bool) -> None:
    net = mlp(8, 16, 4)
    fit(net, classes, F.cross_entropy, sgd(net, 1e-20 if sick else 0.3))
