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
        "nothing to learn from": (
            "id,b,y\n" + "".join(f"{k},,{k % 2}\n" for k in range(20)),
            "y",
            "'id', 'b'",
        ),
        "target to be dropped": ("a,y\n" + rows, "y --drop y", "is the target"),
        "a kind that is none": ("a,y\n" + rows, "y --kind a=colour", "COL=KIND"),
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
    assert main(["fit", "data.csv", "--target", *target.split()]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert [p.name for p in folder.iterdir()] == ["data.csv"]


def test_bad_data_at_prediction(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good().to_csv("data.csv", index=False)
    assert main(["fit", "data.csv", "--target", "kind", "--hidden", "8"]) == 0
    new = good().drop(columns="kind")
    text = new.assign(size="tall")
    for table, said in ((text, "'size'"), (new[["size"]], "'colour'")):
        table.to_csv("new.csv", index=False)
        capsys.readouterr()
        assert main(["predict", "data-model", "new.csv", "-o", "out.csv"]) == 2
        err = capsys.readouterr().err
        assert said in err and len(err.strip().splitlines()) == 1
        assert not Path("out.csv").exists()
    assert main(["predict", "nowhere", "new.csv", "-o", "out.csv"]) == 2


def test_what_training_never_saw_is_counted_and_predicted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = good()
    table["seen"] = [f"2021-{k % 12 + 1:02}-15" for k in range(len(table))]
    table["size"] = table["size"].fillna(0)
    table.to_csv("data.csv", index=False)
    asked = ["--target", "kind", "--hidden", "8", "--keep", "seen"]
    assert main(["fit", "data.csv", *asked]) == 0
    new = table.drop(columns="kind").astype(object)
    new.loc[:4, "colour"] = "blue\x1b[2J" + "e" * 10**5
    new.loc[5, "colour"] = None
    new.loc[6:8, "seen"] = "some day"
    new.loc[9, "seen"] = "2035-01-01"
    new.loc[10, "size"] = None
    new.loc[11, "size"] = "tall"
    new.to_csv("new.csv", index=False)
    capsys.readouterr()
    assert main(["predict", "data-model", "new.csv", "-o", "out.csv"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == [
        "column 'size'", "column 'seen'", "column 'size'", "column 'colour'",
    ]  # fmt: skip
    assert "1 cell cannot be read ('tall' in row 11)" in lines[0]
    assert "3 cells cannot be read ('some day' in row 6)" in lines[1]
    assert "2 values are missing" in lines[2]
    assert "6 rows" in lines[3] and "(missing)" in lines[3]
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    found = pd.read_csv("out.csv")
    assert len(found) == len(new) and found.notna().all(axis=None)
    calm = slice(12, None)
    new.loc[12:].to_csv("calm.csv", index=False)
    assert main(["predict", "data-model", "calm.csv", "-o", "calm-out.csv"]) == 0
    pd.testing.assert_frame_equal(pd.read_csv("calm-out.csv"), found[calm].reset_index(drop=True))


def test_a_cell_of_megabytes_is_not_echoed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{k},{k % 2}\n" for k in range(30))
    Path("data.csv").write_text("a,y\n" + "x" * 3_000_000 + ",1\n" + rows)
    assert main(["fit", "data.csv", "--target", "y"]) == 2
    assert len(capsys.readouterr().err) < 400
    Path("data.csv").write_text("a" * 3_000_000 + ",y\n" + rows)
    assert main(["fit", "data.csv", "--target", "z"]) == 2
    assert len(capsys.readouterr().err) < 400
    one = Path("data.csv")
    one.write_text("a,y\n" + "".join(f"{k},1\n" for k in range(20)))
    assert main(["fit", "data.csv", "--target", "y"]) == 2
    assert "np." not in capsys.readouterr().err
