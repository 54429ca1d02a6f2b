"""Units that die in the middle of a fit: found on all rows, drawn anew, the loss untouched."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("sklearn")

from evenflow.fit import NetworkRegressor
from evenflow.fit.dormant import Mortal, mortal
from evenflow.fit.network import NetworkShape, build
from evenflow.fit.stepping import Optimizing, Updater

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
Y = np.abs(X[:, 0]) + X[:, 1]


def relu(units: tuple[int, ...] = (16, 8), **more: Any) -> tuple[nn.Sequential, NetworkShape]:
    torch.manual_seed(0)
    shape = NetworkShape(3, 1, units, ("relu",) * len(units), **more)
    net = build(shape)
    awake(net)
    return net, shape


def awake(net: nn.Sequential) -> None:
    """Biases that switch every unit on for some row: a small layer is often born partly dead."""
    torch.manual_seed(0)
    for part in net:
        if isinstance(part, nn.Linear):
            part.reset_parameters()
            nn.init.ones_(part.bias)


def kill(net: nn.Sequential, units: list[int]) -> None:
    with torch.no_grad():
        net[0].bias[units] = -1e3


def fitted(heal: bool = True, **more: Any) -> NetworkRegressor:
    return NetworkRegressor(
        hidden=(16, 8), activation="relu", learning_rate=1e-2, epochs=10, validation=0.0,
        init=awake, warm_start=True, random_state=0, heal=heal, **more,
    ).fit(X, Y)  # fmt: skip


def test_what_can_die() -> None:
    known = ("relu", "silu", "tanh", "leaky_relu", "gelu", "sigmoid")
    assert [name for name in known if mortal(name)] == ["relu"]
    for shape in (
        NetworkShape(3, 1, (4,), ("tanh",)),
        NetworkShape(3, 1, (4,), ("relu",), norm="batch"),
        NetworkShape(3, 1, (3, 3), ("relu", "relu"), residual="rezero"),
    ):
        assert Mortal.of(build(shape), shape) is None
    mixed = NetworkShape(3, 1, (4, 4, 5), ("relu", "relu", "relu"), residual="plain", dropout=0.1)
    cared = Mortal.of(build(mixed), mixed)
    assert cared is not None and cared.biases == (5,)  # the first feeds a skip


def test_units_dead_in_the_middle_are_revived_and_told() -> None:
    sick = fitted()
    assert not any(t.treatment == "revive=0" for t in sick.fit_report_.treatments)
    kill(sick.network_, list(range(12)))
    crippled = copy.deepcopy(sick)
    sick.fit(X, Y)
    told = [t for t in sick.fit_report_.treatments if t.treatment == "revive=0"]
    assert [t.epoch for t in told][:1] == [1]
    assert told[0].reason.startswith("EF202: 12 hidden units gave 0 on all 300 training rows")
    x = torch.from_numpy(sick.scaling_.apply(X)).float()
    assert bool((sick.network_[1](sick.network_[0](x)) > 0).any(0).all())
    left = crippled.set_params(heal=False).fit(X, Y)
    assert left.fit_report_.treatments == ()
    assert sick.score(X, Y) > left.score(X, Y)


def test_a_healthy_fit_is_the_same_to_the_bit_with_and_without_healing() -> None:
    a, b = fitted(heal=True), fitted(heal=False)
    assert a.fit_report_.treatments == ()
    for p, q in zip(a.network_.parameters(), b.network_.parameters(), strict=True):
        assert torch.equal(p, q)


def test_only_dead_units_change_and_their_moments_are_forgotten() -> None:
    net, shape = relu()
    x = torch.from_numpy(X).float()
    kill(net, [2, 5])
    before, want = copy.deepcopy(net), net(x).detach()
    step = Updater(Optimizing("adam"), list(net.parameters()))
    for moment in (*step.first, *step.second):
        moment.fill_(1.0)
    cared = Mortal.of(net, shape)
    assert cared is not None
    done = cared.revive_(x, step, 3)
    assert done is not None and done.reason.startswith("EF202: 2 hidden units")
    assert torch.equal(net(x), want)
    rest = [k for k in range(16) if k not in (2, 5)]
    assert torch.equal(net[0].weight[rest], before[0].weight[rest])
    assert torch.equal(net[2].weight[:, rest], before[2].weight[:, rest])
    assert not torch.equal(net[0].weight[2], before[0].weight[2])
    assert bool((net[2].weight[:, [2, 5]] == 0).all())
    assert bool((step.first[0][[2, 5]] == 0).all()) and bool((step.first[0][rest] == 1).all())


def test_a_unit_that_one_row_in_ten_thousand_switches_on_is_alive() -> None:
    net, shape = relu((4,))
    x = torch.zeros(10_000, 3)
    x[7001] = 1.0
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([-1.0, -1.0, 1.0, -5.0]))  # the last is dead everywhere
    cared = Mortal.of(net, shape)
    assert cared is not None
    before = net[0].weight.clone()
    done = cared.revive_(x, Updater(Optimizing("gd"), list(net.parameters())), 1)
    assert done is not None and "1 hidden units" in done.reason
    assert torch.equal(net[0].weight[:3], before[:3])


def test_a_zero_gradient_asks_for_a_look_and_no_other() -> None:
    net, shape = relu()
    cared = Mortal.of(net, shape)
    assert cared is not None
    x = torch.from_numpy(X).float()
    params = list(net.parameters())
    assert not cared.perhaps(torch.autograd.grad(net(x).square().sum(), params))
    kill(net, [3])
    assert cared.perhaps(torch.autograd.grad(net(x).square().sum(), params))
