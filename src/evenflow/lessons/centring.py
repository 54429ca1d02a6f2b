"""A unit reads what the layer before it gives. A sigmoid's outputs are all positive, those of
tanh lie around 0. Does it matter to the weights behind them?

## All one way
∂E/∂w_i = δ x_i. If every x_i is positive, all weights of the unit get the sign of δ: at each
example they all go up, or all go down. To raise one and lower another the descent must zig-zag.

## The bowl
A linear unit's error over its weights is a bowl with the curvature H = X Xᵀ / n. Take four
examples (±1, ±1) and move them by m in both inputs. Then H has the eigenvalue 1 + 2m² along
(1, 1) and 1 across it: the larger the mean, the longer and narrower the bowl. The best rate is
2 / (λ1 + λ2), and with κ = λ1 / λ2 = 1 + 2m² each step leaves (κ - 1) / (κ + 1) of the distance.

## What helps
Subtract the mean: from the inputs as data are prepared, and inside a network by tanh instead of
the sigmoid, or by a norm. (LeCun, Bottou, Orr & Müller, Efficient BackProp, 1998, section 4.3.)
"""

from __future__ import annotations

import numpy as np

from .. import miniature as m
from ..lang import _
from .base import Cell, Lesson, Plot, Result, Table, curve
from .reading import Net, both_ways, squared_step

MEANS = (0.0, 0.5, 1.0, 2.0)
CORNERS = np.array([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]])
TEACHER = np.array([[1.0, -1.0]])
FAR = 1e-3


def examples(mean: float) -> tuple[m.Floats, m.Floats]:
    """Four examples of t = x1 - x2, both inputs moved by `mean`."""
    x = CORNERS + mean
    return x, TEACHER @ x


def descend(mean: float, eta: float) -> list[float]:
    """Distance of the weights from the teacher's before each step, until it is a thousandth."""
    (x, t), layers = examples(mean), [m.Layer(np.zeros((1, 2)), np.zeros(1))]
    path = [float(np.linalg.norm(TEACHER))]
    while path[-1] > FAR * path[0] * (1 + 1e-9):
        _, slope = m.backpropagate(layers, x, t)
        layers, _ = m.update(layers, [slope[0]._replace(b=np.zeros(1))], None, eta)
        path.append(float(np.linalg.norm(layers[0].W - TEACHER)))
    return path


def one_way(mean: float) -> float:
    """Share of the examples in which both weights are pulled the same way, at w = 0."""
    x, t = examples(mean)
    pulls = -t * x  # ∂E/∂w = (0 - t) x
    known = pulls[:, t[0] != 0]
    return float(np.mean(np.sign(known[0]) == np.sign(known[1])))


def run() -> Result:
    rows: list[tuple[Cell, ...]] = []
    numbers: dict[str, float] = {}
    paths = []
    for mean in MEANS:
        x = examples(mean)[0]
        low, high = np.linalg.eigvalsh(x @ x.T / 4)
        best = 2 / (low + high)
        path = descend(mean, best)
        rows.append(
            (mean, high / low, best, (high - low) / (high + low), len(path) - 1, one_way(mean))
        )
        numbers |= {
            f"κ, mean {mean:g}": float(high / low),
            f"steps, mean {mean:g}": float(len(path) - 1),
            f"one way, mean {mean:g}": one_way(mean),
        }
        paths.append(curve(_("mean {mean}").format(mean=f"{mean:g}"), path))
    layer = [m.Layer(np.zeros((1, 2)), np.zeros(1))]
    x, t = examples(2.0)
    header = (
        _("mean"),
        "κ",
        _("best η"),
        _("left by a step"),
        _("steps to 1/1000"),
        _("pulled one way"),
    )
    return Result(
        (
            Table(_("The farther from 0 the inputs, the longer the way"), header, tuple(rows)),
            Plot(
                _("Distance from the best weights"), _("step"), "|w - w*|", tuple(paths), log_y=True
            ),
        ),
        numbers,
        both_ways(squared_step(Net(layer), x, t), layer, x, t),
    )


LESSON = Lesson(
    "centring",
    "Why outputs that are not centred slow learning down",
    __doc__,
    run,
    question="Would a smaller rate help the unit whose inputs have the mean 2?",
    answer=(
        "No. The best rate is already as small as the steep direction asks; along the flat one a "
        "smaller rate only makes it slower. The bowl must be made rounder."
    ),
    see=("EF501", "activations sigmoid", "activations tanh"),
)
