"""A network of four layers of units: 4 inputs, two hidden layers of 2, and 1 output, all sigmoid.
Between four layers lie three matrices, W1 [2, 4], W2 [2, 2] and W3 [1, 2].

## Forward, in matrix form

    z_l = W_l a_{l-1} + b_l        a_l = f(z_l)        a_0 = x

## Backward
With E = ½ (y - t)², the layer error δ_l = ∂E/∂z_l is found from the output back:

    δ_3 = (y - t) f'(z_3)          δ_l = (W_{l+1}ᵀ δ_{l+1}) ⊙ f'(z_l)
    ∂E/∂W_l = δ_l a_{l-1}ᵀ         ∂E/∂b_l = δ_l

## One weight: w22 of layer 2
It leads from the second unit of the first hidden layer to the second unit of the second. So it
can only change z_2[2], and through it a_2[2], z_3 and y:

    ∂E/∂w22 = (y - t) · f'(z_3) · W3[1,2] · f'(z_2[2]) · a_1[2]
            = δ_2[2] · a_1[2]

The first line is what the chain rule says, the second what back-propagation does: the first four
factors are δ_2[2], which is there already and serves the whole row of W2.
"""

from __future__ import annotations

import numpy as np

from .. import miniature as m
from ..lang import _
from .base import Lesson, Result, Table
from .net_file import NetFile
from .reading import Net, both_ways, squared_step

X = np.array([[1.0], [0.5], [-1.0], [2.0]])
T = np.array([[1.0]])


def network() -> list[m.Layer]:
    """The lesson's weights, round numbers."""
    return [
        m.Layer(
            np.array([[0.2, -0.4, 0.1, 0.3], [-0.5, 0.6, 0.3, -0.2]]),
            np.array([0.1, -0.1]),
            "sigmoid",
        ),
        m.Layer(np.array([[0.7, -0.3], [0.4, 0.8]]), np.array([0.0, 0.2]), "sigmoid"),
        m.Layer(np.array([[0.6, -0.9]]), np.array([0.1]), "sigmoid"),
    ]


def run() -> Result:
    layers = network()
    step = squared_step(Net(layers), X, T)
    z = [step.out[f"W{k}"][:, 0] for k in (1, 2, 3)]
    a = [X[:, 0], *(step.out[f"f{k}"][:, 0] for k in (1, 2, 3))]
    delta = [step.delta[f"W{k}"][:, 0] for k in (1, 2, 3)]
    slope = [step.delta[f"W{k}"][:, 0] / step.delta[f"f{k}"][:, 0] for k in (1, 2, 3)]
    units = [
        (
            _("layer {k}, unit {i}").format(k=k + 1, i=i + 1),
            z[k][i],
            a[k + 1][i],
            slope[k][i],
            delta[k][i],
        )
        for k in range(3)
        for i in range(len(z[k]))
    ]
    factors = (
        ("y - t", a[3][0] - T[0, 0]),
        ("f'(z_3)", slope[2][0]),
        ("W3[1,2]", layers[2].W[0, 1]),
        ("f'(z_2[2])", slope[1][1]),
        ("a_1[2]", a[1][1]),
    )
    grads = [
        (f"W{k + 1}[{i + 1},·]", *(f"{g:.3e}" for g in row), *[""] * (4 - len(row)))
        for k in range(3)
        for i, row in enumerate(step.grad[f"W{k + 1}.weight"])
    ]
    w22 = float(step.grad["W2.weight"][1, 1])
    return Result(
        (
            Table(_("Every unit"), (_("unit"), "z", "a", "f'(z)", "δ"), tuple(units)),
            Table(_("∂E/∂W_l = δ_l a_{l-1}ᵀ, row by row"), (_("row"), *"1234"), tuple(grads)),
            Table(_("The factors of ∂E/∂w22"), (_("factor"), _("value")), factors),
            _(
                "Their product is {w22:.4e}, and so is δ_2[2] · a_1[2] = {delta:.4e} · {a:.4f}. "
                "The minus sign of W3[1,2] turns the gradient: the output is too low, and this "
                "unit holds it down."
            ).format(w22=w22, delta=delta[1][1], a=a[1][1]),
        ),
        {
            "y": float(a[3][0]),
            "δ_3": float(delta[2][0]),
            "δ_2[1]": float(delta[1][0]),
            "δ_2[2]": float(delta[1][1]),
            "δ_1[1]": float(delta[0][0]),
            "δ_1[2]": float(delta[0][1]),
            "∂E/∂w22": w22,
            "product of the five factors": float(np.prod([f for _, f in factors])),
            "rms of δ_2 as the tape read it": step.site("W2", "delta"),
        },
        both_ways(step, layers, X, T),
    )


LESSON = Lesson(
    "four-layers",
    "Four layers in matrix form, and one weight's gradient",
    __doc__,
    run,
    question=("Which other weights share the first four factors of ∂E/∂w22?"),
    answer=(
        "All of the second row of W2, and its bias: their gradients are δ_2[2] times "
        "what each weight reads (1 for the bias)."
    ),
    see=("activations sigmoid",),
    net=lambda: NetFile(tuple(network()), X, T, "squared", 0.5),
)
