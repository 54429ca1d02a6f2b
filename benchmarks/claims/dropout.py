"""Dropout against exploding gradients: it multiplies δ, as it multiplies the signal.

A unit kept with probability 1 - p is divided by 1 - p, so E x² and E δ² both grow by 1/(1 - p) a
layer (THEORY §2): dropout adds -½ log10(1 - p) decades of rms δ a layer. It takes none away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from torch import nn

from zoo.data import digits

from .base import Claim, Row, Rows, decades, percent
from .nets import Plan, see, table, train

RATES = (0.0, 0.2, 0.5)
STARTS = {"He": 1.0, "He × 1.5": 1.5}


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    depth, width, epochs = (10, 64, 2) if quick else (20, 128, 15)
    for start, gain in STARTS.items():
        for p in RATES[:: 2 if quick else 1]:
            drop = partial(nn.Dropout, p) if p else nn.Identity
            plan = Plan(depth, width, nn.ReLU, "he", dropout=drop, gain=gain)
            nets = [plan.build(seed) for seed in seeds]
            figures = table([see(net, data.x[:256]) for net in nets], "decades")
            figures["theory"] = [(1 - depth) * (math.log10(1 - p) / 2 - math.log10(gain))]
            figures["accuracy"] = [
                train(net, data, epochs, seed) for net, seed in zip(nets, seeds, strict=True)
            ]
            rows.append(Row(f"{start}, p = {p:g}", figures))
    return rows


def added(rows: Rows, start: str) -> tuple[float, float]:
    """(measured, foreseen) decades that p = .5 adds."""
    ends = (f"{start}, p = 0.5", f"{start}, p = 0")
    m, t = ((rows(ends[0], f) - rows(ends[1], f)) for f in ("δ decades", "theory"))
    return m, t


def tell(rows: Rows) -> str:
    m, t = added(rows, "He × 1.5")
    return (
        f"It makes it worse: p = .5 adds {decades(m)} decades to an explosion of "
        f"{decades(rows('He × 1.5, p = 0', 'δ decades'))} (−½ log10(1 − p) a layer foresees "
        f"{decades(t)}), and gives {decades(rows('He, p = 0.5', 'δ decades'))} to a network that "
        f"had {decades(rows('He, p = 0', 'δ decades'))}; accuracy of the exploding one "
        f"{percent(rows('He × 1.5, p = 0', 'accuracy'))} without, "
        f"{percent(rows('He × 1.5, p = 0.5', 'accuracy'))} with it."
    )


def holds(rows: Rows) -> bool:
    return all(m > 0.6 * t > 0 for m, t in (added(rows, start) for start in STARTS))


CLAIM = Claim(
    "dropout-explosion",
    "Dropout helps against exploding gradients.",
    "false",
    "plain ReLU, depth 20, width 128, digits, 15 epochs, Adam 3e-4",
    measure,
    tell,
    holds,
)
