"""LayerNorm against saturation: z comes back into the middle of f, but f' is as it was there."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from zoo.data import digits

from .base import Claim, Row, Rows, decades, percent
from .nets import Plan, see, table, train


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    width, epochs = (64, 2) if quick else (128, 15)
    for norm, word in (("none", ""), ("layer", " + LN"), ("batch", " + BN")):
        if quick and norm == "batch":
            continue
        nets = {
            f"tanh, weights × 4{word}, depth 10": Plan(10, width, nn.Tanh, "lecun", norm, gain=4),
            f"sigmoid{word}, depth 50": Plan(50, width, nn.Sigmoid, norm=norm),
        }
        for name, plan in nets.items():
            built = [plan.build(seed) for seed in seeds]
            sights = [see(net, data.x[:128]) for net in built]
            figures = table(sights, "saturated", "decades", "spread")
            figures["accuracy"] = [
                train(net, data, epochs, seed) for net, seed in zip(built, seeds, strict=True)
            ]
            rows.append(Row(name, figures))
    return rows


T, T_LN = "tanh, weights × 4, depth 10", "tanh, weights × 4 + LN, depth 10"
S, S_LN, S_BN = "sigmoid, depth 50", "sigmoid + LN, depth 50", "sigmoid + BN, depth 50"


def tell(rows: Rows) -> str:
    def a(setting: str) -> str:
        return percent(rows(setting, "accuracy"))

    return (
        f"Only if z is too large: with weights four times too large {percent(rows(T, 'saturated'))}"
        f" of tanh is saturated without LN and {percent(rows(T_LN, 'saturated'))} with it "
        f"(accuracy {a(T)} → {a(T_LN)}). It does not save a deep sigmoid network, which vanishes "
        f"unsaturated (f' ≤ ¼): at 50 layers {decades(rows(S, 'δ decades'))} decades without, "
        f"{decades(rows(S_LN, 'δ decades'))} with LN, accuracy {a(S)} → {a(S_LN)}; BN "
        f"{decades(rows(S_BN, 'δ decades'))} and {a(S_BN)}."
    )


def holds(rows: Rows) -> bool:
    return (
        rows(T, "saturated") > 0.2
        and rows(T_LN, "saturated") < 0.02
        and rows(S, "saturated") < 0.02
        and rows(S_LN, "δ decades") < -8
        and rows(S_LN, "accuracy") < 0.4
    )


CLAIM = Claim(
    "layer-norm-saturation",
    "Layer normalisation helps against saturation.",
    "true only if",
    "plain, width 128, digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
