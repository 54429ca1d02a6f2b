"""The networks of the trainability benchmark: a fixed list of generated perceptrons on digits.

Depth 2 to 100 (hidden layers), width 64, 9 activations, 6 initialisations, with batch, layer or
no norm, with or without skips. Network k is made with seed k, so that the one that is foreseen
is to the bit the one that is trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

WIDTH = 64
BATCH = 64
TEST = 500
DEPTHS = (2, 3, 5, 8, 12, 20, 30, 50, 70, 100)
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}
#: Whose gradient falls by decades at any of these initialisations.
_SHRINKING = ("sigmoid", "softplus")
INITS = ("default", "xavier", "he", "lecun", "orthogonal", "large")


@dataclass(frozen=True, slots=True)
class Spec:
    """One network. `norm` is "none", "batch" or "layer"; `skip` adds each block to its input."""

    index: int
    depth: int
    activation: str
    init: str
    norm: str
    skip: bool

    @property
    def half(self) -> str:
        """ "calibration" or "report", by turns."""
        return "report" if self.index % 2 else "calibration"


class Block(nn.Module):
    """f(norm(W x + b)), added to x with a skip."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.norm = {
            "none": nn.Identity,
            "batch": lambda: nn.BatchNorm1d(WIDTH),
            "layer": lambda: nn.LayerNorm(WIDTH),
        }[spec.norm]()
        self.activation = ACTIVATIONS[spec.activation]()
        self.skip = spec.skip

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.norm(self.linear(x)))
        return x + y if self.skip else y


def specs(n: int = 400) -> list[Spec]:
    """The first n networks of the list: drawn once and for all, no two alike.

    From the 200th on only depths of 20 and more: of the first 135 less than 30 % had failed.
    From the 320th on plain nets of 50 and more near criticality: their gradient neither vanishes
    nor explodes, and few of the rest are so and fail.
    """
    draw = random.Random(20261121)
    seen: set[tuple[object, ...]] = set()
    out: list[Spec] = []
    while len(out) < n:
        critical = len(out) >= 320
        depths = DEPTHS if len(out) < 200 else DEPTHS[5:] if not critical else DEPTHS[7:]
        fields = (
            draw.choice(depths),
            draw.choice([a for a in ACTIVATIONS if not critical or a not in _SHRINKING]),
            draw.choice(("lecun", "he", "orthogonal") if critical else INITS),
            draw.choices(("none", "batch", "layer"), (5, 0, 5) if critical else (6, 2, 2))[0],
            draw.random() < (0.0 if critical else 0.25),
        )
        if fields not in seen:
            seen.add(fields)
            out.append(Spec(len(out), *fields))
    return out


def build(spec: Spec) -> nn.Module:
    """The network with its weights drawn from seed `spec.index`."""
    torch.manual_seed(spec.index)
    model = nn.Sequential(*(Block(spec) for _ in range(spec.depth)), nn.Linear(WIDTH, 10))
    for module in model.modules():
        if isinstance(module, nn.Linear) and spec.init != "default":
            _start_(module.weight, spec.init)
            nn.init.zeros_(module.bias)
    return model


def _start_(weight: Tensor, init: str) -> None:
    fan_in = weight.shape[1]
    if init == "xavier":
        nn.init.xavier_normal_(weight)
    elif init == "orthogonal":
        nn.init.orthogonal_(weight)
    else:  # variance of a weight times its fan-in
        gain = {"he": 2.0, "lecun": 1.0, "large": 4.0}[init]
        nn.init.normal_(weight, std=(gain / fan_in) ** 0.5)


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, y for training [1297, 64] and for test [500, 64], standardised on the training part."""
    x, y = (torch.as_tensor(a) for a in load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order].float(), y[order]
    test, train = slice(0, TEST), slice(TEST, None)
    mean, std = x[train].mean(0), x[train].std(0).clamp(min=1e-3)
    x = (x - mean) / std
    return x[train], y[train], x[test], y[test]
