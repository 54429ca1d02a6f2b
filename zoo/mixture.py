"""Mixtures of small experts on digits: a perceptron (calibration) and a residual net (report)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import digits
from .loop import accuracy, batches, seed_all

WIDTH, EXPERTS = 32, 8


def expert() -> nn.Module:
    """Two units between: too few for ten digits, enough for some."""
    return nn.Sequential(nn.Linear(WIDTH, 2), nn.Tanh(), nn.Linear(2, WIDTH))


class Mixture(nn.Module):
    """Each sample is worked on by the `top` experts that the router scores highest."""

    def __init__(self, top: int, slant: float = 0.0) -> None:
        super().__init__()
        self.top = top
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.ModuleList(expert() for _ in range(EXPERTS))
        with torch.no_grad():
            self.router.bias[:top] += slant
        self.balance = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        p = self.router(x).softmax(-1)
        weight, index = p.topk(self.top, -1)
        weight = weight / weight.sum(-1, keepdim=True).detach()
        chosen = F.one_hot(index, EXPERTS).to(x.dtype)
        share = chosen.sum(1).mean(0) / self.top
        self.balance = EXPERTS * (share * p.mean(0)).sum()
        out = torch.zeros_like(x)
        for i, each in enumerate(self.experts):
            rows, place = torch.where(index == i)
            if len(rows):
                out = out.index_add(0, rows, weight[rows, place, None] * each(x[rows]))
        return out


class MixedNet(nn.Module):
    """Embedding, a mixture (beside a skip, or in place), head."""

    def __init__(self, top: int, skip: bool, slant: float) -> None:
        super().__init__()
        self.embed, self.mix = nn.Linear(64, WIDTH), Mixture(top, slant)
        self.norm, self.skip = nn.LayerNorm(WIDTH), skip
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.embed(x))
        out: Tensor = self.head(0.1 * h + self.mix(h) if self.skip else self.mix(h))
        return out


def train(
    seed: int,
    *,
    top: int = 1,
    skip: bool = False,
    balance: float = 0.1,
    slant: float = 0.0,
    steps: int = 300,
) -> float:
    """A mixture of experts on digits; held-out accuracy. `slant` favours the first at birth."""
    seed_all(seed)
    data = digits()
    model = MixedNet(top, skip, slant)
    opt = torch.optim.Adam(model.parameters(), 5e-3)
    for b in batches(len(data.x), 64, steps):
        opt.zero_grad()
        error = F.cross_entropy(model(data.x[b]), data.y[b]) + balance * model.mix.balance
        error.backward()  # type: ignore[no-untyped-call]
        opt.step()
    return accuracy(model, data.x_test, data.y_test)


CASES: tuple[Case, ...] = (
    sick(
        "perceptron",
        "experts-wrong-sign",
        "the balancing loss is subtracted: the router learns to send all to one expert",
        partial(train, balance=-0.1),
        0.9,
        twin="experts",
        expect="211",
        allow="807 704 104 301 401 404",
        where="mix",
    ),
    healthy("perceptron", "experts", "one expert of eight, balancing loss", partial(train), 0.9),
    healthy(
        "perceptron",
        "two-experts",
        "two experts of eight, balancing loss",
        partial(train, top=2),
        0.9,
    ),
    sick(
        "residual",
        "experts-wrong-sign",
        "a bias favours one expert of eight at birth, and the balancing loss is subtracted",
        partial(train, skip=True, slant=4.0, balance=-0.1),
        0.93,
        twin="experts",
        expect="211",
        allow="807 704 104 301 401 404",
        where="mix",
    ),
    healthy(
        "residual",
        "experts",
        "an expert of eight beside a skip, balancing loss",
        partial(train, skip=True),
        0.9,
    ),
)
