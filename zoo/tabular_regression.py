"""Small perceptrons that foretell the progress of diabetes (report half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import Split, diabetes
from .loop import Loss, fit, r2, seed_all, squared


class Regressor(nn.Module):
    """Hidden layers of `width` units by functional activations, one output."""

    def __init__(
        self,
        act: Callable[[Tensor], Tensor],
        depth: int = 2,
        width: int = 32,
        end: Callable[[Tensor], Tensor] | None = None,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(10 if i == 0 else width, width) for i in range(depth))
        self.norms = nn.ModuleList((norm or nn.Identity)(width) for _ in range(depth))
        self.last = nn.Linear(width, 1)
        self.act = act
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.act(norm(layer(x)))
        out: Tensor = self.last(x)
        return out if self.end is None else self.end(out)


def start_(model: Regressor, std: float | None, bias: float | None) -> None:
    """Weights of the hidden layers from N(0, std), the last bias at `bias`."""
    for layer in model.layers:
        if std is not None:
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
    if bias is not None:
        nn.init.constant_(model.last.bias, bias)


def train(
    seed: int,
    *,
    data: Callable[[], Split] = diabetes,
    act: Callable[[Tensor], Tensor] = torch.relu,
    depth: int = 2,
    end: Callable[[Tensor], Tensor] | None = None,
    std: float | None = None,
    bias: float | None = None,
    optimizer: str = "Adam",
    lr: float = 3e-3,
    steps: int = 120,
    size: int = 32,
    loss: Loss = F.mse_loss,
    clip: float | None = None,
    forgets: str = "",
    norm: Callable[[int], nn.Module] | None = None,
    shuffle: bool = True,
    **settings: float,
) -> float:
    """A regression by the mean square or another loss; held-out R2."""
    seed_all(seed)
    d = data()
    model = Regressor(act, depth, end=end, norm=norm)
    start_(model, std, bias)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr, **settings)
    fit(
        model,
        opt,
        d,
        steps=steps,
        size=size,
        loss=loss,
        clip=clip,
        forgets=forgets,
        shuffle=shuffle,
    )
    return r2(model, d.x_test, d.y_test)


def train_worst(seed: int, *, weigh: bool) -> float:
    """Is a patient among the worst twentieth? The mean of both answers' held-out accuracies.

    `weigh`: both answers count as much in all.
    """
    seed_all(seed)
    d = diabetes()
    line = d.y.quantile(0.95)
    d = d._replace(y=(d.y > line).float(), y_test=(d.y_test > line).float())
    model = Regressor(torch.relu)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(19.0) if weigh else None)
    fit(model, torch.optim.Adam(model.parameters(), 1e-3), d, steps=150, size=32, loss=loss)
    model.eval()
    with torch.no_grad():
        said = model(d.x_test) > 0
    worst = d.y_test > 0
    return float(said[worst].float().mean() + (~said[~worst]).float().mean()) / 2


def by_target() -> Split:
    """Patients in order of what is to be foretold."""
    d = diabetes()
    order = d.y[:, 0].argsort()
    return d._replace(x=d.x[order], y=d.y[order])


def spread_out(out: Tensor, y: Tensor, floor: float) -> Tensor:
    """Mean square plus a reward for predictions that lie apart, by hand-written distances.

    The distance of each to itself is 0, where the root's slope is infinite, and inf * 0 is NaN.
    """
    apart = torch.sqrt((out - out.T) ** 2 + floor)
    return F.mse_loss(out, y) + 0.01 * F.relu(1 - apart).mean()


def outlier() -> Split:
    """One patient's reading was typed with six zeros too many."""
    d = diabetes()
    x = d.x.clone()
    x[5, 3] = 1e6
    return d._replace(x=x)


def missing() -> Split:
    """Gaps left as NaN."""
    d = diabetes()
    x = d.x.clone()
    x[::25, 6] = torch.nan
    return d._replace(x=x)


def thousandfold() -> Split:
    """The target in its smallest unit: around 150,000."""
    d = diabetes(target="raw")
    return d._replace(y=d.y * 1000, y_test=d.y_test * 1000)


def positive() -> Split:
    """The target as a share of its largest value: never negative."""
    d = diabetes(target="raw")
    top = d.y.max()
    return d._replace(y=d.y / top, y_test=d.y_test / top)


def flat() -> Split:
    """The target as a plain list of numbers, [N] for [N, 1]."""
    d = diabetes()
    return d._replace(y=d.y[:, 0])


_raw = partial(diabetes, scaled=False)
_sick, _healthy = partial(sick, "tabular-regression"), partial(healthy, "tabular-regression")

CASES: tuple[Case, ...] = (
    _sick(
        "raw-input",
        "ten features between 1 and 400, not scaled",
        partial(train, data=_raw, optimizer="SGD", lr=0.02),
        0.2,
        twin="sgd",
        expect="501",
        allow="101 102 103 104 202 203 205 206 302 401 402 403 404 502 703",
        where="input",
    ),
    _healthy("sgd", "standardised, plain SGD", partial(train, optimizer="SGD", lr=0.02), 0.2),
    _sick(
        "raw-tanh",
        "ten features between 1 and 400, not scaled, into tanh units",
        partial(train, data=_raw, act=torch.tanh),
        0.2,
        twin="tanh",
        expect="501 201",
        allow="203 101 102 104 205 302 401 402 403 404 502 703 301",
        where={"EF501": "input", "EF201": r"tanh|layers"},
    ),
    _healthy("tanh", "standardised, tanh units", partial(train, act=torch.tanh), 0.25),
    _sick(
        "outlier",
        "one reading of 1e6 among standardised ones",
        partial(train, data=outlier, optimizer="SGD", lr=0.02),
        0.2,
        twin="sgd",
        expect="502",
        allow="501 101 102 103 104 202 205 206 301 302 401 402 403 404 703",
        where="input",
    ),
    _sick(
        "missing",
        "gaps in the table are NaN",
        partial(train, data=missing),
        0.0,
        twin="adam",
        expect="503",
        allow="103 401 402",
        where="input",
    ),
    _sick(
        "all-pairs",
        "the squared error of [N, 1] predictions and [N] targets",
        partial(train, data=flat, loss=squared),
        0.1,
        twin="by-hand",
        expect="803",
        allow="401 404 205",
        where="sub",
    ),
    _healthy("by-hand", "the squared error, written by hand", partial(train, loss=squared), 0.25),
    _sick(
        "cleared",
        "gradients are cleared between the backward pass and the step",
        partial(train, forgets="order"),
        0.1,
        twin="adam",
        expect="802",
        allow="401 404",
    ),
    _sick(
        "never-cleared",
        "zero_grad() is missing, Adam",
        partial(train, forgets="clear"),
        0.25,
        twin="adam",
        expect="801",
        allow="101 102 103 104 201 202 205 206 301 302 401 402 403 404 703",
    ),
    _sick(
        "worst-twentieth",
        "is a patient among the worst twentieth? all are said not to be",
        partial(train_worst, weigh=False),
        0.56,
        twin="worst-twentieth-weighed",
        expect="506",
    ),
    _healthy(
        "worst-twentieth-weighed",
        "is a patient among the worst twentieth? weighed by how rare they are",
        partial(train_worst, weigh=True),
        0.6,
    ),
    _sick(
        "by-target",
        "patients in order of what is to be foretold",
        partial(train, data=by_target, optimizer="SGD", lr=0.05, size=16, steps=300, shuffle=False),
        0.2,
        twin="shuffled",
        expect="505",
        allow="202 302 401 402 403 404 703 104",
    ),
    _healthy(
        "shuffled",
        "the same patients, shuffled every epoch",
        partial(train, data=by_target, optimizer="SGD", lr=0.05, size=16, steps=300),
        0.25,
    ),
    _sick(
        "batchnorm-of-two",
        "BatchNorm with two patients a step",
        partial(train, norm=nn.BatchNorm1d, depth=4, size=2, steps=600, lr=1e-3),
        0.3,
        twin="layernorm-of-two",
        expect="806",
        allow="101 102 104 205 301 401 402 403 404",
        where=r"norms\.",
    ),
    _healthy(
        "layernorm-of-two",
        "LayerNorm with two patients a step",
        partial(train, norm=nn.LayerNorm, depth=4, size=2, steps=600, lr=1e-3),
        0.3,
    ),
    _healthy("adam", "standardised, Adam", partial(train), 0.25),
    _sick(
        "raw-target",
        "target between 25 and 346, plain SGD",
        partial(train, data=partial(diabetes, target="raw"), optimizer="SGD", lr=0.02),
        0.2,
        twin="sgd",
        expect="504",
        allow="101 102 103 104 202 205 206 301 302 401 402 403 404 703",
    ),
    _sick(
        "thousandfold-target",
        "target around 150,000, Adam",
        partial(train, data=thousandfold),
        0.2,
        twin="adam",
        expect="504",
        allow="101 102 104 202 205 206 301 302 401 402 403 404 703",
    ),
    _sick(
        "dead-output",
        "ReLU on the output, whose bias starts at -3: always 0",
        partial(train, data=positive, end=torch.relu, bias=-3.0),
        0.2,
        twin="positive",
        expect="104",
        allow="202 701 704 301 401 404 101 205",
    ),
    _healthy(
        "positive",
        "softplus on the output of a target that is never negative",
        partial(train, data=positive, end=F.softplus),
        0.2,
    ),
    _sick(
        "root-of-zero",
        "pairwise distances by a hand-written root: its slope at 0 is infinite",
        partial(train, loss=partial(spread_out, floor=0.0)),
        0.2,
        twin="distances",
        expect="103",
        allow="401 402",
        where=r"sqrt|pow|sub|add",
    ),
    _healthy(
        "distances",
        "pairwise distances with a floor under the root",
        partial(train, loss=partial(spread_out, floor=1e-4)),
        0.2,
    ),
    _healthy(
        "absolute",
        "mean absolute error",
        partial(train, data=positive, loss=F.l1_loss),
        0.2,
    ),
    _sick(
        "small-start",
        "8 tanh layers, weights N(0, .01)",
        partial(train, act=torch.tanh, depth=8, std=0.01, optimizer="SGD", lr=0.1),
        0.1,
        twin="eight",
        expect="101",
        allow="104 205 401 404",
        where=r"Regressor(\.layers| tanh)",
    ),
    _healthy(
        "eight",
        "8 tanh layers, LeCun start",
        partial(train, act=torch.tanh, depth=8, std=0.17, optimizer="SGD", lr=0.1),
        0.2,
    ),
    _sick(
        "full-batch",
        "gradient descent on the whole table, a rate past 2 / curvature",
        partial(train, optimizer="SGD", lr=0.4, size=0),
        0.45,
        twin="full-batch-calm",
        expect="403",
        allow="402 703 302 401 202",
    ),
    _healthy(
        "full-batch-calm",
        "gradient descent on the whole table",
        partial(train, optimizer="SGD", lr=0.05, size=0),
        0.3,
    ),
    _sick(
        "diverges",
        "SGD with a rate of 1",
        partial(train, optimizer="SGD", lr=1.0),
        0.2,
        twin="sgd",
        expect="402 703",
        allow="101 102 103 104 202 205 206 301 302 401 403",
    ),
    _healthy(
        "huber",
        "smooth absolute error, momentum, clipping",
        partial(train, loss=F.smooth_l1_loss, optimizer="SGD", lr=0.01, momentum=0.9, clip=1.0),
        0.25,
    ),
    _healthy("weight-decay", "AdamW", partial(train, optimizer="AdamW", weight_decay=0.1), 0.25),
    _healthy("gelu", "GELU, RMSprop", partial(train, act=F.gelu, optimizer="RMSprop"), 0.2),
)
