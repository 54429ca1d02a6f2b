"""EF3, updates: sick runs with exact evidence, and twins that only look sick."""

from __future__ import annotations

import numpy as np
import pytest

from evenflow.faults import REGISTRY, View
from evenflow.schema import Finding, Severity

from .synthetic import BIRTH, Builder, decay, perceptron

STEPS = np.array(BIRTH)


def found(code: str, b: Builder) -> list[Finding]:
    return list(REGISTRY[code]().check(View(b.run())))


def stalled(b: Builder, path: str, update: float) -> Builder:
    for p in (f"Net.{path}.weight", f"Net.{path}.bias"):
        b.set_param(p, "update", update)
    return b


# --- EF301 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 4])
def test_stalled_layer(depth: int) -> None:
    b = stalled(perceptron(depth), "layers.0", 5e-9).loss(1.5)
    (f,) = found("EF301", b)
    assert [b.sites[i].path for i in f.sites] == ["layers.0"]
    assert f.params == ("Net.layers.0.weight",)
    assert f.evidence["decades_below_peers"] == pytest.approx(6)
    assert f.evidence["update_ratio"] == pytest.approx(1e-9)
    assert f.evidence["peers_update_ratio"] == pytest.approx(1e-3)
    assert f.threshold["decades_below_peers"] == 3
    assert f.severity is Severity.warning
    (f,) = found("EF301", b.loss(2.3))
    assert f.severity is Severity.error


def test_standing_still_for_another_reason() -> None:
    assert found("EF301", stalled(perceptron(4), "layers.0", 5e-5).loss(1.5)) == []  # slower
    assert found("EF301", stalled(perceptron(4), "layers.0", 5e-9)) == []  # converged
    zero = stalled(perceptron(4), "layers.0", 0.0).loss(1.5)
    zero.set_param("Net.layers.0.weight", "grad", 0.0)
    assert found("EF301", zero) == []  # EF104
    assert found("EF301", decay(perceptron(4, "sigmoid"), -2).loss(2.3)) == []  # EF101
    everything = perceptron(4).loss(2.3).set_params("update", 1e-9)
    assert found("EF301", everything) == []  # no layer apart: EF404
    frozen = perceptron(4).loss(1.5)
    for metric in ("update", "grad"):
        frozen.set_param("Net.layers.0.weight", metric, np.nan)
    assert found("EF301", frozen) == []


# --- EF302 ------------------------------------------------------------------------------------


def test_oversized_updates() -> None:
    b = stalled(perceptron(3), "layers.1", 2.0).loss(np.linspace(2.3, 1.5, 289))
    (f,) = found("EF302", b)
    assert [b.sites[i].path for i in f.sites] == ["layers.1"]
    assert f.evidence["update_ratio"] == pytest.approx(0.4)
    assert f.evidence["readings"] == len(STEPS)
    assert f.evidence["learning_rate"] == pytest.approx(0.1)
    assert (f.threshold, f.cause) == ({"update_ratio": 0.2}, "EF703")
    assert f.severity is Severity.warning


def test_a_single_update_that_replaces_the_weights() -> None:
    b = perceptron(3).loss(2.3).set_params("update", np.where(STEPS == 0, 50.0, 5e-3))
    (f,) = found("EF302", b)
    assert (f.first_step, f.last_step) == (0, 0)
    assert f.evidence["largest_update_ratio"] == pytest.approx(10)
    assert f.severity is Severity.error


def test_large_updates_that_are_no_fault() -> None:
    won = perceptron(3).set_params("update", 2.0)
    assert found("EF302", won) == []
    birth = perceptron(3).loss(1.5).set_params("update", np.where(STEPS < 4, 2.5, 5e-3))
    assert found("EF302", birth) == []
    spike = perceptron(3).loss(1.5).set_params("update", np.where(STEPS == 64, 2.5, 5e-3))
    assert found("EF302", spike) == []
    grown = perceptron(3).loss(1.5)  # a layer that starts at zero must grow first
    grown.set_param("Net.head.weight", "weight", np.where(STEPS == 0, 0.0, 0.01 * (1 + STEPS)))
    grown.set_param("Net.head.weight", "update", 0.05)
    assert found("EF302", grown) == []
