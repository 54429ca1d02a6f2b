"""A network is functions inside functions. Take three of them, f(x) = A(B(C(x))), with
C = softplus, B = sigmoid and A = tanh.

## The chain rule
Write the inner results as numbers of their own: c = C(x), b = B(c), f = A(b). Then

    ∂f/∂x = A'(b) · B'(c) · C'(x)

each factor taken where the forward pass left its function.

## The derivative by the intermediate B
Everything before b is of no interest to how f changes with b:

    ∂f/∂b = A'(b)        ∂f/∂c = ∂f/∂b · B'(c)        ∂f/∂x = ∂f/∂c · C'(x)

Read from left to right this is back-propagation: each line takes the derivative found on the
line before and multiplies it by one local factor. What is found for b is never computed again;
autograd keeps it as the layer error δ at b, and the tape reads it there.
"""

from __future__ import annotations

import math

import numpy as np

from .. import miniature as m
from ..lang import _
from .base import Lesson, Result, Table
from .reading import Net, both_ways, columns, read_step

X = 0.5
NAMES = ("softplus", "sigmoid", "tanh")


def value(y: m.Floats, t: m.Floats) -> tuple[float, m.Floats]:
    """The network's output itself stands for the error: E = y, ∂E/∂y = 1."""
    return float(y.sum()), np.ones_like(y)


def chain() -> list[m.Layer]:
    """Three functions as layers of one unit with weight 1 and bias 0."""
    return [m.Layer(np.ones((1, 1)), np.zeros(1), name) for name in NAMES]


def run() -> Result:
    net, x = Net(chain()), np.array([[X]])
    step = read_step(net, lambda: net(columns(x)).sum())
    out = {k: v.item() for k, v in step.out.items()}
    delta = {k: v.item() for k, v in step.delta.items()}
    local = {k: delta[f"W{k}"] / delta[f"f{k}"] for k in (1, 2, 3)}
    rows = [
        ("f = A(b)", out["f3"], f"A'(b) = {local[3]:.6f}", f"∂f/∂b = {delta['f2']:.6f}"),
        ("b = B(c)", out["f2"], f"B'(c) = {local[2]:.6f}", f"∂f/∂c = {delta['f1']:.6f}"),
        ("c = C(x)", out["f1"], f"C'(x) = {local[1]:.6f}", f"∂f/∂x = {delta['W1']:.6f}"),
    ]
    lost = [math.log10(local[k]) for k in (3, 2, 1)]
    return Result(
        (
            Table(
                _("x = {x}, from the outside in").format(x=X),
                (_("value"), _("is"), _("local derivative"), _("derivative of f")),
                tuple(rows),
            ),
            _(
                "The product of the three local derivatives is {factors} = {product:.6f}. In "
                "decades (log10) they add up: {decades} = {sum:.3f}; Evenflow tells gains in "
                "decades for that reason."
            ).format(
                factors=" · ".join(f"{local[k]:.6f}" for k in (3, 2, 1)),
                product=math.prod(local.values()),
                decades=f"{lost[0]:.3f} {lost[1]:+.3f} {lost[2]:+.3f}",
                sum=sum(lost),
            ),
        ),
        {
            "c": out["f1"],
            "b": out["f2"],
            "f": out["f3"],
            "A'(b)": local[3],
            "B'(c)": local[2],
            "C'(x)": local[1],
            "∂f/∂b": delta["f2"],
            "∂f/∂c": delta["f1"],
            "∂f/∂x": delta["W1"],
            "∂f/∂b as the tape read it": step.site("f2", "delta"),
        },
        both_ways(step, chain(), x, np.zeros((1, 1)), value),
    )


LESSON = Lesson(
    "nested-functions",
    "Functions inside functions: f = A(B(C(x)))",
    __doc__,
    run,
    question=("Which of the factors must be computed anew for ∂f/∂c, once ∂f/∂b is known?"),
    answer=("Only B'(c). ∂f/∂b = A'(b) is kept: that is all of back-propagation."),
    see=("activations tanh", "activations softplus"),
)
