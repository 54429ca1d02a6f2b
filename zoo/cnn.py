"""Convolutional networks on digits (report half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import Split, digits, shuffled
from .loop import Loss, accuracy, fit, seed_all


class ConvNet(nn.Module):
    """`depth` 3 x 3 convolutions at 8 x 8, pooled to 4 x 4 after the first half, then a head."""

    def __init__(
        self,
        depth: int = 3,
        channels: int = 8,
        act: Callable[[], nn.Module] = nn.ReLU,
        norm: bool = False,
        dropout: float = 0.0,
        classes: int = 10,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            layers.append(nn.Conv2d(channels if i else 1, channels, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(act())
            if i == depth // 2:
                layers.append(nn.AvgPool2d(2))
        self.features = nn.Sequential(*layers)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(channels * 16, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x.view(-1, 1, 8, 8)).flatten(1)
        out: Tensor = self.head(self.drop(h))
        return out


def convs(model: ConvNet) -> list[nn.Conv2d]:
    """The convolutions in forward order."""
    return [m for m in model.features if isinstance(m, nn.Conv2d)]


def start_(model: ConvNet, kind: str, value: float) -> None:
    """Overwrite the start of the convolutions."""
    for m in convs(model):
        if kind == "he":
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        elif kind == "orthogonal":
            nn.init.orthogonal_(m.weight, value)
        elif kind == "normal":
            nn.init.normal_(m.weight, std=value)
        elif kind == "zero":
            nn.init.zeros_(m.weight)
        if m.bias is not None:
            nn.init.constant_(m.bias, value if kind == "bias" else 0.0)
    if kind == "zero":
        nn.init.zeros_(model.head.weight)
        nn.init.zeros_(model.head.bias)


def train(
    seed: int,
    *,
    depth: int = 3,
    channels: int = 8,
    act: Callable[[], nn.Module] = nn.ReLU,
    norm: bool = False,
    dropout: float = 0.0,
    start: str = "",
    value: float = 0.0,
    optimizer: str = "Adam",
    lr: float = 3e-3,
    steps: int = 200,
    size: int = 48,
    scale: str = "standard",
    loss: Loss = F.cross_entropy,
    change: Callable[[Split], Split] | None = None,
    clip: float | None = None,
    forgets: str = "",
    **settings: float,
) -> float:
    """A convolutional network on digits; held-out accuracy."""
    seed_all(seed)
    data = digits(scale)
    if change is not None:
        data = change(data)
    model = ConvNet(depth, channels, act, norm, dropout, int(data.y.max()) + 1)
    if start:
        start_(model, start, value)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr, **settings)
    fit(model, opt, data, steps=steps, size=size, loss=loss, clip=clip, forgets=forgets)
    return accuracy(model, data.x_test, data.y_test)


def train_groups(seed: int, *, lr: float) -> float:
    """The convolutions, of two channels, have a group of their own; held-out accuracy."""
    seed_all(seed)
    data = digits()
    model = ConvNet(2, 2)
    groups: list[dict[str, Any]] = [
        {"params": model.features.parameters(), "lr": lr},
        {"params": model.head.parameters()},
    ]
    opt = torch.optim.SGD(groups, 0.05, momentum=0.9)
    fit(model, opt, data, steps=200, size=32)
    return accuracy(model, data.x_test, data.y_test)


def train_head(seed: int, *, frozen: bool) -> float:
    """Pretrain on 0..4, then go on with a new head on 0..9.

    The features are frozen on purpose (`requires_grad_(False)`), or trained along.
    """
    seed_all(seed)
    data = digits()
    model = ConvNet(3, 8)
    few = data.y < 5
    low = data._replace(x=data.x[few], y=data.y[few])
    fit(model, torch.optim.Adam(model.parameters(), 3e-3), low, steps=100, size=32)
    model.head = nn.Linear(128, 10)
    model.features.requires_grad_(not frozen)
    params = [p for p in model.parameters() if p.requires_grad]
    fit(model, torch.optim.Adam(params, 3e-3), data, steps=200, size=32)
    return accuracy(model, data.x_test, data.y_test)


def double_softmax(out: Tensor, y: Tensor) -> Tensor:
    """The mistake: cross_entropy applies log-softmax itself."""
    return F.cross_entropy(F.softmax(out, 1), y)


def upper(d: Split) -> Split:
    """Is the digit 5 or above?"""
    return d._replace(y=(d.y >= 5).long(), y_test=(d.y_test >= 5).long())


def rare(d: Split) -> Split:
    """Is it a nine? One in ten."""
    return d._replace(y=(d.y == 9).long(), y_test=(d.y_test == 9).long())


def bytes_(d: Split) -> Split:
    """Pixels as bytes, 0..255, the way an image file holds them."""
    raw = digits("raw")
    return d._replace(x=raw.x * 255 / 16, x_test=raw.x_test * 255 / 16)


def scaled_twice(d: Split) -> Split:
    """Pixels of 0..1 divided by 255 once more, then normalised as if nothing had happened."""
    unit = digits("unit")
    mean, std = unit.x.mean(), unit.x.std()
    return d._replace(x=(unit.x / 255 - mean) / std, x_test=(unit.x_test / 255 - mean) / std)


def hot_pixel(d: Split) -> Split:
    """One image has a pixel of 1e6."""
    x = d.x.clone()
    x[11, 30] = 1e6
    return d._replace(x=x)


_FEATURES = r"ConvNet\.features"
_EARLY = r"ConvNet\.features\.1?\d(\D|$)"
_sick, _healthy = partial(sick, "cnn"), partial(healthy, "cnn")

CASES: tuple[Case, ...] = (
    _sick(
        "sigmoid-12",
        "12 sigmoid convolutions without normalisation",
        partial(train, depth=12, act=nn.Sigmoid, steps=150),
        0.5,
        twin="batchnorm-12",
        expect="101",
        allow="104 201 205 401 404",
        where=_EARLY,
    ),
    _healthy(
        "batchnorm-12",
        "12 sigmoid convolutions with BatchNorm",
        partial(train, depth=12, act=nn.Sigmoid, norm=True, steps=150),
        0.6,
    ),
    _sick(
        "large-start",
        "8 convolutions, weights N(0, 1)",
        partial(train, depth=8, start="normal", value=1.0),
        0.85,
        twin="he",
        expect="102",
        allow="103 201 202 205 206 302 401 402 403 703",
        where=_FEATURES,
    ),
    _healthy("he", "8 convolutions, He start", partial(train, depth=8, start="he"), 0.9),
    _sick(
        "zero-start",
        "all weights start at 0",
        partial(train, start="zero"),
        0.5,
        twin="relu",
        expect="104",
        allow="202 205 301 401 404 704",
        where=_FEATURES,
    ),
    _healthy("relu", "3 convolutions, Adam", partial(train), 0.9),
    _sick(
        "by-heart",
        "images and labels shuffled apart, over thirty epochs",
        partial(train, channels=24, change=shuffled, steps=900),
        0.3,
        twin="epochs",
        expect="407",
        allow="401 404",
    ),
    _healthy("epochs", "wider, over thirty epochs", partial(train, channels=24, steps=900), 0.93),
    _sick(
        "scaled-twice",
        "pixels divided by 255 twice: all images look like one",
        partial(train, change=scaled_twice, optimizer="SGD", lr=0.05, momentum=0.9),
        0.5,
        twin="momentum",
        expect="507",
        allow="104 202 205 301 401 403 404",
        where="input",
    ),
    _sick(
        "large-tanh",
        "tanh convolutions, weights N(0, 10)",
        partial(train, act=nn.Tanh, start="normal", value=10.0),
        0.9,
        twin="tanh",
        expect="201",
        allow="101 102 203 205 206 301 401 404",
        where=_FEATURES,
    ),
    _healthy("tanh", "tanh convolutions", partial(train, act=nn.Tanh), 0.93),
    _sick(
        "negative-bias",
        "ReLU biases start at -5",
        partial(train, start="bias", value=-5.0),
        0.85,
        twin="relu",
        expect="202",
        allow="101 104 205 301 401 404",
        where=_FEATURES,
    ),
    _sick(
        "dies",
        "SGD with momentum and a rate of 2 kills the ReLUs",
        partial(train, optimizer="SGD", lr=2.0, momentum=0.9),
        0.5,
        twin="momentum",
        expect="202",
        allow="101 102 103 104 205 206 302 401 402 403 703",
        where=_FEATURES,
    ),
    _healthy(
        "momentum",
        "SGD with momentum",
        partial(train, optimizer="SGD", lr=0.05, momentum=0.9),
        0.93,
    ),
    _sick(
        "paralysed",
        "tanh convolutions, weights N(0, 30), plain SGD",
        partial(train, act=nn.Tanh, start="normal", value=30.0, optimizer="SGD", lr=0.01),
        0.9,
        twin="tanh-sgd",
        expect="203",
        allow="101 102 104 201 205 206 301 401 403 404",
        where=_FEATURES,
    ),
    _healthy(
        "tanh-sgd",
        "tanh convolutions, plain SGD",
        partial(train, act=nn.Tanh, optimizer="SGD", lr=0.1),
        0.9,
    ),
    _sick(
        "relu-20",
        "20 ReLU convolutions, default start, no normalisation",
        partial(train, depth=20, steps=150, lr=1e-3),
        0.5,
        twin="batchnorm-20",
        expect="205",
        allow="101 104 202 401 404",
        where=_FEATURES,
    ),
    _healthy(
        "batchnorm-20",
        "20 ReLU convolutions with BatchNorm",
        partial(train, depth=20, steps=150, norm=True),
        0.7,
    ),
    _sick(
        "stalled",
        "the group of the convolutions has a rate of 1e-9",
        partial(train_groups, lr=1e-9),
        0.9,
        twin="groups",
        expect="301",
        allow="401 404",
        where=r"features\.",
    ),
    _healthy("groups", "two groups, one rate", partial(train_groups, lr=0.05), 0.85),
    _sick(
        "rate",
        "Adam with a rate of .5",
        partial(train, lr=0.5),
        0.8,
        twin="relu",
        expect="302 703",
        allow="101 102 104 202 205 206 401 402 403",
    ),
    _sick(
        "slow",
        "SGD with a rate of 1e-6",
        partial(train, optimizer="SGD", lr=1e-6),
        0.5,
        twin="momentum",
        expect="404",
        allow="301 401",
    ),
    _sick(
        "bytes",
        "pixels 0..255, not scaled, plain SGD",
        partial(train, change=bytes_, optimizer="SGD", lr=0.2),
        0.85,
        twin="sgd",
        expect="501",
        allow="101 102 103 104 202 205 206 302 401 402 403 404 703",
        where="input",
    ),
    _healthy("sgd", "plain SGD", partial(train, optimizer="SGD", lr=0.2), 0.85),
    _sick(
        "hot-pixel",
        "one image has a pixel of 1e6",
        partial(train, change=hot_pixel, optimizer="SGD", lr=0.2),
        0.8,
        twin="sgd",
        expect="502",
        allow="101 102 103 104 202 205 206 301 302 401 402 403 404 501 703",
        where="input",
    ),
    _sick(
        "softmax-twice",
        "softmax before cross_entropy",
        partial(train, loss=double_softmax, optimizer="SGD", lr=0.05, momentum=0.9),
        0.9,
        twin="momentum",
        expect="701",
        allow="401 404",
        where=r"softmax|head|cross_entropy",
    ),
    _sick(
        "linear-stack",
        "three convolutions, no activation between them",
        partial(train, act=nn.Identity, change=upper, steps=250),
        0.9,
        twin="two-classes",
        expect="702",
        where="features|head",
    ),
    _healthy(
        "two-classes", "is the digit 5 or above?", partial(train, change=upper, steps=250), 0.93
    ),
    _healthy("batchnorm", "BatchNorm and dropout", partial(train, norm=True, dropout=0.3), 0.93),
    _sick(
        "left-in-eval",
        "eval() and no train() after it: BatchNorm normalises nothing of the raw pixels",
        partial(train, depth=6, norm=True, scale="raw", optimizer="SGD", lr=0.2, forgets="train"),
        0.9,
        twin="raw-batchnorm",
        expect="805",
        allow="101 102 103 104 201 202 205 206 301 302 401 402 403 404 501 703",
    ),
    _healthy(
        "raw-batchnorm",
        "raw pixels that BatchNorm normalises, plain SGD",
        partial(train, depth=6, norm=True, scale="raw", optimizer="SGD", lr=0.2),
        0.95,
    ),
    _healthy("unit-pixels", "pixels between 0 and 1", partial(train, scale="unit"), 0.85),
    _healthy("imbalance", "one class in ten", partial(train, change=rare), 0.94),
    _healthy("small-batch", "four images a step", partial(train, size=4, lr=1e-3, steps=300), 0.7),
    _healthy("long", "trained far past convergence", partial(train, steps=1000), 0.95),
    Case(
        "cnn-frozen",
        "cnn",
        "a new head on features frozen on purpose",
        partial(train_head, frozen=True),
        0.8,
    ),
    Case(
        "cnn-fine-tuned",
        "cnn",
        "a new head, the features trained along",
        partial(train_head, frozen=False),
        0.9,
    ),
)
