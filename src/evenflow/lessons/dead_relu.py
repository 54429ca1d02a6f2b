"""A rectifier, y = max(z, 0) with z = w x + b, learns from an example only where z > 0. If one
update moves it so far that z <= 0 for every example, its gradient is exactly 0 from then on, and
no later update can bring it back: it is dead.

## Three ways to kill it
The unit starts at w = 2, b = 0.5, and its eight examples have x between 1/8 and 1.

- An outlier. One example x = 30, t = 1, alone in a step with η = 0.1: δ = y - t = 59.5, and
  Δw = -η δ x = -178.5 turns the unit away from all positive x.
- A high learning rate. One epoch with η = 4: every answer is too high, and the step that should
  mend it overshoots past zero.
- A negative bias. Started with b = -3 it is off for all x up to 1.5, before the first step.

## What does not help, and what does
More training does not: 0 times η is 0. A LeakyReLU keeps a slope of 0.01 on its off side, so its
gradient is small but there, and it comes back, if it was not thrown too far. Better is not to be
killed: scale the inputs, clip or drop outliers, lower η, start biases at 0 or a little above.
(Evenflow: EF202; a unit counts as dead after no gradient reached it in n observed batches.)
"""

from __future__ import annotations

import numpy as np
import torch

from .. import miniature as m
from ..lang import N_, _
from .base import Cell, Lesson, Result, Table
from .reading import Net, both_ways, squared_step, unit

X = np.arange(1, 9)[None, :] / 8
T = X.copy()
OUTLIER = (np.array([[30.0]]), np.array([[1.0]]))
ETA, EPOCHS, SEEDS = 0.1, 150, 10
CALM = N_("nothing happens")
#: What happens -> (bias at the start, examples of the first step, its η).
INCIDENTS: dict[str, tuple[float, tuple[m.Floats, m.Floats], float]] = {
    CALM: (0.5, (X, T), ETA),
    N_("an outlier"): (0.5, OUTLIER, ETA),
    N_("a high rate"): (0.5, (X, T), 4.0),
    N_("a negative bias"): (-3.0, (X, T), ETA),
}


def on(layers: list[m.Layer], x: m.Floats = X) -> m.Floats:
    """[n_1] share of the examples for which a unit of the first layer is on."""
    share: m.Floats = np.mean(m.forward(layers, x).z[0] > 0, axis=1)
    return share


def struck(what: str, f: str = "relu") -> list[m.Layer]:
    """The unit after its incident, by the miniature."""
    b, (x, t), eta = INCIDENTS[what]
    return m.train(unit(2.0, f, b), x, t, eta=eta, stop=m.Stop(epochs=1)).layers


def back_on(layers: list[m.Layer], most: int = 2000) -> int | None:
    """Epochs with η = 0.1 until the unit is on for an example, if `most` are enough."""
    for epoch in range(most + 1):
        if on(layers)[0] > 0:
            return epoch
        layers = m.update(layers, m.backpropagate(layers, X, T)[1], None, ETA)[0]
    return None


def crowd(seed: int) -> tuple[list[m.Layer], m.Floats, m.Floats]:
    """A layer of 16 rectifiers, biases at 0.5, and 64 examples of 4 features in 0 .. 1."""
    rng = np.random.default_rng([202, seed])
    x = rng.uniform(0, 1, (4, 64))
    t = np.sin(3 * x[:1]) + x[1:2] * x[2:3]
    layers = m.network([4, 16, 1], ["relu", "identity"], rng)
    layers[0] = layers[0]._replace(b=np.full(16, 0.5))
    return layers, x, (t - t.mean()) / t.std()


def of_a_layer(kind: str, value: float) -> tuple[float, float, float]:
    """Medians over the seeds: dead units of 16 right after, and `EPOCHS` epochs later; E then."""
    found = []
    for seed in range(SEEDS):
        layers, x, t = crowd(seed)
        if kind == "outlier":
            layers = m.train(layers, x[:, :1] * value, t[:, :1], eta=ETA, stop=m.Stop(1)).layers
        elif kind == "rate":
            layers = m.train(layers, x, t, eta=value, stop=m.Stop(10)).layers
        else:
            layers[0] = layers[0]._replace(b=np.full(16, value))
        soon = int(np.sum(on(layers, x) == 0))
        after = m.train(layers, x, t, eta=ETA, stop=m.Stop(EPOCHS))
        found.append((soon, int(np.sum(on(after.layers, x) == 0)), after.errors[-1]))
    middle = np.median(np.array(found), axis=0)
    return float(middle[0]), float(middle[1]), float(middle[2])


def run() -> Result:
    rows: list[tuple[Cell, ...]] = []
    numbers: dict[str, float] = {}
    same: dict[str, tuple[float, float]] = {}
    for what, (b, (x, t), eta) in INCIDENTS.items():
        net = Net(unit(2.0, "relu", b))
        sgd = torch.optim.SGD(net.parameters(), lr=eta)
        first = squared_step(net, x, t, sgd)
        same |= both_ways(first, unit(2.0, "relu", b), x, t, told=f"{what}: {{}}")
        here = struck(what)
        then = squared_step(net, X, T)
        same |= both_ways(then, here, X, T, told=f"then, {what}: {{}}")
        w, bias = net.get_parameter("W1.weight").item(), net.get_parameter("W1.bias").item()
        leaky = back_on(struck(what, "leaky_relu"))
        again = back_on(here)
        size, dead = then.param("W1.weight", "grad"), then.site("f1", "dead")
        rows.append((_(what), w, bias, float(on(here)[0]), size, dead, _told(again), _told(leaky)))
        numbers |= {
            f"w, {what}": w,
            f"b, {what}": bias,
            f"gradient, {what}": size,
            f"dead, {what}": dead,
            f"on, {what}": float(on(here)[0]),
            f"epochs back, {what}": float("inf") if again is None else float(again),
            f"leaky back, {what}": float("inf") if leaky is None else float(leaky),
        }
    layer, more = _a_layer()
    return Result(
        (
            Table(
                _(
                    "One unit, right after (gradient and dead share as the tape read them), and "
                    "the epochs until it is on again"
                ),
                (_("what"), "w", "b", _("on"), "|∂E/∂w|", _("dead"), _("back"), "LeakyReLU"),
                tuple(rows),
            ),
            _(
                "The LeakyReLU that the outlier threw out to w = -176 has its slope, but a "
                "hundredth of it, and a long way: a slope on the off side is no licence for "
                "outliers."
            ),
            layer,
            _(
                "No dead unit came back. Some die later: the outlier only makes the answers huge, "
                "and the first ordinary examples after it kill. E = 0.5 is what answering with "
                "the mean would give: a layer that is all dead answers with nothing but a bias."
            ),
        ),
        numbers | more,
        same,
    )


def _a_layer() -> tuple[Table, dict[str, float]]:
    rows: list[tuple[Cell, ...]] = []
    numbers = {}
    for kind, values, name in (
        ("outlier", (1.0, 30.0, 100.0), _("one example, {value:g} times too large")),
        ("rate", (0.1, 0.6, 1.0), _("ten epochs with η = {value:g}")),
        ("bias", (0.0, -0.5, -1.0), _("biases at {value:g}")),
    ):
        for value in values:
            soon, late, error = of_a_layer(kind, value)
            rows.append((name.format(value=value), soon, late, error))
            numbers[f"dead of 16, {kind} {value:g}"] = late
    table = Table(
        _(
            "A layer of 16, median of {seeds} seeds: dead units right after, and {epochs} "
            "calm epochs later"
        ).format(seeds=SEEDS, epochs=EPOCHS),
        (_("what"), _("dead after"), _("dead later"), _("E later")),
        tuple(rows),
    )
    return table, numbers


def _told(epochs: int | None) -> str:
    return _("never") if epochs is None else str(epochs)


LESSON = Lesson(
    "dead-relu",
    "A rectifier killed in three ways",
    __doc__,
    run,
    SEEDS,
    question=("A unit is off for seven of eight examples. Is it dead?"),
    answer=(
        "No. One example whose gradient gets through can bring it back; it is dead only "
        "where every example finds it off."
    ),
    see=("EF202", "EF104", "activations relu", "activations leaky_relu"),
)
