"""Xavier in deep sigmoid networks: it keeps variances where f'(0) = 1, and a sigmoid has ¼."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from zoo.data import digits

from .base import Claim, Row, Rows, decades, percent
from .nets import Plan, see, table, train

RATES = (3e-4, 3e-3)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    width, epochs, rates = (64, 5, RATES[1:]) if quick else (128, 15, RATES)
    nets = {f"Xavier, depth {d}": Plan(d, width, nn.Sigmoid, "xavier") for d in (2, 5, 10, 20, 50)}
    nets["default, depth 50"] = Plan(50, width, nn.Sigmoid)
    nets["Xavier × 4, depth 50"] = Plan(50, width, nn.Sigmoid, "xavier", gain=4)
    if quick:
        nets = {name: nets[name] for name in ("Xavier, depth 2", "Xavier, depth 20")}
    for name, plan in nets.items():
        built = [plan.build(seed) for seed in seeds]
        figures = table([see(net, data.x[:128]) for net in built], "decades", "spread")
        figures["accuracy"] = [
            max(train(plan.build(seed), data, epochs, seed, rate) for rate in rates)
            for seed in seeds
        ]
        rows.append(Row(name, figures))
    return rows


def tell(rows: Rows) -> str:
    learnt = "; ".join(
        f"{d} layers {percent(rows(f'Xavier, depth {d}', 'accuracy'))}" for d in (2, 5, 10, 20, 50)
    )
    return (
        f"Only if it is not deep: {learnt}. At 50 layers δ loses "
        f"{decades(-rows('Xavier, depth 50', 'δ decades'))} decades on its way back "
        f"(torch's default {decades(-rows('default, depth 50', 'δ decades'))}; Xavier × 4, which "
        f"makes up for f'(0) = ¼, {decades(-rows('Xavier × 4, depth 50', 'δ decades'))} with "
        f"{percent(rows('Xavier × 4, depth 50', 'accuracy'))})."
    )


def holds(rows: Rows) -> bool:
    deep = rows[-1].setting if len(rows) == 2 else "Xavier, depth 50"
    return (
        rows("Xavier, depth 2", "accuracy") > 0.8
        and rows(deep, "accuracy") < 0.4
        and rows(deep, "δ decades") < -8
    )


CLAIM = Claim(
    "xavier-deep-sigmoid",
    "Xavier initialisation suits deep sigmoid networks.",
    "true only if",
    "plain sigmoid, width 128, digits, 15 epochs, Adam, the better of 3e-4 and 3e-3 by held-out "
    "accuracy",
    measure,
    tell,
    holds,
)
