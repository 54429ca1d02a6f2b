"""Perceptrons on digits, depth 2 to 30 (calibration half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def optimizer_(model: nn.Module, name: str, lr: float, decay: float = 0.0) -> torch.optim.Optimizer:
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
    hidden: str = "",
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
    forgets: str = "",
    shuffle: bool = True,
) -> float:
    """A perceptron on digits; held-out accuracy.

    `init` is the start of all layers, `hidden` of all but the head.
    """
    seed_all(seed)
    data = digits(scale)
    if change is not None:
        data = change(data)
    model = MLP(depth, width, act, norm, dropout, int(data.y.max()) + 1)
    if init:
        init_(model, init)
    if hidden:
        init_(model.body, hidden)
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
        forgets=forgets,
        shuffle=shuffle,
    )
    return accuracy(model, data.x_test, data.y_test)


def train_rare(seed: int, *, weigh: bool) -> float:
    """Few eights among digits with much noise; the mean of both classes' held-out accuracies.

    `weigh`: each class counts as much as the other.
    """
    seed_all(seed)
    data = digits()
    draw = torch.Generator().manual_seed(0)
    eight, kept = data.y == 8, torch.rand(len(data.y), generator=draw) < 0.35
    noisy = data.x + 1.5 * torch.randn(data.x.shape, generator=draw)
    few = data._replace(x=noisy[kept | ~eight], y=eight[kept | ~eight].long())
    model = MLP(1, 32, classes=2)
    share = few.y.float().mean()
    weight = torch.stack([0.5 / (1 - share), 0.5 / share]) if weigh else None
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    fit(model, opt, few, steps=150, loss=partial(F.cross_entropy, weight=weight))
    noisy_test = data.x_test + 1.5 * torch.randn(data.x_test.shape, generator=draw)
    true = data.y_test == 8
    return sum(
        accuracy(model, noisy_test[true == k], torch.full((int((true == k).sum()),), k)) / 2
        for k in (0, 1)
    )


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
    groups: list[dict[str, Any]] = [
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


def hot_pixel(d: Split) -> Split:
    """One image has a pixel of 1e6."""
    x = d.x.clone()
    x[17, 20] = 1e6
    return d._replace(x=x)


def noisy(d: Split) -> Split:
    """One label in ten is drawn anew."""
    g = torch.Generator().manual_seed(2)
    wrong = torch.rand(len(d.y), generator=g) < 0.1
    random = torch.randint(10, d.y.shape, generator=g)
    return d._replace(y=torch.where(wrong, random, d.y))


def upper(d: Split) -> Split:
    """Is the digit 5 or above? Two classes that no plane separates."""
    return d._replace(y=(d.y >= 5).long(), y_test=(d.y_test >= 5).long())


def by_class(d: Split) -> Split:
    """All zeros first, all nines last, as folders of images are read."""
    order = d.y.argsort(stable=True)
    return d._replace(x=d.x[order], y=d.y[order])


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
