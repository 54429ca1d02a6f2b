"""Acceptance 2 of the ledger: one weight's chain ends in autograd's number, and in the slope."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow import miniature
from evenflow.ledger import WeightChain


def agrees(value: float, expected: float) -> bool:
    return abs(value - expected) <= max(1e-8 * abs(expected), 1e-12)


def net(*widths: int, activation: type[nn.Module] = nn.Sigmoid, seed: int = 0) -> nn.Sequential:
    """Every layer followed by the activation, the last as well."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers).double()


def data(model: nn.Sequential, batch: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    wide = {"generator": generator, "dtype": torch.float64}
    return (
        torch.randn(batch, model[0].in_features, **wide),
        torch.rand(batch, model[-2].out_features, **wide),
    )


def as_miniature(model: nn.Sequential) -> list[miniature.Layer]:
    names = {
        nn.Sigmoid: "sigmoid",
        nn.Tanh: "tanh",
        nn.ReLU: "relu",
        nn.GELU: "gelu",
        nn.ELU: "elu",
    }
    return [
        miniature.Layer(layer.weight.detach().numpy(), layer.bias.detach().numpy(), names[type(f)])
        for layer, f in zip(model[::2], model[1::2], strict=True)
    ]


def of_miniature(slopes: list[miniature.Gradient], name: str, index: tuple[int, ...]) -> float:
    layer, which = name.split(".")
    gradient = slopes[int(layer) // 2]
    return float((gradient.W if which == "weight" else gradient.b)[index])


LESSONS = {
    "four layers": ((4, 2, 2, 1), 3),
    "one hidden layer": ((3, 4, 2), 5),
    "a linear neuron": ((3, 1), 4),
    "ten hidden neurons": ((1,) * 12, 2),
}


@pytest.mark.parametrize("name", LESSONS)
def test_every_weight_of_the_lesson_nets(name: str) -> None:
    widths, batch = LESSONS[name]
    model = net(*widths)
    x, y = data(model, batch)
    loss = ((model(x) - y) ** 2).sum() / (2 * batch)
    _, slopes = miniature.backpropagate(as_miniature(model), x.numpy().T, y.numpy().T)
    ledger = evenflow.explain(loss, model)
    chains = {
        (n, index): ledger.parameter(n, index)
        for n, p in model.named_parameters()
        for index in itertools.product(*map(range, p.shape))
    }
    loss.backward()
    for (n, index), chain in chains.items():
        grad = float(model.get_parameter(n).grad[index])
        assert agrees(chain.value, grad), (n, index)
        assert agrees(chain.autograd, grad), (n, index)
        assert agrees(by_hand(chain), grad), (n, index)
        assert agrees(chain.value, of_miniature(slopes, n, index)), (n, index)


def by_hand(chain: WeightChain) -> float:
    """The factors multiplied as their forms say, by nothing but numpy."""
    delta = chain.factors[0].values
    for f in chain.factors[1:-1]:
        if f.form == "diagonal":
            delta = delta * f.values
        elif f.form == "matrix":
            delta = delta @ f.values
        else:
            raise AssertionError(f.form)
    last = chain.factors[-1].values
    if last.ndim < delta.ndim:
        delta = delta[..., chain.index[0]]
    return float((delta * last).sum())


def test_ten_hidden_neurons_make_twenty_three_factors() -> None:
    """2n+3 of them for the first weight (THEORY section 1), each a number of its own."""
    model = net(*(1,) * 12)
    x, y = data(model, 1)
    loss = F.mse_loss(model(x), y)
    chain = evenflow.explain(loss, model).parameter("0.weight", (0, 0))
    a, slopes = x, []
    for layer in model:
        if isinstance(layer, nn.Sigmoid):
            slopes.append((torch.sigmoid(a) * (1 - torch.sigmoid(a))).item())
        a = layer(a)
    weights = [layer.weight.item() for layer in model if isinstance(layer, nn.Linear)]
    expected = [2 * (a - y).item()]
    for i in range(10, 0, -1):
        expected += [slopes[i], weights[i]]
    expected += [slopes[0], float(x)]
    assert len(expected) == 23
    assert [float(f.values.reshape(-1)[0]) for f in chain.factors] == pytest.approx(expected)
    assert [f.symbol for f in chain.factors] == ["∂C/∂a", *["φ'(z)", "W"] * 10, "φ'(z)", "x"]
    assert chain.value == pytest.approx(float(np.prod(expected)), rel=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_the_count_of_factors(n: int) -> None:
    model = net(*(1,) * (n + 2))
    x, y = data(model, 1)
    loss = F.mse_loss(model(x), y)
    assert len(evenflow.explain(loss, model).parameter("0.weight", (0, 0)).factors) == 2 * n + 3


def deep(activation: type[nn.Module], depth: int, width: int) -> nn.Sequential:
    model = net(5, *(width,) * depth, 3, activation=activation, seed=depth)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2.0)  # or nothing is left of a deep sigmoid chain to be compared
    return model


@pytest.mark.parametrize(
    ("activation", "depth", "width"),
    [(nn.Tanh, 30, 6), (nn.Sigmoid, 12, 8), (nn.ReLU, 20, 10), (nn.GELU, 15, 7), (nn.ELU, 15, 7)],
)
def test_random_weights_of_deep_chains(activation: type[nn.Module], depth: int, width: int) -> None:
    """20 of each; 100 together."""
    model = deep(activation, depth, width)
    x, _ = data(model, 4)
    target = torch.tensor([0, 1, 2, 0])
    loss = F.cross_entropy(model(x), target)
    hot = F.one_hot(target, 3).double().numpy().T
    error, slopes = miniature.backpropagate(
        as_miniature(model), x.numpy().T, hot, miniature.cross_entropy
    )
    assert error == pytest.approx(loss.item(), rel=1e-12)
    ledger = evenflow.explain(loss, model)
    chosen = random.Random(depth)
    names = [n for n, _ in model.named_parameters()]
    picked = []
    for _ in range(20):
        name = chosen.choice(names)
        index = tuple(chosen.randrange(d) for d in model.get_parameter(name).shape)
        picked.append((name, index, ledger.parameter(name, index).value))
    loss.backward()
    found = 0
    for name, index, value in picked:
        assert agrees(value, of_miniature(slopes, name, index)), (name, index)
        assert agrees(value, float(model.get_parameter(name).grad[index])), (name, index)
        slope = difference(model, lambda: F.cross_entropy(model(x), target), name, index)
        assert value == pytest.approx(slope, rel=1e-5, abs=1e-8), (name, index)
        found += abs(value) > 1e-5
    assert found >= 5  # the difference does say something


def difference(
    model: nn.Module, loss: Callable[[], Tensor], name: str, index: tuple[int, ...]
) -> float:
    """The finite difference by one weight; off by some 1e-9 of rounding."""
    weight, step, at = model.get_parameter(name), 1e-6, []
    with torch.no_grad():
        whole = float(weight[index])
        for sign in (1, -1):
            weight[index] = whole + sign * step
            at.append(float(loss()))
        weight[index] = whole
    return (at[0] - at[1]) / (2 * step)


def test_finite_differences_agree() -> None:
    model = net(4, 3, 3, 2, activation=nn.Tanh)
    x, y = data(model, 3)
    for name, index in (("0.weight", (1, 2)), ("2.bias", (0,)), ("4.weight", (1, 1))):
        slope = difference(model, lambda: F.mse_loss(model(x), y), name, index)
        assert slope == pytest.approx(_fresh(model, x, y, name, index), rel=1e-6, abs=1e-9)


def _fresh(model: nn.Module, x: Tensor, y: Tensor, name: str, index: tuple[int, ...]) -> float:
    return evenflow.explain(F.mse_loss(model(x), y), model).parameter(name, index).value


def test_samples_add_up_to_the_batch() -> None:
    model = net(4, 3, 2)
    x, y = data(model, 5)
    ledger = evenflow.explain(F.mse_loss(model(x), y), model)
    whole = ledger.parameter("0.weight", (1, 2))
    parts = [ledger.parameter("0.weight", (1, 2), sample=s) for s in range(5)]
    assert sum(p.value for p in parts) == pytest.approx(whole.value, rel=1e-12)
    for s, part in enumerate(parts):
        alone = F.mse_loss(model(x[s : s + 1]), y[s : s + 1]) / 5
        (grad,) = torch.autograd.grad(alone, model[0].weight)
        assert agrees(part.value, float(grad[1, 2]))
        assert agrees(part.autograd, float(grad[1, 2]))
        assert part.factors[-1].values == pytest.approx(float(x[s, 2]))


def test_other_layers_have_their_jacobians() -> None:
    """Convolution, pooling, norms: sample-wise blocks; BatchNorm mixes the batch."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.Tanh(), nn.AvgPool1d(2), nn.Flatten(), nn.LayerNorm(9),
        nn.Linear(9, 4), nn.BatchNorm1d(4), nn.Linear(4, 2),
    ).double()  # fmt: skip
    x = torch.randn(4, 2, 8, dtype=torch.float64)
    loss = F.cross_entropy(model(x), torch.tensor([0, 1, 1, 0]))
    ledger = evenflow.explain(loss, model)
    asked = [("0.weight", (1, 0, 2)), ("4.weight", (3,)), ("5.weight", (2, 5)), ("6.bias", (1,))]
    found = [ledger.parameter(n, i) for n, i in asked]
    loss.backward()
    for chain in found:
        assert agrees(chain.value, float(model.get_parameter(chain.parameter).grad[chain.index]))
    forms = {f.op: f.form for f in found[0].factors}
    assert forms["batch_norm"] == "dense"
    assert forms["layer_norm"] == "blocks"


def error(call: object) -> str:
    with pytest.raises(ValueError) as caught:
        call()  # type: ignore[operator]
    return str(caught.value)


def test_wrong_questions_get_clear_answers() -> None:
    model = net(4, 3, 2)
    x, y = data(model, 5)
    loss = F.mse_loss(model(x), y)
    ledger = evenflow.explain(loss, model)
    assert "'0.wieght': did you mean '0.weight'" in error(lambda: ledger.parameter("0.wieght", 0))
    assert "has shape (3, 4); (7, 0) names none" in error(
        lambda: ledger.parameter("0.weight", (7, 0))
    )
    assert "has shape (3, 4); (1,) names none" in error(lambda: ledger.parameter("0.weight", 1))
    assert "sample 5 is none of the batch's 5" in error(
        lambda: ledger.parameter("0.weight", (0, 0), sample=5)
    )
    loss.backward()
    assert "backward() has run already" in error(lambda: ledger.parameter("0.weight", (0, 0)))


def test_a_fork_is_named() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.inner, self.head = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.stem(x))
            return self.head(h + torch.tanh(self.inner(h)))

    model = Net()
    loss = model(torch.randn(5, 4)).square().mean()
    ledger = evenflow.explain(loss, model)
    said = error(lambda: ledger.parameter("stem.weight", (0, 0)))
    assert "its ways meet at 'stem → tanh' (from inner, inner → add)" in said
    assert "explain(loss, model, site='stem.weight')" in said
    assert ledger.parameter("inner.weight", (0, 0)).value  # nearer the loss there is one way


def test_a_weight_used_twice_is_no_chain() -> None:
    model = nn.Linear(3, 3)
    x = torch.randn(2, 3)
    loss = model(torch.tanh(model(x))).sum()
    said = error(lambda: evenflow.explain(loss, model).parameter("weight", (0, 0)))
    assert "the weight itself is used 2 times" in said or "its ways meet at" in said


def test_the_text_shows_product_and_autograd() -> None:
    model = net(1, 1, 1)
    x, y = data(model, 1)
    chain = evenflow.explain(F.mse_loss(model(x), y), model).parameter("0.weight", (0, 0))
    said = str(chain)
    assert said.startswith("∂C/∂0.weight[0, 0], the batch: 5 factors\n")
    assert f"= {chain.value:.10g}\n  autograd: {chain.autograd:.10g}" in said
    assert chain.as_dict()["factors"][-1]["values"] == pytest.approx([float(x)])
