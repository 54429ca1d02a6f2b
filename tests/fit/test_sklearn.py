"""scikit-learn's own conformance checks."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from evenflow.fit import NetworkClassifier, NetworkRegressor

#: A weight of two is not a row seen twice, where rows come in batches and in random order.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "rows are seen in shuffled batches",
    "check_sample_weight_equivalence_on_sparse_data": "rows are seen in shuffled batches",
}


def failures(estimator: Any) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks train on noise, and for too short
        results = check_estimator(
            estimator, expected_failed_checks=EXPECTED, on_fail=None, on_skip=None
        )
    assert len(results) > 50
    return [f"{r['check_name']}: {r['exception']!r}" for r in results if r["status"] == "failed"]


@pytest.mark.parametrize("kind", [NetworkClassifier, NetworkRegressor])
def test_scikit_learn_checks(kind: Any) -> None:
    assert failures(kind(epochs=60)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [NetworkClassifier, NetworkRegressor])
def test_scikit_learn_checks_with_default_settings(kind: Any) -> None:
    assert failures(kind()) == []


def test_it_works_in_a_pipeline_under_a_grid_search_and_is_pickled() -> None:
    X, y = load_iris(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), NetworkClassifier(random_state=0))
    search = GridSearchCV(pipe, {"networkclassifier__hidden": [8, 32]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden": 0}, "hidden = 0"),
        ({"hidden": (4, 4), "depth": 3}, "depth = 3"),
        ({"activation": "reluu"}, "did you mean relu"),
        ({"activation": ("relu",)}, "1 layers"),
        ({"init": "hee"}, "init = 'hee'"),
        ({"dropout": 1.0}, "dropout = 1.0"),
        ({"clip": "norm:-1"}, "clip = 'norm:-1'"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"learning_rate": -0.1}, "learning_rate = -0.1"),
        ({"patience": 0}, "patience = 0"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], said: str) -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        NetworkClassifier(**options).fit(X, y)


def test_labels_and_several_columns_of_classes() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    labels = (X[:, :2] > 0).astype(int)
    both = NetworkClassifier(epochs=40, random_state=0).fit(X, labels)
    assert both.score(X, labels) > 0.9
    assert both.predict_proba(X).shape == (200, 2)
    columns = np.stack([labels.sum(1), np.digitize(X[:, 2], [-0.5, 0, 0.5])], 1)
    several = NetworkClassifier(epochs=40, random_state=0).fit(X, columns)
    assert (several.predict(X) == columns).mean() > 0.9
    assert [p.shape for p in several.predict_proba(X)] == [(200, 3), (200, 4)]


def test_training_leaves_torchs_random_numbers_alone_and_repeats_itself() -> None:
    import torch

    X, y = load_iris(return_X_y=True)
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    a = NetworkClassifier(epochs=3, dropout=0.2, random_state=7).fit(X, y)
    assert torch.equal(torch.rand(3), want)
    b = NetworkClassifier(epochs=3, dropout=0.2, random_state=7).fit(X, y)
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


@pytest.mark.parametrize("kind", ["regressor", "classifier"])
def test_ten_times_the_rate_is_survived(kind: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    f = X[:, 0] - X[:, 1] * X[:, 2]
    if kind == "regressor":
        model, y = NetworkRegressor(learning_rate=10.0, optimizer="gd", random_state=0), f
    else:
        model, y = NetworkClassifier(learning_rate=10.0, random_state=0), (f > 0).astype(int)
    model.fit(X, y)
    assert model.fit_report_.learned
    assert any(t.treatment.startswith("lr=") for t in model.fit_report_.treatments)
    assert model.score(X, y) > 0.8
    assert os.environ.get("EVENFLOW_STRICT")  # the suite must run strictly


def test_the_package_is_an_attribute_and_costs_nothing_before_it_is_asked() -> None:
    code = (
        "import sys, evenflow; fit = evenflow.fit\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules)\n"
        "print(fit.NetworkClassifier.__name__, 'fit' in dir(evenflow))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout.strip(), found.returncode) == ("NetworkClassifier True", 0), found.stderr


def test_a_class_that_is_not_known_is_told_in_plain_numbers() -> None:
    model = NetworkClassifier(hidden=4).partial_fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match=r"has the class 2, which is not among the classes 0, 1 "):
        model.partial_fit([[0.0], [1.0]], [0, 2])
