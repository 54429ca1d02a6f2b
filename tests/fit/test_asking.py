"""Weight decay is asked of the table: a rule without noise gets little, noise gets much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

from evenflow.fit import NetworkClassifier, NetworkRegressor
from evenflow.fit.asking import LEAST, AskedRows, bold
from evenflow.fit.rates import BASE
from evenflow.fit.settling import BOLD, CAUTIOUS, asks, settle
from evenflow.fit.targets import classes, numbers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
RULE = np.sin(2 * X[:, 0]) * X[:, 1] + X[:, 2]


def told(y: np.ndarray) -> bool:
    return bold(NetworkRegressor(), AskedRows(X, y, None, numbers(y, "auto"), 0))


def test_weights_may_grow_where_there_is_no_noise() -> None:
    assert told(RULE)


def test_noise_is_met_with_caution() -> None:
    noise = RULE + 3 * RNG.normal(size=len(RULE))
    assert not told(noise)


def test_the_same_seed_gives_the_same_answer_and_no_one_elses_random_numbers_move() -> None:
    def drawn() -> tuple[float, float]:
        torch.manual_seed(3)
        np.random.seed(3)
        answers.append(told(RULE))
        return float(torch.rand(1)), float(np.random.rand())

    answers: list[bool] = []
    torch.manual_seed(3)
    np.random.seed(3)
    want = float(torch.rand(1)), float(np.random.rand())
    assert [drawn(), drawn()] == [want, want]
    assert answers[0] == answers[1]


def test_too_few_rows_or_a_rare_class_are_not_asked() -> None:
    few = X[: LEAST - 1]
    table = AskedRows(few, RULE[: len(few)], None, numbers(RULE, "auto"), 0)
    assert not bold(NetworkRegressor(), table)
    rare = np.r_[np.zeros(298, int), 1, 1]
    assert not bold(NetworkClassifier(), AskedRows(X, rare, None, classes(rare, "binary"), 0))


@pytest.mark.parametrize("given", [{"l2": 0.3}, {"epochs": 5}, {"max_seconds": 1.0}])
def test_what_is_given_is_not_asked(given: dict[str, Any]) -> None:
    assert asks(NetworkClassifier().get_params())
    assert not asks(NetworkClassifier(**given).get_params())


def test_the_answer_settles_decay_and_length() -> None:
    given = NetworkClassifier().get_params()
    careful, brave = settle(given, 500), settle(given, 500, bold=True)
    assert (careful.optimizing.l2, brave.optimizing.l2) == (CAUTIOUS, BOLD)
    assert brave.stop.epochs == 2 * careful.stop.epochs


@pytest.mark.parametrize(
    ("activation", "share"), [("sigmoid", 0.25), ("tanh", 1.0), ("silu", 1.0), ("meta_acon", 1.0)]
)
def test_weights_after_flat_activations_may_be_larger(activation: str, share: float) -> None:
    given = NetworkClassifier(activation=activation).get_params()
    assert settle(given, 500).optimizing.l2 == pytest.approx(share * CAUTIOUS)
    assert settle(given, 500, bold=True).optimizing.l2 == pytest.approx(share * BOLD)
    assert settle(given | {"l2": 1.0}, 500).optimizing.l2 == 1.0


def test_a_fit_says_what_it_came_to() -> None:
    labels = (RULE > 0).astype(int)
    model = NetworkClassifier(random_state=0).fit(X, labels)
    assert model.fit_report_.settings["l2"] in (CAUTIOUS, BOLD)
    again = NetworkClassifier(random_state=0).fit(X, labels)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_a_model_read_from_a_folder_never_asked_and_goes_on_learning() -> None:
    model = NetworkRegressor(epochs=2, random_state=0).fit(X, RULE)
    vars(model).pop("_bold")  # a folder keeps no answer
    model.partial_fit(X, RULE)
    assert model.fit_report_.settings["l2"] == CAUTIOUS


def test_a_rate_that_predicts_worse_is_lowered_and_said_so_and_a_usual_one_is_not_asked() -> None:
    noisy = RULE + RNG.normal(size=len(RULE))
    given: dict[str, Any] = {"epochs": 15, "random_state": 0}
    calm = NetworkRegressor(learning_rate=0.3, **given).fit(X, noisy).fit_report_
    assert calm.settings["learning_rate"] == BASE["adamw"]
    assert any(a.treatment == "lr=0.003" and "held out" in a.reason for a in calm.treatments)
    usual = NetworkRegressor(learning_rate=5e-3, **given).fit(X, noisy).fit_report_
    assert usual.settings["learning_rate"] == 5e-3
    own = NetworkRegressor(learning_rate=0.3, heal=False, **given).fit(X, noisy).fit_report_
    assert own.settings["learning_rate"] == 0.3
