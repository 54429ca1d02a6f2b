"""Training against back-propagation by hand: the miniature, 20 steps in float64, to 1e-6."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evenflow import miniature as m

pytest.importorskip("sklearn")

from evenflow.fit import NetworkClassifier, NetworkRegressor

RNG = np.random.default_rng(3)
X = RNG.normal(size=(10, 4))
T = np.sin(X[:, 0]) + 0.3 * X[:, 1]
VX, VT = X[7:], T[7:]


def layers(outputs: int = 1) -> list[m.Layer]:
    """Four layers of units: 4 -> 2 -> 2 -> outputs, sigmoid between."""
    return m.network((4, 2, 2, outputs), ("sigmoid", "sigmoid", "identity"),
                     np.random.default_rng(1))  # fmt: skip


def same_start(net: nn.Module, outputs: int = 1) -> None:
    linear = [p for p in net.modules() if isinstance(p, nn.Linear)]
    for part, layer in zip(linear, layers(outputs), strict=True):
        part.weight.data.copy_(torch.from_numpy(layer.W))
        part.bias.data.copy_(torch.from_numpy(layer.b))


def options(**more: Any) -> dict[str, Any]:
    return {
        "hidden": 2, "depth": 2, "activation": "sigmoid", "init": same_start, "scale": "none",
        "optimizer": "gd", "learning_rate": 0.3, "schedule": "constant", "warmup": 0.0,
        "clip": "none", "l2": 0.0, "shuffle": False, "validation": 0.0, "patience": None,
        "dtype": "float64", "heal": False, "random_state": 0,
    } | more  # fmt: skip


def assert_same(net: nn.Module, want: list[m.Layer]) -> None:
    linear = [p for p in net.modules() if isinstance(p, nn.Linear)]
    for part, layer in zip(linear, want, strict=True):
        np.testing.assert_allclose(part.weight.detach().numpy(), layer.W, rtol=0, atol=1e-6)
        np.testing.assert_allclose(part.bias.detach().numpy(), layer.b, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("batch", "ours", "epochs"), [(1, "online", 2), (5, 5, 10), (None, "full", 20)]
)
@pytest.mark.parametrize("alpha", [0.0, 0.9])
def test_twenty_steps_of_each_mode(
    batch: int | None, ours: int | str, epochs: int, alpha: float
) -> None:
    want = m.train(layers(), X.T, T[None], eta=0.3, alpha=alpha, stop=m.Stop(epochs), batch=batch)
    fitted = NetworkRegressor(
        **options(
            batch_size=ours, epochs=epochs, target_scale="none",
            optimizer="momentum" if alpha else "gd", momentum=alpha,
        )
    ).fit(X, T)  # fmt: skip
    assert fitted.fit_report_.steps == 20
    assert_same(fitted.network_, want.layers)


def test_twenty_steps_of_cross_entropy() -> None:
    y = (T > 0).astype(int)
    onehot = np.eye(2)[y].T
    want = m.train(
        layers(2), X.T, onehot, eta=0.3, stop=m.Stop(20), loss=m.cross_entropy, batch=None
    )
    fitted = NetworkClassifier(
        **options(init=lambda net: same_start(net, 2), batch_size="full", epochs=20)
    ).fit(X, y)
    assert_same(fitted.network_, want.layers)


@pytest.mark.parametrize(
    ("theirs", "ours", "eta"),
    [
        ({"error": 0.2}, {"error_below": 0.2}, 0.3),
        ({"gradient": 0.15}, {"gradient_below": 0.15}, 0.3),
        ({"patience": 3}, {"patience": 3}, 9.0),
    ],
)
def test_each_stopping_rule_stops_where_the_miniature_does(
    theirs: dict[str, float], ours: dict[str, float], eta: float
) -> None:
    want = m.train(layers(), X.T, T[None], eta=eta, stop=m.Stop(200, **theirs), batch=None)
    fitted = NetworkRegressor(
        **options(batch_size="full", epochs=200, target_scale="none", learning_rate=eta, **ours)
    ).fit(X, T)
    report = fitted.fit_report_
    assert want.why == report.stopped == next(iter(theirs))
    assert report.epochs == len(want.errors) - 1 < 200
    np.testing.assert_allclose(report.errors, want.errors, rtol=0, atol=1e-6)
    assert_same(fitted.network_, want.layers)


def test_time_stops_after_the_first_epoch() -> None:
    fitted = NetworkRegressor(**options(epochs=50, max_seconds=0.0)).fit(X, T)
    assert (fitted.fit_report_.stopped, fitted.fit_report_.epochs) == ("time", 1)
