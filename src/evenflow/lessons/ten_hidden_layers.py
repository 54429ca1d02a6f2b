"""Ten hidden layers of one sigmoid unit each, one behind the other, and an output: eleven weights.
How does the error change with the very first one, W1?

## All 23 factors
Written out, the derivative has a factor for every step on the way from the error to W1: two at
the output, two for each of the ten hidden layers, and one for W1 itself, 2n + 3 = 23.

    ∂E/∂W1 = ∂E/∂O · ∂O/∂Z11 · [∂Z11/∂H10 · ∂H10/∂Z10] · ... · [∂Z2/∂H1 · ∂H1/∂Z1] · ∂Z1/∂W1

    ∂E/∂O = O - t      ∂H/∂Z = f'(z)      ∂Z/∂H = the weight      ∂Z1/∂W1 = the input x

No slope of a sigmoid is above 1/4, so the eleven of them alone cost at least 11 · 0.6 = 6.6
decades, and the weights would have to win that back.

## Each factor once
Written out for each weight by itself, the derivatives of all eleven weights take
23 + 21 + ... + 3 = (n + 1)(n + 3) local derivatives: O(n²). But they share them: the whole way
from the error to a layer is the layer error δ, found once and kept (memoised), and then each weight
asks for one factor more. That makes 3n + 3: O(n). This is all that makes deep networks
affordable, and it is why back-propagation goes backwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Table, curve
from .net_file import NetFile
from .reading import Net, Step, both_ways, squared_step

HIDDEN = 10
X, T = np.array([[1.5]]), np.array([[0.0]])


def chain(hidden: int = HIDDEN) -> list[m.Layer]:
    """Weights drawn once, uniform in 0.5 .. 2.5, biases in ±1."""
    rng = np.random.default_rng(23)
    return [
        m.Layer(rng.uniform(0.5, 2.5, (1, 1)), rng.uniform(-1, 1, 1), "sigmoid")
        for _ in range(hidden + 1)
    ]


def factors(step: Step, layers: list[m.Layer]) -> list[tuple[str, float]]:
    """The factors of ∂E/∂W1, each read off the tape: what went in over what came out."""
    n = len(layers)
    at = {k: v.item() for k, v in step.delta.items()}
    found = [("∂E/∂O", at[f"f{n}"]), (f"∂O/∂Z{n}", at[f"W{n}"] / at[f"f{n}"])]
    for k in range(n - 1, 0, -1):
        found.append((f"∂Z{k + 1}/∂H{k}", at[f"f{k}"] / at[f"W{k + 1}"]))
        found.append((f"∂H{k}/∂Z{k}", at[f"W{k}"] / at[f"f{k}"]))
    found.append(("∂Z1/∂W1", step.grad["W1.weight"].item() / at["W1"]))
    return found


def count(hidden: int, memoise: bool) -> int:
    """Local derivatives that are taken for the gradients of all weights of such a chain.

    The derivatives are really taken; a counter stands at the door of each.
    """
    layers = chain(hidden)
    seen = m.forward(layers, X)
    taken = 0

    def local(derivative: Callable[[], float]) -> float:
        nonlocal taken
        taken += 1
        return derivative()

    known: dict[int, float] = {}

    def layer_error(k: int) -> float:
        """∂E/∂z of layer k (0 is the first), down from the output."""
        if memoise and k in known:
            return known[k]
        if k == hidden:
            above = local(lambda: (seen.a[-1] - T).item())
        else:
            above = layer_error(k + 1) * local(lambda: layers[k + 1].W.item())
        slope = m.activation(layers[k].f)[1]
        known[k] = above * local(lambda: slope(seen.z[k]).item())
        return known[k]

    found = [layer_error(k) * local(lambda k=k: seen.a[k].item()) for k in range(hidden + 1)]  # type: ignore[misc]
    _, slopes = m.backpropagate(layers, X, T)
    assert np.allclose(found, [g.W.item() for g in slopes], rtol=1e-12, atol=0)
    return taken


def run() -> Result:
    layers = chain()
    step = squared_step(Net(layers), X, T)
    way = factors(step, layers)
    gradient = step.grad["W1.weight"].item()
    decades = [math.log10(abs(f)) for _name, f in way]
    left = np.cumsum(decades)
    rows = [
        (i + 1, name, value, d, float(s))
        for i, ((name, value), d, s) in enumerate(zip(way, decades, left, strict=True))
    ]
    slopes = [d for (name, _), d in zip(way, decades, strict=True) if name[1] in "HO"]
    weights = [d for (name, _), d in zip(way, decades, strict=True) if "/∂H" in name]
    counts = [(n, count(n, False), count(n, True)) for n in (1, 10, 50, 100)]
    product = math.prod(value for _name, value in way)
    same = both_ways(step, layers, X, T)
    return Result(
        (
            Table(
                _("The 23 factors of ∂E/∂W1, from the error back"),
                (_("no."), _("factor"), _("value"), _("decades"), _("so far")),
                tuple(rows),
            ),
            _(
                "Their product is {product:.4e}, as autograd says. The eleven slopes took "
                "{slopes:.2f} decades, the ten weights gave back {weights:.2f}."
            ).format(product=product, slopes=-sum(slopes), weights=sum(weights)),
            Plot(
                _("What is left of the error on its way back"),
                _("factors so far"),
                _("|product|"),
                (curve(_("product of the factors"), 10**left, range(1, 24)),),
                log_y=True,
            ),
            Table(
                _("Local derivatives taken for the gradients of all weights"),
                (_("hidden layers"), _("written out"), _("each once")),
                tuple(counts),
            ),
        ),
        {
            "∂E/∂W1": gradient,
            "factors": float(len(way)),
            "product": product,
            "decades": float(left[-1]),
            "decades of the slopes": sum(slopes),
            "decades of the weights": sum(weights),
            **{f"written out, n = {n}": float(a) for n, a, _ in counts},
            **{f"each once, n = {n}": float(b) for n, _, b in counts},
        },
        same,
    )


LESSON = Lesson(
    "ten-hidden-layers",
    "Ten hidden layers: 23 factors, each found once",
    __doc__,
    run,
    question=("How many local derivatives would 100 hidden layers take, written out and memoised?"),
    answer=("(n + 1)(n + 3) = 101 · 103 = 10,403 against 3n + 3 = 303."),
    see=("EF101", "activations sigmoid"),
    net=lambda: NetFile(tuple(chain()), X, T, "squared", 0.5),
)
