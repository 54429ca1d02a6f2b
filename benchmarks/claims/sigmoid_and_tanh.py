"""Never tanh or sigmoid: shallow, tanh is as good and sigmoid a little slower; 50 layers of either
train from the right start. Centred LSUV scales and shifts each layer so that its z has mean 0 and
deviation 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.data import digits

from .base import Claim, Row, Rows, percent
from .nets import Plan, see, table, train


def centre_(model: nn.Sequential, x: Tensor) -> None:
    """Centred LSUV: layer by layer, orthogonal rows over the deviation of their z on x [B, n],
    and the bias that takes the mean of z to 0 (THEORY §4)."""
    with torch.no_grad():
        for part in model[:-1]:
            if isinstance(part, nn.Linear):
                nn.init.orthogonal_(part.weight)
                z = x @ part.weight.T
                std = z.std(0).clamp(min=1e-6)
                part.weight.div_(std[:, None])
                part.bias.copy_(-z.mean(0) / std)
            x = part(x)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    deep, width, epochs, rate = (10, 64, 4, 1e-3) if quick else (50, 128, 15, 3e-4)
    nets = {
        "sigmoid Xavier, depth 2": Plan(2, width, nn.Sigmoid, "xavier"),
        "tanh Xavier, depth 2": Plan(2, width, nn.Tanh, "xavier"),
        "ReLU He, depth 2": Plan(2, width, nn.ReLU, "he"),
        "tanh default, deep": Plan(deep, width, nn.Tanh),
        "tanh orthogonal, deep": Plan(deep, width, nn.Tanh, "orthogonal"),
        "sigmoid default, deep": Plan(deep, width, nn.Sigmoid),
        "sigmoid centred LSUV, deep": Plan(deep, width, nn.Sigmoid),
        "ReLU default, deep": Plan(deep, width, nn.ReLU),
        "ReLU He, deep": Plan(deep, width, nn.ReLU, "he"),
    }
    for name, plan in nets.items():
        built = [plan.build(seed) for seed in seeds]
        if "LSUV" in name:
            for net, seed in zip(built, seeds, strict=True):
                torch.manual_seed(seed)
                centre_(net, data.x[:512])
        figures = table([see(net, data.x[:128]) for net in built], "decades", "spread")
        figures["accuracy"] = [
            train(net, data, epochs, seed, rate) for net, seed in zip(built, seeds, strict=True)
        ]
        rows.append(Row(name, figures))
    return rows


def tell(rows: Rows) -> str:
    def a(setting: str) -> str:
        return percent(rows(setting, "accuracy"))

    return (
        f"With 2 hidden layers sigmoid {a('sigmoid Xavier, depth 2')}, tanh "
        f"{a('tanh Xavier, depth 2')}, ReLU {a('ReLU He, depth 2')}. With 50 the start decides, "
        f"not the function: tanh {a('tanh default, deep')} from torch's default and "
        f"{a('tanh orthogonal, deep')} from orthogonal weights, sigmoid "
        f"{a('sigmoid default, deep')} and {a('sigmoid centred LSUV, deep')} from centred LSUV; "
        f"ReLU {a('ReLU default, deep')} and {a('ReLU He, deep')} from He's."
    )


def holds(rows: Rows) -> bool:
    relu = rows("ReLU He, deep", "accuracy")
    return (
        rows("tanh Xavier, depth 2", "accuracy") > rows("ReLU He, depth 2", "accuracy") - 0.05
        and rows("tanh orthogonal, deep", "accuracy") > relu - 0.05
        and rows("sigmoid centred LSUV, deep", "accuracy") > relu - 0.05
        and rows("sigmoid default, deep", "accuracy") < 0.4
    )


CLAIM = Claim(
    "never-tanh-or-sigmoid",
    "Never use tanh or sigmoid in hidden layers.",
    "false",
    "plain, depth 2 and 50, width 128, digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
