"""In which order the data come, how unevenly, and whose labels: EF407, EF505, EF506."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, mlp, real, sgd, step

CENTRES = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))


def samples(y: Tensor, noise: float = 0.3) -> Tensor:
    return CENTRES[y] + noise * torch.randn(len(y), 8)


def folders(classes: int = 4, each: int = 5) -> Iterator[Tensor]:
    """Labels of batches: so many of one class, then of the next, and again from the first."""
    while True:
        for c in range(classes):
            for _ in range(each):
                yield torch.full((16,), c)


def mixed(classes: int = 4) -> Iterator[Tensor]:
    while True:
        yield torch.randint(0, classes, (16,))


def grouped(classes: int = 4) -> Iterator[Tensor]:
    """A sampler that fills each batch with one class, whichever."""
    while True:
        yield torch.randint(0, classes, (1,)).expand(16)


def train(
    labels: Iterator[Tensor],
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] = adam,
    steps: int = 120,
    classes: int = 4,
    noise: float = 0.3,
) -> None:
    net = mlp(8, 16, classes)
    opt = optimizer(net)
    for _, y in zip(range(steps), labels, strict=False):
        step(opt, F.cross_entropy(net(samples(y, noise)), y))


@real("EF505", "error")
def folder_after_folder(sick: bool) -> None:
    train(folders() if sick else mixed())


@real("EF505", "error")
def folder_after_folder_of_which_the_first_steps_were_read(sick: bool) -> None:
    """Up to step 288, each class once; that all came again tells the run's length alone."""
    train(folders(4, 92) if sick else mixed(), steps=500)


@real("EF505", "info")
def tasks_that_come_one_after_the_other(sick: bool) -> None:
    train(folders(8, 34) if sick else mixed(8), steps=270, classes=8)


@real("EF505", "error")
def a_sampler_that_groups_by_class(sick: bool) -> None:
    train(grouped() if sick else mixed(), lambda net: sgd(net, 0.2, momentum=0.9), noise=1.0)


@real("EF505", "warning")
def a_sampler_that_groups_by_class_at_a_low_rate(sick: bool) -> None:
    train(grouped() if sick else mixed(), lambda net: adam(net, 6e-3), noise=1.0)


@real("EF505", "info")
def a_sampler_that_groups_what_is_easily_told_apart(sick: bool) -> None:
    train(grouped() if sick else mixed(), lambda net: adam(net, 1e-2), steps=400)


def _series(sick: bool, net: nn.Module, size: float, rate: float, noise: float) -> None:
    """A value foretold from the eight before it, in order or not."""
    t = torch.arange(640.0)
    values = size * torch.sin(t / 50) + noise * torch.randn(640)
    windows = values.unfold(0, 9, 1)
    opt = adam(net, rate)
    for _ in range(8):
        order = torch.arange(len(windows)) if sick else torch.randperm(len(windows))
        for b in order.split(16):
            step(opt, F.mse_loss(net(windows[b, :8]), windows[b, 8:]))


@real("EF505", "info")
def a_series_read_in_order_and_learned(sick: bool) -> None:
    _series(sick, mlp(8, 16, 1), 1.0, 1e-2, 0.02)


class Recurrent(nn.Module):
    """By a layer of torch's, or by a cell that is called step by step."""

    def __init__(self, by_hand: bool) -> None:
        super().__init__()
        self.rnn = nn.GRUCell(1, 8) if by_hand else nn.GRU(1, 8, batch_first=True)
        self.head, self.by_hand = nn.Linear(8, 1), by_hand

    def forward(self, x: Tensor) -> Tensor:
        if not self.by_hand:
            return self.head(self.rnn(x[..., None])[0][:, -1])
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = self.rnn(x[:, t : t + 1], h)
        return self.head(h)


@real("EF505", "info")
def a_series_read_in_order_by_recurrent_layers(sick: bool) -> None:
    _series(sick, Recurrent(by_hand=False), 1.0, 1e-3, 0.02)


@real("EF505", "info")
def a_series_read_in_order_by_a_cell(sick: bool) -> None:
    _series(sick, Recurrent(by_hand=True), 1.0, 1e-3, 0.02)


def _by_target(sick: bool, rate: float) -> None:
    x = torch.randn(320, 8)
    y = (x[:, :1] + torch.randn(320, 1)) / 1.4
    net = mlp(8, 32, 1, act=nn.ReLU)
    opt = sgd(net, rate)
    for _ in range(12):
        order = y[:, 0].argsort() if sick else torch.randperm(320)
        for b in order.split(16):
            step(opt, F.mse_loss(net(x[b]), y[b]))


@real("EF505", "error")
def a_table_sorted_by_its_target(sick: bool) -> None:
    _by_target(sick, 0.05)


@real("EF505", "warning")
def two_targets_sorted(sick: bool) -> None:
    x = torch.randn(320, 8)
    y = torch.cat([x[:, :1] + torch.randn(320, 1), torch.randn(320, 1)], 1)
    net = mlp(8, 32, 2, act=nn.ReLU)
    opt = sgd(net, 0.1)
    for _ in range(12):
        order = (y[:, 0] + 2 * y[:, 1]).argsort() if sick else torch.randperm(320)
        for b in order.split(16):
            step(opt, F.mse_loss(net(x[b]), y[b]))


@real()
def ones_in_turn_with_zeros(sick: bool) -> None:
    """A critic's targets, made by the loop: what is told apart was made so."""
    net = mlp(8, 16, 1)
    opt = adam(net, 1e-2)
    for i in range(120):
        x = torch.randn(16, 8) + 2 * (i % 2)
        step(opt, F.binary_cross_entropy_with_logits(net(x), torch.full((16, 1), float(i % 2))))
    del sick


def _rare(share: float, apart: float = 0.8, n: int = 64) -> tuple[Tensor, Tensor]:
    y = (torch.rand(n) < share).long()
    return torch.randn(n, 8) + apart * y[:, None] * (torch.arange(8) < 4), y


@real("EF506", "warning")
def a_rare_class_by_cross_entropy(sick: bool) -> None:
    net = mlp(8, 16, 2)
    opt = adam(net, 5e-3)
    weight = None if sick else torch.tensor([1.0, 24.0])
    for _ in range(240):
        x, y = _rare(0.04)
        step(opt, F.cross_entropy(net(x), y, weight=weight))


@real("EF506", "warning")
def a_rare_class_by_one_output(sick: bool) -> None:
    net = mlp(8, 16, 1)
    opt = adam(net, 5e-3)
    weight = None if sick else torch.tensor(24.0)
    for _ in range(240):
        x, y = _rare(0.04)
        loss = F.binary_cross_entropy_with_logits(net(x)[:, 0], y.float(), pos_weight=weight)
        step(opt, loss)


@real("EF506", "warning")
def a_rare_class_that_cannot_be_told_apart(sick: bool) -> None:
    """Hardly to be told apart; the twin learns the class."""
    net = mlp(8, 16, 2)
    opt = adam(net, 5e-3)
    for _ in range(240):
        x, y = _rare(0.04, 0.3 if sick else 4.0)
        step(opt, F.cross_entropy(net(x), y) / 2)


def epochs(y: Tensor, x: Tensor, size: int, times: int, rate: float) -> None:
    """A network trained on batches of a table, shuffled anew each time."""
    net = mlp(x.shape[1], 128, int(y.max()) + 1)
    opt = adam(net, rate)
    for _ in range(times):
        for batch in torch.randperm(len(x)).split(size):
            step(opt, F.cross_entropy(net(x[batch]), y[batch]))


@real("EF407", "error")
def labels_shuffled_apart_from_their_inputs(sick: bool) -> None:
    y = torch.randint(0, 4, (256,))
    x = samples(y, 1.0)
    epochs(y[torch.randperm(256)] if sick else y, x, 16, 30, 3e-3)


@real("EF407", "error")
def inputs_that_say_nothing(sick: bool) -> None:
    y = torch.randint(0, 4, (320,))
    x = torch.randn(320, 24)
    epochs(y, x if sick else torch.cat((samples(y, 2.0), x[:, :16]), 1), 16, 30, 2e-3)
