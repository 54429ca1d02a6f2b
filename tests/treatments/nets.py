"""Small networks of many kinds, as users write them, with a batch each."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rows(n: int = 32, d: int = 6) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(7))


def mlp(act: type[nn.Module] = nn.ReLU, hidden: int = 2, width: int = 8) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(6, width), act()]
    for _ in range(hidden - 1):
        layers += [nn.Linear(width, width), act()]
    return nn.Sequential(*layers, nn.Linear(width, 3))


class Functional(nn.Module):
    """Every way to call a ReLU, in place and not, and a gate and an output of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.gate, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        h = torch.relu(self.b(h)) * torch.sigmoid(self.gate(h))
        h = self.c(h)
        h.relu_()
        return torch.sigmoid(self.head(h))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(h)


class Projected(nn.Module):
    """A branch of two layers, beside it a shortcut of one; arithmetic that is no activation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(6, 8), nn.Linear(4, 3)
        self.branch = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 4))
        self.shortcut = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).clamp(-3, 3)
        h = self.branch(h) + self.shortcut(h)
        return self.head(torch.sin(h))


class Shared(nn.Module):
    """One layer for each of five patches, side by side: no recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        patches = [torch.relu(self.patch(x[:, t])) for t in range(5)]
        return self.head(torch.stack(patches).mean(0))


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.max_pool2d(F.relu(self.one(x)), 2)
        h = F.relu(self.two(h))
        return self.head(h.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase] = nn.RNN) -> None:
        super().__init__()
        self.rnn, self.head = kind(4, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.rnn(x)
        return self.head(out[:, -1])


class Cell(nn.Module):
    """A recurrence written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.x, self.h, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = torch.tanh(self.x(x[:, t]) + self.h(h))
        return self.head(h)


class Attention(nn.Module):
    """`sharpness` multiplies query and key weights."""

    def __init__(self, sharpness: float = 1.0) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.q.weight.mul_(sharpness), self.k.weight.mul_(sharpness)

    def forward(self, x: Tensor) -> Tensor:
        h = F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x))
        return self.head(h.mean(1))


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def sequences() -> Tensor:
    return torch.randn(16, 7, 4, generator=torch.Generator().manual_seed(7))


def words() -> Tensor:
    return torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(7))


def images() -> Tensor:
    return torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(7))


#: name -> (make, batch)
NETS: dict[str, tuple[Any, Any]] = {
    "relu": (mlp, rows),
    "tanh": (lambda: mlp(nn.Tanh), rows),
    "sigmoid": (lambda: mlp(nn.Sigmoid), rows),
    "selu": (lambda: mlp(nn.SELU), rows),
    "deep-relu": (lambda: mlp(nn.ReLU, 12), rows),
    "deep-sigmoid": (lambda: mlp(nn.Sigmoid, 12), rows),
    "linear": (lambda: nn.Linear(6, 3), rows),
    "functional": (Functional, rows),
    "residual": (Residual, rows),
    "projected": (Projected, rows),
    "shared": (Shared, sequences),
    "conv": (Conv, images),
    "rnn": (Recurrent, sequences),
    "lstm": (lambda: Recurrent(nn.LSTM), sequences),
    "cell": (Cell, sequences),
    "attention": (Attention, words),
    "sharp-attention": (lambda: Attention(30.0), words),
    "transformer": (transformer, words),
}


def make(name: str, seed: int = 0) -> tuple[nn.Module, Tensor]:
    build, batch = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(), batch()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, steps: int = 3) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
