"""Trainings for check-ups: healthy ones of three architectures, and one sick in each part alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Training(NamedTuple):
    """What `evenflow.checkup` is given."""

    model: nn.Module
    batch: Any
    loss_fn: Callable[..., Tensor]
    optimizer: torch.optim.Optimizer


def adam(model: nn.Module, rate: float = 3e-3) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=rate)


def table(n: int = 64, columns: int = 12, classes: int = 4) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, columns)
    return x, (x @ torch.randn(columns, classes)).argmax(1)


def dense(columns: int = 12, classes: int = 4, width: int = 32) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(columns, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, classes),
    )  # fmt: skip


def of(model: nn.Module, batch: Any = None, loss_fn: Any = F.cross_entropy) -> Training:
    return Training(model, table() if batch is None else batch, loss_fn, adam(model))


def perceptron() -> Training:
    return of(dense())


def regression() -> Training:
    x = torch.randn(64, 12)
    return of(dense(classes=1), (x, x[:, :1] * x[:, 1:2]), F.mse_loss)


def convolutional() -> Training:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, 5),
    )  # fmt: skip
    return of(net, (torch.randn(32, 3, 12, 12), torch.arange(32) % 5))


class Recurrent(nn.Module):
    """Reads a series, says its class; samples come second where `batch_first` is off."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.first = batch_first
        self.cell = nn.LSTM(6, 24, batch_first=batch_first)
        self.out = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.cell(x)
        return self.out(y[:, -1] if self.first else y[-1])


def recurrent() -> Training:
    return of(Recurrent(), (torch.randn(24, 9, 6), torch.arange(24) % 3))


def time_first() -> Training:
    return of(Recurrent(False), (torch.randn(9, 24, 6), torch.arange(24) % 3))


class Tagger(nn.Module):
    """A class a position, by a recurrence in both directions, positions first."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRU(6, 16, bidirectional=True)
        self.out = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0])


def tagger() -> Training:
    y = torch.randint(0, 3, (10, 16))
    return of(Tagger(), (torch.randn(10, 16, 6), y), of_tokens)


class Language(nn.Module):
    """A small decoder; `causal=False` looks ahead, `mixed` swaps samples and positions."""

    def __init__(self, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.ids = nn.Embedding(20, 32)
        self.places = nn.Embedding(16, 32)
        self.norm, self.qkv, self.mix = nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 32)
        self.out = nn.Linear(32, 20)
        for weight in (self.ids.weight, self.places.weight):
            nn.init.normal_(weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.ids(ids) + self.places(torch.arange(ids.shape[1]))
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        x = x + self.mix(F.scaled_dot_product_attention(q, k, v, is_causal=self.causal))
        return self.out(x)


def of_tokens(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out.flatten(0, 1), y.flatten())


def language(causal: bool = True) -> Training:
    ids = torch.randint(0, 20, (8, 17))
    return of(Language(causal), (ids[:, :-1], ids[:, 1:]), of_tokens)


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 20))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def autoencoder() -> Training:
    x = torch.randn(48, 5) @ torch.randn(5, 20)
    return of(Autoencoder(), (x, x), F.mse_loss)


class Quantised(nn.Module):
    """Rounds its middle, straight through: the gradient is not the loss's, on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(12, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.into(x)
        return self.out(h + (h.round() - h).detach())


def quantised() -> Training:
    return of(Quantised())


class Labelled(nn.Module):
    """Works out its loss itself, as Hugging Face's models do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = dense()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        out = self.body(x)
        return {"loss": F.cross_entropy(out, labels), "logits": out}


def labelled() -> Training:
    x, y = table()
    return of(Labelled(), {"x": x, "labels": y}, lambda out: out["loss"])


HEALTHY = (
    perceptron, regression, convolutional, recurrent, time_first, tagger, language, autoencoder,
    quantised, labelled,
)  # fmt: skip


# -- sick in one part alone: the name of the experiment that fails -----------------------------


def over_sure() -> Training:
    net = dense()
    with torch.no_grad():
        net[-1].weight.mul_(60)
    return of(net)


class Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (1 - x.tanh())  # the square is forgotten


class WrongTanh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Halved.apply(x)


def wrong_function() -> Training:
    return of(nn.Sequential(nn.Linear(12, 32), WrongTanh(), nn.Linear(32, 4)))


class Swapped(nn.Module):
    """Takes view for transpose: what belongs to one sample lands in another."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRU(6, 32), nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        return self.out(self.cell(x.reshape(t, n, d))[0][-1])


def mixed() -> Training:
    return of(Swapped(), (torch.randn(16, 9, 6), torch.arange(16) % 3))


def looks_ahead() -> Training:
    return language(causal=False)


class Partial(nn.Module):
    """Reads five of twelve columns."""

    def __init__(self) -> None:
        super().__init__()
        self.body = dense(5)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x[:, :5])


def unread() -> Training:
    return of(Partial())


class Bounded(nn.Module):
    """Outputs within ±1, where targets are in the tens."""

    def __init__(self) -> None:
        super().__init__()
        self.body = dense(classes=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).tanh()


def out_of_range() -> Training:
    x = torch.randn(64, 12)
    return of(Bounded(), (x, 30 * x[:, :1].sign()), F.mse_loss)


class ByIndex(nn.Module):
    """Knows each row of the batch by its place, and looks at the inputs next to not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.rows = dense(), nn.Parameter(torch.zeros(64, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.rows * 30 + 1e-6 * self.body(x)


def blind() -> Training:
    return of(ByIndex())


def left_out() -> Training:
    net = dense()
    return of(net)._replace(optimizer=torch.optim.Adam(net[2:].parameters(), lr=3e-3))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.spare = dense(), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def unused() -> Training:
    return of(Unused())


class Noisy(nn.Module):
    """Draws noise from the machine, which no seed sets."""

    def __init__(self) -> None:
        super().__init__()
        self.body = dense()

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.Generator().manual_seed(int.from_bytes(os.urandom(6), "big"))
        return self.body(x + 0.05 * torch.randn(x.shape, generator=noise))


def unseeded() -> Training:
    return of(Noisy())


def too_fast() -> Training:
    net = dense()
    return of(net)._replace(optimizer=torch.optim.SGD(net.parameters(), lr=300.0))


def too_slow() -> Training:
    net = dense()
    return of(net)._replace(optimizer=torch.optim.SGD(net.parameters(), lr=1e-5))


def one_label() -> Training:
    x, _ = table()
    return of(dense(), (x, torch.full((64,), 2)))


def unscaled() -> Training:
    x, y = table()
    return of(dense(), (torch.cat([x[:, :11], 60 + 5 * x[:, 11:]], 1), y))


SICK = {
    over_sure: "loss-at-birth",
    wrong_function: "right-gradient",
    mixed: "independence",
    looks_ahead: "independence",
    unread: "independence",
    out_of_range: "by-heart",
    blind: "inputs-matter",
    left_out: "every-parameter",
    unused: "every-parameter",
    unseeded: "same-seed",
    too_fast: "rate-range",
    too_slow: "rate-range",
    one_label: "data",
    unscaled: "data",
}
