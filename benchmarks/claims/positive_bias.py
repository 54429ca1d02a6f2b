"""A large positive bias for ReLU: in one layer every unit is on for every input, and it is linear.
In the next ones the offset that inputs now share, Σ_j w_ij b, is as large as the bias and as often
below 0: units are off for every input that way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.data import digits

from .base import Claim, Row, Rows, percent
from .nets import Plan, see, table, train

BIASES = (0.0, 0.1, 1.0, 10.0)
HIGH = ", rate × 100"
#: Adam's rates: a sound one, and one that kills.
RATES = {"": 3e-4, HIGH: 3e-2}


def always_on(model: nn.Sequential, x: Tensor) -> float:
    """Share of rectified units that are on for every row of x: there the network is linear."""
    shares = []
    with torch.no_grad():
        for part in model:
            x = part(x)
            if isinstance(part, nn.ReLU):
                shares.append(float((x > 0).all(0).float().mean()))
    return sum(shares) / len(shares)


def always_off(model: nn.Sequential, x: Tensor) -> float:
    """Share of rectified units that are off for every row of x."""
    shares = []
    with torch.no_grad():
        for part in model:
            x = part(x)
            if isinstance(part, nn.ReLU):
                shares.append(float((x == 0).all(0).float().mean()))
    return sum(shares) / len(shares)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    width, epochs = (64, 3) if quick else (128, 15)
    for depth in (1, 10):
        for word, rate in RATES.items():
            for bias in BIASES[:: 3 if quick else 1]:
                plan = Plan(depth, width, nn.ReLU, "he", bias=bias)
                nets = [plan.build(seed) for seed in seeds]
                figures = {
                    "always on": [always_on(net, data.x) for net in nets],
                    "dead": [always_off(net, data.x) for net in nets],
                } | table([see(net, data.x[:128]) for net in nets], "spread")
                figures["accuracy"] = [
                    train(net, data, epochs, seed, rate)
                    for net, seed in zip(nets, seeds, strict=True)
                ]
                figures["dead, trained"] = [always_off(net, data.x) for net in nets]
                rows.append(Row(f"depth {depth}, bias {bias:g}{word}", figures))
    return rows


def tell(rows: Rows) -> str:
    def of(depth: int, bias: str, figure: str) -> str:
        return percent(rows(f"depth {depth}, bias {bias}", figure))

    def all_of(depth: int, figure: str, word: str = "") -> str:
        return ", ".join(of(depth, f"{b:g}{word}", figure) for b in BIASES)

    return (
        f"Only in a single layer. For biases of 0, .1, 1, 10: in one layer of units "
        f"{all_of(1, 'dead')} are dead at the start and {all_of(1, 'always on')} on for every "
        f"input, where the layer is linear; in ten layers {all_of(10, 'dead')} are dead, since the "
        f"offset that units share is as large as the bias and as often below 0. Accuracy at 10 "
        f"layers {all_of(10, 'accuracy')}. After a rate a hundred times too high "
        f"{all_of(1, 'dead, trained', HIGH)} are dead in one layer, "
        f"{all_of(10, 'dead, trained', HIGH)} in ten."
    )


def holds(rows: Rows) -> bool:
    none, large = "depth 10, bias 0", "depth 10, bias 10"
    return (
        rows("depth 1, bias 10", "always on") > 0.9
        and rows("depth 1, bias 10" + HIGH, "dead, trained")
        < rows("depth 1, bias 0" + HIGH, "dead, trained")
        and rows(large, "dead") > rows(none, "dead")
        and rows(large, "1−c") < rows(none, "1−c") / 3
        and rows(large, "accuracy") < rows(none, "accuracy") - 0.02
    )


CLAIM = Claim(
    "large-bias-saves-relu",
    "A large positive bias saves ReLU units from dying.",
    "true only if",
    "plain ReLU, He, depth 1 and 10, width 128, digits, 15 epochs, Adam 3e-4 and 3e-2",
    measure,
    tell,
    holds,
)
