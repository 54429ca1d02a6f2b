"""Ten activations, one task: two spirals, four hidden layers of 16 units, PyTorch's usual start.
Each is given the same three learning rates and the same seeds.

## What to look at
The slope: sqrt(mean f'(z)²) at birth is the factor a layer error loses at each activation. A
sigmoid's is at most 1/4, that of the others near 1 or above 1/2. Over four layers that is
already the difference between learning and not learning in the time given.

And identity, which loses nothing and learns nothing: without a bend, five layers are one matrix,
and no straight line parts two spirals.

## What not to conclude
This is one task, one depth, one optimizer. Among the activations with a decent slope the rate
matters more here than the choice, and a table like this one, made with a single rate, would
rank them by how well that rate suits them. No activation is always the best; some are nearly
always a mistake in a hidden layer.
"""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F

from .. import miniature as m
from ..lang import _
from .base import Cell, Lesson, Result, Table
from .many import accuracy_of
from .reading import Net, activation, both_ways, columns, read_step
from .residual import data

HIDDEN, WIDTH, SEEDS, STEPS = 4, 16, 5, 80
NAMES = (
    "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish",
)  # fmt: skip
RATES = (0.003, 0.01, 0.03)


def network(name: str, seed: int) -> list[m.Layer]:
    sizes = [2, *[WIDTH] * HIDDEN, 2]
    return m.network(sizes, [*[name] * HIDDEN, "identity"], np.random.default_rng([4, seed]))


def run() -> Result:
    x, t = data()
    rows: list[tuple[Cell, ...]] = []
    numbers: dict[str, float] = {}
    same: dict[str, tuple[float, float]] = {}
    for name in NAMES:
        layers = network(name, 0)
        net = Net(layers)
        step = read_step(net, lambda net=net: F.cross_entropy(net(columns(x)), columns(t)))  # type: ignore[misc]
        same |= both_ways(step, layers, x, t, m.cross_entropy, told=f"{name}: {{}}")
        fall = math.log10(step.site("W1", "delta") / step.site(f"W{HIDDEN}", "delta"))
        slope = 1.0 if name == "identity" else step.site("f2", "slope")
        f, nets = activation(name), [network(name, seed) for seed in range(SEEDS)]
        scores = {rate: accuracy_of(nets, f, False, rate, STEPS) for rate in RATES}
        medians = {rate: float(np.median(s)) for rate, s in scores.items()}
        best = max(RATES, key=lambda rate: medians[rate])
        rows.append((name, slope, fall, *medians.values(), min(scores[best])))
        numbers |= {
            f"slope, {name}": slope,
            f"decades, {name}": fall,
            f"accuracy, {name}": medians[best],
            f"worst rate, {name}": min(medians.values()),
        }
    bent = [r[0] for r in rows if r[0] not in ("identity", "sigmoid")]
    tops = [numbers[f"accuracy, {n}"] for n in bent]
    rate_matters = [numbers[f"accuracy, {n}"] - numbers[f"worst rate, {n}"] for n in bent]
    numbers["spread of the best"] = max(tops) - min(tops)
    numbers["what the rate makes"] = float(np.median(rate_matters))
    return Result(
        (
            Table(
                _(
                    "Slope and decades at birth (seed 0); accuracy after {steps} steps: medians of "
                    "{seeds} seeds by rate, and the worst seed at the best rate"
                ).format(steps=STEPS, seeds=SEEDS),
                (
                    _("activation"),
                    _("slope"),
                    "δ_1/δ_4",
                    *(f"η = {r}" for r in RATES),
                    _("worst"),
                ),
                tuple(rows),
            ),
            _(
                "Without identity and sigmoid: each at its best rate, they lie within {spread:.3f} "
                "of each other; between its best and its worst rate, the middle one of them loses "
                "{lost:.3f}."
            ).format(spread=numbers["spread of the best"], lost=numbers["what the rate makes"]),
        ),
        numbers,
        same,
    )


LESSON = Lesson(
    "choosing-activation",
    "Ten activations on one task",
    __doc__,
    run,
    SEEDS,
    question=("Identity loses no gradient. Why is it no good?"),
    answer=(
        "Without a bend, layers in a row are one matrix: the network can draw straight lines only."
    ),
    see=("EF702", "EF101"),
)
