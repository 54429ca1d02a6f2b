"""BatchNorm against vanishing and exploding: it undoes scale, and itself makes δ explode.

With ReLU and large batches ‖δ‖² grows by π/(π - 1) a layer on its way back (Yang et al. 2019,
arXiv:1902.08129): ½ log10 of that is 0.083 decades, 4.1 over 50 layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from zoo.data import digits

from .base import Claim, Row, Rows, decades, percent
from .nets import BATCH, Plan, see, table, train

GROWTH = math.log10(math.pi / (math.pi - 1)) / 2


def plans(width: int) -> dict[str, Plan]:
    """By setting."""
    out = {
        "sigmoid, depth 50": Plan(50, width, nn.Sigmoid),
        "sigmoid + BN, depth 50": Plan(50, width, nn.Sigmoid, norm="batch"),
        "ReLU × 2, depth 20": Plan(20, width, nn.ReLU, "he", gain=2),
        "ReLU × 2 + BN, depth 20": Plan(20, width, nn.ReLU, "he", "batch", gain=2),
        "ReLU default, depth 50": Plan(50, width, nn.ReLU),
        "ReLU He, depth 50": Plan(50, width, nn.ReLU, "he"),
    }
    for depth in (10, 30, 50):
        out[f"ReLU + BN, depth {depth}"] = Plan(depth, width, nn.ReLU, norm="batch")
    return out


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    nets, epochs = plans(64 if quick else 128), 1 if quick else 15
    if quick:
        keep = ("sigmoid, depth 50", "sigmoid + BN, depth 50", "ReLU + BN, depth 50")
        nets = {name: nets[name] for name in keep}
    for name, plan in nets.items():
        built = [plan.build(seed) for seed in seeds]
        figures = table([see(net, data.x[:BATCH]) for net in built], "decades", "spread")
        figures["accuracy"] = [
            train(net, data, epochs, seed) for net, seed in zip(built, seeds, strict=True)
        ]
        rows.append(Row(name, figures))
    return rows


def tell(rows: Rows) -> str:
    def a(setting: str) -> str:
        return percent(rows(setting, "accuracy"))

    def d(setting: str) -> str:
        return decades(rows(setting, "δ decades"))

    return (
        f"It undoes what comes of scale: 50 sigmoids go from {d('sigmoid, depth 50')} to "
        f"{d('sigmoid + BN, depth 50')} decades and from {a('sigmoid, depth 50')} to "
        f"{a('sigmoid + BN, depth 50')}. A deep plain ReLU network it makes explode: "
        f"{d('ReLU + BN, depth 10')}, {d('ReLU + BN, depth 30')}, {d('ReLU + BN, depth 50')} "
        f"decades at 10, 30, 50 layers (theory at 50: {decades(49 * GROWTH)}) with "
        f"{a('ReLU + BN, depth 10')}, {a('ReLU + BN, depth 30')}, {a('ReLU + BN, depth 50')}; He's "
        f"start without BN reaches {a('ReLU He, depth 50')} at 50. With weights doubled 20 ReLU "
        f"layers explode by {d('ReLU × 2, depth 20')} → {d('ReLU × 2 + BN, depth 20')} decades, "
        f"and yet learn worse: {a('ReLU × 2, depth 20')} → {a('ReLU × 2 + BN, depth 20')}."
    )


def holds(rows: Rows) -> bool:
    explodes = rows("ReLU + BN, depth 50", "δ decades")
    vanishes = rows("sigmoid, depth 50", "δ decades")
    cured = rows("sigmoid + BN, depth 50", "δ decades")
    good = abs(explodes - 49 * GROWTH) < 1 and vanishes < -20 and abs(cured) < 5
    if len(rows) == 3:  # one epoch shows no outcome
        return good
    bad = rows("ReLU + BN, depth 50", "accuracy")
    return (
        good
        and rows("sigmoid + BN, depth 50", "accuracy") > 0.8
        and rows("ReLU + BN, depth 10", "accuracy") > 0.8
        and bad < rows("ReLU He, depth 50", "accuracy") - 0.2
    )


CLAIM = Claim(
    "batch-norm-cures-both",
    "Batch normalisation cures vanishing and exploding gradients.",
    "depends",
    "plain, width 128, digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
