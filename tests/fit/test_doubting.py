"""A fit that cannot be trusted says so in its first line, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("skops")

import pandas as pd
import strangers

from evenflow.cli import main
from evenflow.fit.encoding import learned
from evenflow.fit.judging import judge
from evenflow.fit.table import checked


def noise(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame({k: rng.normal(size=rows) for k in "abcd"}).assign(
        y=rng.choice(["left", "stayed"], rows)
    )


def few(rng: np.random.Generator) -> pd.DataFrame:
    X = pd.DataFrame(rng.normal(size=(60, 40)), columns=[f"c{k}" for k in range(40)])
    return X.assign(y=rng.normal(size=60))


def contradicting(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame({"a": rng.integers(0, 4, 300), "b": rng.choice(list("uv"), 300)}).assign(
        y=rng.choice(["left", "stayed"], 300)
    )


def in_order(rng: np.random.Generator) -> pd.DataFrame:
    return noise(rng, 300).assign(y=np.cumsum(rng.normal(size=300)))


def heavy(rng: np.random.Generator) -> pd.DataFrame:
    return noise(rng, 300).assign(y=np.exp(4 * rng.normal(size=300)))


def kept(rng: np.random.Generator) -> pd.DataFrame:
    return noise(rng, 200).assign(code=strangers._ids(rng, 200))


SICK: dict[str, tuple[Any, list[str], str]] = {
    "no signal": (lambda r: noise(r, 300), [], "Looked for and not found"),
    "few rows": (few, [], "few rows: 48 for 40 inputs"),
    "rows that contradict": (contradicting, [], "same inputs as another"),
    "rows in order": (in_order, [], "order of time"),
    "a few rows weigh most": (heavy, [], "logarithm"),
    "an identifier that was asked for": (kept, ["--keep", "code"], "nearly identifiers: 'code'"),
}


@pytest.mark.parametrize("name", SICK)
def test_no_better_than_guessing_is_the_first_line_with_its_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make, options, said = SICK[name]
    make(np.random.default_rng(8)).to_csv("t.csv", index=False)
    quick = ["--hidden", "32", *options]
    assert main(["fit", "t.csv", "--target", "y", *quick]) == 0
    said_first = [x for x in capsys.readouterr().err.splitlines() if not x.startswith("training: ")]
    line = said_first[0]  # where training took long, its progress came before
    assert line.startswith("warning: ") and said in line
    assert "no better than guessing" in line or "by heart" in line
    page = Path("t-model", "report.html").read_text()
    assert ("guessing" in page and 'class="banner warning"' in page) or "sick" in page


@pytest.mark.parametrize("make", [strangers.houses, strangers.churn])
def test_a_table_that_can_be_learned_is_not_warned_about(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table, __, target = make(400, seed=1)
    table.to_csv("t.csv", index=False)
    assert main(["fit", "t.csv", "--target", target, "--hidden", "32", "--cv", "2"]) == 0
    assert "warning" not in capsys.readouterr().err


def test_what_a_row_costs_and_what_guessing_costs() -> None:
    class Half:
        classes_ = np.array(["a", "b"])

        def predict(self, X: Any) -> Any:
            return np.array(["a"] * len(X))

        def predict_proba(self, X: Any) -> Any:
            return np.full((len(X), 2), 0.5)

    trained = np.array(list("aaab"))
    found = judge(Half(), np.zeros((3, 1)), np.array(list("aab")), "classification", trained)
    np.testing.assert_allclose(found.loss_N, np.log(2))
    np.testing.assert_allclose(found.guess_N, -np.log([0.75, 0.75, 0.25]))
    want = 1 - np.log(2) / -np.log([0.75, 0.75, 0.25]).mean()
    assert found.known == pytest.approx(want)


def calls(columns: int) -> int:
    """Python calls made for a table of so many columns: what grows where time would."""
    import sys

    X = np.random.default_rng(0).normal(size=(20, columns))
    frame = pd.DataFrame(X, columns=[f"c{k}" for k in range(columns)]).assign(y=[0, 1] * 10)
    count = 0

    def heard(*_: object) -> None:
        nonlocal count
        count += 1

    old = sys.getprofile()
    sys.setprofile(heard)
    try:
        found = checked(frame, "y")
        learned(found.X, found.columns).transform(found.X)
    finally:
        sys.setprofile(old)
    return count


def test_many_columns_cost_what_they_are_and_not_their_square() -> None:
    calls(10)
    assert calls(1600) < 2.3 * calls(800)
