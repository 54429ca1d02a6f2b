"""`evenflow.preflight`: profiles against a backward by hand, and no trace left behind."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.forecast import Forecast


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def perceptron(act: type[nn.Module], depth: int = 6, width: int = 24) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(8 if i == 0 else width, width), act()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def level(forecast: Forecast, name: str) -> float:
    return next(o.log10_delta for o in forecast.outlooks if o.site.name.endswith(f".{name}"))


def log10_rms(t: Tensor) -> float:
    top = float(t.abs().max())
    return math.log10(top) + math.log10(float((t / top).square().mean())) / 2


def by_hand(model: nn.Sequential, x: Tensor, loss_of: Tensor) -> dict[str, Tensor]:
    """δ of each linear layer in float64: δ_l = (δ_{l+1} W_{l+1}) φ'(z_l), no autograd through the
    net; `loss_of` [B, K] is dL/d output."""
    z, acts, h = [], [], x.double()
    for m in model:
        if isinstance(m, nn.Linear):
            h = h @ m.weight.detach().double().T + m.bias.detach().double()
            z.append(h)
        else:
            acts.append(m)
            h = m(h)
    linear = [(i, m) for i, m in enumerate(model) if isinstance(m, nn.Linear)]
    delta = loss_of.double()
    found = {f"{linear[-1][0]} linear": delta}
    for k in range(len(linear) - 2, -1, -1):
        slope = torch.func.vmap(torch.func.grad(acts[k]))(z[k].flatten()).view_as(z[k])
        delta = (delta @ linear[k + 1][1].weight.detach().double()) * slope
        found[f"{linear[k][0]} linear"] = delta
    return found


@pytest.mark.parametrize("act", [nn.Tanh, nn.Sigmoid, nn.ReLU, nn.GELU])
def test_profile_is_that_of_a_backward_by_hand(act: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = perceptron(act), torch.randn(16, 8)
    y = torch.randint(0, 4, (16,))
    forecast = evenflow.preflight(model, x, nn.functional.cross_entropy, y)
    out = model(x).detach().double()
    cotangent = (out.softmax(1) - nn.functional.one_hot(y, 4)) / 16
    deltas = by_hand(model, x, cotangent)
    head = log10_rms(next(iter(deltas.values())))
    for name, delta in deltas.items():
        expected = log10_rms(delta) - head
        assert level(forecast, name) == pytest.approx(expected, abs=2e-5), name
    for o in forecast.outlooks:
        if o.site.name.endswith(".2 linear"):
            z = model[:3](x).detach().double()
            assert o.log10_q == pytest.approx(math.log10(float(z.square().mean())), abs=1e-5)
            gram = z @ z.T
            n = len(z)
            c = (gram.sum() - gram.trace()) / (n * (n - 1)) / (gram.trace() / n)
            assert o.one_minus_c == pytest.approx(float(1 - c), rel=1e-4)


def test_a_profile_beyond_the_float32_range_is_still_right() -> None:
    """200 sigmoid layers lose over 100 decades: no float32 δ could tell."""
    torch.manual_seed(0)
    model, x = perceptron(nn.Sigmoid, depth=200, width=12), torch.randn(8, 8)
    forecast = evenflow.preflight(model, x, lambda out: out.sum(), advise=False)
    deltas = by_hand(model, x, torch.ones(8, 4))
    expected = log10_rms(deltas["0 linear"])
    assert expected < -100
    assert level(forecast, "0 linear") == pytest.approx(expected, abs=1e-3)
    assert forecast.verdict == "sick"
    assert forecast.trainable_depth is not None and forecast.trainable_depth < 30


class Awkward(nn.Module):
    """Buffers, dropout, own attributes, randomness of three libraries, an in-place op."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(8, 16), nn.BatchNorm1d(16)
        self.head = nn.Linear(16, 3)
        self.register_buffer("calls", torch.zeros(1))
        self.seen: list[int] = []

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        assert isinstance(self.calls, Tensor)
        self.calls += 1
        self.seen.append(len(x))
        h = torch.relu_(self.norm(self.first(x)))
        h = nn.functional.dropout(h, 0.3) * (1 + 0 * random.random() + 0 * np.random.rand())
        out: Tensor = self.head(h) * scale
        return out


class Uncopyable(Awkward):
    def __deepcopy__(self, memo: object) -> None:
        raise RuntimeError("no copies of me")


@pytest.mark.parametrize("kind", [Awkward, Uncopyable])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed(kind: type[Awkward], training: bool) -> None:
    torch.manual_seed(0)
    model = kind().train(training)
    model(torch.randn(4, 8)).sum().backward()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    versions = [b._version for b in model.buffers()]
    held, seen = list(model.parameters()), list(model.seen)
    flags = [m.training for m in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    torch.manual_seed(7), random.seed(7), np.random.seed(7)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    with torch.no_grad():  # the caller's mode is the caller's
        forecast = evenflow.preflight(model, (16, 8))
        assert not torch.is_grad_enabled()
    assert len(forecast.outlooks) > 3
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    for p, g in zip(model.parameters(), grads, strict=True):
        assert (p.grad is None) == (g is None)
        assert g is None or torch.equal(p.grad, g)  # type: ignore[arg-type]
    assert all(a is b for a, b in zip(model.parameters(), held, strict=True))
    assert [m.training for m in model.modules()] == flags
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == hooks
    if kind is Awkward:
        assert [b._version for b in model.buffers()] == versions
        assert model.seen == seen
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])  # type: ignore[index]


def test_a_watched_training_does_not_see_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    def train(peep: bool) -> tuple[int, Tensor]:
        torch.manual_seed(0)
        model = perceptron(nn.Tanh, depth=2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with evenflow.watch(model, optimizer, run=tmp_path / f"{peep}.evenflow", every=1) as w:
            for step in range(4):
                optimizer.zero_grad()
                loss = model(torch.ones(8, 8)).square().mean()
                if peep and step == 2:
                    evenflow.preflight(model, (8, 8))
                loss.backward()
                optimizer.step()
            del w
        return len(evenflow.load(tmp_path / f"{peep}.evenflow").steps), model[0].weight.detach()

    plain, peeped = train(False), train(True)
    assert plain[0] == peeped[0] == 4
    assert torch.equal(plain[1], peeped[1])


def test_the_same_seed_gives_the_same_forecast() -> None:
    torch.manual_seed(0)
    model = Awkward()
    one, two = (evenflow.preflight(model, (16, 8), seed=3).to_json() for _ in range(2))
    assert one == two
    assert one != evenflow.preflight(model, (16, 8), seed=4).to_json()


def test_json_is_as_promised() -> None:
    told = evenflow.preflight(perceptron(nn.Tanh), (16, 8)).to_json()
    assert told["schema"] == 1 and told["verdict"] in ("healthy", "warning", "sick")
    assert isinstance(told["findings"], list) and told["trainable_depth"] == 7
    assert {"site", "log10_delta", "one_minus_c", "saturated", "dead", "error_bar"} <= set(
        told["sites"][0]
    )
    import json

    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: evenflow.preflight("net", (4, 8)), "must be a torch.nn.Module, not str"),
        (lambda m: evenflow.preflight(m, (4, 9)), "float32 [4, 9]"),
        (lambda m: evenflow.preflight(m, (4, 8), targets=1), "without a loss_fn"),
        (lambda m: evenflow.preflight(m, (4, 8), lambda o: o), "a float32 tensor of shape [4, 4]"),
        (lambda m: evenflow.preflight(m, (4, 8), lambda o: 1 / 0), "ZeroDivisionError"),
        (lambda m: evenflow.preflight(m.requires_grad_(False), (4, 8)), "frozen"),
    ],
)
def test_wrong_use_is_a_value_error_that_repeats_it(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError) as caught:
        call(perceptron(nn.Tanh, depth=1))
    assert said in str(caught.value)


def test_advice_is_tried_and_what_it_says_is_so() -> None:
    """The advised start, made by hand, has the chance that was told."""
    torch.manual_seed(0)
    model, x = perceptron(nn.Sigmoid, depth=30, width=48), torch.randn(64, 8)
    sick = copy.deepcopy(model)
    forecast = evenflow.preflight(model, x)
    advised = {a.change: a for a in forecast.advice}
    assert forecast.verdict == "sick"
    assert advised["init=lsuv-centred"].chance > 0.9
    assert "init=orthogonal" not in advised  # does not save a deep sigmoid net
    assert math.isnan(advised["rezero"].chance)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), sick.parameters(), strict=True)
    )
    with torch.no_grad():  # centred LSUV by hand, one prefix forward a layer
        for i, m in enumerate(model):
            if isinstance(m, nn.Linear):
                nn.init.orthogonal_(m.weight), nn.init.zeros_(m.bias)
                z = m(model[:i](x))
                m.weight /= z.std(0)[:, None]
                m.bias.copy_(-z.mean(0) / z.std(0))
    assert evenflow.preflight(model, x).chance > 0.9


def test_a_healthy_net_is_given_no_advice() -> None:
    torch.manual_seed(0)
    assert evenflow.preflight(perceptron(nn.Tanh, depth=2), (32, 8)).advice == ()
