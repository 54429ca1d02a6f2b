"""SELU's recipe: LeCun-normal weights keep mean 0 and variance 1; AlphaDropout keeps them too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from zoo.data import digits

from .base import Claim, Row, Rows, percent
from .nets import Plan, see, table, train

P = 0.2


def moments(model: nn.Sequential, x: Tensor) -> tuple[float, float]:
    """Mean and variance of what the last hidden layer gives in training mode."""
    with torch.no_grad():
        a = model[:-1](x)
    return float(a.mean()), float(a.var())


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    depth, width, epochs = (30, 64, 1) if quick else (30, 128, 15)
    nets = {
        "LeCun": Plan(depth, width, nn.SELU, "lecun"),
        "torch default": Plan(depth, width, nn.SELU),
        "He": Plan(depth, width, nn.SELU, "he"),
        "orthogonal": Plan(depth, width, nn.SELU, "orthogonal"),
        "LeCun, dropout": Plan(depth, width, nn.SELU, "lecun", dropout=partial(nn.Dropout, P)),
        "LeCun, AlphaDropout": Plan(
            depth, width, nn.SELU, "lecun", dropout=partial(nn.AlphaDropout, P)
        ),
    }
    for name, plan in nets.items():
        built = [plan.build(seed) for seed in seeds]
        found = [moments(net, data.x) for net in built]
        figures = {"mean": [m for m, _ in found], "variance": [v for _, v in found]}
        figures |= table([see(net, data.x[:128]) for net in built], "decades", "spread")
        figures["accuracy"] = [
            train(net, data, epochs, seed) for net, seed in zip(built, seeds, strict=True)
        ]
        rows.append(Row(name, figures))
    return rows


def tell(rows: Rows) -> str:
    def a(setting: str) -> str:
        return percent(rows(setting, "accuracy"))

    def v(setting: str) -> str:
        return f"{rows(setting, 'variance'):.2g}"

    return (
        f"The scale is needed, LeCun's draw is not: after 30 layers the variance is {v('LeCun')} "
        f"with LeCun-normal and {v('orthogonal')} with orthogonal weights, "
        f"{v('torch default')} with torch's default, {v('He')} with He's; accuracy {a('LeCun')}, "
        f"{a('orthogonal')}, {a('torch default')}, {a('He')}. With p = {P} after every layer plain "
        f"dropout leaves variance {v('LeCun, dropout')}, AlphaDropout "
        f"{v('LeCun, AlphaDropout')}, as it promises; at this depth neither lets the network learn "
        f"({a('LeCun, dropout')} and {a('LeCun, AlphaDropout')}): noise on noise, 1−c = "
        f"{rows('LeCun, AlphaDropout', '1−c'):.2g} where it was {rows('LeCun', '1−c'):.2g} without."
    )


def holds(rows: Rows) -> bool:
    return (
        0.5 < rows("LeCun", "variance") < 2
        and rows("torch default", "variance") < 0.1
        and rows("He", "variance") > 10
        and abs(rows("LeCun, AlphaDropout", "variance") - 1)
        < abs(rows("LeCun, dropout", "variance") - 1)
    )


CLAIM = Claim(
    "selu-recipe",
    "SELU needs LeCun initialisation and AlphaDropout.",
    "depends",
    "plain SELU, depth 30, width 128, digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
