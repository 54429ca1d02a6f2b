"""What a column is taken for, and files as programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pandas")

import pandas as pd
import strangers

from evenflow.fit.columns import Wishes, numbers_of, recognised
from evenflow.fit.reading import BadData, read
from evenflow.showing import LONG, listed, shown

RNG = np.random.default_rng(0)
N = 60
WORDS = strangers._sentences(RNG, N)
UNIQUE = strangers._ids(RNG, N)


def columns() -> dict[str, tuple[Any, str, bool]]:
    """name -> (values, kind, read?)."""
    return {
        "id": (np.arange(N), "id", False),
        "customerID": (RNG.permutation(10**6)[:N], "id", False),
        "Unnamed: 0": (np.arange(N), "id", False),
        "reference": (UNIQUE, "id", False),
        "x": (np.arange(N), "number", True),  # a counter may be time
        "store_id": (np.arange(N) % 7, "number", True),  # and seven shops are no identifier
        "income": (RNG.permutation(10**6)[:N], "number", True),
        "share": (RNG.random(N), "number", True),
        "year": (np.arange(1950, 1950 + N), "number", True),
        "price": ([f"{v:,.2f}" for v in RNG.uniform(1e3, 1e6, N)], "number", True),
        "Preis": ([f"{v},5" for v in range(N)], "number", True),
        "colour": (RNG.choice(["red", "green"], N), "category", True),
        "town": ([f"town {k % 20}" for k in range(N)], "category", True),
        "opinion": (RNG.choice(["I like it a lot", "I do not like it"], N), "category", True),
        "flag": (RNG.random(N) < 0.5, "category", True),
        "seen": ([f"2021-03-{k % 28 + 1:02}" for k in range(N)], "date", True),
        "day": ([20210301 + k % 28 for k in range(N)], "date", True),
        "when": (pd.date_range("2021-01-01", periods=N), "date", True),
        "remarks": (WORDS, "text", True),
        "nothing": ([None] * N, "empty", False),
        "one": (["a"] * N, "constant", False),
        "seven": ([7] * N, "constant", False),
        "hello": (["x", *[None] * (N - 1)], "category", True),  # given or not
    }


@pytest.mark.parametrize("name", columns())
def test_a_column_is_recognised_and_the_reason_is_told(name: str) -> None:
    values, kind, used = columns()[name]
    (found,) = recognised(pd.DataFrame({name: values}))
    assert (found.kind, found.used) == (kind, used)
    assert found.why


def test_whether_an_identifier_is_given_is_kept() -> None:
    half = [v if k % 2 else None for k, v in enumerate(UNIQUE)]
    (found,) = recognised(pd.DataFrame({"cabin": half}))
    assert not found.used and found.missing and "whether it is given" in found.why


def test_the_user_has_the_last_word() -> None:
    X = pd.DataFrame({k: v[0] for k, v in columns().items()})
    wishes = Wishes(
        drop=("colour", "x"), keep=("id", "reference"), kinds={"store_id": "category", "when": "id"}
    )
    found = {c.name: c for c in recognised(X, wishes)}
    assert not any(found[name].used for name in ("colour", "x", "when"))
    assert (found["id"].kind, found["reference"].kind) == ("number", "category")
    assert found["id"].used and found["reference"].used
    assert found["store_id"].kind == "category"
    untouched = {c.name: c for c in recognised(X)}
    for name in found:
        if name not in (*wishes.drop, *wishes.keep, *wishes.kinds):
            assert found[name] == untouched[name]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (Wishes(drop=("idd",)), "did you mean 'id'"),
        (Wishes(keep=("y",)), "is the target"),
        (Wishes(drop=("id",), keep=("id",)), "which?"),
    ],
)
def test_wishes_that_make_no_sense(wishes: Wishes, said: str) -> None:
    with pytest.raises(BadData, match=said.replace("?", r"\?")):
        wishes.check(["id", "a"], "y")


def test_a_kind_that_does_not_fit() -> None:
    X = pd.DataFrame({"colour": ["red", "green"] * 20})
    for kind, said in (("number", "read as numbers"), ("date", "read as dates")):
        with pytest.raises(BadData, match=said):
            recognised(X, Wishes(kinds={"colour": kind}))


def test_numbers_as_they_are_written() -> None:
    texts = pd.Series(["1,234.5", " 7 ", "-2e3", "oops", None])
    np.testing.assert_array_equal(
        numbers_of(texts, comma=False), [1234.5, 7, -2000, np.nan, np.nan]
    )
    comma = pd.Series(["1.234,5", "7", "-2,25", "oops"])
    np.testing.assert_array_equal(numbers_of(comma, comma=True), [1234.5, 7, -2.25, np.nan])


def written(frame: Any, path: Path, **how: Any) -> Path:
    frame.to_csv(path, index=False, **how)
    return path


@pytest.mark.parametrize(
    ("mark", "decimal"), [(",", "."), *((m, d) for m in (";", "\t", "|") for d in (".", ","))]
)
def test_separator_and_decimal_mark_are_seen(mark: str, decimal: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": RNG.normal(size=9), "b": list("uvwuvwuvw"), "c": range(9)})
    frame.loc[2, "b"] = "x, and; y"
    path = written(frame, tmp_path / "t.csv", sep=mark, decimal=decimal)
    pd.testing.assert_frame_equal(read(path), frame, check_dtype=False)
    assert bool(read(path).attrs["read"]) == (mark != "," or decimal != ".")


def test_what_excel_and_r_write(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("Größe;Wert;\nklein;1,5;\ngroß;2,5;\n".encode("cp1252"))
    found = read(path)
    assert list(found["Größe"]) == ["klein", "groß"] and list(found["Wert"]) == [1.5, 2.5]
    assert "Windows-1252" in " ".join(found.attrs["read"])
    path.write_text("sep=;\na;b\n1;2\n")
    assert read(path).to_dict("list") == {"a": [1], "b": [2]}
    path.write_text('"a","b"\n"first",1,2\n"second",3,4\n')
    assert list(read(path)["row name"]) == ["first", "second"]
    path.write_text("a,b\n1,2\n3,4\n", encoding="utf-16")
    assert list(read(path)["b"]) == [2, 4]
    path.write_text("only\n1\n2\n")
    assert list(read(path)["only"]) == [1, 2]


def test_codes_stay_as_they_are_written_where_they_are_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code,n\n007,1\n010,2\n")
    assert list(read(path, text=["code"])["code"]) == ["007", "010"]


def test_what_is_shown_is_short_and_printable() -> None:
    wild = "\x1b[2J\u202eHEALTHY\x07\n" * 10**6
    assert len(shown(wild)) < 5 * LONG and shown(wild).isprintable()
    assert shown(np.int64(1)) == "1" and shown(np.str_("a")) == "'a'"
    assert listed([np.int64(1), "b\x1b"]) == "1, 'b\\x1b'"
    assert len(listed(["n" * 1000] * 10**5)) < 1000
