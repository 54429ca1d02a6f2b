"""Perceptrons on digits, depth 2 to 30 (calibration half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, codes
from .data import Split, digits
from .loop import accuracy, fit, seed_all


class MLP(nn.Module):
    """`depth` hidden layers of `width` units, then a head."""

    def __init__(
        self,
        depth: int = 2,
        width: int = 64,
        act: Callable[[], nn.Module] = nn.ReLU,
        norm: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.0,
        classes: int = 10,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            layers.append(nn.Linear(64 if i == 0 else width, width))
            if norm is not None:
                layers.append(norm(width))
            layers.append(act())
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x))
        return out


class ListMLP(nn.Module):
    """Hidden layers in a plain Python list: `parameters()` does not see them."""

    def __init__(self, registered: bool) -> None:
        super().__init__()
        layers = [nn.Linear(64, 4), nn.Linear(4, 16)]
        self.layers = nn.ModuleList(layers) if registered else layers
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        out: Tensor = self.head(x)
        return out


def init_(model: nn.Module, kind: str) -> None:
    """Overwrite the weights of linear layers, as scripts do right after they build the model."""
    name, _, number = kind.partition(":")
    value = float(number or 0)
    for m in model.modules():
        if not isinstance(m, nn.Linear):
            continue
        if name == "orthogonal":
            nn.init.orthogonal_(m.weight, value)
            nn.init.zeros_(m.bias)
        elif name == "he":
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
        elif name == "xavier":
            nn.init.xavier_normal_(m.weight)
            nn.init.zeros_(m.bias)
        elif name == "normal":
            nn.init.normal_(m.weight, std=value)
            nn.init.zeros_(m.bias)
        elif name == "bias":
            nn.init.constant_(m.bias, value)
        elif name == "zero":
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)
        else:
            raise ValueError(f"no such initialisation: {kind!r}")


def optimizer_(
    model: nn.Module, name: str, lr: float, decay: float = 0.0
) -> torch.optim.Optimizer:
    """The usual optimizers with their usual settings."""
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr, weight_decay=decay)
    if name == "momentum":
        return torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    if name == "adam":
        return torch.optim.Adam(model.parameters(), lr)
    if name == "adamw":
        return torch.optim.AdamW(model.parameters(), lr, weight_decay=0.01)
    if name == "rmsprop":
        return torch.optim.RMSprop(model.parameters(), lr)
    raise ValueError(f"no such optimizer: {name!r}")


def train(
    seed: int,
    *,
    depth: int = 2,
    width: int = 64,
    act: Callable[[], nn.Module] = nn.ReLU,
    norm: Callable[[int], nn.Module] | None = None,
    dropout: float = 0.0,
    init: str = "",
    optimizer: str = "adam",
    lr: float = 1e-3,
    decay: float = 0.0,
    steps: int = 150,
    size: int = 64,
    accumulate: int = 1,
    clip: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    scale: str = "standard",
    change: Callable[[Split], Split] | None = None,
    schedule: Callable[[torch.optim.Optimizer], object] | None = None,
) -> float:
    """A perceptron on digits; held-out accuracy."""
    seed_all(seed)
    data = digits(scale)
    if change is not None:
        data = change(data)
    model = MLP(depth, width, act, norm, dropout, int(data.y.max()) + 1)
    if init:
        init_(model, init)
    opt = optimizer_(model, optimizer, lr, decay)
    fit(
        model,
        opt,
        data,
        steps=steps,
        size=size,
        loss=loss,
        clip=clip,
        accumulate=accumulate,
        schedule=schedule(opt) if schedule else None,
    )
    return accuracy(model, data.x_test, data.y_test)


def train_list(seed: int, *, registered: bool) -> float:
    """Hidden layers in a list or in a ModuleList; held-out accuracy."""
    seed_all(seed)
    data = digits()
    model = ListMLP(registered)
    fit(model, torch.optim.Adam(model.parameters(), 5e-3), data, steps=300)
    return accuracy(model, data.x_test, data.y_test)


def train_stalled(seed: int, *, lr: float) -> float:
    """The narrow first layer has a parameter group of its own; held-out accuracy."""
    seed_all(seed)
    data = digits()
    model = ListMLP(registered=True)
    groups = [
        {"params": model.layers[0].parameters(), "lr": lr},
        {"params": model.layers[1].parameters()},
        {"params": model.head.parameters()},
    ]
    fit(model, torch.optim.SGD(groups, 0.1, momentum=0.9), data, steps=300)
    return accuracy(model, data.x_test, data.y_test)


def train_imported(seed: int) -> float:
    """Weights of a converged scikit-learn perceptron, trained on in torch; held-out accuracy."""
    from sklearn.neural_network import MLPClassifier

    seed_all(seed)
    data = digits("unit")
    sk = MLPClassifier((32,), alpha=1e-2, max_iter=60, random_state=seed, tol=0.0)
    sk.n_iter_no_change = 10**6
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sk.fit(data.x.numpy(), data.y.numpy())
    model = MLP(1, 32)
    with torch.no_grad():
        for m, w, b in zip((model.body[0], model.head), sk.coefs_, sk.intercepts_, strict=True):
            assert isinstance(m, nn.Linear)
            m.weight.copy_(torch.from_numpy(w.T.copy()))
            m.bias.copy_(torch.from_numpy(b))
    fit(model, torch.optim.Adam(model.parameters(), 1e-4), data, steps=150)
    return accuracy(model, data.x_test, data.y_test)


def double_softmax(out: Tensor, y: Tensor) -> Tensor:
    """The mistake: cross_entropy applies log-softmax itself."""
    return F.cross_entropy(torch.softmax(out, -1), y)


def shuffled(d: Split) -> Split:
    """The mistake: inputs and labels shuffled apart."""
    order = torch.randperm(len(d.y), generator=torch.Generator().manual_seed(1))
    return d._replace(y=d.y[order])


def noisy(d: Split) -> Split:
    """One label in ten is drawn anew."""
    g = torch.Generator().manual_seed(2)
    wrong = torch.rand(len(d.y), generator=g) < 0.1
    random = torch.randint(10, d.y.shape, generator=g)
    return d._replace(y=torch.where(wrong, random, d.y))


def upper(d: Split) -> Split:
    """Is the digit 5 or above? Two classes that no plane separates."""
    return d._replace(y=(d.y >= 5).long(), y_test=(d.y_test >= 5).long())


def rare(d: Split) -> Split:
    """Is it a nine? One in ten."""
    return d._replace(y=(d.y == 9).long(), y_test=(d.y_test == 9).long())


def per_batch(opt: torch.optim.Optimizer) -> object:
    """The mistake: a rate of decay meant for epochs, applied at every batch."""
    return torch.optim.lr_scheduler.ExponentialLR(opt, 0.8)


def warm_up(opt: torch.optim.Optimizer, steps: int = 200) -> object:
    """Linear warm-up over a tenth, then a half cosine down to a tenth."""
    return torch.optim.lr_scheduler.OneCycleLR(
        opt, opt.param_groups[0]["lr"], total_steps=steps + 1, pct_start=0.1
    )


_EARLY = r"MLP\.body\.1?\d(\D|$)"  # the first third of 30 layers with an activation each
_BODY = r"MLP\.body\."


def _sick(
    name: str, about: str, twin: str, expect: str, allow: str, bound: float, sites: str, **options: object
) -> Case:
    return Case(
        f"perceptron-{name}",
        "perceptron",
        about,
        partial(train, **options),  # type: ignore[arg-type]
        bound,
        codes(expect),
        codes(allow),
        {c: sites for c in codes(expect)} if sites else {},
        f"perceptron-{twin}",
    )


def _healthy(name: str, about: str, bound: float, **options: object) -> Case:
    return Case(
        f"perceptron-{name}", "perceptron", about, partial(train, **options), bound  # type: ignore[arg-type]
    )


_DEEP = {"depth": 30, "steps": 150}

CASES: tuple[Case, ...] = (
    _sick("sigmoid-30", "30 sigmoid layers, default start", "tanh-30", "101", "205 401 404 104 201", 0.5, _EARLY, act=nn.Sigmoid, **_DEEP),
    _healthy("tanh-30", "30 tanh layers, orthogonal start", 0.85, act=nn.Tanh, init="orthogonal:1.05", lr=3e-4, **_DEEP),
    _sick("small-start", "8 tanh layers, weights N(0, .01)", "xavier", "101", "205 401 404 104", 0.5, _BODY, depth=8, act=nn.Tanh, init="normal:0.01"),
    _healthy("xavier", "8 tanh layers, Xavier start", 0.9, depth=8, act=nn.Tanh, init="xavier"),
    _sick("large-start", "10 ReLU layers, weights N(0, .6)", "he", "102", "206 302 402 703 201 202 205 401 403", 0.8, _BODY, depth=10, init="normal:0.6", optimizer="sgd", lr=5e-2),
    _healthy("he", "10 ReLU layers, He start", 0.85, depth=10, init="he", optimizer="sgd", lr=5e-2),
    _sick("zero-start", "all weights start at 0", "relu", "104", "301 401 404 205 202 704 601 605", 0.5, _BODY, init="zero"),
    _healthy("relu", "2 ReLU layers, default start, Adam", 0.93),
    _sick("large-tanh", "3 tanh layers, weights N(0, 2)", "tanh", "201", "203 101 102 205 206 301 401 404", 0.85, _BODY, depth=3, act=nn.Tanh, init="normal:2"),
    _healthy("tanh", "3 tanh layers, default start, Adam", 0.9, depth=3, act=nn.Tanh),
    _sick("negative-bias", "ReLU biases start at -4", "relu", "202", "104 205 401 404 101 301", 0.85, _BODY, init="bias:-4"),
    _sick("paralysed", "sigmoid, weights N(0, 20), plain SGD", "sigmoid", "203", "201 101 102 104 205 301 401 403 404 701", 0.8, _BODY, act=nn.Sigmoid, init="normal:20", optimizer="sgd", lr=1e-2),
    _healthy("sigmoid", "one hidden sigmoid layer", 0.85, depth=1, act=nn.Sigmoid, lr=5e-3),
    _sick("relu-30", "30 ReLU layers, default start", "tanh-30", "205", "101 104 202 401 404", 0.5, _BODY, lr=3e-4, **_DEEP),
    _sick("adam-rate", "Adam with a rate of 1", "relu", "302 703", "102 202 205 206 402 403 401 201 104", 0.85, "", lr=1.0),
    _sick("sgd-rate", "SGD with momentum and a rate of 5", "relu-momentum", "402 703", "102 104 202 205 206 302 401 403 103", 0.5, "", optimizer="momentum", lr=5.0),
    _healthy("relu-momentum", "2 ReLU layers, SGD with momentum", 0.93, optimizer="momentum", lr=0.05),
    _sick("shuffled-labels", "inputs and labels shuffled apart", "sgd", "401", "404", 0.5, "", optimizer="sgd", lr=0.1, change=shuffled, steps=200),
    _healthy("sgd", "2 ReLU layers, plain SGD", 0.85, optimizer="sgd", lr=0.1, steps=200),
    _sick("rate-decay", "a decay of .8 an epoch, applied at every batch", "momentum-decay", "401", "404 301", 0.8, "", optimizer="momentum", lr=0.02, schedule=per_batch, steps=200),
    _healthy("momentum-decay", "one-cycle schedule", 0.9, optimizer="momentum", lr=0.02, schedule=warm_up, steps=200),
    _sick("slow", "SGD with a rate of 1e-6", "sgd", "404", "301 401", 0.5, "", optimizer="sgd", lr=1e-6, steps=200),
    _sick("full-batch", "gradient descent on the whole set, a rate past 2 / curvature", "full-batch-calm", "403", "402 703 302 401", 0.945, "", act=nn.Tanh, width=32, optimizer="sgd", lr=1.4, decay=0.02, size=0),
    _healthy("full-batch-calm", "gradient descent on the whole set", 0.945, act=nn.Tanh, width=32, optimizer="sgd", lr=0.4, decay=0.001, size=0),
    _sick("softmax-twice", "softmax before cross_entropy", "relu-momentum", "701", "401 404", 0.93, r"softmax|head|cross_entropy", optimizer="momentum", lr=0.05, loss=double_softmax),
    _sick("linear-stack", "three layers, no activation between them", "two-classes", "702", "", 0.92, "body|head", depth=3, act=nn.Identity, change=upper, steps=300),
    _healthy("two-classes", "is the digit 5 or above?", 0.94, depth=3, change=upper, steps=300),
    Case("perceptron-list", "perceptron", "hidden layers kept in a Python list", partial(train_list, registered=False), 0.6, codes("704"), codes("301 401 404"), {"EF704": "ListMLP"}, "perceptron-module-list"),
    Case("perceptron-module-list", "perceptron", "hidden layers in a ModuleList, a narrow one too", partial(train_list, registered=True), 0.6),
    Case("perceptron-stalled", "perceptron", "a typing error gives the narrow layer a rate of 1e-9", partial(train_stalled, lr=1e-9), 0.6, codes("301"), codes("401 404"), {"EF301": r"layers\.0"}, "perceptron-narrow"),
    Case("perceptron-narrow", "perceptron", "parameter groups with one rate", partial(train_stalled, lr=0.1), 0.6),
    _healthy("gelu", "GELU and LayerNorm, AdamW", 0.93, act=nn.GELU, norm=nn.LayerNorm, optimizer="adamw", depth=3),
    _healthy("batchnorm", "BatchNorm, ReLU and dropout", 0.93, norm=nn.BatchNorm1d, dropout=0.2, depth=3),
    _healthy("rmsprop", "RMSprop", 0.93, optimizer="rmsprop"),
    _healthy("small-batch", "four examples a step", 0.8, optimizer="sgd", lr=0.02, size=4, steps=300),
    _healthy("accumulate", "four micro-batches a step", 0.9, size=16, accumulate=4),
    _healthy("clipped", "gradients clipped to norm 1", 0.93, clip=1.0, optimizer="momentum", lr=0.05),
    _healthy("label-noise", "one label in ten is wrong", 0.88, change=noisy),
    _healthy("imbalance", "one class in ten", 0.95, change=rare),
    _healthy("unit-pixels", "pixels between 0 and 1", 0.9, scale="unit", steps=200),
    _healthy("long", "trained far past convergence", 0.94, depth=1, width=32, steps=1500),
    Case("perceptron-imported", "perceptron", "starts from a converged state", train_imported, 0.94),
)
