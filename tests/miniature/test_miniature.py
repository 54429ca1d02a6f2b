"""The miniature against finite differences, and against torch's own layers and optimizer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mpmath import mp
from torch import Tensor

from evenflow import miniature as m
from twins import FUNCTIONS

LOSSES: dict[str, tuple[m.Loss, Callable[[Tensor, Tensor], Tensor]]] = {
    "squared": (m.squared, lambda y, t: F.mse_loss(y, t, reduction="sum") / 2 / len(y)),
    "cross_entropy": (m.cross_entropy, F.cross_entropy),
}


def problem(f: str, seed: int = 0) -> tuple[list[m.Layer], m.Floats, m.Floats]:
    rng = np.random.default_rng(seed)
    layers = m.network([3, 5, 4, 2], [f, f, "identity"], rng)
    x = rng.normal(size=(3, 7)) * 2
    t = rng.dirichlet([1, 1], 7).T
    return layers, x, t


class Twin(torch.nn.Module):
    """The same network of torch's parts."""

    def __init__(self, layers: list[m.Layer]) -> None:
        super().__init__()
        self.names = [n.f for n in layers]
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(n.W.shape[1], n.W.shape[0]).double() for n in layers
        )
        with torch.no_grad():
            for p, n in zip(self.layers, layers, strict=True):
                p.weight.copy_(torch.from_numpy(n.W))
                p.bias.copy_(torch.from_numpy(n.b))

    def forward(self, x: Tensor) -> Tensor:
        for p, name in zip(self.layers, self.names, strict=True):
            x = FUNCTIONS[name](p(x))
        return x


def weights(model: Twin) -> list[np.ndarray]:
    return [p.detach().numpy() for p in model.parameters()]


def flat(layers: list[m.Layer]) -> list[np.ndarray]:
    return [p for n in layers for p in (n.W, n.b)]


def test_every_activation_has_a_torch_twin() -> None:
    assert FUNCTIONS.keys() == m.ACTIVATIONS.keys()


@pytest.mark.parametrize("name", m.ACTIVATIONS)
def test_an_activation_and_its_slope_are_torchs(name: str) -> None:
    z = np.concatenate([np.linspace(-15, 15, 301) + 1e-3, [0.0, 1.0, -1.0]])
    f, slope = m.ACTIVATIONS[name]
    zt = torch.tensor(z, requires_grad=True)
    y = FUNCTIONS[name](zt)
    y.sum().backward()
    np.testing.assert_allclose(f(z), y.detach().numpy(), rtol=1e-8, atol=1e-13)
    np.testing.assert_allclose(slope(z), zt.grad.numpy(), rtol=1e-8, atol=1e-13)


def test_far_out_nothing_overflows_and_the_tail_keeps_its_digits() -> None:
    far = np.array([-700.0, 700.0])
    with np.errstate(over="raise", invalid="raise"):
        for f, slope in m.ACTIVATIONS.values():
            assert np.isfinite(f(far)).all() and np.isfinite(slope(far)).all()
    assert m.sigmoid(far)[0] == pytest.approx(np.exp(-700.0), rel=1e-12)
    assert m.ACTIVATIONS["sigmoid"][1](np.array([40.0]))[0] == pytest.approx(np.exp(-40), rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("f", ["sigmoid", "tanh", "gelu", "mish", "relu"])
def test_gradients_are_the_finite_differences(f: str, loss: str) -> None:
    layers, x, t = problem(f)
    rule = LOSSES[loss][0]
    _, found = m.backpropagate(layers, x, t, rule)
    h = 1e-6
    for i, layer in enumerate(layers):
        for p, g in ((layer.W, found[i].W), (layer.b, found[i].b)):
            for at in np.ndindex(p.shape):
                whole = p[at]
                p[at] = whole + h
                up = m.backpropagate(layers, x, t, rule)[0]
                p[at] = whole - h
                down = m.backpropagate(layers, x, t, rule)[0]
                p[at] = whole
                assert g[at] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("f", m.ACTIVATIONS)
def test_loss_layer_errors_and_gradients_are_autograds(f: str, loss: str) -> None:
    layers, x, t = problem(f, 1)
    ours, theirs = LOSSES[loss]
    twin = Twin(layers)
    seen: list[Tensor] = []
    for p in twin.layers:
        p.register_forward_hook(lambda _m, _a, out: (out.retain_grad(), seen.append(out))[1])
    error = theirs(twin(torch.from_numpy(x.T.copy())), torch.from_numpy(t.T.copy()))
    error.backward()
    passed = m.forward(layers, x)
    value, dE_dy = ours(passed.a[-1], t)
    deltas = m.layer_errors(layers, passed, dE_dy)
    assert value == pytest.approx(error.item(), rel=1e-12)
    for z, delta, out in zip(passed.z, deltas, seen, strict=True):
        np.testing.assert_allclose(z, out.detach().numpy().T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(delta, out.grad.numpy().T, rtol=1e-8, atol=1e-12)
    grads = [p for g in m.gradients(deltas, passed) for p in g]
    for g, p in zip(grads, twin.parameters(), strict=True):
        np.testing.assert_allclose(g, p.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3, None])
def test_training_is_that_of_torchs_sgd_with_momentum(batch: int | None) -> None:
    layers, x, t = problem("tanh", 2)
    twin = Twin(layers)
    sgd = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    order = np.random.default_rng(5)
    for _ in range(30):
        for rows in m.batches(7, batch, order):
            sgd.zero_grad()
            LOSSES["squared"][1](
                twin(torch.from_numpy(x[:, rows].T.copy())), torch.from_numpy(t[:, rows].T.copy())
            ).backward()
            sgd.step()
    done = m.train(
        layers, x, t, eta=0.1, alpha=0.9, batch=batch, stop=m.Stop(epochs=30),
        rng=np.random.default_rng(5),
    )  # fmt: skip
    assert done.why == "epochs" and len(done.errors) == 31
    for ours, theirs in zip(flat(done.layers), weights(twin), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_momentum_conventions_part_when_eta_changes() -> None:
    """Classical: α Δw_last keeps the old η's size. torch: the buffer is scaled by the new η."""
    layers = [m.Layer(np.array([[1.0]]), np.array([0.0]))]
    slope = [m.Gradient(np.array([[2.0]]), np.array([0.0]))]
    once, last = m.update(layers, slope, None, eta=0.1, alpha=0.5)
    assert once[0].W[0, 0] == pytest.approx(1 - 0.2)
    twice, _ = m.update(once, slope, last, eta=0.01, alpha=0.5)
    assert twice[0].W[0, 0] == pytest.approx(0.8 - 0.01 * 2 + 0.5 * -0.2)

    w = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    sgd = torch.optim.SGD([w], lr=0.1, momentum=0.5)
    for eta in (0.1, 0.01):
        sgd.param_groups[0]["lr"] = eta
        w.grad = torch.tensor([2.0], dtype=torch.float64)
        sgd.step()
    assert w.item() == pytest.approx(0.8 - 0.01 * (2 + 0.5 * 2))
    assert w.item() != pytest.approx(twice[0].W[0, 0], rel=1e-3)


def test_an_epoch_visits_every_sample_once_in_an_order_of_its_own() -> None:
    first, second = (
        np.concatenate(list(m.batches(10, 3, r))) for r in [np.random.default_rng(1)] * 2
    )
    again = np.concatenate(list(m.batches(10, 1, np.random.default_rng(1))))
    assert sorted(first) == sorted(second) == list(range(10))
    assert list(first) != list(second) and list(first) == list(again)
    assert [list(rows) for rows in m.batches(4, 3, None)] == [[0, 1, 2], [3]]
    assert [len(rows) for rows in m.batches(10, None, None)] == [10]


def test_the_given_layers_stay_as_they_are() -> None:
    layers, x, t = problem("tanh")
    before = [p.copy() for p in flat(layers)]
    m.train(layers, x, t, eta=0.5, alpha=0.9, stop=m.Stop(epochs=3))
    for p, q in zip(flat(layers), before, strict=True):
        assert (p == q).all()


def neuron() -> tuple[list[m.Layer], m.Floats, m.Floats]:
    """E = ½ (w - 1)², so that η = 0.1 takes 0.9 off the distance at each epoch."""
    return [m.Layer(np.zeros((1, 1)), np.zeros(1))], np.array([[1.0]]), np.array([[1.0]])


def test_it_stops_below_an_error() -> None:
    done = m.train(*neuron(), eta=0.1, stop=m.Stop(error=0.1))
    assert done.why == "error" and done.errors[-1] <= 0.1 < done.errors[-2]
    assert m.train(*neuron(), eta=0.1, stop=m.Stop(error=0.5)).errors == [0.5]  # before epoch 1


def test_it_stops_at_a_small_gradient() -> None:
    done = m.train(*neuron(), eta=0.1, stop=m.Stop(gradient=0.3))
    last = m.backpropagate(done.layers, *neuron()[1:])[1][0]
    assert done.why == "gradient" and np.hypot(last.W, last.b).item() <= 0.3


def test_it_stops_when_nothing_improves_and_keeps_the_best() -> None:
    layers, x, t = neuron()
    valid = (np.array([[1.0]]), np.array([[0.5]]))  # best at y = 0.5, on the way to y = 1
    done = m.train(layers, x, t, eta=0.1, stop=m.Stop(patience=3), valid=valid)
    least = int(np.argmin(done.held_out))
    assert done.why == "patience" and len(done.held_out) == least + 4
    y = m.forward(done.best, x).a[-1].item()
    assert (y - 0.5) ** 2 / 2 == pytest.approx(done.held_out[least])
    assert m.forward(done.layers, x).a[-1].item() > y


def test_it_stops_after_its_epochs() -> None:
    done = m.train(*neuron(), eta=0.1, stop=m.Stop(epochs=4))
    assert done.why == "epochs" and len(done.errors) == 5 and done.held_out == []


@pytest.mark.parametrize(
    "f, said",
    [
        (["tanh"], "3 sizes make 2 layers, not 1"),
        (["tanh", "tan"], "no activation 'tan'; there are identity"),
        (["tanh", "swish(beta=two)"], "swish(beta=...)"),
    ],
)
def test_a_network_of_unknown_parts_is_refused(f: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        m.network([1, 2, 1], f, np.random.default_rng(0))


@pytest.mark.parametrize(
    "x, t, said",
    [
        ((2, 3), (1, 3), "W_1 is 4×3, but x has 2 rows"),
        ((3, 3), (2, 3), "t has 2 rows, but layer 2 gives 1"),
        ((3, 3), (1, 2), "x has (3,) samples and t (2,): a sample is a column"),
    ],
)
def test_sizes_that_do_not_meet_get_a_sentence(
    x: tuple[int, int], t: tuple[int, int], said: str
) -> None:
    layers = m.network([3, 4, 1], ["tanh", "identity"], np.random.default_rng(0))
    with pytest.raises(ValueError, match=re.escape(said)):
        m.backpropagate(layers, np.ones(x), np.ones(t))


def test_a_bias_that_is_too_long_gets_a_sentence() -> None:
    layers = [m.Layer(np.ones((2, 3)), np.ones(3))]
    with pytest.raises(ValueError, match="b_1 has 3 numbers, but W_1 has 2 rows"):
        m.backpropagate(layers, np.ones((3, 1)), np.ones((2, 1)))


FAMILIES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sigmoid": lambda z, k: torch.sigmoid(k * z),
    "leaky_relu": F.leaky_relu,
    "prelu": lambda z, k: F.prelu(z, torch.tensor(k, dtype=z.dtype)),
    "elu": lambda z, k: F.elu(z, k),
    "swish": lambda z, k: z * torch.sigmoid(k * z),
}


@pytest.mark.parametrize("k", [0.1, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("name", m.FAMILIES)
def test_a_family_and_its_slopes_are_torchs(name: str, k: float) -> None:
    z = np.linspace(-4, 4, 81) + 1e-3
    f, slope = m.activation(f"{name}({m.FAMILIES[name][0]}={k})")
    inputs = torch.from_numpy(z).requires_grad_()
    out = FAMILIES[name](inputs, k)
    (gradient,) = torch.autograd.grad(out.sum(), inputs)
    np.testing.assert_allclose(f(z), out.detach().numpy(), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(slope(z), gradient.numpy(), rtol=1e-10, atol=1e-14)


def test_the_slope_of_tanh_keeps_its_digits() -> None:
    for z in (0.0, 1.0, 20.0, 300.0):
        exact = 1 / mp.cosh(mp.mpf(z)) ** 2
        assert m.sech2(np.array(z)) == pytest.approx(float(exact), rel=1e-14, abs=1e-320)


def test_it_is_small_and_says_that_it_is_for_reading() -> None:
    source = Path(m.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 330
    assert "for reading, not for work" in source
    assert "torch" not in re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE)
