"""One sigmoid unit, y = 1 / (1 + e^-z) with z = w x. Its slope is y (1 - y): 1/4 at z = 0, below
1 % of that where |z| > 5.99. Out there the unit is saturated.

## How it is pushed there
The update is -η (y - t) y (1 - y) x. A single input that nobody scaled, x = 40, with a generous
η = 4, moves w from 0 to 20 in one step.

## Why it stays there
From then on the unit meets ordinary examples: x = 1, target 0. It answers 1 and is as wrong as
it can be, but the layer error is (y - t) y (1 - y): the more surely it is wrong, the smaller the
slope, and the smaller the update. For large w the way back takes about e^w / η steps: each unit
of w costs e times more than the last. In float32 y is exactly 1 from z = 16.64 on; then
the gradient is exactly 0, and the weight is frozen for good. (Evenflow: EF201, and EF203 where a
whole network is so.)

## What helps
Scale the inputs, start with small weights, keep η small. And where the sigmoid is the output,
use cross-entropy: its derivative by y has y (1 - y) below the line, the slope cancels, and the
layer error is y - t, the larger the more wrong.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from .. import miniature as m
from ..lang import _
from .base import Cell, Lesson, Plot, Result, Table, curve, joined
from .net_file import NetFile
from .reading import Net, both_ways, squared_step, unit

ONE, ZERO = np.array([[1.0]]), np.array([[0.0]])
PUSH_X, PUSH_ETA = 40.0, 4.0
WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0)
MOST = 2000


def way_back(w: float) -> int | None:
    """Steps with η = 1 until the unit says y <= 1/2, if `MOST` are enough."""
    layers = unit(w, "sigmoid")
    for step in range(MOST):
        if layers[0].W.item() <= 0:
            return step
        _, slope = m.backpropagate(layers, ONE, ZERO)
        layers, _ = m.update(layers, [slope[0]._replace(b=np.zeros(1))], None, eta=1.0)
    return None


def with_cross_entropy(w: float) -> int:
    """The same unit, the same η, learning by cross-entropy."""
    weight = torch.tensor([w], dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([weight], lr=1.0)
    for step in range(MOST):
        if weight.item() <= 0:
            return step
        sgd.zero_grad()
        F.binary_cross_entropy_with_logits(weight, torch.zeros(1, dtype=torch.float64)).backward()  # type: ignore[no-untyped-call]
        sgd.step()
    raise AssertionError("cross-entropy does not freeze")


def _exactly_one() -> float:
    """The least z, to 1e-4, whose sigmoid is 1 in float32."""
    z = torch.arange(160_000, 180_000) / 10_000
    return float(z[torch.sigmoid(z.float()) == 1][0])


def _pushed() -> Result:
    net, big = Net(unit(0.0, "sigmoid")), np.array([[PUSH_X]])
    weight = net.get_parameter("W1.weight")
    net.get_parameter("W1.bias").requires_grad_(False)
    sgd = torch.optim.SGD([weight], lr=PUSH_ETA)
    push = squared_step(net, big, ONE, sgd)
    pushed, delta = weight.item(), push.delta["W1"].item()
    frozen = [squared_step(net, ONE, ZERO, sgd) for _ in range(50)]
    moved = pushed - weight.item()
    # a layer of inputs, as the tape judges saturation
    crowd = np.linspace(-1, 1, 201)[None, :]
    saturated = squared_step(net, crowd, 0 * crowd).site("f1", "saturated")
    z32 = torch.tensor([20.0], requires_grad=True)
    (torch.sigmoid(z32).square().sum() / 2).backward()  # type: ignore[no-untyped-call]
    assert z32.grad is not None
    below = 2 * math.acosh(10)
    exact = _exactly_one()
    parts = (
        _(
            "The push: at w = 0 the unit answers 0.5 where 1 is wanted, so δ = {delta:g} and Δw = "
            "-η δ x = {product} = {w:g}."
        ).format(delta=delta, product=f"{PUSH_ETA:g} · {-delta:g} · {PUSH_X:g}", w=pushed),
        _(
            "Pushed to w = {w:g} it is given 50 steps of η = 4; all of them together move w by "
            "{moved:.2e}. Over inputs from -1 to 1, {share:.0%} of its answers are saturated, as "
            "the tape counts it. In float32 the gradient is {gradient:g} exactly."
        ).format(w=pushed, moved=moved, share=saturated, gradient=z32.grad.item()),
        _(
            "The slope is 1 % of ¼ at |z| = 2 arcosh 10 = {below:.4g}. Counting z up, float32 "
            "first gives exactly 1 at z = {exact:.4g}: e^-z is then below 2^-24, and 1 + e^-z "
            "rounds to 1."
        ).format(below=below, exact=exact),
    )
    numbers = {
        "w after the push": pushed,
        "δ of the push": delta,
        "w moved by 50 steps": moved,
        "first frozen update": frozen[0].param("W1.weight", "update"),
        "saturated share": saturated,
        "gradient in float32": z32.grad.item(),
        "slope at 1 % of its bound": below,
        "float32 is exactly 1 from": exact,
    }
    return Result(parts, numbers, both_ways(push, unit(0.0, "sigmoid"), big, ONE))


def _by_weight() -> Result:
    """How the gradient and the way back go with w."""
    rows: list[tuple[Cell, ...]] = []
    numbers: dict[str, float] = {}
    same: dict[str, tuple[float, float]] = {}
    for w in WEIGHTS:
        step = squared_step(Net(unit(w, "sigmoid")), ONE, ZERO)
        same |= both_ways(step, unit(w, "sigmoid"), ONE, ZERO, told=f"{{}}, w = {w:g}")
        gradient = step.grad["W1.weight"].item()
        slope = step.delta["W1"].item() / step.delta["f1"].item()
        back, entropy = way_back(w), with_cross_entropy(w)
        told = str(back) if back is not None else _("over {most}").format(most=MOST)
        rows.append((w, step.out["f1"].item(), slope, gradient, told, entropy))
        numbers |= {f"∂E/∂w at w = {w:g}": gradient, f"slope at w = {w:g}": slope}
        if w in (5.0, 6.0, 10.0):
            numbers[f"steps back from {w:g}"] = float(back or math.inf)
        if w == 20.0:
            numbers["steps back from 20 by cross-entropy"] = float(entropy)
    header = ("w", "y", _("slope"), "∂E/∂w", _("steps to y = ½"), _("the same by cross-entropy"))
    title = _("x = 1, target 0: the unit is wrong, and how soon it mends with η = 1")
    return Result((Table(title, header, tuple(rows)),), numbers, same)


def run() -> Result:
    grid = np.linspace(-2, 20, 89)
    y = m.sigmoid(grid)
    picture = Plot(
        _("Wrong and sure of it: the gradient over w"),
        "w (x = 1, t = 0)",
        "∂E/∂w",
        (curve(_("squared error"), y * y * (1 - y), grid), curve(_("cross-entropy"), y, grid)),
        log_y=True,
    )
    push, by_weight = _pushed(), _by_weight()
    found = joined(push, by_weight)
    return replace(found, parts=(push.parts[0], *by_weight.parts, *push.parts[1:], picture))


LESSON = Lesson(
    "saturation",
    "One unit pushed into saturation, and frozen",
    __doc__,
    run,
    question=(
        "The unit at w = 20 is as wrong as can be. Why does a rate ten times larger not "
        "mend it in a tenth of the time?"
    ),
    answer=(
        "It does, in exact arithmetic: the way back takes about e^w / η steps. But e^20 "
        "is 5e8, so a tenth of it is still for ever, and in float32 the gradient is "
        "exactly 0: ten times 0 is 0."
    ),
    see=("EF201", "EF203", "EF701", "activations sigmoid"),
    net=lambda: NetFile(
        tuple(unit(0.0, "sigmoid")), np.array([[PUSH_X]]), ONE, "squared", PUSH_ETA
    ),
)
