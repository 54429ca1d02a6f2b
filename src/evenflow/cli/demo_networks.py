"""The demo's four networks: three are sick in the classical ways, one is well."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from ..lang import N_


@dataclass(frozen=True, slots=True)
class DemoNetwork:
    """A network, its optimizer and its data; `about` says what the demo did to it."""

    name: str
    about: str
    steps: int
    model: Callable[[], nn.Module]
    optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
    prepare: Callable[[Tensor], Tensor]  # raw pixels 0..16 [N, 64] -> what the network is given
    clip: float = math.inf  # largest norm of the gradient


class DeepSigmoid(nn.Module):
    """Fifty sigmoid layers: each multiplies the layer error by at most a quarter."""

    def __init__(self, depth: int = 50, width: int = 32) -> None:
        super().__init__()
        widths = [64] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.head = nn.Linear(width, 10)
        for layer in (*self.hidden, self.head):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.sigmoid(layer(x))
        return self.head(x)  # type: ignore[no-any-return]


class PixelByPixel(nn.Module):
    """A plain recurrent network that reads a digit one pixel at a time."""

    def __init__(self, width: int = 48, gain: float = 3.0) -> None:
        super().__init__()
        self.cell = nn.RNNCell(1, width)
        self.head = nn.Linear(width, 10)
        nn.init.normal_(self.cell.weight_hh, std=gain / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.cell.hidden_size)
        for pixel in x.unbind(1):
            state = self.cell(pixel[:, None], state)
        return self.head(state)  # type: ignore[no-any-return]


class PreNormBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(self.norm(x))))  # type: ignore[no-any-return]


class Residual(nn.Sequential):
    """Ten residual blocks: every layer error has a straight way down."""

    def __init__(self, depth: int = 10, width: int = 64) -> None:
        super().__init__(
            nn.Linear(64, width),
            *[PreNormBlock(width) for _ in range(depth)],
            nn.LayerNorm(width),
            nn.Linear(width, 10),
        )


def _four_relus() -> nn.Module:
    layers: list[nn.Module] = []
    for a in (64, 128, 128, 128):
        layers += [nn.Linear(a, 128), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def _standard(x: Tensor) -> Tensor:
    return (x - x.mean()) / x.std()


NETWORKS = (
    DemoNetwork(
        "sigmoid",
        N_("50 sigmoid layers with Xavier's initialisation"),
        300,
        DeepSigmoid,
        partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        _standard,
    ),
    DemoNetwork(
        "relu",
        N_("4 ReLU layers, Adam with learning rate 0.1, pixels fed in as 0 to 255"),
        300,
        _four_relus,
        partial(torch.optim.Adam, lr=0.1),
        lambda x: x * (255 / 16),
    ),
    DemoNetwork(
        "rnn",
        N_("a plain RNN over 64 pixels, recurrent weights three times too large, gradient clipped"),
        150,
        PixelByPixel,
        partial(torch.optim.SGD, lr=0.01),
        _standard,
        clip=1.0,
    ),
    DemoNetwork(
        "residual",
        N_("10 residual blocks with LayerNorm and AdamW"),
        400,
        Residual,
        partial(torch.optim.AdamW, lr=1e-3),
        _standard,
    ),
)


def train(
    network: DemoNetwork,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    tick: Callable[[], object],
) -> tuple[float, float]:
    """The plainest training loop there is, on 1440 of 1797 real handwritten digits, 8 x 8.

    Returns the last loss and the accuracy on the other digits.
    """
    pixels, labels = load_digits(return_X_y=True)
    x, y = network.prepare(torch.tensor(pixels, dtype=torch.float32)), torch.tensor(labels)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    old, new = order[:1440], order[1440:]
    draw = torch.Generator().manual_seed(1)
    loss = torch.tensor(math.nan)
    for _ in range(network.steps):
        rows = old[torch.randint(len(old), (64,), generator=draw)]
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        if network.clip < math.inf:
            nn.utils.clip_grad_norm_(model.parameters(), network.clip)
        optimizer.step()
        tick()
    with torch.no_grad():
        right = (model(x[new]).argmax(1) == y[new]).float().mean()
    return loss.item(), right.item()
