"""Ten noisy points of a sine, and a network with forty hidden tanh units: far more weights than
the points can fix. Trained for long it finds the noise as well as the sine.

## What is seen
The error on the ten training points goes down all the time. The error on thirty held-out points
goes down, turns, and climbs: from there on what is learned is learned by heart. The training
error cannot tell; no gradient of it will.

## Early stopping
Keep the weights with the least held-out error, and stop when for so many epochs (the patience)
it has found no lower one. The gain is measured where neither training nor stopping looked:
against the sine itself. It is no law: the held-out points are few and noisy as well, and where
the network has not begun to learn the noise yet, stopping early costs. So the counts below are
over seeds, each with its own points, noise and weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Series, Table, curve
from .reading import Net, both_ways, columns, half_squared, squared_step

SEEDS = 10
ETA, ALPHA, EPOCHS, PATIENCE = 0.08, 0.9, 1000, 150
TRAIN, HELD, NOISE = 10, 30, 0.4

Points = tuple[m.Floats, m.Floats]


def problem(seed: int) -> tuple[list[m.Layer], Points, Points]:
    """The network, ten points to learn, thirty held out."""
    rng = np.random.default_rng([7, seed])

    def draw(n: int) -> Points:
        x = rng.uniform(-1, 1, (1, n))
        return x, np.sin(4 * x) + NOISE * rng.normal(size=(1, n))

    points = draw(TRAIN), draw(HELD)
    layers = m.network([1, 40, 1], ["tanh", "identity"], rng)
    wide = layers[0]._replace(W=4 * layers[0].W, b=4 * layers[0].b)  # bends all over -1 .. 1
    return [wide, layers[1]], *points


def off_the_sine(layers: list[m.Layer]) -> float:
    """E against the sine without noise, on an even grid."""
    x = np.linspace(-1, 1, 201)[None, :]
    return m.squared(m.forward(layers, x).a[-1], np.sin(4 * x))[0]


def trainings(seed: int) -> tuple[m.Training, m.Training]:
    """To the end, and stopped early."""
    layers, (x, t), held = problem(seed)
    train = partial(m.train, layers, x, t, eta=ETA, alpha=ALPHA, valid=held)
    return train(stop=m.Stop(EPOCHS)), train(stop=m.Stop(EPOCHS, patience=PATIENCE))


def on_the_tape(errors: Sequence[float]) -> dict[str, tuple[float, float]]:
    """The first epochs of seed 0, beside the miniature's `errors`."""
    layers, (x, t), _ = problem(0)
    net = Net(layers)
    sgd = torch.optim.SGD(net.parameters(), lr=ETA, momentum=ALPHA)
    same = both_ways(squared_step(net, x, t, sgd), layers, x, t)
    for epoch in range(1, 100):
        sgd.zero_grad()
        value = half_squared(net(columns(x)), columns(t))
        value.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        if epoch % 20 == 0:
            same[f"E after {epoch} epochs"] = (value.item(), errors[epoch])
    return same


def pictures(long: m.Training, early: m.Training) -> tuple[Plot, Plot]:
    """Both errors and both answers, of seed 0."""
    (x, t), grid = problem(0)[1], np.linspace(-1, 1, 101)
    answers = {
        _("sine"): np.sin(4 * grid),
        _("stopped early"): m.forward(early.best, grid[None, :]).a[-1][0],
        _("trained on"): m.forward(long.layers, grid[None, :]).a[-1][0],
    }
    fits = [curve(name, y, grid) for name, y in answers.items()]
    dots = Series(_("training points"), tuple(x[0]), tuple(t[0]), dots=True)
    errors = (
        curve(_("training points"), long.errors),
        curve(_("held-out points"), long.held_out),
    )
    heart = _("Seed 0: what is learned, and what is learned by heart")
    return (
        Plot(heart, _("epoch"), "E", errors, log_y=True),
        Plot(_("Seed 0: the network's answer"), "x", "y", (*fits, dots)),
    )


def run() -> Result:
    both = [trainings(seed) for seed in range(SEEDS)]
    rows = []
    for seed, (long, early) in enumerate(both):
        best = int(np.argmin(early.held_out))
        errors = (early.errors[best], long.errors[-1])
        off = (off_the_sine(early.best), off_the_sine(long.layers))
        rows.append((seed, len(early.errors) - 1, best, *errors, *off))
    better = sum(r[5] < r[6] for r in rows)
    middle, at_the_end = (float(np.median([r[k] for r in rows])) for k in (5, 6))
    return Result(
        (
            *pictures(*both[0]),
            Table(
                _(
                    "Patience {patience}, against {epochs} epochs; the last two columns are E "
                    "against the sine"
                ).format(patience=PATIENCE, epochs=EPOCHS),
                (
                    _("seed"),
                    _("stopped at"),
                    _("best at"),
                    _("E early"),
                    _("E at the end"),
                    _("early"),
                    _("trained on"),
                ),
                tuple(rows),
            ),
            _(
                "Stopped early, the network was nearer to the sine in {better} of {seeds} seeds; "
                "the median distance is {middle:.3f} against {end:.3f}. The training error says "
                "the opposite: it is lower at the end in all of them."
            ).format(better=better, seeds=SEEDS, middle=middle, end=at_the_end),
        ),
        {
            "better": float(better),
            "early, median": middle,
            "on, median": at_the_end,
            "lower training error at the end": float(sum(r[4] < r[3] for r in rows)),
            "E at birth, seed 0": both[0][0].errors[0],
        },
        on_the_tape(both[0][0].errors),
    )


LESSON = Lesson(
    "early-stopping",
    "Early stopping against overfitting",
    __doc__,
    run,
    SEEDS,
    question=("Why is the gain not measured on the held-out points that chose the epoch?"),
    answer=(
        "The epoch was chosen because they liked it: on them the chosen error is the "
        "least by construction. What was not looked at must judge."
    ),
    see=("EF407",),
)
