"""A network with one hidden layer has two matrices, Wh to the hidden units and Wo to the output.
Both layers are rectifiers, R(z) = max(z, 0) with R'(z) = 1 for z > 0 and 0 otherwise.

## Why ½
The error is E = ½ (O - t)² from here on, no longer (t - O)². The ½ cancels the 2 that the
derivative of a square brings along: ∂E/∂O = O - t, the plain difference. Nothing else changes:
half the error has half the gradient, so a rate of η does what η/2 did before.

## Forward

    Zh = Wh X + bh    H = R(Zh)    Zo = Wo H + bo    O = R(Zo)    E = ½ (O - t)²

## The two layer errors

    E_o = (O - t) · R'(Zo)         E_h = Woᵀ E_o ⊙ R'(Zh)

E_h is the output's error, handed back through the weights it came by, and held up where a
rectifier was off: such a unit had no part in the answer, so it gets no part of the blame.

## The updates
Gradient = layer error × layer input, for either matrix, and then η and the momentum α:

    ∂E/∂Wo = E_o Hᵀ     ∂E/∂Wh = E_h Xᵀ     ΔW = -η ∂E/∂W + α ΔW_last

## Which momentum
PyTorch keeps v = ∂E/∂W + α v_last and applies -η v. While η stays what it is, that is the same
path; here both are walked, and they meet at every step. They part when η is changed on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Table, curve
from .net_file import NetFile
from .reading import Net, Step, both_ways, squared_step

X, T = np.array([[1.0], [2.0]]), np.array([[1.0]])
ETA, ALPHA, STEPS = 0.05, 0.5, 12


def network() -> list[m.Layer]:
    """Two inputs, three hidden units (the third is off at first), one output."""
    wh = np.array([[0.5, 0.3], [-0.2, 0.4], [0.1, -0.6]])
    wo = np.array([[0.8, 0.5, 0.7]])
    return [m.Layer(wh, np.array([0.1, 0.0, 0.2]), "relu"), m.Layer(wo, np.array([0.3]), "relu")]


def _walked(
    steps: Sequence[Step],
) -> tuple[list[tuple[float, ...]], dict[str, tuple[float, float]]]:
    """(step, O, E, |ΔWh|, |ΔWo|) as read, and the same beside the miniature."""
    layers, last = network(), None
    rows: list[tuple[float, ...]] = []
    same: dict[str, tuple[float, float]] = {}
    for i, step in enumerate(steps):
        error, slope = m.backpropagate(layers, X, T)
        moved_h, moved_o = (step.param(f"W{k}.weight", "update") for k in (1, 2))
        o = step.out["f2"].item()
        rows.append((i, o, (o - 1) ** 2 / 2, moved_h, moved_o))
        same[f"E, step {i}"] = ((o - 1) ** 2 / 2, error)
        layers, last = m.update(layers, slope, last, ETA, ALPHA)
        same[f"|ΔWh|, step {i}"] = (moved_h, float(np.linalg.norm(last[0].W)))
        same[f"|ΔWo|, step {i}"] = (moved_o, float(np.linalg.norm(last[1].W)))
    return rows, same


def run() -> Result:
    net = Net(network())
    sgd = torch.optim.SGD(net.parameters(), lr=ETA, momentum=ALPHA)
    steps = [squared_step(net, X, T, sgd) for _ in range(STEPS)]
    first = steps[0]
    rows, same = _walked(steps)
    e_o, e_h = first.delta["W2"][:, 0], first.delta["W1"][:, 0]
    plain = m.train(network(), X, T, eta=ETA, stop=m.Stop(epochs=STEPS - 1)).errors
    h = first.out["f1"][:, 0]
    hidden = [
        (
            _("hidden {i}").format(i=i + 1),
            first.out["W1"][i, 0],
            h[i],
            e_h[i],
            -ETA * e_h[i],
            -2 * ETA * e_h[i],
        )
        for i in range(3)
    ]
    errors = curve("α = 0.5", [r[2] for r in rows]), curve("α = 0", plain)
    return Result(
        (
            _(
                "The output is {O:g} where {t:g} is wanted, so E_o = {E_o:g}. Handed back it "
                "becomes E_h = ({E_h})."
            ).format(
                O=first.out["f2"].item(),
                t=T.item(),
                E_o=e_o[0],
                E_h=", ".join(f"{e:g}" for e in e_h),
            ),
            Table(
                _("The hidden layer at the first step: ΔWh = -η E_h Xᵀ with X = (1, 2)"),
                (_("unit"), "Zh", "H", "E_h", "ΔWh[·,1]", "ΔWh[·,2]"),
                tuple(hidden),
            ),
            Table(
                _("Training with η = {eta}, α = {alpha}; |Δ| as the optimizer applied it").format(
                    eta=ETA, alpha=ALPHA
                ),
                (_("step"), "O", "E", "|ΔWh|", "|ΔWo|"),
                tuple(rows),
            ),
            Plot(_("The error, step by step"), _("step"), "E", errors, log_y=True),
        ),
        {
            "O": first.out["f2"].item(),
            "E_o": float(e_o[0]),
            **{f"E_h[{i + 1}]": float(e) for i, e in enumerate(e_h)},
            **{f"∂E/∂Wo[{i + 1}]": float(g) for i, g in enumerate(first.grad["W2.weight"][0])},
            "∂E/∂Wh[1,2]": float(first.grad["W1.weight"][0, 1]),
            "|ΔWh| at the first step": first.param("W1.weight", "update"),
            "|ΔWo| at the first step": first.param("W2.weight", "update"),
            "|ΔWo| at the second step": steps[1].param("W2.weight", "update"),
        },
        same | both_ways(first, network(), X, T),
    )


LESSON = Lesson(
    "one-hidden-layer",
    "One hidden layer: E_o, E_h and the updates",
    __doc__,
    run,
    question=(
        "The third hidden unit is off. Which weights will not move at the first step, "
        "and could they ever?"
    ),
    answer=(
        "Its two weights in Wh, since R'(Zh) = 0, and its weight in Wo, since H = 0. As "
        "long as Zh stays below 0 for every example they never move; another unit "
        "cannot help, for its own weights alone decide Zh."
    ),
    see=("EF202", "activations relu"),
    net=lambda: NetFile(tuple(network()), X, T, "squared", ETA, ALPHA),
)
