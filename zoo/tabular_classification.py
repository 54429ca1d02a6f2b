"""Small perceptrons on tables of measurements, with classes (calibration half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import Split, breast_cancer, iris, wine
from .loop import Loss, accuracy, fit, seed_all, squared


class TableNet(nn.Module):
    """One or more hidden layers of 16 units."""

    def __init__(
        self, n: int, out: int, act: Callable[[], nn.Module], depth: int = 1, end: str = ""
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [nn.Linear(16 if i else n, 16), act()]
        self.hidden = nn.Sequential(*layers)
        self.out = nn.Linear(16, out)
        ends = {"": nn.Identity(), "softmax": nn.Softmax(-1), "sigmoid": nn.Sigmoid()}
        self.end = ends[end]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.end(self.out(self.hidden(x)))
        return out


def train(
    seed: int,
    *,
    data: Callable[[], Split] = wine,
    act: Callable[[], nn.Module] = nn.ReLU,
    depth: int = 1,
    optimizer: str = "Adam",
    lr: float = 5e-3,
    steps: int = 150,
    size: int = 32,
    forgets: str = "",
    **settings: float,
) -> float:
    """Classes of a table by cross entropy; held-out accuracy."""
    seed_all(seed)
    d = data()
    model = TableNet(d.x.shape[1], int(d.y.max()) + 1, act, depth)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr, **settings)
    fit(model, opt, d, steps=steps, size=size, forgets=forgets)
    return accuracy(model, d.x_test, d.y_test)


def train_binary(
    seed: int, *, end: str, loss: Loss, lr: float = 5e-3, steps: int = 150, flat: bool = False
) -> float:
    """Benign or malign by a single output; minus the held-out loss of the probabilities."""
    seed_all(seed)
    d = breast_cancer()
    model = TableNet(30, 1, nn.ReLU, 1, end)
    d = d._replace(y=d.y.float() if flat else d.y[:, None].float())
    fit(model, torch.optim.Adam(model.parameters(), lr), d, steps=steps, size=32, loss=loss)
    model.eval()
    with torch.no_grad():
        out = model(d.x_test)[:, 0]
    if loss is F.binary_cross_entropy_with_logits:
        out = torch.sigmoid(out)
    return -float(F.binary_cross_entropy(out, d.y_test.float()))


def outlier() -> Split:
    """A sensor's error code among the alcohol readings: one sample of 1e6."""
    d = wine()
    x = d.x.clone()
    x[7, 0] = 1e6
    return d._replace(x=x)


def missing() -> Split:
    """Gaps left as NaN."""
    d = breast_cancer()
    x = d.x.clone()
    x[::40, 5] = torch.nan
    return d._replace(x=x)


def first_row() -> Split:
    """The data set hands out its first row, whatever index it is asked for."""
    d = wine()
    return d._replace(x=d.x[:1].expand_as(d.x), x_test=d.x[:1].expand_as(d.x_test))


_sick, _healthy = (
    partial(sick, "tabular-classification"),
    partial(healthy, "tabular-classification"),
)
_raw_wine = partial(wine, scaled=False)
_raw_cancer = partial(breast_cancer, scaled=False)

CASES: tuple[Case, ...] = (
    _sick(
        "raw-wine",
        "13 features between .1 and 1.7e3, not scaled",
        partial(train, data=_raw_wine, optimizer="SGD", lr=0.05),
        0.85,
        twin="wine-sgd",
        expect="501",
        allow="102 302 402 403 404 703 202 205 401 502 206",
        where="input",
    ),
    _healthy("wine", "13 standardised features, Adam", partial(train), 0.85),
    _sick(
        "raw-tumours",
        "30 features between 1e-3 and 4e3, not scaled, into sigmoid units, plain SGD",
        partial(train, data=_raw_cancer, act=nn.Sigmoid, optimizer="SGD", lr=0.1),
        0.9,
        twin="tumours-sigmoid",
        expect="501 201",
        allow="203 102 302 402 403 404 703 205 401 502 101 104 301",
        where={"EF501": "input", "EF201": "hidden"},
    ),
    _healthy(
        "tumours-sigmoid",
        "30 standardised features, sigmoid units, plain SGD",
        partial(train, data=breast_cancer, act=nn.Sigmoid, optimizer="SGD", lr=0.5),
        0.9,
    ),
    _sick(
        "outlier",
        "one reading of 1e6 among standardised ones",
        partial(train, data=outlier, optimizer="SGD", lr=0.05),
        0.88,
        twin="wine-sgd",
        expect="502",
        allow="501 102 103 104 202 205 206 302 401 402 403 404 703 301",
        where="input",
    ),
    _healthy(
        "wine-sgd", "13 standardised features, SGD", partial(train, optimizer="SGD", lr=0.05), 0.9
    ),
    _sick(
        "missing",
        "gaps in the table are NaN",
        partial(train, data=missing),
        0.8,
        twin="tumours",
        expect="503",
        allow="103 401 402",
        where="input",
    ),
    _sick(
        "first-row",
        "the data set returns its first row for every index",
        partial(train, data=first_row),
        0.6,
        twin="wine",
        expect="507",
        allow="104 202 205 301 401 402 403 404 703",
        where="input",
    ),
    _healthy("tumours", "30 standardised features", partial(train, data=breast_cancer), 0.9),
    _sick(
        "softmax-of-one",
        "softmax over a single output: always 1",
        partial(train_binary, end="softmax", loss=F.binary_cross_entropy),
        -0.3,
        twin="binary",
        expect="104",
        allow="701 401 404 301 704 101",
    ),
    _healthy(
        "binary",
        "sigmoid and binary cross entropy",
        partial(train_binary, end="sigmoid", loss=F.binary_cross_entropy),
        -0.3,
    ),
    _sick(
        "sigmoid-twice",
        "sigmoid before binary_cross_entropy_with_logits",
        partial(train_binary, end="sigmoid", loss=F.binary_cross_entropy_with_logits),
        -0.3,
        twin="logits",
        expect="701",
        allow="401 404",
        where=r"sigmoid|binary_cross_entropy|out",
    ),
    _healthy(
        "logits",
        "binary_cross_entropy_with_logits",
        partial(train_binary, end="", loss=F.binary_cross_entropy_with_logits),
        -0.3,
    ),
    _sick(
        "all-pairs",
        "the squared error of (N, 1) probabilities and (N,) labels",
        partial(train_binary, end="sigmoid", loss=squared, flat=True),
        -0.3,
        twin="brier",
        expect="803",
        allow="401 404 205",
        where="sub",
    ),
    _healthy(
        "brier",
        "the squared error of probabilities",
        partial(train_binary, end="sigmoid", loss=squared),
        -0.3,
    ),
    _sick(
        "never-stepped",
        "the optimizer's step was left out of the loop",
        partial(train, forgets="step"),
        0.85,
        twin="wine",
        expect="802",
        allow="401 404",
    ),
    _sick(
        "full-batch",
        "gradient descent on the whole table with a rate past 2 / curvature",
        partial(train, data=iris, optimizer="SGD", lr=2.0, size=0, act=nn.Tanh, weight_decay=0.05),
        1.01,
        twin="full-batch-calm",
        expect="403",
        allow="703 402 302 401 201 203",
    ),
    _healthy(
        "full-batch-calm",
        "gradient descent on the whole table",
        partial(train, data=iris, optimizer="SGD", lr=0.3, size=0, act=nn.Tanh, weight_decay=0.01),
        0.85,
    ),
    _sick(
        "slow",
        "SGD with a rate of 1e-6",
        partial(train, optimizer="SGD", lr=1e-6),
        0.8,
        twin="wine-sgd",
        expect="404",
        allow="301 401",
    ),
    _sick(
        "bounces",
        "gradient descent on the whole table with a rate far past 2 / curvature",
        partial(train, optimizer="SGD", lr=3.0, size=0, act=nn.Tanh, weight_decay=0.1),
        1.01,
        twin="wine-full",
        expect="703",
        allow="403 402 302 401 201 203",
    ),
    _healthy(
        "wine-full",
        "gradient descent on the whole table, weight decay",
        partial(train, optimizer="SGD", lr=0.3, size=0, act=nn.Tanh, weight_decay=0.01),
        0.85,
    ),
    _healthy("iris", "four features, GELU", partial(train, data=iris, act=nn.GELU), 0.9),
    _healthy(
        "long", "wine learnt by heart, and on", partial(train, steps=1500, optimizer="AdamW"), 0.85
    ),
    _healthy(
        "momentum",
        "SGD with momentum, tanh",
        partial(train, optimizer="SGD", lr=0.02, momentum=0.9, act=nn.Tanh),
        0.85,
    ),
)
