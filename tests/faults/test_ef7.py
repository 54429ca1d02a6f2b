"""Rules of the set-up: each with sick runs and healthy twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evenflow.faults.ef701_double_softmax import DoubleSoftmax
from evenflow.faults.ef702_missing_nonlinearity import MissingNonlinearity
from evenflow.faults.ef703_learning_rate_too_high import LearningRateTooHigh
from evenflow.faults.ef704_parameter_not_trained import ParameterNotTrained
from evenflow.faults.ef807_out_of_reach import OutOfReach
from evenflow.faults.view import View
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron

STEPS = np.arange(289)


def found(rule: type, b: Builder) -> list[Finding]:
    return list(rule().check(View(b.run())))


def ending(op: str, kind: str, loss: str, *, out: int = 10, **readings: float) -> Builder:
    """A perceptron whose head goes through `op` into `loss`."""
    b = Builder()
    x = b.linear("head", b.act("a", b.linear("layers.0", b.input())), out)
    if op:
        x = b.site("end", op, kind, (x,), shape=(32, out))
    for metric, value in readings.items():
        b.set(x, metric, value)
    whole = loss in ("cross_entropy", "nll_loss")
    b.loss_on(x, loss, (32,) if whole else (32, out))
    return b.set("target", "absmax", 1.0)


# --- EF701 --------------------------------------------------------------------------------------

WRONG = [
    ("softmax", "softmax", "cross_entropy", Severity.error),
    ("sigmoid", "activation", "cross_entropy", Severity.error),
    ("relu", "activation", "cross_entropy", Severity.warning),
    ("tanh", "activation", "cross_entropy", Severity.warning),
    ("log_softmax", "softmax", "cross_entropy", Severity.info),
    ("sigmoid", "activation", "binary_cross_entropy_with_logits", Severity.error),
    ("softmax", "softmax", "binary_cross_entropy_with_logits", Severity.error),
    ("relu", "activation", "binary_cross_entropy_with_logits", Severity.warning),
    ("softmax", "softmax", "nll_loss", Severity.error),
    ("", "", "nll_loss", Severity.error),
]


@pytest.mark.parametrize(("op", "kind", "loss", "severity"), WRONG)
def test_outputs_that_do_not_fit_their_loss(
    op: str, kind: str, loss: str, severity: Severity
) -> None:
    b = ending(op, kind, loss)
    if op == "log_softmax":
        b.set("end log_softmax", "negative", 1.0)
    (f,) = found(DoubleSoftmax, b)
    assert f.severity == severity
    assert b.sites[f.sites[0]].path == ("end" if op else "head")
    assert b.sites[f.sites[1]].op == loss


RIGHT = [
    ("", "", "cross_entropy", {"row_sum": 0.3, "negative": 0.5}),
    ("", "", "binary_cross_entropy_with_logits", {}),
    ("sigmoid", "activation", "binary_cross_entropy", {"negative": 0.0}),
    ("log_softmax", "softmax", "nll_loss", {"negative": 1.0, "row_sum": -25.0}),
    ("log", "other", "nll_loss", {"negative": 1.0}),
    ("softmax", "softmax", "mse_loss", {"negative": 0.0, "row_sum": 1.0}),
    ("", "", "mse_loss", {}),
    ("mul", "join", "cross_entropy", {"negative": 0.5, "row_sum": 0.1}),
]


@pytest.mark.parametrize(("op", "kind", "loss", "readings"), RIGHT)
def test_outputs_that_fit_their_loss(
    op: str, kind: str, loss: str, readings: dict[str, float]
) -> None:
    assert found(DoubleSoftmax, ending(op, kind, loss, **readings)) == []


def test_probabilities_made_by_hand_are_known_by_their_values() -> None:
    b = ending("div", "join", "cross_entropy", row_sum=1.0, negative=0.0)
    (f,) = found(DoubleSoftmax, b)
    assert f.evidence == {"row_sum": 1.0, "negative": 0.0}
    assert found(DoubleSoftmax, b.set("end div", "negative", 0.01)) == []


def test_softmax_over_one_unit() -> None:
    for loss in ("binary_cross_entropy", "mse_loss", "cross_entropy"):
        (f,) = found(DoubleSoftmax, ending("softmax", "softmax", loss, out=1))
        assert f.severity == Severity.error and f.evidence["units"] == 1
    (f,) = found(DoubleSoftmax, ending("", "", "cross_entropy", out=1))
    assert f.evidence["units"] == 1


def test_attention_in_the_middle_and_dropout_at_the_end() -> None:
    b = Builder()
    scores = b.linear("scores", b.input())
    x = b.site("", "softmax", "softmax", (scores,))
    x = b.linear("head", b.site("", "matmul", "matmul", (x, scores)), 10)
    b.loss_on(b.site("drop", "dropout", "dropout", (x,), shape=(32, 10)))
    assert found(DoubleSoftmax, b) == []
    b = Builder()
    x = b.site("", "softmax", "softmax", (b.linear("head", b.input(), 10),), shape=(32, 10))
    b.loss_on(b.site("drop", "dropout", "dropout", (x,), shape=(32, 10)))
    (f,) = found(DoubleSoftmax, b)
    assert b.sites[f.sites[0]].op == "softmax"


def test_a_loss_called_many_times_is_told_once() -> None:
    b = ending("softmax", "softmax", "cross_entropy")
    b.loss_on(b.id("end softmax"))
    assert len(found(DoubleSoftmax, b)) == 1


def test_targets_out_of_reach_of_the_last_activation() -> None:
    far = ending("sigmoid", "activation", "mse_loss")
    far.set("target", "mean", 3.0).set("target", "negative", 0.0)
    (f,) = found(DoubleSoftmax, far)
    assert f.severity == Severity.error  # it lies out of reach as a whole
    high = ending("sigmoid", "activation", "mse_loss").set("target", "absmax", 3.0)
    (f,) = found(DoubleSoftmax, high.set("target", "negative", 0.0))
    assert f.threshold == {"target_absmax": 1.0}
    below = ending("sigmoid", "activation", "mse_loss").set("target", "negative", 0.6)
    assert len(found(DoubleSoftmax, below)) == 1
    unit = ending("sigmoid", "activation", "mse_loss").set("target", "negative", 0.0)
    assert found(DoubleSoftmax, unit.set("target", "mean", 0.5).set("target", "std", 0.3)) == []
    scores = ending("relu", "activation", "mse_loss")
    scores.set("target", "negative", 0.0).set("target", "mean", 50.0)
    assert found(DoubleSoftmax, scores) == []


def test_binary_targets_above_one() -> None:
    b = ending("sigmoid", "activation", "binary_cross_entropy").set("target", "absmax", 255.0)
    (f,) = found(DoubleSoftmax, b)
    assert b.sites[f.sites[0]].op == "target"
    assert found(DoubleSoftmax, b.set("target", "absmax", 1.0)) == []


# --- EF702 --------------------------------------------------------------------------------------


def stack(*parts: str | int, conv: bool = False) -> Builder:
    """Layers by width, ops between them by name: stack(64, "relu", 64, 10)."""
    kinds = {"batch_norm": "norm", "layer_norm": "norm", "dropout": "dropout", "relu": "activation"}
    b = Builder()
    x = b.input()
    for i, part in enumerate(parts):
        if isinstance(part, int):
            x = b.linear(f"layers.{i}", x, part)
        else:
            shape = b.sites[x].shape
            x = b.site(f"layers.{i}", part, kinds.get(part, "other"), (x,), shape=shape)
    b.loss_on(x)
    return b


@pytest.mark.parametrize(
    "parts",
    [
        (64, 64, 10),
        (64, "dropout", 64, 10),
        (64, "batch_norm", 64, 10),
        (64, "layer_norm", 64, "layer_norm", 10),
        (64, 10),
        (64, "relu", 64, 64, 64, 10),
    ],
)
def test_layers_that_act_as_one(parts: tuple[str | int, ...]) -> None:
    (f,) = found(MissingNonlinearity, stack(*parts))
    assert f.severity == Severity.warning
    assert f.evidence["pairs"] >= 1


@pytest.mark.parametrize(
    "parts",
    [
        (10,),  # linear regression
        (64, "relu", 64, "relu", 10),
        (64, "relu", "dropout", 10),
        (4, 64),  # a bottleneck: principal components
        (64, "layer_norm", 64, "relu", 10),
        (64, "sin", 64, "abs", 10),
    ],
)
def test_layers_with_something_between_them(parts: tuple[str | int, ...]) -> None:
    assert found(MissingNonlinearity, stack(*parts)) == []


def test_one_pair_beside_activations_is_info() -> None:
    (f,) = found(MissingNonlinearity, stack(64, "relu", 64, 10))
    assert f.severity == Severity.info


def test_low_rank_pairs_are_meant() -> None:
    assert found(MissingNonlinearity, stack(64, "relu", 4, 64, "relu", 4, 64, "relu", 10)) == []


def test_a_residual_stream_is_no_stack() -> None:
    b = Builder()
    x = b.linear("embed", b.input())
    for i in range(3):
        f = b.linear(f"b{i}.down", b.act(f"b{i}", b.linear(f"b{i}.up", x)))
        x = b.site(f"b{i}", "add", "join", (x, f))
    b.loss_on(b.linear("head", x, 10))
    assert found(MissingNonlinearity, b) == []


def test_gates_and_attention_are_no_stack() -> None:
    b = Builder()
    x = b.input()
    q, k, v = (b.linear(n, x) for n in "qkv")
    x = b.site("", "scaled_dot_product_attention", "attention", (q, k, v), shape=(32, 64))
    x = b.linear("out", x)
    gated = b.site("", "mul", "join", (b.linear("gate", x), b.linear("value", x)), shape=(32, 64))
    b.loss_on(b.linear("head", gated, 10))
    assert found(MissingNonlinearity, b) == []


def conv(b: Builder, path: str, x: int, shape: tuple[int, ...], out: tuple[int, ...]) -> int:
    name = b.param(f"{path}.weight", shape)
    return b.site(path, "conv2d", "affine", (x,), shape=out, params=(name,))


def test_separable_convolutions_are_meant_and_plain_ones_are_not() -> None:
    b = Builder()
    x = b.input((32, 16, 8, 8))
    x = conv(b, "depthwise", x, (16, 1, 3, 3), (32, 16, 8, 8))
    x = conv(b, "pointwise", x, (32, 16, 1, 1), (32, 32, 8, 8))
    x = b.act("a", x)
    x = conv(b, "row", x, (32, 32, 1, 5), (32, 32, 8, 8))
    x = conv(b, "column", x, (32, 32, 5, 1), (32, 32, 8, 8))
    b.loss_on(b.act("b", x))
    assert found(MissingNonlinearity, b) == []
    b = Builder()
    x = conv(b, "a", b.input((32, 16, 8, 8)), (16, 16, 3, 3), (32, 16, 8, 8))
    x = conv(b, "b", x, (16, 16, 3, 3), (32, 16, 8, 8))
    b.loss_on(b.act("c", x))
    assert len(found(MissingNonlinearity, b)) == 1


def test_a_sigmoid_at_the_output_is_no_non_linearity_of_the_network() -> None:
    b = Builder()
    x = b.linear("head", b.linear("layers.0", b.input()), 64)
    b.loss_on(b.act("end", x, "sigmoid"), "binary_cross_entropy", (32, 64))
    (f,) = found(MissingNonlinearity, b)
    assert f.severity == Severity.warning and f.evidence["whole_network"] == 1


# --- EF703 --------------------------------------------------------------------------------------


def wild(b: Builder, ratio: float, until: int = 10**9) -> Builder:
    return b.set_params("update", np.where(b.steps <= until, 5.0 * ratio, 5e-3))


def test_wild_updates_and_a_climb() -> None:
    b = wild(perceptron(), 2.0, until=2)
    y = np.full(289, 2.4)
    y[1:12] = 900.0
    (f,) = found(LearningRateTooHigh, b.loss(y))
    assert f.severity == Severity.error
    assert f.first_step == 0
    assert f.evidence["update_ratio"] == pytest.approx(2.0)
    assert f.evidence["loss_climb"] == pytest.approx(900 / 2.4)
    assert [x.role for x in f.chain] == ["cause", "event"]


def test_a_rate_that_was_raised_between_readings() -> None:
    """Another optimizer at step 70, seen at step 91: the loss was thrown up in between, and is down
    on a plateau by then. Without another rate such a climb has another cause."""
    steps = np.array([0, 1, 2, 4, 8, 16, 32, 64, 91, 92, 93])
    b = perceptron(steps=steps)
    y = np.full(94, 0.2)
    y[0], y[70:75], y[75:] = 2.3, 9.0, 1.8
    b.loss(y).set_params("update", np.where(steps == 91, 5.0 * 0.8, 5e-3))
    assert found(LearningRateTooHigh, b) == []
    b.set_step("lr", np.where(steps < 70, 1e-3, 0.3))
    (f,) = found(LearningRateTooHigh, b)
    assert (f.severity, f.first_step) == (Severity.error, 70)
    assert f.evidence["loss_climb"] == pytest.approx(9.0 / 2.3)


def test_large_updates_that_do_no_harm_are_fine() -> None:
    assert found(LearningRateTooHigh, wild(perceptron(), 0.14, until=8)) == []
    assert found(LearningRateTooHigh, wild(perceptron(), 2.0, until=2)) == []


def test_harm_without_large_updates_has_another_cause() -> None:
    assert found(LearningRateTooHigh, perceptron().loss(2.3)) == []
    assert found(LearningRateTooHigh, perceptron().loss(2.3 * np.exp(STEPS / 50))) == []


def test_updates_that_stay_large_and_leave_half_of_the_loss() -> None:
    y = 1.6 + 0.7 * np.exp(-STEPS / 20)
    (f,) = found(LearningRateTooHigh, wild(perceptron(), 0.2).loss(y))
    assert f.threshold["update_ratio"] == pytest.approx(0.1)
    # a word model at its usual rate: large at first, small afterwards, most of ln V still to win
    assert found(LearningRateTooHigh, wild(perceptron(), 0.2, until=8).loss(y)) == []


def test_the_way_into_nan() -> None:
    b = wild(perceptron(steps=[0, 1, 2, 4, 8]), 50.0)
    b.loss([2.3, 50, 1e6, 1e19, *[np.nan] * 5])
    (f,) = found(LearningRateTooHigh, b)
    assert f.chain[-1].what == "non-finite" and f.chain[-1].step == 4


def test_layers_that_start_at_zero_are_left_out() -> None:
    """Relative to (almost) nothing every update is large."""
    b = perceptron(1).loss(2.3)
    first = np.where(b.steps == 0, np.nan, np.where(b.steps <= 64, 5.0, 0.01))
    b.set_params("update", first)
    b.set_params("weight", np.where(b.steps == 0, 0.0, 5.0))
    assert found(LearningRateTooHigh, b) == []


# --- EF704 --------------------------------------------------------------------------------------


def leave_out(b: Builder, *names: str) -> Builder:
    b.params = [replace(p, optimizer=-1) if p.name in names else p for p in b.params]
    for name in names:
        b.set_param(name, "update", 0.0)
    return b


def test_a_layer_no_optimizer_holds() -> None:
    names = ("Net.layers.1.weight", "Net.layers.1.bias")
    b = leave_out(perceptron(4), *names)
    (f,) = found(ParameterNotTrained, b)
    assert f.severity == Severity.warning
    assert f.params == names
    assert [b.sites[i].path for i in f.sites] == ["layers.1"]
    assert 0 < f.evidence["share_of_weights"] < 0.5


def test_most_of_the_network_left_out_is_an_error() -> None:
    names = [f"Net.layers.{i}.{k}" for i in range(3) for k in ("weight", "bias")]
    (f,) = found(ParameterNotTrained, leave_out(perceptron(3), *names))
    assert f.severity == Severity.error


def test_frozen_parameters_are_meant() -> None:
    b = leave_out(perceptron(4), "Net.layers.1.weight")
    b.params = [replace(p, trainable=p.optimizer >= 0) for p in b.params]
    assert found(ParameterNotTrained, b) == []


def test_parameters_updated_by_hand_are_trained() -> None:
    b = leave_out(perceptron(4), "Net.layers.1.weight")
    b.set_param("Net.layers.1.weight", "weight", np.linspace(5.0, 6.0, len(b.steps)))
    assert found(ParameterNotTrained, b) == []


def test_no_optimizer_at_all_is_a_script_that_updates_by_hand() -> None:
    b = perceptron(2)
    assert found(ParameterNotTrained, leave_out(b, *(p.name for p in b.params))) == []


def test_a_whole_network_left_out_may_be_a_judge() -> None:
    """A perceptual loss: another root, held by no optimizer."""
    b = perceptron(1)
    root, b.root = b.root, "VGG"
    judged = b.linear("features", b.id("head linear"))
    b.root = root
    b.loss_on(judged, "mse_loss", (32, 64))
    (f,) = found(ParameterNotTrained, leave_out(b, "VGG.features.weight", "VGG.features.bias"))
    assert f.severity == Severity.info


def apart() -> Builder:
    """An encoder and a decoder, each a root with an optimizer of its own, that take turns."""
    b = Builder(root="Encoder")
    code = b.linear("code", b.act("", b.linear("in", b.input())), 8)
    b.root = "Decoder"
    b.loss_on(b.linear("out", code), "mse_loss", (32, 64))
    b.params = [replace(p, optimizer=int("Decoder" in p.name)) for p in b.params]
    b.meta["optimizers"] = [{"class": "Adam", "lr": 1e-3, "params": 2} for _ in range(2)]
    b.set_step("optimizer", np.arange(len(b.steps)) % 2)
    assert found(ParameterNotTrained, b) == []
    return b


def test_a_whole_encoder_left_out_is_no_judge() -> None:
    names = [p.name for p in apart().params if "Encoder" in p.name]
    given_twice = leave_out(apart(), *names)  # both optimizers hold the decoder
    (f,) = found(ParameterNotTrained, given_twice)
    assert f.severity == Severity.error and f.params[0] == "Encoder.in.weight"
    backbone = leave_out(apart(), *names)  # one optimizer alone: perhaps borrowed features
    backbone.meta["optimizers"] = [{"class": "Adam"}, {"class": "Adam", "params": 2}]
    (f,) = found(ParameterNotTrained, backbone)
    assert f.severity == Severity.warning and f.evidence["share_of_weights"] > 0.5


def test_an_optimizer_whose_parameters_are_cut_off() -> None:
    b = apart()
    names = [p.name for p in b.params if p.optimizer == 0]
    for name in names:
        b.set_param(name, "grad", np.nan)
    assert found(OutOfReach, b) == []  # they moved: their gradients were not measured
    for name in names:
        b.set_param(name, "update", 0.0)
    (f,) = found(OutOfReach, b)
    assert sorted(f.params) == sorted(names) and f.severity == Severity.error
    assert f.cause == "cut-off"
    b.set_params("grad", np.nan)  # no gradients were measured at all
    assert found(OutOfReach, b) == []


def test_a_parameter_without_any_gradient() -> None:
    b = perceptron(4)
    for name in ("Net.layers.0.weight", "Net.layers.0.bias"):
        b.set_param(name, "grad", np.nan)
    (f,) = found(OutOfReach, b)
    assert f.params == ("Net.layers.0.weight", "Net.layers.0.bias")
    assert f.cause == "cut-off"
    zero = perceptron(4).set_param("Net.layers.0.weight", "grad", 0.0)
    assert found(OutOfReach, zero) == []  # that is EF104


def test_a_spare_head_is_info_and_a_forgotten_layer_a_warning() -> None:
    for width, severity in ((5, Severity.info), (64, Severity.warning)):
        b = perceptron(4)
        b.set_param(b.param("spare.weight", (width, 64)), "grad", np.nan)
        (f,) = found(OutOfReach, b)
        assert f.params == ("Net.spare.weight",) and f.severity == severity


def test_an_optimizer_whose_steps_were_not_sampled_is_not_judged() -> None:
    b = perceptron(4)
    b.params = [replace(p, optimizer=1) if "layers" in p.name else p for p in b.params]
    for p in b.params:
        if p.optimizer == 1:
            b.set_param(p.name, "grad", np.nan)
    assert found(OutOfReach, b) == []


def test_layers_in_a_plain_list() -> None:
    b = Builder()
    x = b.site("", "linear", "affine", (b.input(),))
    x = b.act("", x, "tanh")
    b.loss_on(b.linear("head", x, 10))
    (f,) = found(ParameterNotTrained, b)
    assert f.evidence["layers_unknown"] == 1
    filters = Builder()
    x = filters.linear("embed", filters.input((32, 1, 8, 8)))
    x = filters.site("", "conv2d", "affine", (x,))  # may be a fixed filter
    filters.loss_on(filters.linear("head", filters.act("", x), 10))
    assert found(ParameterNotTrained, filters) == []
    first = Builder()  # with fixed weights this would carry no gradient
    x = first.site("", "conv2d", "affine", (first.input((32, 1, 8, 8)),))
    x = first.site("", "conv2d", "affine", (first.act("", x),), index=1)
    first.loss_on(first.linear("head", first.act("b", x), 10))
    (f,) = found(ParameterNotTrained, first)
    assert f.evidence["layers_unknown"] == 2
    made = Builder()  # weights that another layer computes are no parameters
    x, w = made.linear("embed", made.input()), made.linear("hyper", made.input())
    x = made.site("", "linear", "affine", (x, w))
    made.loss_on(made.linear("head", made.act("", x), 10))
    assert found(ParameterNotTrained, made) == []
