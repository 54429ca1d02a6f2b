"""A neuron with two inputs and no hidden layer answers y = w1 x1 + w2 x2. Its one example is
(1, 1, 0): both inputs are 1, the target t is 0. The error is E = (t - y)². (From the third lesson
on it is E = ½ (y - t)², and this lesson's 2 is gone from every derivative.)

## The parabola
Over y the error is a parabola with its floor at y = t. Its slope says which way to go and how
far it is: ∂E/∂y = 2 (y - t). Over the two weights it is a trough: every pair with w1 + w2 = 0
answers 0 and lies on its floor.

## The chain rule
w reaches E only through y, so

    ∂E/∂w_i = ∂E/∂y · ∂y/∂w_i = 2 (y - t) · x_i

Gradient descent takes Δw_i = -η ∂E/∂w_i. Both weights get the same step here, since both inputs
are 1: the descent runs straight across the trough and never along it, w1 - w2 stays what it was.

## How large a step
One step turns y into y - 2η (x1² + x2²) y = (1 - 4η) y. So η = 0.25 is there at once, less
creeps, more overshoots, and from 0.5 on it never arrives: there the parabola throws the neuron
from wall to wall, higher each time.
"""

from __future__ import annotations

import numpy as np
import torch

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Series, Table, curve
from .net_file import NetFile
from .reading import Net, Step, both_ways, columns, read_step

START = (1.5, 0.5)
X, T = np.array([[1.0], [1.0]]), np.array([[0.0]])
ETA = 0.1
RATES = (0.05, 0.1, 0.25, 0.4, 0.5, 0.55)


def square(y: m.Floats, t: m.Floats) -> tuple[float, m.Floats]:
    """E = (t - y)², without the ½ that `miniature.squared` has, and ∂E/∂y."""
    return float(np.sum((t - y) ** 2)), 2 * (y - t)


def neuron() -> m.Layer:
    """y = 1.5 x1 + 0.5 x2; its bias is held at 0."""
    return m.Layer(np.array([START]), np.zeros(1))


def descend(eta: float, steps: int) -> list[Step]:
    """What the tape read at each of `steps` steps."""
    net = Net([neuron()])
    net.get_parameter("W1.bias").requires_grad_(False)
    sgd = torch.optim.SGD([net.get_parameter("W1.weight")], lr=eta)
    x, t = columns(X), columns(T)
    return [read_step(net, lambda: (t - net(x)).square().sum(), sgd) for _ in range(steps)]


def run() -> Result:
    steps = descend(ETA, 10)
    first, second = steps[0], steps[1]
    y, by_y, by_w = first.out["W1"].item(), first.delta["W1"].item(), first.grad["W1.weight"][0]

    layer = [neuron()]
    rows = []
    same = both_ways(first, layer, X, T, square)
    for i, step in enumerate(steps):
        error, slope = m.backpropagate(layer, X, T, square)
        here = step.out["W1"].item()
        same[f"E, step {i}"] = (here**2, error)
        moved = step.param("W1.weight", "update")
        rows.append((i, here, here**2, step.grad["W1.weight"][0, 0].item(), moved))
        layer = m.update(layer, [slope[0]._replace(b=np.zeros(1))], None, ETA)[0]

    kinds = []
    for eta in RATES:
        path = [s.out["W1"].item() for s in descend(eta, 11)]
        kinds.append((eta, 1 - 4 * eta, path[1], path[10], _fate(1 - 4 * eta)))

    grid = np.linspace(-2.2, 2.2, 45)
    walked = [s.out["W1"].item() for s in steps]
    bowl = curve("E = (t - y)²", grid**2, grid)
    walk = Series(_("steps, η = 0.1"), tuple(walked), tuple(v * v for v in walked), dots=True)
    wild = [s.out["W1"].item() for s in descend(0.45, 8)]
    bounce = Series(_("steps, η = 0.45"), tuple(wild), tuple(v * v for v in wild), dots=True)
    return Result(
        (
            _(
                "At w = ({w1}, {w2}) the neuron answers y = {y:g}, so E = {E:g}, "
                "∂E/∂y = {by_y:g} and the gradient is ({g1:g}, {g2:g})."
            ).format(w1=START[0], w2=START[1], y=y, E=y * y, by_y=by_y, g1=by_w[0], g2=by_w[1]),
            Table(
                _("Ten steps with η = 0.1"), (_("step"), "y", "E", "∂E/∂w1", "|Δw|"), tuple(rows)
            ),
            Plot(_("The parabola of error"), "y", "E", (bowl, walk, bounce)),
            Table(
                _("One rate and another: y after steps 1 and 10"),
                ("η", "1 - 4η", _("y after 1"), _("y after 10"), _("what it does")),
                tuple(kinds),
            ),
        ),
        {
            "y": y,
            "E": y * y,
            "∂E/∂y": by_y,
            "∂E/∂w1": float(by_w[0]),
            "∂E/∂w2": float(by_w[1]),
            "E after one step": second.out["W1"].item() ** 2,
            "|Δw|": first.param("W1.weight", "update"),
            "y after 10 steps of 0.55": float(kinds[-1][3]),
        },
        same,
    )


def _fate(factor: float) -> str:
    if abs(factor) < 1e-12:
        return _("there in one step")
    if abs(factor + 1) < 1e-12:
        return _("swings for ever")
    if factor < -1:
        return _("diverges")
    return _("creeps up to it") if factor > 0 else _("overshoots, but settles")


LESSON = Lesson(
    "linear-neuron",
    "A linear neuron and its parabola of error",
    __doc__,
    run,
    question=("What does the neuron do with η = 0.5, and why does it not matter where it starts?"),
    answer=(
        "It swings for ever: one step turns y into (1 − 4η) y = −y. The factor does not "
        "contain w, so every start has the same fate; only y = 0 itself stays."
    ),
    see=("EF302", "EF403", "EF703"),
    net=lambda: NetFile((neuron(),), X, T, "squared-whole", ETA),
)
