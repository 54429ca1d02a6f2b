"""LeakyReLU's negative slope: "negative" names the side, not the sign. With -0.3 f falls as z
rises, so that z and -0.3 z cannot be told apart and no order is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from evenflow.activations.meanfield import c_map
from zoo.data import digits

from .base import Claim, Row, Rows, percent
from .nets import Plan, see, table, train

SLOPES = (0.01, 0.3, -0.3)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    depth, width, epochs = (20, 64, 3) if quick else (50, 128, 15)
    for a in SLOPES:
        make = partial(nn.LeakyReLU, a)
        at = torch.tensor([-1.0], requires_grad=True)
        value = make()(at)
        value.backward()
        assert at.grad is not None
        # He et al. 2015: variance 2 / ((1 + a²) n)
        plan = Plan(depth, width, make, "he", gain=1 / math.sqrt(1 + a * a))
        nets = [plan.build(seed) for seed in seeds]
        figures = {"f(−1)": [value.item()], "f'(−1)": [at.grad.item()]}
        c = 0.5
        for _ in range(depth):
            c = min(
                c_map(lambda x, a=a: x * (a + (1 - a) * (x > 0)), 1.0, c, 2 / (1 + a * a), 0, (0,)),
                1.0,
            )
        figures["1−c in theory"] = [1 - c]
        figures |= table([see(net, data.x[:128]) for net in nets], "decades", "spread")
        figures["accuracy"] = [
            train(net, data, epochs, seed) for net, seed in zip(nets, seeds, strict=True)
        ]
        rows.append(Row(f"slope {a:g}", figures))
    return rows


def tell(rows: Rows) -> str:
    def a(setting: str) -> str:
        return percent(rows(setting, "accuracy"))

    return (
        f"A slip of sign. The slope is +0.3 in Keras and .01 in torch: f(−1) = "
        f"{rows('slope 0.3', 'f(−1)'):.2f}. With −0.3 f(−1) = {rows('slope -0.3', 'f(−1)'):+.2f}: "
        f"it folds the line. After 50 layers 1−c is {rows('slope -0.3', '1−c'):.1e}, with .01 "
        f"{rows('slope 0.01', '1−c'):.1e}, with .3 {rows('slope 0.3', '1−c'):.1e}; accuracy "
        f"{a('slope -0.3')}, {a('slope 0.01')}, {a('slope 0.3')}."
    )


def holds(rows: Rows) -> bool:
    return (
        rows("slope 0.3", "f(−1)") < 0 < rows("slope -0.3", "f(−1)")
        and rows("slope -0.3", "1−c") < rows("slope 0.01", "1−c") < rows("slope 0.3", "1−c")
        and rows("slope -0.3", "accuracy") <= rows("slope 0.3", "accuracy")
    )


CLAIM = Claim(
    "leaky-relu-slope",
    "LeakyReLU has the slope −0.3 on its negative side.",
    "false",
    "plain, depth 50, width 128, weights of variance 2/((1 + a²)n), digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
