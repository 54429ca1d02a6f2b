"""How a fit went, kept in its folder: what the page draws is what the estimator has measured."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("pandas")
pytest.importorskip("skops")

import numpy as np
import pandas as pd

from evenflow.fit.fitting import TableFit, fit_file
from evenflow.fit.history import POINTS, history_as_json
from evenflow.fit.judging import Judged
from evenflow.fit.outcome import Applied, FitReport
from evenflow.views import read_fit


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TableFit]:
    folder = tmp_path_factory.mktemp("fit")
    draws = np.random.default_rng(0)
    size = draws.normal(100, 30, 200)
    table = pd.DataFrame({"size": size, "id": np.arange(200), "price": 2 * size + 5})
    table.to_csv(folder / "houses.csv", index=False)
    found = fit_file(
        folder / "houses.csv", "price", folder / "model", wishes={}, task="auto", folds=0,
        options={"epochs": 12, "validation": 0.2}, seed=0, tell=lambda name: lambda a, b: None,
    )  # fmt: skip
    return folder / "model" / "model.json", found


def test_the_page_is_told_what_was_measured(fitted: tuple[Path, TableFit]) -> None:
    path, found = fitted
    told, report = read_fit(path), found.report
    fit = told["fit"]
    assert told["target"] == "price" and fit["data"] == "houses.csv"
    assert (fit["epochs"], fit["steps"], fit["kept"]) == (
        report.epochs, report.steps, report.best_epoch,
    )  # fmt: skip
    assert fit["training"][1] == pytest.approx(report.errors, rel=1e-6)
    assert fit["training"][0] == list(range(1, report.epochs + 1))
    assert fit["validation"][0] == list(range(report.epochs + 1))  # one before the first
    assert fit["validation"][1] == pytest.approx(report.held_out, rel=1e-6)
    assert fit["rate"][1] == pytest.approx(report.rates, rel=1e-6)
    assert fit["cost"] == pytest.approx(found.judged.loss_N.mean(), rel=1e-6)
    assert fit["guess"] == pytest.approx(found.judged.guess_N.mean(), rel=1e-6)
    assert told["metrics"] == pytest.approx(found.judged.metrics)
    assert fit["verdict"] == report.verdict and fit["learned"] == report.learned
    assert {c["name"]: c["used"] for c in told["columns"]} == {"size": True, "id": False}
    assert set(fit["settings"]) == set(report.settings)


def report(epochs: int, kept: int, value: float = 1.0) -> FitReport:
    errors = tuple(value / k for k in range(1, epochs + 1))
    applied = tuple(Applied("lr=*0.3", k, "why " * 2000) for k in range(200))
    return FitReport("epochs", epochs, epochs, kept, 1.0, errors, (), errors, math.nan,
                     treatments=applied, settings={"hidden": (4, 4), "rate": 0.123456})  # fmt: skip


def test_a_long_fit_is_thinned_and_keeps_its_ends_and_its_best() -> None:
    nothing = Judged("regression", {}, np.zeros(0), np.zeros(0))
    told = history_as_json("d", report(20_001, 13_337), nothing, ["note"] * 99)
    epochs, values = told["training"]
    assert POINTS <= len(epochs) == len(values) <= POINTS + 1
    assert epochs[0] == 1 and epochs[-1] == 20_001 and 13_337 in epochs
    assert values[epochs.index(13_337)] == pytest.approx(1 / 13_337)
    assert len(json.dumps(told)) < 250_000
    assert told["settings"] == {"hidden": "4, 4", "rate": "0.1235"}


def test_what_is_not_finite_is_none() -> None:
    nothing = Judged("regression", {}, np.zeros(0), np.zeros(0), {"R²": math.inf})
    told = history_as_json("d", report(3, 9, math.nan), nothing, [])
    assert told["training"] == [[1, 2, 3], [None] * 3]
    assert told["baseline"] is told["cost"] is told["spread"]["R²"] is None
    json.dumps(told, allow_nan=False)
