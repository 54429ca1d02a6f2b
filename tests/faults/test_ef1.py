"""EF1, the gradient: sick runs with exact evidence, and twins that only look sick."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from evenflow.faults import REGISTRY, View
from evenflow.schema import Event, Finding, Severity

from .synthetic import BIRTH, Builder, decay, perceptron, steps_until


def found(code: str, b: Builder) -> list[Finding]:
    return list(REGISTRY[code]().check(View(b.run())))


def paths(b: Builder, f: Finding) -> list[str]:
    return [b.sites[i].path for i in f.sites]


def cell(steps: int = 20, per_call: float = 0.0) -> Builder:
    """A recurrent cell over time with one loss at the end; delta changes by decades a call back."""
    b = Builder()
    weight = (b.param("cell.weight", (64, 64)),)
    x = b.input()
    for t in range(steps):
        x = b.site("cell", "linear", "affine", (x,), params=weight, call=t)
        b.set(x, "delta", 1e-3 * 10.0 ** (per_call * (steps - 1 - t)))
    head = b.linear("head", x, 10)
    b.loss_on(head)
    return b


# --- EF101 ------------------------------------------------------------------------------------


def test_vanishing_names_the_layers_nearest_the_data() -> None:
    b = decay(perceptron(5, "sigmoid"), -2).loss(2.3)
    (f,) = found("EF101", b)
    assert f.severity is Severity.error
    assert paths(b, f) == ["layers.0", "layers.1", "layers.2", "layers.3"]
    assert f.evidence["decades"] == pytest.approx(10, abs=0.2)
    assert f.evidence["update_ratio"] == pytest.approx(0.1 * 1e-2 * 1e-10 / 5)
    assert (f.evidence["layers_affected"], f.evidence["layers_still"]) == (4, 4)
    assert f.evidence["layers"] == 6
    assert f.threshold == {"decades": 3.0}
    assert (f.first_step, f.last_step) == (0, 288)


def test_vanishing_that_adam_makes_up_for_is_a_warning() -> None:
    b = decay(perceptron(5, "sigmoid"), -1).optimizer("Adam")
    b.set_params("update", 5e-3)
    b.loss(np.linspace(2.3, 1.5, 289))
    (f,) = found("EF101", b)
    assert f.severity is Severity.warning
    assert f.evidence["layers_still"] == 0
    assert [x.role for x in f.chain] == ["event"]


@pytest.mark.parametrize(
    ("about", "change"),
    [
        ("gradients fade by less than three decades", lambda b: decay(b, -0.5).loss(2.3)),
        ("it has converged", lambda b: decay(b, -2)),
        ("gradients grow towards the data", lambda b: decay(b, 1).loss(2.3)),
        (
            "a blip at birth",
            lambda b: decay(b, -2).loss(2.3).set_all(
                "affine", "delta", np.where(np.array(BIRTH) < 32, 1e-12, 1e-3)
            ).set_params("grad", np.where(np.array(BIRTH) < 32, 1e-12, 1e-2)),
        ),
    ],
)  # fmt: skip
def test_not_vanishing(about: str, change: Callable[[Builder], Builder]) -> None:
    assert found("EF101", change(perceptron(5, "sigmoid"))) == []


def test_gradients_that_underflow_to_zero_have_vanished() -> None:
    b = decay(perceptron(5, "sigmoid"), -9).loss(2.3)
    b.set("layers.0 linear", "delta", 0.0)
    for name in ("Net.layers.0.weight", "Net.layers.0.bias"):
        b.set_param(name, "grad", 0.0).set_param(name, "update", 0.0)
    (f,) = found("EF101", b)
    assert paths(b, f)[0] == "layers.0"
    assert np.isfinite(f.evidence["decades"])
    assert found("EF104", b) == []


def test_cause_of_vanishing_is_told_apart() -> None:
    for act, weights, saturated, cause in (
        (0.1, 1.0, 0.0, "depth-times-activation"),
        (1.0, 0.1, 0.0, "depth-times-weights"),
        (1.0, 0.1, 0.0, "EF601"),
        (0.1, 1.0, 0.9, "EF201"),
    ):
        b = decay(perceptron(5, "tanh"), -1).loss(2.3).set_all("activation", "saturated", saturated)
        if cause == "EF601":
            b.set_params("weight", 0.5)
        for s in b.sites:
            if s.kind in ("affine", "activation") and b.sites[s.inputs[0]].kind != "input":
                b.set(s.id, "delta", 1e-3)
                gain = act if s.kind == "activation" else weights
                b.set_edge(s.id, s.inputs[0], "delta_in", 1e-3 * gain)
        (f,) = found("EF101", b)
        assert f.cause == cause


def test_vanishing_through_time() -> None:
    b = cell(20, -0.5).loss(np.linspace(2.3, 1.2, 289))
    (f,) = found("EF101", b)
    assert f.evidence["decades"] == pytest.approx(9.5)
    assert f.evidence["calls"] == 20
    assert f.cause == "through-time"
    assert f.severity is Severity.warning
    assert b.sites[f.sites[0]].call == 0
    assert found("EF101", cell(20, -0.1).loss(np.linspace(2.3, 1.2, 289))) == []
    assert found("EF101", cell(20, -0.5)) == []  # nothing left to win


def test_a_young_run_is_given_time() -> None:
    deep = perceptron(5, "sigmoid", steps=[0, 1, 2, 4, 8, 16])
    moving = decay(deep, -1).optimizer("Adam").set_params("update", 5e-3).loss(2.3)
    assert found("EF101", moving) == []
    still = decay(perceptron(5, "sigmoid", steps=[0, 1, 2, 4, 8, 16]), -3).loss(2.3)
    (f,) = found("EF101", still)
    assert f.evidence["layers_still"] >= 3


# --- EF102 ------------------------------------------------------------------------------------


def test_exploding_through_depth() -> None:
    b = decay(perceptron(5, "tanh"), 1.2).loss(2.3)
    (f,) = found("EF102", b)
    assert f.severity is Severity.error
    assert paths(b, f) == ["layers.0", "layers.1", "layers.2"]
    assert f.cause == "depth-times-weights"
    assert f.evidence["decades"] == pytest.approx(6, abs=0.5)
    large = decay(perceptron(5, "tanh"), 1.2).loss(2.3).set_params("weight", 500.0)
    assert [g.cause for g in found("EF102", large)] == ["EF602"]
    assert found("EF102", decay(perceptron(5, "tanh"), 0.5).loss(2.3)) == []
    assert found("EF102", decay(perceptron(5, "tanh"), 1)) == []  # no harm done


def test_error_that_the_weights_make_up_for_is_no_explosion() -> None:
    b = decay(perceptron(5, "tanh"), 1).loss(2.3).set_params("grad", 1e-2)
    assert found("EF102", b) == []


def test_exploding_at_once_and_dead_after_a_step() -> None:
    b = decay(perceptron(5, "relu"), 1).set_params("grad", 500.0)
    loss = np.full(289, np.nan)
    loss[0] = 1e6
    (f,) = found("EF102", b.loss(loss))
    assert (f.first_step, f.severity) == (0, Severity.error)


def test_exploding_through_time() -> None:
    (f,) = found("EF102", cell(20, 0.3).loss(2.3))
    assert f.evidence["decades"] == pytest.approx(5.7)
    assert f.cause == "through-time"
    assert found("EF102", cell(20, 0.1).loss(2.3)) == []


def test_a_jump_of_the_gradient() -> None:
    jump = np.where(np.array(BIRTH) == 96, 200.0, 0.1)
    b = perceptron(3).set_step("grad_norm", jump)
    (f,) = found("EF102", b)
    assert f.severity is Severity.warning  # the loss came down all the same
    assert f.evidence["decades"] == pytest.approx(np.log10(2000))
    assert (f.first_step, f.last_step) == (96, 96)
    (f,) = found("EF102", perceptron(3).set_step("grad_norm", jump).loss(2.3))
    assert f.severity is Severity.error
    assert found("EF102", perceptron(3).set_step("grad_norm", np.sqrt(jump))) == []


# --- EF103 ------------------------------------------------------------------------------------


def after(step: int, value: float, before: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
    return np.where(np.array(BIRTH) >= step, value, before)


def test_non_finite_names_the_first_site_in_forward_order() -> None:
    b = perceptron(3)
    for site in ("layers.1 relu", "layers.2 linear", "layers.2 relu", "head linear"):
        b.set(site, "nonfinite", after(96, 64.0))
    loss = b.curve_loss.copy()
    loss[90:] = np.nan
    (f,) = found("EF103", b.loss(loss))
    assert [b.sites[i].op for i in f.sites] == ["relu"]
    assert paths(b, f) == ["layers.1"]
    assert (f.first_step, f.last_step) == (90, 288)
    assert (f.evidence["nonfinite"], f.evidence["forward"]) == (64, 1)
    assert f.severity is Severity.error


def test_non_finite_in_the_backward() -> None:
    b = perceptron(3)
    for site in ("layers.1 linear", "layers.0 relu", "layers.0 linear"):
        b.set(site, "delta_nonfinite", after(96, 5.0))
    (f,) = found("EF103", b)
    assert paths(b, f) == ["layers.1"]
    assert (f.evidence["nonfinite"], f.evidence["forward"]) == (5, 0)


def test_non_finite_from_the_data_and_from_the_guard() -> None:
    b = perceptron(3)
    for s in b.sites[:-1]:
        b.set(s.id, "nonfinite", after(96, 1.0))
    (f,) = found("EF103", b)
    assert f.cause == "EF503"
    b = perceptron(3)
    b.events.append(Event("nonfinite", 50, {"site": 3}))
    (f,) = found("EF103", b)
    assert f.sites == (3,)
    assert (f.first_step, f.severity) == (50, Severity.warning)


def test_a_mask_of_infinity_and_a_scaler_in_search_are_no_fault() -> None:
    masked = perceptron(3)
    masked.set("layers.1 linear", "nonfinite", 12.0)
    assert found("EF103", masked) == []
    scaled = perceptron(3).set_step("scale", 65536.0)
    scaled.set_all("affine", "delta_nonfinite", np.where(np.array(BIRTH) < 4, 3.0, 0.0))
    assert found("EF103", scaled) == []


# --- EF104 ------------------------------------------------------------------------------------


def zero(b: Builder, *paths: str, weight: float | None = None) -> Builder:
    for path in paths:
        for p in (f"Net.{path}.weight", f"Net.{path}.bias"):
            b.set_param(p, "grad", 0.0).set_param(p, "update", 0.0)
            if weight is not None:
                b.set_param(p, "weight", weight)
        b.set(f"{path} linear", "delta", 0.0).set(f"{path} linear", "delta_zeros", 1.0)
    return b


def test_zero_gradient_of_a_zero_start() -> None:
    b = zero(perceptron(3), "layers.0", "layers.1", "layers.2", "head", weight=0.0).loss(2.3)
    (f,) = found("EF104", b)
    assert f.cause == "zero-init"
    assert paths(b, f) == ["layers.0", "layers.1", "layers.2", "head"]
    assert (f.evidence["gradient"], f.threshold["gradient"]) == (0, 0)
    assert (f.evidence["layers_affected"], f.evidence["readings"]) == (4, len(BIRTH))
    assert found("EF101", b) == []


def test_zero_gradient_of_a_softmax_over_one_unit() -> None:
    b = Builder()
    x = b.act("layers.0", b.linear("layers.0", b.input(), 64))
    x = b.site("", "softmax", "softmax", (b.linear("head", x, 1),), shape=(32, 1))
    b.loss_on(x, "binary_cross_entropy", (32, 1))
    (f,) = found("EF104", zero(b, "layers.0", "head").loss(20.0))
    assert f.cause == "EF701"


def test_zero_gradient_behind_dead_units() -> None:
    b = zero(perceptron(3), "layers.0", "layers.1").loss(2.3)
    b.set("layers.1 relu", "dead", 1.0).set("layers.1 relu", "zeros", 1.0)
    (f,) = found("EF104", b)
    assert f.cause == "EF202"


def test_a_gradient_that_was_zero_for_a_while_or_is_won() -> None:
    b = perceptron(3).loss(2.3)
    b.set_param("Net.layers.0.weight", "grad", np.where(np.array(BIRTH) < 64, 0.0, 1e-2))
    assert found("EF104", b) == []
    assert found("EF104", zero(perceptron(3), "layers.0")) == []  # the loss is won


# --- EF105 ------------------------------------------------------------------------------------


def half(b: Builder, dtype: str = "float16") -> Builder:
    from dataclasses import replace

    b.sites = [s if s.kind in ("loss", "input") else replace(s, dtype=dtype) for s in b.sites]
    return b


def test_underflow_in_half_precision() -> None:
    b = half(perceptron(3)).loss(2.3).set_all("affine", "delta_subnormal", 0.9)
    (f,) = found("EF105", b)
    assert f.cause == "dtype"
    assert f.severity is Severity.error
    assert (f.evidence["underflow_share"], f.evidence["bits"]) == (0.9, 16)
    assert f.evidence["sites_affected"] == 4
    mild = half(perceptron(3)).loss(1.5).set_all("affine", "delta_subnormal", 0.42)
    assert found("EF105", mild) == []


def test_all_of_it_has_underflowed() -> None:
    b = half(perceptron(3)).loss(2.3)
    for s in b.sites:
        if s.kind in ("affine", "activation"):
            b.set(s.id, "delta_zeros", 1.0).set(s.id, "delta", 0.0)
    b.set("cross_entropy", "delta", 1.0)
    (f,) = found("EF105", b)
    assert f.evidence["underflow_share"] == 1
    dead = half(perceptron(3)).loss(2.3).set("layers.0 linear", "delta_zeros", 1.0)
    assert found("EF105", dead) == []  # zeros that were never seen to shrink


def test_subnormal_float32_is_told_as_a_consequence() -> None:
    b = perceptron(3, steps=steps_until(20)).loss(2.3)
    b.set("layers.0 linear", "delta_subnormal", 1.0)
    (f,) = found("EF105", b)
    assert f.cause == "EF101"
    assert f.evidence["bits"] == 32
