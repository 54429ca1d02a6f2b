"""Layers: gradients over depth and time, activations: EF101, EF102, EF104, EF201 to EF205."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, sgd, step


def sequences(n: int = 32, steps: int = 16) -> tuple[Tensor, Tensor]:
    """x [n, steps, 4] and which of the last step's features is largest."""
    x = torch.randn(n, steps, 4)
    return x, x[:, -1].argmax(1)


class Fused(nn.Module):
    """A recurrent layer whose last state is read, recurrent weights times `gain`."""

    def __init__(self, kind: type[nn.RNNBase], gain: float, hidden: int = 32, **more: str) -> None:
        super().__init__()
        self.rnn = kind(4, hidden, batch_first=True, **more)  # type: ignore[arg-type]
        self.head = nn.Linear(hidden, 4)
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Cells(nn.Module):
    """One or two cells in a loop of one's own."""

    def __init__(self, *gains: float, act: str = "tanh", hidden: int = 32) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.RNNCell(4, hidden, nonlinearity=act) for _ in gains)
        self.head = nn.Linear(hidden * len(gains), 4)
        with torch.no_grad():
            for cell, gain in zip(self.cells, gains, strict=True):
                cell.weight_hh.mul_(gain)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        states = [x.new_zeros(len(x), c.hidden_size) for c in self.cells]  # type: ignore[misc]
        for t in range(x.shape[1]):
            states = [c(x[:, t], h) for c, h in zip(self.cells, states, strict=True)]
        return self.head(torch.cat(states, 1))


@real("EF101", "", "through-time")
def two_cells_that_forget(sick: bool) -> None:
    net = Cells(*((0.3, 0.1) if sick else (1.5, 1.5)))
    fit(net, sequences, F.cross_entropy, adam(net, 1e-4 if sick else 1e-2), steps=60)


@real("EF101", "error", "through-time")
def a_cell_that_forgets_and_learns_nothing(sick: bool) -> None:
    net = Cells(1e-4 if sick else 1.5)

    def batch() -> tuple[Tensor, Tensor]:
        x, y = sequences()
        return x, torch.randint(4, y.shape) if sick else y

    fit(net, batch, F.cross_entropy, adam(net, 1e-5 if sick else 1e-2), steps=60)


@real("EF101", "", "through-time")
def a_cell_whose_gradient_is_exactly_zero(sick: bool) -> None:
    net = Cells(1e-6 if sick else 1.5)
    fit(net, sequences, F.cross_entropy, adam(net, 1e-5 if sick else 1e-2), steps=60)


@real("EF101")
def a_gradient_that_vanished_for_most_of_the_run(sick: bool) -> None:
    net = mlp(8, *[16] * 8, 4, act=nn.Tanh, gain=0.05 if sick else 1.5)

    def after(i: int) -> None:
        if sick and i == 120:
            with torch.no_grad():
                for m in net.modules():
                    if isinstance(m, nn.Linear):
                        nn.init.orthogonal_(m.weight, 1.2)

    fit(net, classes, F.cross_entropy, sgd(net, 0.05), steps=170, after=after)


@real("EF101", "", None, every=2)
def a_forked_net_that_vanishes(sick: bool) -> None:
    """What each layer puts out is read by a small head of its own too."""

    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(9))
            self.sides = nn.ModuleList(nn.Linear(8, 4) for _ in range(9))
            self.head = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            aside = 0.0
            for layer, side in zip(self.layers, self.sides, strict=True):
                x = layer(x).sigmoid() if sick else layer(x).relu() + x
                aside = aside + side(x) * (1e-12 if sick else 0.1)
            return self.head(x) + aside

    net = Forked()
    fit(net, classes, F.cross_entropy, sgd(net, 0.05), steps=60)


@real("EF101", "", None, every=2)
def codes_that_fade_on_their_way(sick: bool) -> None:
    """What is learned to be decoded: no data enter, and no layer is known to be apart."""
    codes = nn.Parameter(torch.randn(32, 8))
    net = mlp(8, *[16] * (12 if sick else 2), 4, act=nn.Sigmoid if sick else nn.Tanh)
    optimizer = adam([codes, *net.parameters()], 1e-3)
    for _ in range(60):
        step(optimizer, F.mse_loss(net(codes), torch.randn(32, 4)))


@real("EF101", "", None, every=2)
def a_critic_that_fades(sick: bool) -> None:
    """A generator and a critic of it, trained in turns."""
    makes = mlp(8, 16, 16, 8)
    judges = mlp(8, *[16] * (12 if sick else 2), 1, act=nn.Sigmoid if sick else nn.Tanh)
    both = adam(makes, 1e-3), adam(judges, 1e-3)
    told = F.binary_cross_entropy_with_logits
    for _ in range(60):
        made = makes(torch.randn(32, 8))
        real, fake = judges(torch.randn(32, 8) + 1), judges(made.detach())
        step(both[1], told(real, torch.ones(32, 1)) + told(fake, torch.zeros(32, 1)))
        step(both[0], told(judges(made), torch.ones(32, 1)))


@real("EF102", "error", "through-time")
def a_relu_net_that_explodes_through_time(sick: bool) -> None:
    net = Fused(nn.RNN, 6.0 if sick else 1.0, nonlinearity="relu")
    fit(net, sequences, F.cross_entropy, adam(net, 1e-3 if sick else 1e-2), steps=60)


@real("EF102", "warning", "through-time")
def a_relu_net_that_explodes_and_learns(sick: bool) -> None:
    net = Fused(nn.RNN, 4.0 if sick else 1.0, nonlinearity="relu")
    fit(net, sequences, F.cross_entropy, adam(net, 3e-2 if sick else 1e-2), steps=200)


@real("EF102", "", "through-time")
def a_gated_net_that_explodes(sick: bool) -> None:
    net = Fused(nn.GRU, 20.0 if sick else 1.0)
    fit(net, sequences, F.cross_entropy, adam(net, 1e-3 if sick else 1e-2), steps=60)


@real("EF102", "", "through-time")
def a_tanh_net_that_explodes(sick: bool) -> None:
    net = Fused(nn.RNN, 6.0 if sick else 1.0)
    fit(net, sequences, F.cross_entropy, adam(net, 1e-3 if sick else 1e-2), steps=60)


@real("EF104", "error", "EF202")
def all_of_a_layer_past_its_slopes(sick: bool) -> None:
    net = mlp(8, 16, 16, 4, act=nn.Sigmoid, gain=3e4 if sick else 1.0)
    if sick:
        with torch.no_grad():
            net[-1].weight.div_(3e4)
    fit(net, classes, F.cross_entropy, sgd(net, 0.1))


@real("EF201", "", "EF703")
def saturated_by_the_updates(sick: bool) -> None:
    net = mlp(8, 32, 32, 4)
    fit(net, classes, F.cross_entropy, adam(net, 1.0 if sick else 1e-2), steps=100)


@real()
def activations_without_a_layer(sick: bool) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(8) * (1 if sick else 0.5))

        def forward(self, x: Tensor) -> Tensor:
            return (x * self.w).tanh()

    fit(Scaled(), classes, F.cross_entropy)


@real("EF202", "error")
def nearly_all_units_dead(sick: bool) -> None:
    net = mlp(8, 64, 64, 4, act=nn.ReLU)
    with torch.no_grad():
        if sick:
            net[2].bias.fill_(-30.0)
            net[2].bias[:4] = 0.0
    optimizer = sgd(net, 1e-3 if sick else 0.1)
    for _ in range(60):
        x, y = classes()
        step(optimizer, F.cross_entropy(net(x), torch.randint(4, (32,)) if sick else y))


@real("EF202", every=2)
def units_off_in_one_call_and_on_in_others(sick: bool) -> None:
    """The first of four calls sees much the same state, as an agent's first act does."""
    net = mlp(4, 32, 4, act=nn.ReLU)
    with torch.no_grad():
        net[0].weight.copy_(5 * torch.eye(4).repeat_interleave(8, 0) + 0.3 * torch.randn(32, 4))
        net[0].bias.fill_(-2.0)
        if sick:
            net[0].bias[8:] = -40.0
    optimizer = sgd(net, 0.01)
    for _ in range(60):
        first = torch.eye(4)[0] + 0.1 * torch.randn(16, 4)
        calls = [first, *torch.randn(3, 16, 4)]
        losses = [F.cross_entropy(net(x), x.argmax(1)) for x in calls]
        step(optimizer, torch.stack(losses).sum())


@real("EF102", "", "through-time")
def a_layer_that_explodes_beside_one_that_learns(sick: bool) -> None:
    class Beside(Fused):
        def __init__(self) -> None:
            super().__init__(nn.RNN, 8.0 if sick else 1.0)
            self.past = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.past(x[:, -1]) + 0.01 * super().forward(x)

    fit(Beside(), sequences, F.cross_entropy, steps=100)


@real("EF205")
def one_token_only(sick: bool) -> None:
    """All samples are equal from the first layer on: no difference to hold the layers against."""

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.net = nn.Embedding(8, 16), mlp(16, 16, 16, 4)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.net(self.embed(tokens).mean(1))

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 8, (32, 3))
        return x * (0 if sick else 1), x[:, 0] % 4

    fit(Bag(), batch, F.cross_entropy, steps=100)
