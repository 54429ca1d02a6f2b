"""Tables with identifiers, dates in three formats, free text and rare categories."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("skops")

import pandas as pd
import strangers

from evenflow.cli import main
from evenflow.fit.columns import Wishes, recognised
from evenflow.fit.weighing import gain, out_of_fold, prepared

MAKERS = (strangers.houses, strangers.churn)


@pytest.mark.parametrize("make", MAKERS)
def test_what_tells_nothing_costs_nothing(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    table, useless, target = make(500, seed=11)
    held = table.iloc[400:].copy()
    table.iloc[:400].to_csv("all.csv", index=False)
    table.iloc[:400].drop(columns=useless).to_csv("clean.csv", index=False)
    scores = {}
    for name in ("all", "clean"):
        assert main(["fit", f"{name}.csv", "--target", target, "--hidden", "32"]) == 0
        told = capsys.readouterr().err
        facts = json.loads(Path(f"{name}-model", "model.json").read_text())
        scores[name] = next(iter(facts["metrics"].values()))
        if name == "all":
            columns = {c["name"]: c for c in facts["columns"]}
            page = Path("all-model", "report.html").read_text()
            for column in useless:
                assert not columns[column]["used"] and columns[column]["why"]
                assert repr(column) in told and column in page
            assert "rows held out it does not help" in page
    assert scores["all"] >= scores["clean"] - 0.01
    category = "town" if target == "price" else "plan"
    held[category] = "somewhere else"
    held["listed"], held["seen"] = "never", "31.12.2099"
    held.drop(columns=target).to_csv("new.csv", index=False)
    assert main(["predict", "all-model", "new.csv", "-o", "out.csv"]) == 0
    assert "100 rows hold what training never saw ('somewhere else')" in capsys.readouterr().err
    assert len(pd.read_csv("out.csv")) == 100


def test_what_tells_something_is_read() -> None:
    """A season, a trend, a weekday, an hour and a word: each is found, and nothing beside it."""
    rng = np.random.default_rng(5)
    table, __, target = strangers.houses(800, seed=5)
    moments = pd.Series(
        pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 3 * 365 * 1440, 800), "min")
    )
    angles = {
        "season": 2 * np.pi * moments.dt.day_of_year / 365,
        "weekday": 2 * np.pi * moments.dt.day_of_week / 7,
        "hour": 2 * np.pi * moments.dt.hour / 24,
    }
    price = table[target].to_numpy()
    for name, angle in angles.items():
        X = table.drop(columns=target).assign(moment=moments.dt.strftime("%d/%m/%Y %H:%M"))
        y = price * np.exp(0.3 * np.sin(angle.to_numpy()))
        made = {c.name: c for c in prepared(X, recognised(X), y, "regression", 0).columns}
        assert made["moment"].used and f"of them helps: {name}" in made["moment"].why
        assert not any(made[c].used for c in ("listed", "seen", "entered", "remarks"))
    y = price * np.exp(0.4 * X["remarks"].str.contains("garden"))
    made = {c.name: c for c in prepared(X, recognised(X), y, "regression", 0).columns}
    assert made["remarks"].used and not made["moment"].used


def test_many_categories_are_read_where_they_help() -> None:
    rng = np.random.default_rng(7)
    table, useless, target = strangers.houses(800, seed=7)
    agents = rng.integers(0, 150, 800)
    X = table.drop(columns=[*useless, target]).assign(agent=[f"agent {k}" for k in agents])
    price = table[target].to_numpy()
    told = price * np.exp(rng.normal(0, 0.3, 150)[agents])
    for y, used in ((price, False), (told, True)):
        found = prepared(X, recognised(X), y, "regression", 0).columns
        assert {c.name: c.used for c in found} == dict.fromkeys(X.columns, True) | {"agent": used}
    few = X.assign(agent=[f"agent {k % 20}" for k in agents])
    assert all(c.used for c in prepared(few, recognised(few), price, "regression", 0).columns)


def test_what_the_user_asks_for_is_not_asked_about() -> None:
    table, useless, target = strangers.churn(200, seed=2)
    X, y = table.drop(columns=target), table[target].to_numpy()
    wishes = Wishes(keep=("remarks", "id"), kinds={"listed": "date"})
    made = prepared(X, recognised(X, wishes), y, "classification", 0)
    assert {c.name for c in made.columns if c.used} & set(useless) == {"remarks", "id", "listed"}
    rows, said = made.transform(X)
    assert said == [] and np.isfinite(np.delete(rows, 0, 1)).all()


def test_dates_alone_are_read_even_if_they_do_not_seem_to_help() -> None:
    table = strangers.useless(np.random.default_rng(0), 100)[["listed", "seen"]]
    y = np.random.default_rng(1).normal(size=100)
    made = prepared(table, recognised(table), y, "regression", 0)
    assert all(c.used for c in made.columns)


def test_noise_is_seldom_taken_for_news() -> None:
    """The share of false alarms is that of a normal's two deviations or less: 2.3 %."""
    rng = np.random.default_rng(0)
    taken = sum(gain(rng.normal(size=(200, 2)), rng.normal(size=(200, 1))) > 2 for _ in range(400))
    assert taken <= 0.04 * 400
    news = rng.normal(size=(200, 2))
    assert gain(news, news[:, :1] + rng.normal(size=(200, 1))) > 5


def test_out_of_fold_is_scikit_learns_ridge() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(53, 4)) * [1, 10, 0.1, 5], rng.normal(size=(53, 2))
    found = out_of_fold(x, t)
    part = np.arange(53) % 5
    for k in range(5):
        model = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
        want = model.fit(x[part != k], t[part != k]).predict(x[part == k])
        np.testing.assert_allclose(found[part == k], want, atol=1e-10)
