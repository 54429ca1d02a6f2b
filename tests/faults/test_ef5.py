"""Rules of the data: each with sick runs and healthy twins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import evenflow
from evenflow.faults.data import readers
from evenflow.faults.ef501_unscaled_input import UnscaledInput
from evenflow.faults.ef502_outlier_input import OutlierInput
from evenflow.faults.ef503_non_finite_input import NonFiniteInput
from evenflow.faults.ef504_unscaled_target import UnscaledTarget
from evenflow.faults.view import View
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron


def found(rule: type, b: Builder) -> list[Finding]:
    return list(rule().check(View(b.run())))


def raw(b: Builder) -> Builder:
    """Features of 750, and what they do to the first layer."""
    b.set("input", "rms", 230.0).set("input", "feature_high", 750.0)
    return b.set("input", "feature_low", 0.3).set("layers.0 linear", "rms", 120.0)


# --- EF501 --------------------------------------------------------------------------------------


def test_raw_features_into_a_linear_layer_are_unscaled() -> None:
    b = raw(perceptron())
    (f,) = found(UnscaledInput, b)
    assert f.severity == Severity.info  # the net learns all the same
    assert b.sites[f.sites[0]].op == "input"
    assert f.evidence["feature_high"] == 750 and f.evidence["first_output"] == 120
    n = len(b.curve_steps)
    (f,) = found(UnscaledInput, b.loss(np.linspace(2.3, 1.2, n)))
    assert f.severity == Severity.warning  # half of what guessing loses is left
    (f,) = found(UnscaledInput, b.loss(2.3))
    assert f.severity == Severity.error


@pytest.mark.parametrize("metric", ["saturated", "dead"])
def test_units_lost_at_the_first_activation_are_harm(metric: str) -> None:
    b = raw(perceptron(2, "sigmoid" if metric == "saturated" else "relu"))
    act = next(s.id for s in b.sites if s.kind == "activation")
    (f,) = found(UnscaledInput, b.set(act, metric, 0.4))
    assert f.severity == Severity.info
    (f,) = found(UnscaledInput, b.set(act, metric, 0.6))
    assert f.severity == Severity.warning


def test_unit_features_and_small_pixels_are_fine() -> None:
    assert found(UnscaledInput, perceptron()) == []
    pixels = perceptron().set("input", "feature_low", 0.0).set("input", "feature_high", 13.0)
    pixels.set("input", "zeros", 0.5).set("layers.0 linear", "rms", 4.5)
    assert found(UnscaledInput, pixels) == []


def test_a_start_that_fits_the_data_is_fine() -> None:
    b = raw(perceptron()).set("layers.0 linear", "rms", 1.0).set("input", "feature_low", 90.0)
    assert found(UnscaledInput, b) == []


@pytest.mark.parametrize(
    ("op", "kind"), [("batch_norm", "norm"), ("div", "join"), ("embedding", "embedding")]
)
def test_what_is_rescaled_first_is_fine(op: str, kind: str) -> None:
    b = Builder()
    x = b.site("first", op, kind, (b.input(),))
    b.loss_on(b.linear("head", b.act("a", b.linear("layers.0", x)), 10))
    assert found(UnscaledInput, raw(b)) == []


def test_dropout_and_concatenation_do_not_rescale() -> None:
    b = Builder()
    x = b.site("drop", "dropout", "dropout", (b.input(),))
    x = b.site("", "cat", "join", (x,))
    b.loss_on(b.linear("head", b.act("a", b.linear("layers.0", x)), 10))
    assert readers(View(b.run()), 0) == [b.id("layers.0 linear")]
    assert len(found(UnscaledInput, raw(b))) == 1


def test_saturation_from_the_start_is_in_the_chain() -> None:
    b = raw(perceptron(2, "sigmoid")).set("layers.0 sigmoid", "saturated", 0.9)
    (f,) = found(UnscaledInput, b)
    assert [(x.role, x.what) for x in f.chain] == [("cause", "EF501"), ("event", "EF201")]


def test_data_too_small_to_hear_and_features_apart() -> None:
    tiny = perceptron().set("input", "rms", 1e-3).set("input", "feature_high", 2e-3)
    (f,) = found(UnscaledInput, tiny)
    assert f.threshold == {"scale": 0.01}
    apart = perceptron().set("input", "feature_high", 5.0).set("input", "feature_low", 1e-3)
    (f,) = found(UnscaledInput, apart)
    assert f.evidence["feature_ratio"] == pytest.approx(5000)
    assert found(UnscaledInput, apart.set("input", "zeros", 0.4)) == []  # sparse, not apart


def test_a_batch_with_an_outlier_does_not_speak_for_the_scale() -> None:
    t = np.arange(15)
    b = raw(perceptron()).set("input", "outlier", np.where(t % 3 == 0, 1e5, 4.0))
    b.set("input", "feature_high", np.where(t % 3 == 0, 750.0, 1.2))
    assert found(UnscaledInput, b) == []


# --- EF502 --------------------------------------------------------------------------------------


def outlier(b: Builder) -> Builder:
    far = np.where(b.steps == 32, 1e6, 4.0)
    return b.set("input", "outlier", far).set("input", "absmax", far)


def test_an_error_code_is_an_outlier() -> None:
    (f,) = found(OutlierInput, outlier(perceptron()))
    assert f.first_step == f.last_step == 32
    assert f.evidence["outlier"] == 1e6 and f.evidence["batches_affected"] == 1
    assert f.severity == Severity.warning
    (f,) = found(OutlierInput, outlier(perceptron()).loss(2.3))
    assert f.severity == Severity.error


def test_heavy_tails_and_rare_pixels_are_fine() -> None:
    """Standardised digits have pixels 40 deviations out."""
    b = perceptron().set("input", "outlier", 40.0).set("input", "absmax", 40.0)
    assert found(OutlierInput, b) == []


def test_one_feature_alone_is_judged_too() -> None:
    """An image of one channel: its outlier is part of its own size."""
    b = perceptron().set("input", "outlier", 2e3).set("input", "absmax", 5e3)
    assert len(found(OutlierInput, b.set("input", "feature_low", 110.0))) == 1


def test_sparse_counts_are_no_outliers() -> None:
    """One-hot rows: most features are zero in the batch, so any one stands out."""
    b = perceptron().set("input", "outlier", 1e30).set("input", "absmax", 1.0)
    assert found(OutlierInput, b.set("input", "feature_low", 0.0)) == []


def test_ids_for_an_embedding_may_be_any_number() -> None:
    b = Builder()
    x = b.site("embed", "embedding", "embedding", (b.input(),))
    b.loss_on(b.linear("head", x, 10))
    assert found(OutlierInput, outlier(b)) == []


def test_outliers_among_regression_targets_count_and_labels_do_not() -> None:
    b = perceptron(out=1, loss="mse_loss")
    b.set("target", "outlier", 5000.0).set("target", "absmax", 5000.0)
    (f,) = found(OutlierInput, b)
    assert b.sites[f.sites[0]].op == "target"
    labels = perceptron().set("target", "outlier", 5000.0).set("target", "absmax", 5000.0)
    assert found(OutlierInput, labels) == []


# --- EF503 --------------------------------------------------------------------------------------


def gaps(b: Builder, site: str = "input") -> Builder:
    return b.set(site, "nonfinite", np.where(b.steps >= 4, 3.0, 0.0))


def test_missing_values_that_go_on_are_an_error() -> None:
    b = gaps(perceptron())
    b.set("layers.0 linear", "nonfinite", np.where(b.steps >= 4, 192.0, 0.0))
    (f,) = found(NonFiniteInput, b)
    assert f.severity == Severity.error
    assert f.first_step == 4 and f.evidence["nonfinite"] == 3
    assert [b.sites[i].name for i in f.sites] == ["Net input", "Net.layers.0 linear"]


def test_missing_values_that_are_replaced_are_fine() -> None:
    assert found(NonFiniteInput, gaps(perceptron())) == []  # the first layer's output is finite


def test_missing_targets_count_where_the_loss_takes_them_in() -> None:
    b = gaps(perceptron(out=1, loss="mse_loss"), "target")
    assert found(NonFiniteInput, b) == []  # the loss is finite: they were masked
    (f,) = found(NonFiniteInput, b.loss(np.where(np.arange(289) >= 4, np.nan, 1.0)))
    assert [b.sites[i].op for i in f.sites] == ["target", "mse_loss"]


def test_a_mask_of_minus_infinity_is_fine() -> None:
    b = Builder()
    mask = b.input((8, 8))
    q = b.linear("q", b.input((32, 64)))
    scores = b.site("", "add", "join", (q, mask))
    b.set(scores, "nonfinite", 28.0).set(mask, "nonfinite", 28.0)
    b.loss_on(b.linear("head", b.site("", "softmax", "softmax", (scores,)), 10))
    assert found(NonFiniteInput, b) == []


# --- EF504 --------------------------------------------------------------------------------------


def regression(size: float, said: float, op: str = "mse_loss") -> Builder:
    b = perceptron(out=1, loss=op).set("target", "rms", size).set("head linear", "rms", said)
    return b.set("target", "mean", 0.9 * size).set("target", "std", 0.43 * size)


@pytest.mark.parametrize("op", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_a_raw_target_is_unscaled(op: str) -> None:
    std = 0.43 * 152
    guess = {"mse_loss": std**2, "l1_loss": 0.8 * std}.get(op, 0.8 * std)
    b = regression(152.0, 0.3, op).loss(np.linspace(2.0, 0.5, 289) * guess)
    (f,) = found(UnscaledTarget, b)
    assert f.evidence["target_rms"] == 152
    assert f.evidence["target_ratio"] == pytest.approx(507, rel=0.01)
    assert [b.sites[i].op for i in f.sites] == ["target", "linear"]


def test_targets_near_unit_size_are_fine() -> None:
    assert found(UnscaledTarget, regression(1.0, 0.05)) == []
    assert found(UnscaledTarget, regression(3.0, 0.2)) == []


def test_an_output_that_starts_at_the_target_is_fine() -> None:
    assert found(UnscaledTarget, regression(152.0, 140.0)) == []


def test_a_squared_error_by_hand_is_read_off_its_difference() -> None:
    def by_hand(size: float, last: str = "mean") -> Builder:
        b = Builder()
        x = b.linear("head", b.act("a", b.linear("layers.0", b.input())), 1)
        minus = b.site("", "sub", "other", (x,), shape=(32, 1))
        b.site("", last, "other", (b.site("", "pow", "other", (minus,)),), shape=())
        return b.set("head linear", "rms", 0.3).set(minus, "rms", size)

    (f,) = found(UnscaledTarget, by_hand(150.0))
    assert f.evidence["target_ratio"] == pytest.approx(500)
    assert found(UnscaledTarget, by_hand(1.1)) == []
    assert found(UnscaledTarget, by_hand(150.0, "linear")) == []  # a feature, not a loss


def test_class_labels_are_no_targets_of_that_kind() -> None:
    b = perceptron().set("target", "rms", 500.0).set("head linear", "rms", 0.1)
    assert found(UnscaledTarget, b) == []


def test_an_error_where_nothing_was_won() -> None:
    (f,) = found(UnscaledTarget, regression(152.0, 0.3).loss(0.43**2 * 152**2))
    assert f.severity == Severity.error


def test_a_target_is_found_among_the_inputs_of_its_loss() -> None:
    b = perceptron(out=1, loss="mse_loss")
    loss, target = b.id("mse_loss"), b.id("target")
    rival = b.site("", "l1_loss", "loss", (b.id("head linear"),), shape=())
    view = View(b.run())
    assert (view.target_of(loss), view.target_of(rival)) == (target, -1)


def _trained(net: torch.nn.Module, batch: Any, tmp_path: Path, steps: int = 24) -> list[str]:
    """Codes found in a real recorded run; `batch` makes the arguments of the net, whose output
    is the loss."""
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    with evenflow.watch(net, opt, run=tmp_path / "r.evenflow", every=1) as w:
        for i in range(steps):
            loss = net(*batch(i))
            opt.zero_grad()
            loss.backward()
            opt.step()
    return [f.code for f in evenflow.diagnose(evenflow.load(w.path))]


class _Speaker(torch.nn.Module):
    """makemore's shape: `model(idx, targets)`, targets padded."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = torch.nn.Embedding(27, 8), torch.nn.Linear(8, 27)

    def forward(self, idx: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        z = self.out(self.embed(idx))
        return F.cross_entropy(z.view(-1, 27), targets.view(-1), ignore_index=-1)


def test_labels_given_to_the_model_are_no_measurements(tmp_path: Path) -> None:
    torch.manual_seed(0)

    def batch(i: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = torch.zeros(16, 16, dtype=torch.long), torch.full((16, 16), -1)
        for k in range(16):
            n = 12 if k == i % 16 else 4
            word = (int(torch.randint(1, 27, (1,))) + torch.arange(n) - 1) % 26 + 1
            x[k, 1 : n + 1], y[k, :n], y[k, n] = word, word, 0
        return x, y

    assert "EF502" not in _trained(_Speaker(), batch, tmp_path)


class _Columns(torch.nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(n, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2)
        )

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.net(x), y)


@pytest.mark.parametrize("broken", [False, True])
def test_rare_one_hot_columns_are_no_outliers_an_error_code_among_them_is(
    broken: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)

    def batch(i: int) -> tuple[torch.Tensor, torch.Tensor]:
        place = torch.randint(0, 200, (64,))
        x = torch.cat([torch.randn(64, 3), F.one_hot(place, 200).float()], 1)
        if broken:
            x[5, 1] = 1e6
        return x, place % 2

    assert ("EF502" in _trained(_Columns(203), batch, tmp_path)) == broken
