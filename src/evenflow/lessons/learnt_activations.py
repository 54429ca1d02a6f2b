"""Some activations have a number that is learned with the weights: PReLU the slope of its left
side, Swish the β that says how sharply it bends, ACON two slopes and a β.

## The chain rule for such a number
It gets a gradient like any weight. One number serves every element, so the gradient is a sum over
them; with δ the error at the activation's output,

    PReLU   f = max(z, 0) + a min(z, 0)     ∂E/∂a = Σ δ · min(z, 0)
    Swish   f = z σ(βz)                     ∂E/∂β = Σ δ · z² σ(βz) (1 - σ(βz))

## How it moves
Each is given 61 values of z from -3 to 3 and the answers of a twin with another number, and
learns the number alone. PReLU's E is a parabola over a: it is there in a few steps. Swish's
gradient is smaller and fades as β grows, for σ(βz) (1 - σ(βz)) is near 0 wherever |βz| is large:
from β = 1 it has not arrived at 4 when the steps are over, and from 10 it has hardly left. A β
that is large is as good as fixed, and the function is as good as a ReLU.

## What to mind
Weight decay pulls these numbers to 0 as it does weights: PReLU towards ReLU, Swish towards the
straight line x/2. Leave it off them.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .. import activations
from .. import miniature as m
from ..lang import _
from .base import Cell, Lesson, Plot, Result, Table, curve

Z = np.linspace(-3, 3, 61)
STEPS, ETA = 300, 1.0
#: (activation, its number, start, the twin's)
CASES = (
    ("prelu", "a", 0.25, 0.6),
    ("swish", "β", 1.0, 4.0),
    ("swish", "β", 1.0, 10.0),
    ("swish", "β", 10.0, 1.0),
)
_MODULES = {"prelu": "init", "swish": "beta"}


def made(name: str, number: float) -> nn.Module:
    """Torch's module with this number, in float64."""
    module = activations.get(name, **{_MODULES[name]: number}).double()
    nn.init.constant_(next(module.parameters()), number)
    return module


def learned(name: str, start: float, goal: float) -> list[tuple[float, float]]:
    """(the number, ∂E/∂ number) before each step, and at the end."""
    module, z = made(name, start), torch.from_numpy(Z)
    number = next(module.parameters())
    wanted = torch.from_numpy(m.activation(f"{name}({goal})")[0](Z))
    sgd = torch.optim.SGD([number], lr=ETA)
    path = []
    for _step in range(STEPS + 1):
        sgd.zero_grad()
        error = (module(z) - wanted).square().mean() / 2
        error.backward()
        assert number.grad is not None
        path.append((number.item(), number.grad.item()))
        sgd.step()
    return path


def by_formula(name: str, number: float, goal: float) -> float:
    """∂E/∂ number as the text has it, through the miniature's f."""
    f, wanted = (m.activation(f"{name}({k})")[0](Z) for k in (number, goal))
    delta = (f - wanted) / len(Z)
    if name == "prelu":
        return float(np.sum(delta * np.minimum(Z, 0)))
    on = m.sigmoid(number * Z)
    return float(np.sum(delta * Z * Z * on * m.sigmoid(-number * Z)))


def run() -> Result:
    rows: list[tuple[Cell, ...]] = []
    numbers: dict[str, float] = {}
    same: dict[str, tuple[float, float]] = {}
    curves = []
    for name, letter, start, goal in CASES:
        path = learned(name, start, goal)
        told = f"{name} {letter} {start:g} → {goal:g}"
        for step in (0, 10, 100):
            same[f"∂E/∂{letter}, {told}, step {step}"] = (
                path[step][1], by_formula(name, path[step][0], goal)
            )  # fmt: skip
        near = next((i for i, (v, _) in enumerate(path) if abs(v - goal) < 0.1 * goal), None)
        there = str(near) if near is not None else _("over {count}").format(count=STEPS)
        rows.append((name, letter, start, goal, path[0][1], path[-1][0], there))
        numbers |= {f"first gradient, {told}": path[0][1], f"at the end, {told}": path[-1][0]}
        curves.append(curve(told, [v for v, _ in path]))
    header = (
        _("activation"),
        _("number"),
        _("start"),
        _("twin's"),
        _("first gradient"),
        _("after 300"),
        _("within 10 %"),
    )
    grid = np.linspace(-4, 4, 81)
    family = [curve(f"β = {b:g}", m.activation(f"swish({b})")[0](grid), grid) for b in (0.1, 1, 10)]
    return Result(
        (
            Table(_("Learning the number alone, η = 1"), header, tuple(rows)),
            Plot(_("The number, step by step"), _("step"), "a, β", tuple(curves)),
            Plot(_("A family: Swish by its β"), "z", "f(z)", tuple(family)),
        ),
        numbers,
        same,
    )


LESSON = Lesson(
    "learnt-activations",
    "Activations that learn a number of their own",
    __doc__,
    run,
    question="PReLU is given examples with z > 0 only. What does a learn?",
    answer="Nothing: min(z, 0) is 0 for every one of them, and so is the gradient of a.",
    see=("activations prelu", "activations swish", "activations acon_c", "EF812"),
)
