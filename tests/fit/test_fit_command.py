"""`evenflow fit` and `evenflow predict`, and what they say of bad data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evenflow.cli import main

pd = pytest.importorskip("pandas")
pytest.importorskip("skops")


def good(rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = rng.normal(size=rows)
    colour = rng.choice(["red", "green"], rows)
    kind = np.where(size + (colour == "red") > 0.5, "big", "small")
    size[3] = np.nan
    return pd.DataFrame({"size": size, "colour": colour, "kind": kind})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_csv_to_predictions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good().to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", "--target", "kind"]) == 0
    assert "accuracy" in capsys.readouterr().err
    made = folder / "data-model"
    assert {p.name for p in made.iterdir()} == {
        "model.json", "weights.safetensors", "preprocessing.skops", "report.html",
    }  # fmt: skip
    assert len({p.stat().st_mode for p in made.iterdir()}) == 1  # who may read one may read all
    assert "Confusion" in (made / "report.html").read_text(encoding="utf-8")
    assert main(["predict", "data-model", "data.csv", "-o", "out.csv"]) == 0
    found = pd.read_csv("out.csv")
    assert (found["kind"] == good()["kind"]).mean() > 0.85
    np.testing.assert_allclose(found["p(big)"] + found["p(small)"], 1)
    assert sorted(p.name for p in folder.iterdir()) == ["data-model", "data.csv", "out.csv"]


def test_numbers_by_cross_validation_from_parquet(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    table = good()
    table["y"] = table["size"].fillna(0) * 3 + (table["colour"] == "red")
    table.drop(columns="kind").to_parquet("data.parquet")
    assert main(["fit", "data.parquet", "--target", "y", "--cv", "2", "--out", "m"]) == 0
    assert main(["predict", "m", "data.parquet", "-o", "out.csv"]) == 0
    assert np.corrcoef(pd.read_csv("out.csv")["y"], table["y"])[0, 1] > 0.9


def bad_tables() -> dict[str, tuple[str, str, str]]:
    """name -> (text of the CSV, target, what the message must say)."""
    rows = "".join(f"{k},{k % 2}\n" for k in range(20))
    return {
        "empty file": ("", "y", "is empty"),
        "header only": ("a,y\n", "y", "has no rows"),
        "missing column": ("a,yy\n" + rows, "y", "did you mean 'yy'"),
        "all-NaN column": ("a,b,y\n" + "".join(f"{k},,{k % 2}\n" for k in range(20)), "y", "'b'"),
        "one class": ("a,y\n" + "".join(f"{k},1\n" for k in range(20)), "y", "one class only"),
        "text in a number column": ("a,y\n" + rows + "x7,1\n", "y", "'x7'"),
        "duplicate names": ("a,a,y\n1,2,0\n", "y", "several columns named 'a'"),
        "no rows after dropping": ("a,y\n1,\n2,\n", "y", "no row is left"),
        "too few rows": ("a,y\n1,0\n2,1\n", "y", "too few"),
    }


@pytest.mark.parametrize("name", bad_tables())
def test_bad_data_is_one_message_and_writes_nothing(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, target, said = bad_tables()[name]
    Path("data.csv").write_text(text)
    assert main(["fit", "data.csv", "--target", target]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert [p.name for p in folder.iterdir()] == ["data.csv"]


def test_bad_data_at_prediction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good().to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", "--target", "kind", "--hidden", "8"]) == 0
    new = good().drop(columns="kind")
    unseen = new.assign(colour="blue")
    text = new.assign(size="tall")
    for table, said in ((unseen, "'blue'"), (text, "'size'"), (new[["size"]], "'colour'")):
        table.to_csv("new.csv", index=False)
        capsys.readouterr()
        assert main(["predict", "data-model", "new.csv", "-o", "out.csv"]) == 2
        err = capsys.readouterr().err
        assert said in err and len(err.strip().splitlines()) == 1
        assert not Path("out.csv").exists()
    assert main(["predict", "nowhere", "new.csv", "-o", "out.csv"]) == 2
