"""EF2, activations: sick runs with exact evidence, and twins that only look sick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evenflow.faults import REGISTRY, View
from evenflow.schema import Finding, Severity

from .synthetic import BIRTH, Builder, perceptron

STEPS = np.array(BIRTH)


def found(code: str, b: Builder) -> list[Finding]:
    return list(REGISTRY[code]().check(View(b.run())))


def paths(b: Builder, f: Finding) -> list[str]:
    return [b.sites[i].path for i in f.sites]


# --- EF201 ------------------------------------------------------------------------------------


def test_saturated_from_birth() -> None:
    b = perceptron(3, "tanh").loss(2.3)
    b.set("layers.1 tanh", "saturated", 0.9).set("layers.2 tanh", "saturated", 0.6)
    b.set("layers.1 linear", "rms", 16.0)
    (f,) = found("EF201", b)
    assert paths(b, f) == ["layers.1", "layers.2"]
    assert (f.evidence["saturated"], f.evidence["rms"]) == (0.9, 16)
    assert f.threshold == {"saturated": 0.5}
    assert f.severity is Severity.error
    assert f.cause == ""  # the weights are a default start's
    (f,) = found("EF201", b.set_params("weight", 500.0))
    assert f.cause == "EF602"


def test_saturated_by_the_size_of_the_data() -> None:
    b = perceptron(2, "sigmoid").loss(2.3).set("layers.0 sigmoid", "saturated", 0.95)
    (f,) = found("EF201", b.set("input", "rms", 200.0))
    assert f.cause == "EF501"


def test_saturated_later_by_the_updates() -> None:
    b = perceptron(2, "tanh").loss(2.3)
    b.set("layers.0 tanh", "saturated", np.where(STEPS >= 32, 0.9, 0.0))
    b.set_params("update", np.where(STEPS == 32, 5.0, 5e-3))
    (f,) = found("EF201", b)
    assert (f.first_step, f.cause) == (32, "EF703")


def test_saturation_that_is_no_fault() -> None:
    learned = perceptron(3, "tanh").loss(1.0)
    learned.set("layers.0 tanh", "saturated", np.linspace(0, 0.63, len(STEPS)))
    assert found("EF201", learned) == []
    won = perceptron(3, "tanh").set_all("activation", "saturated", 0.9)
    assert found("EF201", won) == []
    answer = Builder()
    x = answer.act("head", answer.linear("head", answer.input(), 10), "sigmoid")
    answer.loss_on(x, "binary_cross_entropy", (32, 10))
    answer.set("head sigmoid", "saturated", 0.99).loss(0.6)
    assert found("EF201", answer) == []
    blip = perceptron(3, "tanh").loss(2.3)
    blip.set_all("activation", "saturated", np.where(STEPS < 8, 0.9, 0.1))
    assert found("EF201", blip) == []


def test_a_head_that_learns_alone_on_saturated_features() -> None:
    def net(share: float | np.ndarray, update: float) -> Builder:
        b = perceptron(2, "tanh").set("layers.0 tanh", "saturated", share)
        return b.set_param("Net.layers.0.weight", "update", update)

    assert View(net(0.9, 1e-4).run()).loss.left < 0.3  # the loss falls all the same
    (f,) = found("EF201", net(0.9, 1e-4))
    assert f.severity is Severity.warning
    assert f.threshold == {"saturated": 0.8}
    assert found("EF201", net(0.9, 0.0)), "100 % saturated: nothing gets through at all"
    assert found("EF201", net(0.7, 1e-4)) == []  # partly
    assert found("EF201", net(0.9, 4e-3)) == []  # it moves as the others do
    late = np.where(STEPS >= 64, 0.95, 0.1)
    assert found("EF201", net(late, 1e-4)) == []  # confident once it had learned
    meant = net(0.9, 0.0)
    meant.params = [replace(p, trainable="head" in p.name) for p in meant.params]
    assert found("EF201", meant) == []


# --- EF202 ------------------------------------------------------------------------------------


def dead(b: Builder, path: str, share: float, zeros: float | None = None) -> Builder:
    b.set(f"{path} relu", "dead", share)
    return b.set(f"{path} relu", "zeros", share if zeros is None else zeros)


def test_dead_units() -> None:
    b = dead(perceptron(3), "layers.1", 0.95).loss(2.3)
    (f,) = found("EF202", b)
    assert paths(b, f) == ["layers.1"]
    assert f.severity is Severity.error
    assert (f.evidence["dead"], f.evidence["batches"], f.evidence["zeros"]) == (0.95, 64, 0.95)
    assert f.threshold == {"dead": 0.5}
    (f,) = found("EF202", dead(perceptron(3), "layers.1", 0.6))
    assert f.severity is Severity.warning


def test_the_layer_that_is_off_comes_before_those_it_cuts_off() -> None:
    b = dead(perceptron(3), "layers.2", 1.0).loss(2.3)
    dead(b, "layers.0", 1.0, zeros=0.5)  # no gradient reaches it, but it is alive
    dead(b, "layers.1", 1.0, zeros=0.5)
    (f,) = found("EF202", b)
    assert paths(b, f) == ["layers.2"]


def test_negative_bias_is_told_apart_from_the_rate() -> None:
    born = dead(perceptron(2), "layers.0", 1.0).loss(2.3)
    born.set("layers.0 linear", "mean", -4.0).set("layers.0 linear", "rms", 4.2)
    (f,) = found("EF202", born)
    assert f.cause == "negative-bias"
    killed = perceptron(2).loss(2.3)
    killed.set("layers.0 relu", "dead", np.where(STEPS >= 32, 1.0, 0.0))
    killed.set("layers.0 relu", "zeros", np.where(STEPS >= 32, 1.0, 0.5))
    killed.set_params("update", np.where(STEPS == 32, 5.0, 5e-3))
    (f,) = found("EF202", killed)
    assert (f.cause, f.first_step) == ("EF703", 32)


def test_a_layer_that_is_off_as_a_whole_needs_no_window() -> None:
    b = perceptron(3).loss(2.3)  # alive at first, so the window still remembers it
    b.set("layers.1 relu", "zeros", np.where(STEPS >= 64, 1.0, 0.5))
    (f,) = found("EF202", b)
    assert (paths(b, f), f.first_step, f.evidence["dead"]) == (["layers.1"], 64, 1)


def test_zeros_and_short_windows_are_not_death() -> None:
    assert found("EF202", perceptron(3).set_all("activation", "zeros", 0.9)) == []
    few = dead(perceptron(3), "layers.1", 1.0, zeros=0.9).set_all("activation", "observed", 3.0)
    assert found("EF202", few) == []
    assert found("EF202", dead(perceptron(3), "layers.1", 0.3)) == []


# --- EF203 ------------------------------------------------------------------------------------


def test_paralysed() -> None:
    b = perceptron(2, "sigmoid").loss(2.3).set("layers.0 sigmoid", "saturated", 0.97)
    b.set_param("Net.layers.0.weight", "update", 5e-4)
    b.set_param("Net.layers.0.bias", "update", 5e-2)
    (f,) = found("EF203", b)
    assert paths(b, f) == ["layers.0"]
    assert f.params == ("Net.layers.0.weight",)
    assert f.evidence["update_ratio"] == pytest.approx(1e-4)
    assert f.threshold["update_ratio"] == pytest.approx(0.1 / 288)
    assert f.cause == "EF201"
    assert [x.what for x in f.chain] == ["EF201", "EF203", "frozen"]


def test_saturated_but_on_the_move_is_not_paralysed() -> None:
    b = perceptron(2, "sigmoid").loss(2.3).set("layers.0 sigmoid", "saturated", 0.97)
    assert found("EF203", b) == []
    still = perceptron(2, "sigmoid").loss(2.3).set_params("update", 1e-6)
    assert found("EF203", still) == []


# --- EF204 ------------------------------------------------------------------------------------


def transformer() -> Builder:
    b = Builder()
    x = b.linear("embed", b.input((8, 16, 64)))
    for i in range(2):
        a = b.site(f"blocks.{i}", "attention", "attention", (x,), shape=(8, 16, 64))
        b.set(a, "entropy", 0.8).set(a, "entropy_min", 0.3).set(a, "logit_max", 5.0)
        x = b.linear(f"blocks.{i}.out", a)
    loss = b.loss_on(b.linear("head", x, 10), target_shape=(128,))
    b.sites[loss] = replace(b.sites[loss], takes=((128, 10), (128,)))
    return b


def test_attention_collapse() -> None:
    b = transformer().loss(1.5).set("blocks.1 attention", "entropy", 0.02)
    b.set("blocks.1 attention", "logit_max", 300.0)
    (f,) = found("EF204", b)
    assert paths(b, f) == ["blocks.1"]
    assert (f.evidence["entropy"], f.evidence["score"]) == (0.02, 300)
    assert (f.evidence["sites_affected"], f.evidence["attentions"]) == (1, 2)
    assert f.cause == ""
    assert f.severity is Severity.warning
    (f,) = found("EF204", b.set_params("weight", 500.0))
    assert f.cause == "EF602"


def test_dear_readings_are_enough_when_few() -> None:
    b = (
        transformer()
        .loss(2.3)
        .set_all("attention", "entropy", np.where(np.isin(STEPS, (0, 64, 256)), 0.02, np.nan))
    )
    b.set_all("attention", "logit_max", np.where(np.isin(STEPS, (0, 64, 256)), 99.0, np.nan))
    (f,) = found("EF204", b)
    assert f.severity is Severity.error


def test_attention_that_is_merely_sharp() -> None:
    assert found("EF204", transformer().loss(1.5).set_all("attention", "entropy_min", 0.0)) == []
    small = transformer().loss(1.5).set_all("attention", "entropy", 0.1)
    assert found("EF204", small) == []  # scores that small can change their mind
    b = perceptron(2).loss(1.5)
    answer = b.site("", "softmax", "softmax", (b.id("head linear"),), shape=(32, 10))
    b.set(answer, "entropy", 0.01).set(answer, "logit_max", 50.0)
    assert found("EF204", b) == []  # a sharp answer


# --- EF205 ------------------------------------------------------------------------------------


def test_signal_collapse() -> None:
    b = perceptron(6).loss(2.3).set("input", "spread", 0.5)
    b.set("layers.3 relu", "spread", 1e-4).set("layers.4 linear", "spread", 1e-6)
    (f,) = found("EF205", b)
    assert paths(b, f) == ["layers.3", "layers.4"]
    assert f.evidence["spread_left"] == pytest.approx(2e-4)
    assert f.evidence["least_spread"] == pytest.approx(1e-6)
    assert f.severity is Severity.error
    assert f.threshold == {"spread_left": 0.01}


def test_signal_collapse_of_a_net_that_learns_somewhat() -> None:
    b = perceptron(6).loss(1.5).set("layers.3 relu", "spread", 1e-4)
    (f,) = found("EF205", b)
    assert f.severity is Severity.warning
    assert f.threshold == {"spread_left": 0.001}
    assert found("EF205", perceptron(6).loss(1.5).set("layers.3 relu", "spread", 5e-3)) == []


def test_alike_but_learning_or_dead_is_no_signal_collapse() -> None:
    assert found("EF205", perceptron(6).set_all("activation", "spread", 1e-4)) == []
    off = perceptron(6).loss(2.3).set("layers.3 relu", "spread", 0.0).set("layers.3 relu", "rms", 0)
    assert found("EF205", off) == []
    data_alike = perceptron(6).loss(2.3).set("input", "spread", 1e-3)
    data_alike.set_all("activation", "spread", 1e-3).set_all("affine", "spread", 1e-3)
    assert found("EF205", data_alike) == []


# --- EF206 ------------------------------------------------------------------------------------


def test_activations_that_grow_with_depth() -> None:
    b = perceptron(4).loss(2.3)
    for i, size in enumerate((10.0, 100.0, 1e3, 1e4)):
        b.set(f"layers.{i} linear", "rms", size).set(f"layers.{i} relu", "rms", size)
    (f,) = found("EF206", b)
    assert paths(b, f)[0] == "layers.1"
    assert f.evidence["decades"] == pytest.approx(4)
    assert f.evidence["decades_over_time"] == pytest.approx(0)
    assert (f.cause, f.severity) == ("", Severity.error)
    (f,) = found("EF206", b.set_params("weight", 500.0))
    assert (f.cause, f.severity) == ("EF602", Severity.error)


def test_activations_that_grow_over_time() -> None:
    b = perceptron(4).loss(np.linspace(2.3, 1.0, 289))
    b.set("layers.2 linear", "rms", np.where(STEPS >= 64, 200.0, 1.0))
    (f,) = found("EF206", b)
    assert (f.first_step, f.severity, f.cause) == (64, Severity.warning, "EF703")
    assert f.evidence["decades_over_time"] == pytest.approx(np.log10(200))


def test_activations_near_overflow_of_half_precision() -> None:
    b = perceptron(2)
    b.set("layers.1 linear", "absmax", 20_000.0)
    assert found("EF206", b) == []
    b.sites = [replace(s, dtype="float16") for s in b.sites]
    (f,) = found("EF206", b)
    assert paths(b, f) == ["layers.1"]


def test_size_that_is_no_fault() -> None:
    assert found("EF206", perceptron(3).set_all("affine", "rms", 50.0).loss(2.3)) == []
    scaled = perceptron(3).set("input", "rms", 300.0).set("layers.0 linear", "rms", 2e3)
    assert found("EF206", scaled.loss(2.3)) == []  # the data's own size
    answer = perceptron(3, loss="mse_loss").set("head linear", "rms", 500.0)
    assert found("EF206", answer.loss(1.0)) == []  # as large as the target
