"""Two inputs, eight hidden sigmoid units and one sigmoid output learn exclusive or. They start
with small weights: nothing is saturated. What can go wrong after that is the training itself.

## Large updates, not the start
The update is -η ∂E/∂w. With a rate that is too large the first few push the output's weights so
far that its |z| is past 5.99 for every example: its slope is below 1 % of the largest, and every
error in the network is multiplied by that slope before it arrives. One saturated unit at the end
is enough to paralyse all that lie before it: E stands still, not at a minimum, but on a plain
without slope.

## How far is too far
The way back takes about e^|z| / η steps. Pushed to z = 14 by a rate of 300 that is four thousand
of them; pushed to a hundred it is for ever.

## How it is told from a bad minimum
In a minimum the gradient is small because the errors cancel; here each one is small by itself,
and the share of saturated units says so. (Evenflow: EF203, with EF302, the oversized update, as
its cause.)

## What helps
A smaller rate from the start; a bound on the step (clipping); inputs that are scaled. Afterwards
only a new start helps: the way back takes e^z steps.
"""

from __future__ import annotations

import numpy as np

from .. import miniature as m
from ..lang import _
from .base import Cell, Lesson, Plot, Result, Table, curve
from .reading import Net, both_ways, squared_step

SEEDS = 10
X = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
T = np.array([[0.0, 1.0, 1.0, 0.0]])
RATES = (3.0, 30.0, 300.0, 3000.0)
STEPS = 1000


def start(seed: int) -> list[m.Layer]:
    """Small weights."""
    return m.network([2, 8, 1], ["sigmoid", "sigmoid"], np.random.default_rng([3, seed]))


def outputs(layers: list[m.Layer]) -> float:
    """The smallest |z| of the output unit over the four examples."""
    return float(np.min(np.abs(m.forward(layers, X).z[-1])))


def train(eta: float, seed: int) -> tuple[list[float], float]:
    """E before each step and at the end, and `outputs` after 20 steps."""
    layers, errors, pushed = start(seed), [], 0.0
    for step in range(STEPS + 1):
        error, slope = m.backpropagate(layers, X, T)
        errors.append(error)
        if step == 20:
            pushed = outputs(layers)
        layers, _ = m.update(layers, slope, None, eta)
    return errors, pushed


def run() -> Result:
    rows: list[tuple[Cell, ...]] = []
    numbers: dict[str, float] = {}
    drawn = []
    for eta in RATES:
        runs = [train(eta, seed) for seed in range(SEEDS)]
        learned = sum(errors[-1] < 0.01 for errors, _ in runs)
        pushed = float(np.median([z for _, z in runs]))
        last = float(np.median([errors[-1] for errors, _ in runs]))
        rows.append((eta, pushed, last, learned))
        numbers |= {
            f"|z| after 20, η = {eta:g}": pushed,
            f"E at the end, η = {eta:g}": last,
            f"learned, η = {eta:g}": float(learned),
        }
        drawn.append(curve(f"η = {eta:g}", runs[0][0][::20], range(0, STEPS + 1, 20)))
    header = (
        "η",
        _("least |z| at the output after 20"),
        _("E at the end"),
        _("learned, of {count}").format(count=SEEDS),
    )
    title = _("Exclusive or, {steps} steps; medians over {starts} starts")
    title = title.format(steps=STEPS, starts=SEEDS)
    layers = start(0)
    largest = max(float(np.abs(z).max()) for z in m.forward(layers, X).z)
    return Result(
        (
            _("At the start no |z| in the network is above {most}.").format(most=f"{largest:.2f}"),
            Table(title, header, tuple(rows)),
            Plot(_("The error of the first start"), _("step"), "E", tuple(drawn), log_y=True),
        ),
        numbers | {"largest |z| at the start": largest},
        both_ways(squared_step(Net(layers), X, T), layers, X, T),
    )


LESSON = Lesson(
    "paralysis",
    "Paralysed by training: updates that are too large",
    __doc__,
    run,
    SEEDS,
    question="The loss of a paralysed network stands still. Why is more patience no help?",
    answer=(
        "Each unit of z on the way back costs e times more steps than the last. What took one step "
        "to do takes thousands to undo, and in float32, past z = 16.64, for ever."
    ),
    see=("EF203", "EF302", "EF703", "activations sigmoid"),
)
