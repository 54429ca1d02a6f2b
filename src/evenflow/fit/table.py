"""A table from a file: read, checked, and made into numbers by scikit-learn's own transformers."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: A numeric target with more distinct values than this is a number, not a class.
CLASSES = 20
#: A text column of which this share reads as numbers is a number column with text in it.
MOSTLY = 0.8


class BadData(ValueError):
    """A table that cannot be learned from, or predicted for; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Table:
    """Checked rows: X is a data frame without the target, y the target's values."""

    X: Any
    y: Any
    task: str
    dropped: int  # rows without a target


def read(path: Path) -> Any:
    """A data frame from CSV (.csv, .tsv, .txt) or Parquet (.parquet, .pq); BadData otherwise."""
    import pandas as pd

    if not path.is_file():
        raise BadData(f"there is no file {str(path)!r}.")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            mark = "\t" if path.suffix.lower() == ".tsv" else ","
            with path.open(newline="", encoding="utf-8-sig") as lines:
                _unique(next(csv.reader(lines, delimiter=mark), []), path)
            frame = pd.read_csv(path, sep=mark, encoding="utf-8-sig")
    except BadData:
        raise
    except Exception as error:  # pandas and pyarrow each have errors of their own
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise BadData(f"{str(path)!r} cannot be read as a table: {said[0]}") from error
    frame.columns = [str(name) for name in frame.columns]
    _unique(list(frame.columns), path)
    if not len(frame):
        raise BadData(f"{str(path)!r} has no rows.")
    return frame


def _unique(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise BadData(f"{str(path)!r} is empty.")
    if twice:
        raise BadData(f"{str(path)!r} has several columns named {twice[0]!r}: rename them.")


def checked(frame: Any, target: str, task: str = "auto") -> Table:
    """Features and target of a frame. BadData for what cannot be learned from."""
    import pandas as pd

    if target not in frame.columns:
        near = difflib.get_close_matches(target, list(frame.columns), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(frame.columns)}."
        raise BadData(f"the table has no column {target!r}; {hint}")
    kept = frame[frame[target].notna()]
    if not len(kept):
        raise BadData(f"no row is left: the target {target!r} is missing in all {len(frame)} rows.")
    X, y = kept.drop(columns=target), kept[target]
    if not len(X.columns):
        raise BadData(f"the table has no column but the target {target!r}.")
    for name in X.columns:
        if X[name].isna().all():
            raise BadData(f"column {name!r} has no value in any row: remove it.")
        _not_mixed(X[name], name)
        if pd.api.types.is_numeric_dtype(X[name]) and np.isinf(X[name].to_numpy(float)).any():
            raise BadData(f"column {name!r} holds an infinite number.")
    numeric = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    if task == "auto":
        task = "regression" if numeric and y.nunique() > CLASSES else "classification"
    if task == "regression":
        _not_mixed(y, target)
        if not numeric:
            raise BadData(f"the target {target!r} is text: regression needs numbers.")
        return Table(X, y.to_numpy(float), task, len(frame) - len(kept))
    if y.nunique() < 2:
        raise BadData(f"the target {target!r} holds one class only, {y.iloc[0]!r}.")
    values = y.to_numpy() if numeric else y.astype(str).to_numpy(dtype=str)
    return Table(X, values, task, len(frame) - len(kept))


def _not_mixed(column: Any, name: str) -> None:
    """BadData for a column of numbers with text in it."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return
    given = column[column.notna()].astype(str)
    wrong = pd.to_numeric(given, errors="coerce").isna()
    if wrong.any() and 1 - wrong.mean() >= MOSTLY:
        row = given.index[wrong.to_numpy().argmax()]
        raise BadData(
            f"column {name!r} is of numbers, but row {row} holds the text {given[row]!r}: "
            "correct it, or leave it empty (missing)."
        )


def preprocessing(X: Any) -> Any:
    """Fitted: numbers with their missing values at the median and marked, categories one-hot."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    numeric = numbers(X)
    others = [name for name in X.columns if name not in set(numeric)]
    made = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median", add_indicator=True), numeric),
            (
                "categories",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="(missing)"),
                    OneHotEncoder(handle_unknown="error", sparse_output=False),
                ),
                others,
            ),
        ]
    )
    return made.fit(plain(X, numeric))


def numbers(X: Any) -> list[str]:
    """Names of the columns of numbers."""
    import pandas as pd

    return [
        name
        for name in X.columns
        if pd.api.types.is_numeric_dtype(X[name]) and not pd.api.types.is_bool_dtype(X[name])
    ]


def plain(X: Any, numeric: list[str]) -> Any:
    """The same columns as floats and as text, missing text as None."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: X[name].astype(float)
            if name in numeric
            else X[name].astype(object).map(lambda v: np.nan if pd.isna(v) else str(v))
            for name in X.columns
        },
        index=X.index,
    )


def as_numbers(made: Any, X: Any) -> Any:
    """Rows [N, C] for the network from a frame with the columns of training; more are ignored.

    BadData for a column that is missing, text among numbers, or a category never seen.
    """
    wanted = list(made.feature_names_in_)
    lacking = [name for name in wanted if name not in X.columns]
    if lacking:
        raise BadData(f"the table has no column {lacking[0]!r}, which the model was trained on.")
    numeric = list(made.transformers_[0][2])
    for name in numeric:
        _not_mixed(X[name], name)
        if name not in numbers(X) and X[name].notna().any():
            raise BadData(f"column {name!r} must be of numbers, as in training.")
    rows = plain(X[wanted], numeric)
    others = [name for name in wanted if name not in numeric]
    if others:
        encoder = made.named_transformers_["categories"][-1]
        for name, known in zip(others, encoder.categories_, strict=True):
            seen = rows[name].fillna("(missing)")
            strange = seen[~seen.isin(list(known))]
            if len(strange):
                raise BadData(
                    f"column {name!r}: row {strange.index[0]} holds {strange.iloc[0]!r}, which "
                    f"training never saw; it knows {', '.join(map(str, known[:8]))}."
                )
    return made.transform(rows)
