"""Every weight of the lessons' own networks, its chain written out: equal to autograd's number, to
the miniature's, to the product by nothing but NumPy and to the finite difference, in float64.

Left out are networks whose weights have no one chain: the residual lesson's (forks), the readers
of through-time (recurrence, attention).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch.nn.functional as F
from torch import Tensor

import evenflow
from evenflow import miniature as m
from evenflow.ledger import WeightChain
from evenflow.lessons import (
    REGISTRY,
    centring,
    choosing_activation,
    dead_relu,
    early_stopping,
    four_layers,
    linear_neuron,
    nested_functions,
    one_hidden_layer,
    online_and_epoch,
    paralysis,
    residual,
    saturation,
    ten_hidden_layers,
)
from evenflow.lessons.reading import Net, columns, half_squared, unit

Error = Callable[[Tensor, Tensor], Tensor]
#: Of 200 points of the spirals, as many as are needed to have a batch.
FEW = 6


class Case(NamedTuple):
    layers: list[m.Layer]
    x: m.Floats
    t: m.Floats
    error: Error = half_squared
    loss: m.Loss = m.squared


def sums(y: Tensor, t: Tensor) -> Tensor:
    return y.sum()


def spirals(layers: list[m.Layer], points: tuple[m.Floats, m.Floats]) -> Case:
    x, t = points
    return Case(layers, x[:, ::33], t[:, ::33], F.cross_entropy, m.cross_entropy)


def cases() -> dict[str, Case]:
    pair = np.array([[-2.0, 2.0]])
    early, (x, t), _ = early_stopping.problem(0)
    return {
        "linear-neuron": Case(
            [linear_neuron.neuron()], linear_neuron.X, linear_neuron.T,
            lambda y, t: (t - y).square().sum(), linear_neuron.square,
        ),
        "nested-functions": Case(
            nested_functions.chain(), np.array([[nested_functions.X]]), np.zeros((1, 1)), sums,
            nested_functions.value,
        ),
        "four-layers": Case(four_layers.network(), four_layers.X, four_layers.T),
        "one-hidden-layer": Case(
            one_hidden_layer.network(), one_hidden_layer.X, one_hidden_layer.T
        ),
        "ten-hidden-layers": Case(
            ten_hidden_layers.chain(), ten_hidden_layers.X, ten_hidden_layers.T
        ),
        **{
            f"saturation {w:g}": Case(unit(w, "sigmoid"), saturation.ONE, saturation.ZERO)
            for w in saturation.WEIGHTS
        },
        "gain-control": Case(unit(1.0, "sigmoid"), pair, np.zeros((1, 2))),
        "gain-control hard": Case(unit(0.3, "hardtanh"), pair, np.zeros((1, 2))),
        **{
            f"dead-relu {f}, {what}": Case(dead_relu.struck(what, f), dead_relu.X, dead_relu.T)
            for what, f in itertools.product(dead_relu.INCIDENTS, ("relu", "leaky_relu"))
        },
        "centring": Case(
            [m.Layer(np.zeros((1, 2)), np.zeros(1))], *centring.examples(2.0)
        ),
        "paralysis": Case(paralysis.start(0), paralysis.X, paralysis.T),
        "dead-relu crowd": Case(*dead_relu.crowd(0)),
        "online-and-epoch": Case(
            unit(online_and_epoch.POOR, "tanh"), online_and_epoch.X6,
            online_and_epoch.T6,
        ),
        "online-and-epoch plateau": Case(
            unit(6.0, "sigmoid"), np.ones((1, 1)), np.zeros((1, 1))
        ),
        "early-stopping": Case(early, x, t),
        "residual, plain": spirals(residual.network(0), residual.data()),
        **{
            f"choosing-activation {name}": spirals(
                choosing_activation.network(name, 0), choosing_activation.data()
            )
            for name in choosing_activation.NAMES
        },
    }  # fmt: skip


CASES = cases()
#: Those with hundreds or thousands of weights: in the fast tests every so manieth.
LARGE = {
    name: 100 if name.startswith("residual") else 15
    for name, case in CASES.items()
    if case.error is F.cross_entropy
}


def agrees(value: float, expected: float) -> bool:
    return abs(value - expected) <= max(1e-8 * abs(expected), 1e-12)


def product(chain: WeightChain) -> float:
    """The factors multiplied as their forms say."""
    delta = chain.factors[0].values
    for f in chain.factors[1:-1]:
        delta = delta * f.values if f.form == "diagonal" else delta @ f.values
    last = chain.factors[-1].values
    if last.ndim < delta.ndim:
        delta = delta[..., chain.index[0]]
    return float((delta * last).sum())


def difference(case: Case, k: int, part: str, index: tuple[int, ...]) -> float:
    """The finite difference by one weight, of the miniature's forward pass alone."""
    array, ends = getattr(case.layers[k], part), []
    whole, step = array[index], 1e-5 * max(1.0, abs(array[index]))
    for sign in (1, -1):
        array[index] = whole + sign * step
        ends.append(case.loss(m.forward(case.layers, case.x).a[-1], case.t)[0])
    array[index] = whole
    return (ends[0] - ends[1]) / (2 * step)


def check(case: Case, every: int) -> int:
    """Hold every so manieth weight and bias against the four oracles; how many there were."""
    net, x, t = Net(case.layers), columns(case.x), columns(case.t)
    error = case.error(net(x), t)
    value, slopes = m.backpropagate(case.layers, case.x, case.t, case.loss)
    assert error.item() == pytest.approx(value, rel=1e-12)
    ledger = evenflow.explain(error, net)
    places = [
        (k, part, index)
        for k, layer in enumerate(case.layers)
        for part in ("W", "b")
        for index in np.ndindex(getattr(layer, part).shape)
    ]
    names = {"W": "weight", "b": "bias"}
    chains = [
        (place, ledger.parameter(f"W{place[0] + 1}.{names[place[1]]}", place[2]))
        for place in places[::every]
    ]
    error.backward()
    size = max(float(np.abs(part).max()) for slope in slopes for part in slope)
    for (k, part, index), chain in chains:
        where = chain.parameter, index
        grad = net.get_parameter(f"W{k + 1}.{names[part]}").grad
        assert grad is not None
        assert agrees(chain.value, float(grad[index])), where
        assert agrees(chain.value, float(getattr(slopes[k], part)[index])), where
        assert agrees(chain.value, product(chain)), where
        found = difference(case, k, part, index)
        # its own error: of rounding, about 1e-16 E / 1e-5; of the third derivative, 1e-10
        assert chain.value == pytest.approx(found, rel=1e-5, abs=1e-8 * max(size, value)), where
    return len(chains)


@pytest.mark.parametrize("name", CASES)
def test_the_weights_of_a_lessons_network(name: str) -> None:
    case, every = CASES[name], LARGE.get(name, 1)
    count = sum(layer.W.size + layer.b.size for layer in case.layers)
    assert check(case, every) == -(-count // every)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_every_weight_of_a_large_one(name: str) -> None:
    case = CASES[name]
    assert check(case, 1) == sum(layer.W.size + layer.b.size for layer in case.layers)


def test_no_lesson_is_left_out() -> None:
    there = {name.split(" ")[0].rstrip(",") for name in CASES}
    # of learnt activations a number is learned and no weight
    assert there == REGISTRY.keys() - {"through-time", "learnt-activations"}


def test_a_wrong_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    f, slope = m.ACTIVATIONS["sigmoid"]
    monkeypatch.setitem(m.ACTIVATIONS, "sigmoid", (f, lambda z: slope(z) * (1 + 1e-7)))
    with pytest.raises(AssertionError, match=r"W1\.weight"):
        check(CASES["four-layers"], 1)


def test_where_ways_meet_there_is_no_chain() -> None:
    net = residual.Skipping(residual.network(0))
    x, t = residual.data()
    error = F.cross_entropy(net(columns(x)), columns(t))
    ledger = evenflow.explain(error, net)
    with pytest.raises(ValueError, match="its ways meet at"):
        ledger.parameter("W3.weight", (0, 0))
    last = ledger.parameter("W21.weight", (0, 0))
    error.backward()
    assert agrees(last.value, float(net.get_parameter("W21.weight").grad[0, 0]))
