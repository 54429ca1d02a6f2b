"""The networks of THEORY.md §2: depth 50, width 256, batches of 128 scikit-learn digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

DEPTH, WIDTH, BATCH, CLASSES = 50, 256, 128, 10
Init = Callable[[nn.Module], None]


class Net(NamedTuple):
    """A network of the table.

    Attributes:
        factory: makes it. shape: of one batch. theory: is there a closed form for each of its ops?
        fails: THEORY.md says that theory fails here; the error bar must cover the error then.
    """

    factory: Callable[[], nn.Module]
    shape: tuple[int, ...] = (BATCH, 64)
    theory: bool = True
    fails: bool = False


def digits(count: int, shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    """`count` digits [count, *shape[1:]] (repeated and enlarged where the shape asks for channels
    and pixels) and their labels: real data, as a training loop hands it over. Features (of images:
    all pixels alike, or blank margins would be exact zeros) are standardised, then each sample is
    scaled to rms 1, as N(0,1) data have it: where q runs away (GELU at He's variance), what a
    sample's q is at the start decides all."""
    bunch = load_digits()
    x = torch.tensor(bunch.data, dtype=torch.float32)
    flat = len(shape) == 2
    x = (x - x.mean(0)) / (x.std(0) + 1e-2) if flat else (x - x.mean()) / x.std()
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:count]
    x, y = x[pick], torch.tensor(bunch.target)[pick]
    x = x / x.square().mean(1, keepdim=True).sqrt()
    if not flat:
        x = x.view(-1, 1, 8, 8)
        if shape[2] != 8:
            x = F.interpolate(x, size=shape[2:], mode="bilinear")
        x = x.expand(-1, shape[1], -1, -1)
    return x.reshape(count, *shape[1:]).contiguous(), y


# -- initialisations ------------------------------------------------------------------------------
def default(layer: nn.Module) -> None:
    """torch's own."""


def he(layer: nn.Module) -> None:
    """N(0, 2/n_in), no bias."""
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)


def xavier(layer: nn.Module) -> None:
    """Uniform, variance 2/(n_in + n_out), no bias."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)


def orthogonal(layer: nn.Module) -> None:
    """Orthogonal, no bias."""
    nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(layer.bias)


def chaotic(layer: nn.Module) -> None:
    """N(0, 4/n_in), biases N(0, .05)."""
    nn.init.normal_(layer.weight, std=(4.0 / layer.weight.shape[1]) ** 0.5)
    nn.init.normal_(layer.bias, std=0.05**0.5)


# -- networks -------------------------------------------------------------------------------------
def perceptron(
    act: Callable[[], nn.Module], init: Init, norm: Callable[[int], nn.Module] | None = None
) -> nn.Module:
    """DEPTH linear layers, each with its activation, and a head."""
    layers: list[nn.Module] = []
    for i in range(DEPTH):
        layer = nn.Linear(WIDTH if i else 64, WIDTH)
        init(layer)
        layers += [layer, *([norm(WIDTH)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        he(self.first)
        he(self.second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


def residual() -> nn.Module:
    """25 blocks x + W relu(W relu(x)) without normalisation."""
    blocks = [_Residual() for _ in range(DEPTH // 2)]
    return nn.Sequential(nn.Linear(64, WIDTH), *blocks, nn.Linear(WIDTH, CLASSES))


def convolutions(channels: int = 64, depth: int = 32) -> nn.Module:
    """32 3x3 convolutions on 8x8 pixels, zero padding, He."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layer = nn.Conv2d(channels if i else 1, channels, 3, padding=1)
        he(layer)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(channels, CLASSES))


class Transformer(nn.Module):
    """24 encoder layers over 8 tokens, the rows of a digit."""

    def __init__(self, norm_first: bool, width: int = 128, depth: int = 24) -> None:
        super().__init__()
        self.rows = nn.Linear(8, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=norm_first
            )
            for _ in range(depth)
        )
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.rows(x.view(-1, 8, 8))
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


NETS: dict[str, Net] = {
    "tanh, torch default init": Net(lambda: perceptron(nn.Tanh, default)),
    "tanh orthogonal": Net(lambda: perceptron(nn.Tanh, orthogonal)),
    "tanh chaotic": Net(lambda: perceptron(nn.Tanh, chaotic)),
    "sigmoid default": Net(lambda: perceptron(nn.Sigmoid, default)),
    "sigmoid Xavier": Net(lambda: perceptron(nn.Sigmoid, xavier)),
    "ReLU default": Net(lambda: perceptron(nn.ReLU, default)),
    "ReLU He": Net(lambda: perceptron(nn.ReLU, he)),
    "GELU He": Net(lambda: perceptron(nn.GELU, he), fails=True),
    "ReLU+BN": Net(lambda: perceptron(nn.ReLU, he, nn.BatchNorm1d)),
    "ReLU+LN": Net(lambda: perceptron(nn.ReLU, he, nn.LayerNorm)),
    "residual MLP, 25 plain blocks": Net(residual),
    "CNN 32 layers ReLU He": Net(convolutions, (BATCH, 1, 8, 8)),
    "transformer 24 pre-LN": Net(lambda: Transformer(True), theory=False),
    "transformer 24 post-LN": Net(lambda: Transformer(False), theory=False),
}
