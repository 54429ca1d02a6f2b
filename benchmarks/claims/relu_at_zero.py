"""ReLU'(0): three conventions of torch itself, which differ only where z is exactly 0.

`relu` has 0, `maximum` with a zero ½, `clamp` from 0 on 1. The miniature in NumPy has 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from evenflow import miniature
from zoo.data import Split, digits

from .base import Claim, Row, Rows, percent
from .nets import RATE, Plan, accuracy, batches

ZERO = "float32, first layer's weights 0"
CONVENTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "0": torch.relu,
    "½": lambda z: torch.maximum(z, z.new_zeros(())),
    "1": lambda z: z.clamp(min=0),
}


class Rectifier(nn.Module):
    """One of the conventions; counts its inputs that are exactly 0."""

    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.f = f
        self.zeros = self.seen = 0

    def forward(self, z: Tensor) -> Tensor:
        if self.training:
            self.zeros += int((z == 0).sum())
            self.seen += z.numel()
        return self.f(z)


def slope_at_zero(f: Callable[[Tensor], Tensor]) -> float:
    """By autograd."""
    z = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(f(z).sum(), z)
    return slope.item()


def learn(
    plan: Plan, seed: int, data: Split, epochs: int, dtype: torch.dtype, zeroed: bool
) -> tuple[nn.Sequential, float]:
    """The trained network, and the share of z that were exactly 0. `zeroed`: the first layer
    starts with weights 0."""
    net = plan.build(seed).to(dtype)
    if zeroed:
        nn.init.zeros_(net[0].weight)
    adam = torch.optim.Adam(net.parameters(), lr=RATE)
    for rows in batches(len(data.x), epochs, seed):
        adam.zero_grad()
        nn.functional.cross_entropy(net(data.x[rows].to(dtype)).float(), data.y[rows]).backward()
        adam.step()
    parts = [m for m in net.modules() if isinstance(m, Rectifier)]
    return net, sum(m.zeros for m in parts) / sum(m.seen for m in parts)


def apart(one: nn.Module, other: nn.Module) -> float:
    """Largest difference of a weight."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    epochs, width = (3, 32) if quick else (8, 128)
    torch_0, torch_1 = (slope_at_zero(CONVENTIONS[k]) for k in ("0", "1"))
    numpy_0 = float(miniature.ACTIVATIONS["relu"][1](np.zeros(1))[0])
    for name, dtype, zeroed in (
        ("float32", torch.float32, False),
        ("bfloat16", torch.bfloat16, False),
        (ZERO, torch.float32, True),
    ):
        figures: dict[str, list[float]] = {
            "relu'(0), torch": [torch_0],
            "clamp'(0), torch": [torch_1],
            "relu'(0), miniature": [numpy_0],
        }
        for seed in seeds:
            nets = {}
            for word, f in CONVENTIONS.items():
                plan = Plan(3, width, lambda f=f: Rectifier(f), "he")
                nets[word], zeros = learn(plan, seed, data, epochs, dtype, zeroed)
                reached = accuracy(nets[word], data.x_test.to(dtype), data.y_test)
                figures.setdefault(f"accuracy with {word}", []).append(reached)
                if word == "0":
                    figures.setdefault("z exactly 0", []).append(zeros)
            figures.setdefault("weights apart, 0 and 1", []).append(apart(nets["0"], nets["1"]))
        rows.append(Row(name, figures))
    return rows


def most(rows: Rows, setting: str, figure: str) -> float:
    """The largest of the seeds."""
    return max(next(r for r in rows if r.setting == setting).figures[figure])


def tell(rows: Rows) -> str:
    def trained(setting: str) -> str:
        share, apart = (most(rows, setting, f) for f in ("z exactly 0", "weights apart, 0 and 1"))
        hit = f"at most {share:.1e} of all z were" if share else "no z ever was"
        far = f"up to {apart:.1e} apart" if apart else "equal to the bit"
        return f"{hit} exactly 0, and weights came out {far}"

    def a(setting: str, value: str) -> str:
        return percent(rows(setting, f"accuracy with {value}"))

    return (
        f"Only if no z is exactly 0. In float32 {trained('float32')} with 0 and with 1 (accuracy "
        f"{a('float32', '0')} and {a('float32', '1')}); in bfloat16 {trained('bfloat16')} "
        f"({a('bfloat16', '0')} and {a('bfloat16', '1')}). Where the first layer starts with "
        f"weights 0 every z of it is: with 0 (torch's relu, the miniature's) it never learns, "
        f"{a(ZERO, '0')}; with ½ (torch's maximum) {a(ZERO, '½')}, with 1 (torch's clamp) "
        f"{a(ZERO, '1')}."
    )


def holds(rows: Rows) -> bool:
    return (
        rows("float32", "relu'(0), torch") == rows("float32", "relu'(0), miniature") == 0
        and rows("float32", "clamp'(0), torch") == 1
        and rows("float32", "z exactly 0") < 1e-4
        and abs(rows("float32", "accuracy with 0") - rows("float32", "accuracy with 1")) < 0.02
        and rows(ZERO, "accuracy with 1") > rows(ZERO, "accuracy with 0") + 0.1
    )


CLAIM = Claim(
    "relu-slope-at-zero",
    "It does not matter which value is taken for ReLU'(0).",
    "true only if",
    "plain ReLU, depth 3, width 128, digits, 8 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
