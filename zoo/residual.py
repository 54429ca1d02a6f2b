"""Residual networks on digits, dense and convolutional (report half)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import digits
from .loop import Loss, accuracy, fit, seed_all

WIDTH = 48


class Branch(nn.Module):
    """x + down(relu(up(norm(x)))); without a norm where none is asked for."""

    def __init__(self, norm: bool, gain: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.up = nn.Linear(WIDTH, WIDTH)
        self.down = nn.Linear(WIDTH, WIDTH)
        with torch.no_grad():
            self.up.weight *= gain
            self.down.weight *= gain

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.down(F.relu(self.up(self.norm(x))))
        return out


class ResMLP(nn.Module):
    """A stem, `depth` residual branches, a head."""

    def __init__(self, depth: int, norm: bool = True, gain: float = 1.0) -> None:
        super().__init__()
        self.stem = nn.Linear(64, WIDTH)
        self.blocks = nn.ModuleList(Branch(norm, gain) for _ in range(depth))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(x)
        return out


class ConvBlock(nn.Module):
    """Two convolutions with BatchNorm around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(x + self.bn2(self.conv2(h)))


class ResNet(nn.Module):
    """A small convolutional residual network."""

    def __init__(self, depth: int = 3, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ConvBlock(channels) for _ in range(depth)))
        self.head = nn.Linear(channels * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(F.relu(self.stem(x.view(-1, 1, 8, 8))))
        out: Tensor = self.head(F.avg_pool2d(h, 2).flatten(1))
        return out


def train(
    seed: int,
    *,
    depth: int = 6,
    norm: bool = True,
    gain: float = 1.0,
    optimizer: str = "Adam",
    lr: float = 1e-3,
    steps: int = 200,
    loss: Loss = F.cross_entropy,
    only: str = "",
    scale: str = "standard",
    clip: float | None = None,
    **settings: float,
) -> float:
    """A residual perceptron on digits; held-out accuracy.

    `only` is the part of the network whose parameters the optimizer is given.
    """
    seed_all(seed)
    data = digits(scale)
    model = ResMLP(depth, norm, gain)
    params = getattr(model, only).parameters() if only else model.parameters()
    opt = getattr(torch.optim, optimizer)(params, lr, **settings)
    fit(model, opt, data, steps=steps, loss=loss, clip=clip)
    return accuracy(model, data.x_test, data.y_test)


def train_conv(
    seed: int,
    *,
    optimizer: str = "SGD",
    lr: float = 0.05,
    momentum: float = 0.9,
    jump: float = 1.0,
    steps: int = 150,
) -> float:
    """A residual convolutional network on digits, cosine schedule; held-out accuracy.

    After two thirds of the training the rate is multiplied by `jump`.
    """
    seed_all(seed)
    data = digits()
    model = ResNet()
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr, momentum=momentum)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda i: (1 - 0.9 * i / steps) * (jump if i > steps * 2 // 3 else 1.0)
    )
    fit(model, opt, data, steps=steps, size=48, schedule=schedule)
    return accuracy(model, data.x_test, data.y_test)


def likelihood_of_logits(out: Tensor, y: Tensor) -> Tensor:
    """The mistake: nll_loss wants log-probabilities, and gets logits."""
    return F.nll_loss(out, y)


def sum_over_batch(out: Tensor, y: Tensor) -> Tensor:
    """Summed, not averaged: the rate must be smaller by the batch size."""
    return F.cross_entropy(out, y, reduction="sum")


def smoothed(out: Tensor, y: Tensor) -> Tensor:
    """Label smoothing keeps the loss above 0 for good."""
    return F.cross_entropy(out, y, label_smoothing=0.1)


_BLOCKS = r"ResMLP\.blocks"
_sick, _healthy = partial(sick, "residual"), partial(healthy, "residual")

CASES: tuple[Case, ...] = (
    _sick(
        "no-norm",
        "20 branches without normalisation, weights 3 times too large",
        partial(train, depth=20, norm=False, gain=3.0),
        0.9,
        twin="norm-20",
        expect="206",
        allow="102 103 202 302 401 402 403 703 205",
        where=_BLOCKS,
    ),
    _healthy(
        "norm-20", "20 branches, each with LayerNorm", partial(train, depth=20, steps=150), 0.9
    ),
    _sick(
        "explodes",
        "30 branches without normalisation, weights 4 times too large, SGD",
        partial(train, depth=30, norm=False, gain=4.0, optimizer="SGD", lr=0.01),
        0.5,
        twin="sgd",
        expect="102",
        allow="103 202 206 205 302 401 402 403 703",
        where=r"ResMLP\.(blocks|stem)",
    ),
    _healthy("sgd", "6 branches, plain SGD", partial(train, optimizer="SGD", lr=0.1), 0.9),
    _sick(
        "logits-as-likelihoods",
        "logits into nll_loss",
        partial(train, loss=likelihood_of_logits),
        0.5,
        twin="norm",
        expect="701",
        allow="206 102 302 402 703",
        where=r"nll_loss|head",
    ),
    _healthy("norm", "6 branches with LayerNorm", partial(train), 0.93),
    _sick(
        "only-head",
        "the optimizer was given the head's parameters alone, by mistake",
        partial(train, only="head"),
        0.9,
        twin="norm",
        expect="704",
        allow="301 401 404",
        where=r"ResMLP\.(blocks|stem)",
    ),
    _sick(
        "rate",
        "Adam with a rate of 3",
        partial(train, lr=3.0),
        0.92,
        twin="norm",
        expect="703",
        allow="302 101 102 202 205 206 401 402 403",
    ),
    _sick(
        "rate-jump",
        "two thirds in, the schedule restarts with 200 times the rate",
        partial(train_conv, jump=200.0),
        0.9,
        twin="conv",
        expect="402",
        allow="703 302 401 403 202 206 102 103 104 205",
    ),
    _healthy("conv", "convolutions, BatchNorm, momentum, falling rate", partial(train_conv), 0.93),
    _healthy(
        "conv-adam",
        "convolutions, BatchNorm, RMSprop",
        partial(train_conv, optimizer="RMSprop", lr=1e-3, momentum=0.0),
        0.93,
    ),
    _healthy("clipped", "AdamW, clipping", partial(train, optimizer="AdamW", clip=1.0), 0.93),
    _healthy("smoothed", "label smoothing", partial(train, loss=smoothed), 0.93),
    _healthy(
        "summed",
        "loss summed over the batch, the rate made for it",
        partial(train, loss=sum_over_batch, optimizer="SGD", lr=1e-3),
        0.9,
    ),
    _healthy("long", "trained far past convergence", partial(train, depth=3, steps=1000), 0.95),
)
