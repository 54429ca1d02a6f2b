"""What the frozen forecasts are of: PKG.MOD:FACTORY, as users hand it to `evenflow preflight`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def _chain(depth: int, act: Callable[[], nn.Module], width: int = 16) -> nn.Sequential:
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), act())]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def small() -> nn.Module:
    """Healthy."""
    return _chain(2, nn.ReLU)


def vanishing() -> nn.Module:
    """Its error is lost on the way down."""
    return _chain(30, nn.Sigmoid)


def dead() -> nn.Module:
    """No unit of its second layer is ever above zero."""
    net = _chain(3, nn.ReLU)
    nn.init.constant_(net[2].bias, -30.0)  # type: ignore[arg-type]
    return net


def loud() -> nn.Module:
    """Each layer multiplies what it is given."""
    net = _chain(16, nn.ReLU)
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=1.0)
    return net


def image() -> nn.Module:
    """Convolutions, a norm, a pool."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 8, 3), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


class Residual(nn.Module):
    """Eight branches after a LayerNorm each, around a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
            for _ in range(8)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        for branch in self.branches:
            x = x + branch(x)
        y: Tensor = self.head(x)
        return y


class Tokens(nn.Module):
    """An encoder over integers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 50)

    def forward(self, ids: Tensor) -> Tensor:
        y: Tensor = self.head(self.body(self.embed(ids)))
        return y


class Recurrent(nn.Module):
    """A plain recurrence, unrolled by hand over twenty steps."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(24, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], 16)
        for t in range(x.shape[1]):
            h = torch.tanh(self.cell(torch.cat([x[:, t], h], 1)))
        y: Tensor = self.head(h)
        return y


#: Factory -> what `--input` it is given.
INPUTS = {
    "small": "64,16",
    "vanishing": "64,16",
    "dead": "64,16",
    "loud": "64,16",
    "image": "16,1,12,12",
    "Residual": "64,16",
    "Tokens": "int:8,12<50",
    "Recurrent": "32,20,8",
}
